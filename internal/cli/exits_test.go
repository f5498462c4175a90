package cli

import (
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"lomo/internal/hub/hubtest"
)

// exits runs a command, whose output later lines may check, and wants its exit code to be the first argument.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARGS]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if e := (*exec.ExitError)(nil); errors.As(err, &e) {
		got = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// nan fills the last four bytes of a file with ones: NaN in every floating-point type.
func nan(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: nan FILE")
	}
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	copy(data[len(data)-4:], "\xff\xff\xff\xff")
	ts.Check(os.WriteFile(path, data, 0o644))
}

// serveHub serves folders as models, and names the hub in HF_ENDPOINT.
func serveHub(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: hub OWNER/NAME=DIR...")
	}
	h := &hubtest.Hub{}
	for _, a := range args {
		name, dir, _ := strings.Cut(a, "=")
		ts.Check(h.Serve(name, ts.MkAbs(dir)))
	}
	front, back := httptest.NewServer(h), httptest.NewServer(h)
	h.CDN = back.URL
	ts.Defer(front.Close)
	ts.Defer(back.Close)
	ts.Setenv("HF_ENDPOINT", front.URL)
}
