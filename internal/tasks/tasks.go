// Package tasks knows the SuperGLUE tasks as multiple-choice questions: the official jsonl files, the prompts of LOMO
// (OpenLMLab/LOMO, lomo/src/prompts.py), and how a prompt and a choice become scored tokens.
package tasks

import (
	"fmt"
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
	Gold    int    // index of the right choice, or Unlabelled
	Place   string // of the record: its file and line, or row; set by Load
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
	for _, q := range out {
		for i, choice := range q.Choices {
			if strings.TrimSpace(choice) == "" { // the shortest choice would win every comparison
				return nil, fmt.Errorf("task %s: %w", t.Name, r.Errorf("choice %d is empty", i+1))
			}
		}
	}
	return out, nil
}

// NoLabel is the error of a question that is Unlabelled where its answer is needed.
func NoLabel(r records.Record) error {
	return r.Refuse("the official test files have no labels: use train.jsonl or val.jsonl", "the question has no label")
}

// Load reads all questions of a task's jsonl file. A question without a label is an error, and so is a file without any
// question.
func Load(task, path string) ([]Example, error) {
	t, err := Lookup(task)
	if err != nil {
		return nil, err
	}
	var out []Example
	err = records.Each(path, func(r records.Record) error {
		questions, err := t.Parse(r)
		for i, q := range questions {
			if q.Gold == Unlabelled {
				return NoLabel(r)
			}
			questions[i].Place = r.Place()
		}
		out = append(out, questions...)
		return err
	})
	if err == nil && len(out) == 0 {
		err = &records.Error{Path: path, Msg: "no question of task " + t.Name}
	}
	return out, err
}
