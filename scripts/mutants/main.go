// Command mutants puts faults into the code, one at a time, and tells whether the tests notice: a fault that none of them
// sees marks what they are blind to. The faults are in faults.txt, each with the tests that should fail.
//
//	go run ./scripts/mutants [-all] [-run REGEXP] [-jobs N]
//
// The working tree stays as it is: the changed files are laid over it with the go command's -overlay, so that all else comes
// from the build cache. Tests must pass without a fault before they count as having noticed one.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

func main() {
	list := flag.String("faults", "scripts/mutants/faults.txt", "the file of faults")
	only := flag.String("run", "", "only faults whose name matches this regular expression")
	all := flag.Bool("all", false, "run the whole of go test ./... for each fault, in place of the tests it names")
	jobs := flag.Int("jobs", 1, "how many faults are tried at once")
	flag.Parse()
	ok, err := run(*list, *only, *all, *jobs)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// What can come of a fault.
const (
	noticed  = "noticed"
	survived = "survived"
	unfit    = "does not apply"
	unbuilt  = "does not build"
	unsound  = "tests fail without it"
)

func run(path, only string, all bool, jobs int) (bool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	faults, err := Parse(string(text))
	if err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	wanted, err := regexp.Compile(only)
	if err != nil {
		return false, fmt.Errorf("-run: %w", err)
	}
	faults = slices.DeleteFunc(faults, func(f Fault) bool { return !wanted.MatchString(f.Name) })
	if len(faults) == 0 {
		return false, errors.New("no fault of that name")
	}
	t := &trial{all: all, sound: map[string]func() error{}}
	count, bad := map[string]int{}, 0
	var wait sync.WaitGroup
	slots, printing := make(chan struct{}, max(1, jobs)), sync.Mutex{}
	for _, f := range faults {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			begun := time.Now()
			what, detail := t.try(f)
			printing.Lock()
			defer printing.Unlock()
			count[what]++
			switch {
			case what == survived && f.Survives != "":
				detail = "known: " + f.Survives
			case what == noticed && f.Survives != "":
				detail += " (listed as a survivor)"
			case what != noticed:
				bad++
			}
			fmt.Printf("%-21s %5.0fs  %s", what, time.Since(begun).Seconds(), f.Name)
			if detail != "" {
				fmt.Printf(": %s", detail)
			}
			fmt.Println()
		})
	}
	wait.Wait()
	fmt.Printf("\n%d of %d noticed", count[noticed], len(faults))
	for _, what := range []string{survived, unfit, unbuilt, unsound} {
		if count[what] > 0 {
			fmt.Printf(", %d %s", count[what], what)
		}
	}
	fmt.Println()
	return bad == 0, nil
}

// trial tries faults.
type trial struct {
	all   bool
	mu    sync.Mutex
	sound map[string]func() error // by the tests' names: whether they pass as the code stands
}

// try puts f in, runs its tests and says what came of it, with the test that noticed or the reason why none could.
func (t *trial) try(f Fault) (what, detail string) {
	files, err := f.Apply(".")
	if err != nil {
		return unfit, err.Error()
	}
	tests := f.Tests
	if t.all {
		tests = []string{"./..."}
	}
	if err := t.passes(tests); err != nil {
		return unsound, err.Error()
	}
	dir, err := os.MkdirTemp("", "lomo-mutants-")
	if err != nil {
		return unfit, err.Error()
	}
	defer os.RemoveAll(dir)
	overlay, err := lay(dir, files)
	if err != nil {
		return unfit, err.Error()
	}
	packages := map[string]bool{}
	for path := range files {
		packages["./"+filepath.ToSlash(filepath.Dir(path))] = true
	}
	build := []string{"build", "-o", os.DevNull}
	for p := range packages {
		build = append(build, p)
	}
	if out, err := goTool(overlay, build...); err != nil {
		return unbuilt, firstLine(out, "")
	}
	out, err := goTool(overlay, append([]string{"test", "-vet=off", "-failfast", "-timeout", "10m"}, tests...)...)
	switch {
	case err == nil:
		return survived, ""
	case strings.Contains(out, "[build failed]"):
		return unbuilt, firstLine(out, "")
	}
	return noticed, firstLine(out, "--- FAIL: ")
}

// passes runs tests without a fault, once.
func (t *trial) passes(tests []string) error {
	key := strings.Join(tests, " ")
	t.mu.Lock()
	once := t.sound[key]
	if once == nil {
		once = sync.OnceValue(func() error {
			out, err := goTool("", append([]string{"test", "-vet=off", "-timeout", "20m"}, tests...)...)
			if err != nil {
				return errors.New(firstLine(out, "--- FAIL: "))
			}
			if !t.all && strings.Contains(out, "[no tests to run]") {
				return errors.New("there is none of that name: " + key)
			}
			return nil
		})
		t.sound[key] = once
	}
	t.mu.Unlock()
	return once()
}

// lay writes the changed files below dir, and the overlay that puts them in place of those of the tree.
func lay(dir string, files map[string]string) (string, error) {
	replace := map[string]string{}
	for path, text := range files {
		from, err := filepath.Abs(path)
		if err != nil {
			return "", err
		}
		to := filepath.Join(dir, strings.ReplaceAll(filepath.ToSlash(path), "/", "_"))
		if err := os.WriteFile(to, []byte(text), 0o644); err != nil {
			return "", err
		}
		replace[from] = to
	}
	raw, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, raw, 0o644)
}

// goTool runs the go command. The overlay is in GOFLAGS, so that a test that builds the program builds it with the fault.
func goTool(overlay string, args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Env = os.Environ()
	if overlay != "" {
		flags, err := exec.Command("go", "env", "GOFLAGS").Output()
		if err != nil {
			return "", err
		}
		cmd.Env = append(cmd.Env, strings.TrimSpace("GOFLAGS="+strings.TrimSpace(string(flags))+" -overlay="+overlay))
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// firstLine is the first line with prefix, without it and without a test's time; of a crash it is the panic.
func firstLine(out, prefix string) string {
	for _, want := range []string{prefix, "panic: ", "fatal error: ", "FAIL"} {
		for line := range strings.Lines(out) {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, want) && !strings.HasPrefix(line, "#") && line != "" {
				name, _, _ := strings.Cut(strings.TrimPrefix(line, prefix), " (")
				return name
			}
		}
	}
	return ""
}
