// Command skips reads the events of `go test -json` from stdin, prints what a person wants to see of them, and fails
// when a test failed, when a skipped test is not listed in testdata/skips.txt for this CPU level, or when nothing ran.
//
//	go test -json ./... | go run ./scripts/skips [-list testdata/skips.txt]
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"lomo/internal/cpukern"
)

func main() {
	list := flag.String("list", "testdata/skips.txt", "skipped tests that are known, with their reasons")
	flag.Parse()
	ok, err := run(os.Stdin, os.Stdout, *list, level())
	if err != nil {
		fmt.Fprintln(os.Stderr, "skips:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// level is the CPU level the tests run at: the one LOMO_CPU forces, else the best of this machine and build.
func level() string {
	if forced := os.Getenv("LOMO_CPU"); forced != "" {
		return forced
	}
	all := cpukern.Levels()
	return all[len(all)-1]
}

func run(events io.Reader, out io.Writer, listPath, level string) (bool, error) {
	text, err := os.ReadFile(listPath)
	if err != nil {
		return false, err
	}
	list, err := parseList(string(text))
	if err != nil {
		return false, fmt.Errorf("%s: %w", listPath, err)
	}
	s, err := read(events, out)
	if err != nil {
		return false, err
	}
	return s.report(out, list, level), nil
}
