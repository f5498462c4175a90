package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"lomo/internal/cudakern"
	"lomo/internal/verify"
)

// verifyOptions is what `lomo verify` was asked to do.
type verifyOptions struct {
	Device string // auto, cpu or cuda
	Report string // file; "": none
	Quick  bool
	JSON   bool
}

func newVerifyCmd(io *Streams, run func(*Streams, *verifyOptions) error) *cobra.Command {
	var o verifyOptions
	c := &cobra.Command{
		Use:   "verify",
		Short: "Prove on this machine that every kernel computes what it should, and how fast",
		Long: `Verify runs every kernel of the device and of its twin and compares the results: a card's
kernels with the processor's, the processor's with plain Go. Then it times each kernel at the
shapes of LLaMA-7B as a share of the peak, measures the ways between host and cards and between
cards, runs the collectives over all cards, and trains a tiny model for 20 steps on the device
and on the host. --quick compares on small shapes and leaves the times out.

The report says first whether everything agrees; --report writes it to a file that is all a
bug report needs. Exit code 1: something differs. On a card it takes about two minutes and 3 GiB
of its memory; run it while nothing else uses the cards.`,
		Example: `  lomo verify --device cuda --report verify.txt
  lomo verify --quick
  lomo verify --device cpu --json | jq .problems`,
		RunE: func(c *cobra.Command, _ []string) error {
			switch o.Device {
			case "auto", "cpu", "cuda":
				return run(io, &o)
			}
			return usage(seeHelp(c), "--device %q is not one of auto, cpu, cuda", o.Device)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Device, "device", "auto", "auto, cpu or cuda; auto takes the cards where there are some")
	f.StringVar(&o.Report, "report", "", "write the report to this `file` too")
	f.BoolVar(&o.Quick, "quick", false, "small shapes, no times")
	f.BoolVar(&o.JSON, "json", false, "print one JSON object")
	return c
}

func runVerify(s *Streams, o *verifyOptions) error {
	v := verify.Options{Quick: o.Quick, Note: func(format string, args ...any) { fmt.Fprintf(s.Err, format+"\n", args...) }}
	drv, err := cudakern.Installed()
	switch {
	case o.Device == "cuda" && err != nil:
		return err
	case o.Device != "cpu" && err == nil:
		v.Driver = drv
	}
	r, err := verify.Machine(v)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := r.Write(&text, version()); err != nil {
		return err
	}
	if o.Report != "" {
		if err := os.WriteFile(o.Report, text.Bytes(), 0o644); err != nil {
			return err
		}
		fmt.Fprintf(s.Err, "the report is in %s\n", o.Report)
	}
	if o.JSON {
		err = json.NewEncoder(s.Out).Encode(struct {
			Version string `json:"version"`
			*verify.Report
		}{version(), r})
	} else {
		_, err = s.Out.Write(text.Bytes())
	}
	if err == nil && len(r.Problems) > 0 {
		err = fmt.Errorf("%d problems: %s", len(r.Problems), r.Problems[0])
	}
	return err
}
