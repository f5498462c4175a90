package cli

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"lomo": func() { os.Exit(Main("")) }})
}

// TestScripts runs command lines as a user does: what they print and how they exit. Two commands are our own: `exits N CMD…`
// runs a command and wants that exit code, `nan FILE` makes the last number of a file not one, `hub OWNER/NAME=DIR` serves a folder
// as a model on the hub that the environment names.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "nan": nan, "hub": serveHub},
		Setup: func(e *testscript.Env) error { // scripts start with an empty environment
			e.Setenv("LOMO_CPU", os.Getenv("LOMO_CPU"))
			return nil
		},
	})
}
