package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lomo/internal/fault"
)

// The files of a run's folder that this package writes.
const (
	RunFile     = "run.json"
	MetricsFile = "metrics.jsonl"
	SamplesFile = "samples.jsonl"
	PageFile    = "report.html"
)

// State is how a run stands.
type State string

const (
	Running     State = "running"
	Finished    State = "finished"
	Interrupted State = "interrupted" // by the user; a checkpoint was saved
	Diverged    State = "diverged"    // its numbers are not finite
	Failed      State = "failed"
	Stopped     State = "stopped" // it says running, and no process runs it: killed, or the machine stopped
)

// Run is what run.json says of a run: what it is, and the processes that trained it.
type Run struct {
	Model    string    `json:"model"`
	Params   int64     `json:"params"`
	Device   string    `json:"device"`
	Steps    int       `json:"total_steps"`
	Planned  int64     `json:"planned_bytes,omitempty"` // peak memory of the plan
	Samples  string    `json:"samples_note,omitempty"`  // why there are no samples, or what was cut
	Sessions []Session `json:"sessions"`
	Earlier  int       `json:"earlier_sessions,omitempty"` // that are no longer listed
	EarlierS Number    `json:"earlier_s,omitempty"`        // their time
}

// Session is one process that trained the run.
type Session struct {
	Started  time.Time `json:"started"`
	Updated  time.Time `json:"updated"` // when it last said how it stands
	FromStep int       `json:"from_step"`
	State    State     `json:"state"`
	Problem  string    `json:"problem,omitempty"` // why it ended
	Command  string    `json:"command"`
	Version  string    `json:"version"`
	CPU      string    `json:"cpu"`
}

// maxSessions bounds the list in run.json.
const maxSessions = 50

// ReadRun reads a run.json. A run of an older version has none: that is no error, and the result is empty.
func ReadRun(dir string) (Run, error) {
	var r Run
	path := filepath.Join(dir, RunFile)
	text, err := readRegular(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("%s: %w", path, plainJSON(err))
	}
	return r, nil
}

// maxFile bounds what is read of a run.json and of a samples.jsonl.
const maxFile = 4 << 20

// openRegular opens a file that is one, and not a pipe or a device that never ends.
func openRegular(path string, most int64) (*os.File, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	case info.Size() > most:
		return nil, fmt.Errorf("%s: %s, and no run writes more than %s", path, Bytes(info.Size()), Bytes(most))
	}
	f, _, err := fault.Open(path)
	return f, err
}

func readRegular(path string, most int64) ([]byte, error) {
	f, err := openRegular(path, most)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

// plainJSON is an error of the JSON reader without the names of our program's types.
func plainJSON(err error) error {
	var kind *json.UnmarshalTypeError
	if !errors.As(err, &kind) {
		return err
	}
	if kind.Field == "" {
		return fmt.Errorf("it is a %s", kind.Value)
	}
	return fmt.Errorf("%s is a %s that does not fit", kind.Field, kind.Value)
}

// Write writes run.json, by way of a temporary file beside it.
func (r Run) Write(dir string) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(dir, RunFile), append(text, '\n'))
}

// Begin adds a session. One before it that did not say how it ended was killed.
func (r *Run) Begin(s Session) {
	if last := r.last(); last != nil && last.State == Running {
		last.State = Stopped
	}
	if r.Sessions = append(r.Sessions, s); len(r.Sessions) > maxSessions {
		r.EarlierS += inSeconds(r.Sessions[0].took())
		r.Sessions = r.Sessions[1:]
		r.Earlier++
	}
}

// Update says how the last session stands.
func (r *Run) Update(state State, problem string, now time.Time) {
	if s := r.last(); s != nil {
		s.State, s.Problem, s.Updated = state, problem, now
	}
}

func (r *Run) last() *Session {
	if len(r.Sessions) == 0 {
		return nil
	}
	return &r.Sessions[len(r.Sessions)-1]
}

// Took is the time of all sessions together.
func (r *Run) Took() time.Duration {
	d := lasting(float64(r.EarlierS))
	for _, s := range r.Sessions {
		d += s.took()
	}
	return d
}

// took is the time of a session, as far as it has said.
func (s Session) took() time.Duration { return max(0, s.Updated.Sub(s.Started)) }

// replaceFile writes a file by way of a temporary one beside it, so that no reader sees a part of it.
func replaceFile(path string, text []byte) error {
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, text, 0o644); err != nil {
		os.Remove(tmp)
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		os.Remove(tmp)
		return err
	}
	return nil
}

// CommandLine is a command as a shell reads it.
func CommandLine(args []string) string {
	var out []string
	for _, a := range args {
		if a == "" || strings.ContainsFunc(a, func(r rune) bool {
			return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@%", r)
		}) {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		out = append(out, a)
	}
	return strings.Join(out, " ")
}

// Sample is a line of samples.jsonl: what the model answered to a prompt after a step, 0 before the first.
type Sample struct {
	Step      int    `json:"step"`
	Prompt    string `json:"prompt"`
	Reference string `json:"reference"` // what the data says
	Text      string `json:"text"`
	Tokens    int    `json:"tokens"`
	Cut       string `json:"cut,omitempty"` // why the text ends before its end
}

// ReadSamples reads a samples.jsonl; there may be none. A torn last line is left out.
func ReadSamples(dir string) ([]Sample, error) {
	path := filepath.Join(dir, SamplesFile)
	text, err := readRegular(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Sample
	for n, line := range strings.SplitAfter(string(text), "\n") {
		if !strings.HasSuffix(line, "\n") {
			break
		}
		var s Sample
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			return out, fmt.Errorf("%s:%d: %w", path, n+1, plainJSON(err))
		}
		out = append(out, s)
	}
	return out, nil
}

// WriteSamples writes the samples of a step, and keeps those of earlier ones that the file has.
func WriteSamples(dir string, step int, samples []Sample) error {
	old, err := ReadSamples(dir)
	if err != nil {
		return err
	}
	var text []byte
	for _, s := range old {
		if s.Step < step {
			text = appendLine(text, s)
		}
	}
	for _, s := range samples {
		s.Step = step
		text = appendLine(text, s)
	}
	if len(text) == 0 { // a run that starts afresh, without samples
		err := os.Remove(filepath.Join(dir, SamplesFile))
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return err
	}
	return replaceFile(filepath.Join(dir, SamplesFile), text)
}

func appendLine(text []byte, s Sample) []byte {
	line, err := json.Marshal(s)
	if err != nil { // a struct of texts and numbers always has a form
		panic(err)
	}
	return append(append(text, line...), '\n')
}

// State is that of the last session, "" where there is none.
func (r *Run) State() State {
	if s := r.last(); s != nil {
		return s.State
	}
	return ""
}
