package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// event is one line of `go test -json` (go doc test2json).
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// summary is what the events say in all.
type summary struct {
	packages, passed int
	failed, skipped  []string            // PACKAGE.TEST
	output           map[string][]string // of tests, until it is known whether they failed
}

// read prints the line of each package, and the whole output of what failed, as the events arrive.
func read(events io.Reader, out io.Writer) (*summary, error) {
	s := &summary{output: map[string][]string{}}
	lines := bufio.NewScanner(events)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(out, lines.Text()) // go's own messages, as of a module that cannot be fetched
			continue
		}
		s.add(e, out)
	}
	return s, lines.Err()
}

func (s *summary) add(e event, out io.Writer) {
	name := strings.TrimPrefix(strings.TrimPrefix(e.Package, "lomo"), "/") + "." + e.Test
	switch {
	case e.Action == "build-output":
		fmt.Fprint(out, e.Output)
	case e.Action == "build-fail":
		s.failed = append(s.failed, e.Package+" (build)")
	case e.Action == "output" && e.Test != "":
		s.output[name] = append(s.output[name], e.Output)
	case e.Action == "output" && shown(e.Output):
		fmt.Fprint(out, e.Output)
	case e.Test == "" && (e.Action == "pass" || e.Action == "skip"):
		s.packages++
	case e.Action == "fail":
		if !s.explained(name) {
			s.failed = append(s.failed, name)
		}
		s.flush(name, out)
	case e.Action == "pass":
		s.passed++
		delete(s.output, name)
	case e.Action == "skip":
		s.skipped = append(s.skipped, name)
		s.flush(name, out)
	}
}

// explained reports whether name is a package, "PACKAGE.", that failed because of a test already named.
func (s *summary) explained(name string) bool {
	return strings.HasSuffix(name, ".") && slices.ContainsFunc(s.failed, func(f string) bool { return strings.HasPrefix(f, name) })
}

func (s *summary) flush(name string, out io.Writer) {
	for _, line := range s.output[name] {
		fmt.Fprint(out, line)
	}
	delete(s.output, name)
}

// shown leaves out the bare words that repeat a package's own line.
func shown(line string) bool { return line != "PASS\n" && !strings.Contains(line, "[no test files]") }

// report prints the closing lines and says whether all is well.
func (s *summary) report(out io.Writer, list []known, level string) bool {
	var unlisted []string
	for _, test := range s.skipped {
		if !allowed(list, level, test) {
			unlisted = append(unlisted, test)
		}
	}
	slices.Sort(s.failed)
	for _, test := range s.failed {
		fmt.Fprintf(out, "FAILED   %s\n", strings.TrimSuffix(test, "."))
	}
	for _, test := range unlisted {
		fmt.Fprintf(out, "UNLISTED %s was skipped at level %s; list it in testdata/skips.txt with the reason, or make it run\n", test, level)
	}
	fmt.Fprintf(out, "%d tests passed, %d failed, %d skipped (%d not listed) in %d packages, CPU level %s\n",
		s.passed, len(s.failed), len(s.skipped), len(unlisted), s.packages, level)
	if s.passed == 0 {
		fmt.Fprintln(out, "no test ran")
	}
	return s.passed > 0 && len(s.failed) == 0 && len(unlisted) == 0
}
