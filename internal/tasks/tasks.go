// Package tasks knows the SuperGLUE tasks as multiple-choice questions: the official jsonl files, the prompts of LOMO
// (OpenLMLab/LOMO, lomo/src/prompts.py), and how a prompt and a choice become scored tokens.
package tasks

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"lomo/internal/data/records"
)

// Unlabelled is the Gold of an example whose answer the file does not tell, as in the official test files.
const Unlabelled = -1

// Example is one question. A choice is the text that follows Prompt directly.
type Example struct {
	Prompt  string
	Choices []string
	Gold    int // index of the right choice, or Unlabelled
}

// Task turns records into questions. Its metric is the accuracy over them.
type Task struct {
	Name  string
	parse func(records.Record) ([]Example, error)
}

// table lists the tasks in the order of the LOMO paper, then CB, which that paper leaves out.
var table = []Task{
	{"rte", rte}, {"boolq", boolq}, {"wsc", wsc}, {"wic", wic}, {"multirc", multirc}, {"copa", copa}, {"record", record}, {"cb", cb},
}

// Names lists the tasks, sorted.
func Names() []string {
	var out []string
	for _, t := range table {
		out = append(out, t.Name)
	}
	slices.Sort(out)
	return out
}

// UnknownError is a name that is no task.
type UnknownError struct{ Name string }

func (e *UnknownError) Error() string { return fmt.Sprintf("unknown task %q", e.Name) }

// Hint lists the tasks there are.
func (e *UnknownError) Hint() string { return "tasks: " + strings.Join(Names(), ", ") }

// Lookup finds a task by name, in any case.
func Lookup(name string) (Task, error) {
	for _, t := range table {
		if strings.EqualFold(t.Name, name) {
			return t, nil
		}
	}
	return Task{}, &UnknownError{name}
}

// Parse reads the questions of one record: one, but for multirc and record, which ask several about a passage.
func (t Task) Parse(r records.Record) ([]Example, error) {
	out, err := t.parse(r)
	if err != nil {
		return nil, fmt.Errorf("task %s: %w", t.Name, err)
	}
	return out, nil
}

// Set is the questions read, and how many were left out for want of a label.
type Set struct {
	Examples   []Example
	Unlabelled int
}

// Read reads the labelled questions of a jsonl file, at most limit of them (0: all). None is an error.
func (t Task) Read(path string, limit int) (Set, error) {
	var s Set
	err := records.Each(path, func(r records.Record) error {
		questions, err := t.Parse(r)
		for _, q := range questions {
			switch {
			case q.Gold == Unlabelled:
				s.Unlabelled++
			case limit == 0 || len(s.Examples) < limit:
				s.Examples = append(s.Examples, q)
			}
		}
		return err
	})
	if err == nil && len(s.Examples) == 0 {
		err = &records.Error{Path: path, Msg: fmt.Sprintf("no question of task %s has a label (%d have none)", t.Name, s.Unlabelled),
			Advice: "the official test files have no labels: use train.jsonl or val.jsonl"}
	}
	return s, err
}

// Accuracy is the share of answers that are right, rounded to six digits as LOMO reports it; 0 for none.
func Accuracy(answers, gold []int) float64 {
	right := 0
	for i, a := range answers {
		if a == gold[i] {
			right++
		}
	}
	return math.Round(float64(right)/float64(max(1, len(answers)))*1e6) / 1e6
}
