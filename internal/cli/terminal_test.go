//go:build unix

package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
)

// pane is a terminal of tmux in which a shell command runs.
type pane struct {
	t     *testing.T
	width int
	env   []string
	old   map[string]bool // lines that were written when the terminal was wider
}

func newPane(t *testing.T, dir string, width int, command string) *pane {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("tmux is not installed")
	}
	if testing.Short() {
		t.Skip("watches a terminal for some seconds")
	}
	sockets, err := os.MkdirTemp("", "t") // t.TempDir is too long for a socket's name
	if err != nil {
		t.Fatal(err)
	}
	p := &pane{t, width, append(os.Environ(), "TMUX_TMPDIR="+sockets, "TMUX="), map[string]bool{}}
	t.Cleanup(func() {
		_ = p.command("kill-server").Run()
		os.RemoveAll(sockets)
	})
	p.tmux("new-session", "-d", "-x", fmt.Sprint(width), "-y", "30", "-c", dir, "env -u NO_COLOR -u CI TERM=screen sh -c '"+command+"'")
	return p
}

func (p *pane) command(args ...string) *exec.Cmd {
	c := exec.Command("tmux", append([]string{"-f", "/dev/null"}, args...)...)
	c.Env = p.env
	return c
}

func (p *pane) tmux(args ...string) string {
	p.t.Helper()
	out, err := p.command(args...).CombinedOutput()
	if err != nil {
		p.t.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// lines is what the terminal shows; a line that it has wrapped is one.
func (p *pane) lines() []string {
	var out []string
	for line := range strings.Lines(p.tmux("capture-pane", "-p", "-J")) {
		if line = strings.TrimRight(line, " \n"); line != "" {
			out = append(out, line)
		}
	}
	return out
}

func (p *pane) resize(width int) {
	for _, l := range p.lines() {
		p.old[l] = !moving.MatchString(l)
	}
	p.width = width
	p.tmux("resize-window", "-x", fmt.Sprint(width))
}

// until waits for a screen that is as wanted.
func (p *pane) until(what string, most time.Duration, wanted func(lines []string) bool) []string {
	p.t.Helper()
	var lines []string
	for end := time.Now().Add(most); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if lines = p.lines(); wanted(lines) {
			return lines
		}
	}
	p.t.Fatalf("%d columns: not in %v: %s\n%s", p.width, most, what, strings.Join(lines, "\n"))
	return nil
}

var (
	moving  = regexp.MustCompile(`^[|/\\-] (step \d|\d+/\d|opening|encoding|planning|loading)`)
	ofSteps = regexp.MustCompile(`^([|/\\-] )?(step )?\d+/\d+`)
)

// movingLine is the last line of a screen when it is the one that moves, "" when there is none. It, and every line of a step above it, must be
// narrower than the terminal.
func (p *pane) movingLine(lines []string) string {
	p.t.Helper()
	line := ""
	for i, l := range lines {
		if (moving.MatchString(l) || ofSteps.MatchString(l)) && utf8.RuneCountInString(l) >= p.width && !p.old[l] {
			p.t.Errorf("%d columns: %q is %d wide", p.width, l, utf8.RuneCountInString(l))
		}
		if moving.MatchString(l) {
			if i < len(lines)-1 {
				p.t.Errorf("%d columns: below the line that moves: %q", p.width, lines[i+1])
			}
			line = l
		}
	}
	return line
}

// TestTerminal watches a run on a terminal of several widths: something moves within two seconds of the start and goes on to, no line of progress
// is wider than the terminal, also after it was made narrower during the run, and Ctrl-C says what comes.
func TestTerminal(t *testing.T) {
	l := newLab(t)
	l.write("run.yaml", strings.NewReplacer("max_steps: 40", "max_steps: 100000", "sequence_len: 64", "sequence_len: 256", "gradient_accumulation_steps: 2", "gradient_accumulation_steps: 16", "save_steps: 2", "save_steps: 0").
		Replace(string(l.read("run.yaml"))))
	p := newPane(t, l.dir, 120, `trap : INT; ./lomo train run.yaml; echo "exit $?"; sleep 100`)
	start := p.until("something moves", 4*time.Second, func(lines []string) bool { return p.movingLine(lines) != "" })
	first := p.movingLine(start)
	p.until("the line moves", 2*time.Second, func(lines []string) bool { now := p.movingLine(lines); return now != "" && now != first })
	p.until("time left, after two steps", time.Minute, func(lines []string) bool { return strings.Contains(p.movingLine(lines), "  left ") })
	for _, width := range []int{80, 60, 40, 20, 50} {
		p.resize(width)
		time.Sleep(300 * time.Millisecond) // the line is drawn again
		before := p.until("a line that moves", 2*time.Second, func(lines []string) bool { return p.movingLine(lines) != "" })
		p.until("it moves", 3*time.Second, func(lines []string) bool { now := p.movingLine(lines); return now != "" && now != p.movingLine(before) })
	}
	p.resize(120)
	p.tmux("send-keys", "C-c")
	lines := p.until("the end", time.Minute, func(lines []string) bool { return strings.Contains(strings.Join(lines, "\n"), "\nexit ") })
	text := strings.Join(lines, "\n")
	for _, want := range []string{`lomo: (finishing|stopping after) step \d+.*, then saving; Ctrl-C again stops at once`, `saved out/checkpoint-\d+`,
		`lomo: interrupted after step \d+ of 100000, saved in out/checkpoint-\d+; to continue: lomo train run.yaml`, `exit 130`} {
		if !regexp.MustCompile("(?m)^" + want + "$").MatchString(text) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	log := string(l.read("out/train.log"))
	if strings.ContainsAny(log, "\r\x1b") || !strings.Contains(log, " lomo: interrupted after step ") || !strings.Contains(log, " step 2/100000  loss ") {
		t.Errorf("train.log:\n%s", log)
	}
}

// started begins a command whose stderr the test reads.
func (l *lab) started(args ...string) (*exec.Cmd, io.ReadCloser) {
	l.t.Helper()
	c := l.command(args...)
	stderr, err := c.StderrPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		l.t.Fatal(err)
	}
	return c, stderr
}

// TestBrokenPipe: a run whose stderr nobody reads any more goes on to its end, and train.log has what it said.
func TestBrokenPipe(t *testing.T) {
	l := newLab(t)
	c, stderr := l.started("train", "run.yaml")
	read := bufio.NewScanner(stderr)
	for read.Scan() && !strings.HasPrefix(read.Text(), "step 1/") {
	}
	stderr.Close()
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	log := string(l.read("out/train.log"))
	for _, want := range []string{"closed: the run goes on", " step 40/40  loss ", " trained model: out\n"} {
		if strings.Count(log, want) != 1 {
			t.Errorf("train.log has not one %q:\n%s", want, log)
		}
	}
}

// TestHangUp: a terminal that is closed, which may send its signal twice, ends a run as SIGTERM does: after the step, with a checkpoint.
func TestHangUp(t *testing.T) {
	l := newLab(t)
	l.write("run.yaml", strings.NewReplacer("max_steps: 40", "max_steps: 100000", "save_steps: 2", "save_steps: 0").Replace(string(l.read("run.yaml"))))
	c, stderr := l.started("train", "run.yaml")
	var said strings.Builder
	for read := bufio.NewScanner(stderr); read.Scan(); {
		if fmt.Fprintln(&said, read.Text()); strings.HasPrefix(read.Text(), "step 3/") {
			_ = c.Process.Signal(syscall.SIGHUP)
			_ = c.Process.Signal(syscall.SIGHUP)
		}
	}
	err := c.Wait()
	if status, ok := errors.AsType[*exec.ExitError](err); !ok || status.ExitCode() != 130 || !strings.Contains(said.String(), "\nsaved out/checkpoint-") {
		t.Errorf("%v\n%s", err, said.String())
	}
}
