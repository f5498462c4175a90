// Simdriver runs a command on cards that do not exist:
//
//	go run ./scripts/simdriver -cards 8 bin/lomo-cuda train --config tiny.yaml --set device=cuda --set devices=8
//
// The command finds a libcuda whose cards are simulated (internal/cudakern/sim): 24 GB each with the limit enforced, work that runs as late as
// CUDA permits, no access between cards unless -peers. Only a build with the tag cuda looks for it. What every process moved
// goes to -report, one JSON object a line; what failed goes to stderr.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"

	"lomo/internal/cudakern/sim"
	"lomo/internal/cudakern/simserver"
)

// options is the command line.
type options struct {
	machine sim.Options
	report  string
	lose    []spot
	refuse  []spot
	command []string
}

// spot is CARD:N of a flag.
type spot struct {
	card int
	n    int64
}

func main() {
	code, err := run(parse())
	if err != nil {
		fmt.Fprintln(os.Stderr, "simdriver:", err)
	}
	os.Exit(code)
}

func parse() options {
	var o options
	spots := func(to *[]spot) func(string) error {
		return func(s string) error {
			var at spot
			_, err := fmt.Sscanf(s, "%d:%d", &at.card, &at.n)
			*to = append(*to, at)
			return err
		}
	}
	flag.IntVar(&o.machine.Cards, "cards", 8, "number of cards")
	flag.Int64Var(&o.machine.Memory, "memory", 24e9, "bytes of each")
	flag.BoolVar(&o.machine.Peers, "peers", false, "cards can address each other")
	flag.Uint64Var(&o.machine.Order, "order", 0, "seed for the order of queued work; 0: as late as possible")
	flag.StringVar(&o.report, "report", "", "file for what each process did")
	flag.Func("lose", "CARD:N, card CARD is lost at its Nth launch", spots(&o.lose))
	flag.Func("refuse", "CARD:N, card CARD refuses its Nth allocation", spots(&o.refuse))
	flag.Parse()
	o.command = flag.Args()
	for _, at := range append(o.lose, o.refuse...) {
		if at.card < 0 || at.card >= o.machine.Cards {
			fmt.Fprintf(os.Stderr, "simdriver: there is no card %d\n", at.card)
			os.Exit(2)
		}
	}
	if len(o.command) == 0 {
		flag.Usage()
		os.Exit(2)
	}
	return o
}

func run(o options) (code int, err error) {
	dir, err := os.MkdirTemp("", "simdriver")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // the system cleans up
	s := &simserver.Server{
		Machine: o.machine,
		Prepare: func(m *sim.Machine) {
			for _, at := range o.lose {
				m.Lose(at.card, at.n)
			}
			for _, at := range o.refuse {
				m.RefuseAlloc(at.card, at.n)
			}
		},
		Log: func(format string, args ...any) { fmt.Fprintf(os.Stderr, "simdriver: "+format+"\n", args...) },
	}
	env, stop, err := s.Start(dir)
	if err != nil {
		return 1, err
	}
	c := exec.Command(o.command[0], o.command[1:]...)
	c.Stdin, c.Stdout, c.Stderr, c.Env = os.Stdin, os.Stdout, os.Stderr, append(os.Environ(), env...)
	err = runToEnd(c)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code, err = exit.ExitCode(), nil
	}
	if err := errors.Join(err, stop(), writeReport(o.report, s.Reports())); err != nil {
		return max(code, 1), err
	}
	return code, nil
}

// runToEnd runs c and passes on what would end this process: the command decides, and the cards stay until it is done.
func runToEnd(c *exec.Cmd) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	if err := c.Start(); err != nil {
		return err
	}
	over := make(chan struct{})
	defer close(over)
	go func() {
		for {
			select {
			case s := <-signals:
				_ = c.Process.Signal(s) // it may have ended
			case <-over:
				return
			}
		}
	}()
	return c.Wait()
}

func writeReport(file string, reports []simserver.Report) error {
	if file == "" {
		return nil
	}
	var lines strings.Builder
	for _, r := range reports {
		if err := json.NewEncoder(&lines).Encode(r); err != nil {
			return err
		}
	}
	return os.WriteFile(file, []byte(lines.String()), 0o644)
}
