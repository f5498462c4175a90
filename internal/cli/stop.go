package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// stopper is what a run says when it is asked to stop. It is filled in by the run; before that nothing would be lost.
type stopper struct {
	asked  func() (text string, now bool)
	forced func() string
}

// untilStopped is a context that ends at the first SIGINT, SIGTERM or SIGHUP. The next one ends the process at once, unless it is a SIGHUP: a terminal
// that is closed may send two, and nobody who sees what becomes of the run asked for that. Where SIGHUP was ignored from the start (nohup), it stays so.
// A broken pipe or closed terminal at stderr does not end the process: writing there fails, and the run goes on.
func untilStopped(parent context.Context, s *Streams, st *stopper) (context.Context, func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	broken := make(chan os.Signal, 1) // nobody reads it
	signal.Notify(broken, syscall.SIGPIPE)
	over := make(chan struct{})
	go func() {
		asked := false
		for {
			select {
			case sig := <-signals:
				if asked && sig == syscall.SIGHUP {
					continue
				}
				if asked {
					endNow(s, st.forced())
				}
				asked = true
				text, now := "stopped before the run began; nothing was written", true
				if st.asked != nil {
					text, now = st.asked()
				}
				if now {
					endNow(s, text)
				}
				s.Talk.Say("lomo: %s", text)
				cancel()
			case <-over:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		signal.Stop(broken)
		close(over)
		cancel()
	}
}

// endNow ends the process as an interrupted one.
func endNow(s *Streams, text string) {
	s.Talk.Say("lomo: %s", text)
	s.Talk.Close()
	os.Exit(130)
}
