package data

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"lomo/internal/data/records"
	"lomo/internal/strictjson"
	"lomo/internal/tasks"
)

// Types lists the values of a data set's type; superglue: is followed by a task.
var Types = []string{"alpaca", "sharegpt", "messages", "prompt_completion", "text", "segments", "tokenized", "superglue:<task>"}

// examples show a record of each type, for advice.
var examples = map[string]string{
	"alpaca":            `{"instruction": "…", "input": "…", "output": "…"}`,
	"sharegpt":          `{"conversations": [{"from": "human", "value": "…"}, {"from": "gpt", "value": "…"}]}`,
	"messages":          `{"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}`,
	"prompt_completion": `{"prompt": "…", "completion": "…"}`,
	"text":              `{"text": "…"}`,
	"segments":          `{"segments": [{"text": "…", "label": false}, {"text": "…", "label": true}]}`,
	"tokenized":         `{"input_ids": [1, 2, 3], "labels": [-100, 2, 3]}, labels may be left out`,
}

// withExample adds what a record of the type looks like to an error of one that brings no advice.
func withExample(err error, name string) error {
	bad := (*records.Error)(nil)
	if !errors.As(err, &bad) || bad.Hint() != "" {
		return err
	}
	bad.Advice = "a record of type " + name + ": " + examples[name]
	if examples[name] == "" {
		bad.Advice = "type " + name + " takes the records of the official jsonl files"
	}
	return err
}

// format adds the samples of one record.
type format func(*encoder, records.Record) error

// formatOf finds the format of a type.
func formatOf(name string) (format, error) {
	if task, ok := strings.CutPrefix(name, "superglue:"); ok {
		t, err := tasks.Lookup(task)
		return superglue(t), err
	}
	switch name {
	case "alpaca":
		return alpaca, nil
	case "sharegpt":
		return sharegpt, nil
	case "messages":
		return messages, nil
	case "prompt_completion":
		return promptCompletion, nil
	case "text":
		return text, nil
	case "segments":
		return segments, nil
	case "tokenized":
		return tokenized, nil
	case "":
		return nil, &Error{Msg: "type is missing", Advice: "types: " + strings.Join(Types, ", ")}
	}
	return nil, &Error{Msg: fmt.Sprintf("unknown type %q", name), Advice: "types: " + strings.Join(Types, ", ")}
}

// The prompts of tatsu-lab/stanford_alpaca, train.py.
const (
	alpacaWithInput = "Below is an instruction that describes a task, paired with an input that provides further context. " +
		"Write a response that appropriately completes the request."
	alpacaNoInput = "Below is an instruction that describes a task. Write a response that appropriately completes the request."
)

// alpaca reads {instruction, input?, output} and LLaMA-Factory's additions: system replaces the first sentences, and the
// turns of history, [[instruction, output], …], come before, not learned. Dolly's names are context for input, response for output.
func alpaca(e *encoder, r records.Record) error {
	if err := refuseUnused(r, false, append([]string{"history", "context"}, systemNames...)...); err != nil {
		return err
	}
	instruction, err := r.String("instruction")
	if err != nil {
		return err
	}
	output, _, err := oneOf(r, "output", "response")
	if err != nil {
		return err
	}
	input, err := optOneOf(r, "input", "context")
	if err != nil {
		return err
	}
	if hasContent(r, "query") || hasContent(r, "prompt") {
		name, _ := r.First("query", "prompt")
		return r.Refuse("what an instruction is given to is called input", "field %q beside instruction: type alpaca has no place for it", name)
	}
	preamble, err := systemText(r)
	if err != nil {
		return err
	}
	history, err := historyOf(r)
	if err != nil {
		return err
	}
	if preamble == "" && input != "" {
		preamble = alpacaWithInput
	} else if preamble == "" {
		preamble = alpacaNoInput
	}
	var p strings.Builder
	p.WriteString(preamble)
	for _, turn := range history {
		fmt.Fprintf(&p, "\n\n### Instruction:\n%s\n\n### Response:%s", turn[0], turn[1])
	}
	fmt.Fprintf(&p, "\n\n### Instruction:\n%s", instruction)
	if input != "" {
		fmt.Fprintf(&p, "\n\n### Input:\n%s", input)
	}
	p.WriteString("\n\n### Response:")
	e.unread.fields(r, append([]string{"instruction", "input", "context", "output", "response", "history", "weight", "train", "text"}, systemNames...)...) // text: the rendering that Stanford put beside
	return e.answer(r, p.String(), output)
}

// historyOf is the field history, [[instruction, output], …], as such or as JSON in a string.
func historyOf(r records.Record) (history [][]string, err error) {
	if !hasContent(r, "history") {
		return nil, nil
	}
	raw, err := unquoted(r.Fields["history"], "[")
	if err == nil {
		err = strictjson.Unmarshal(raw, &history)
	}
	if err != nil {
		return nil, r.FieldError("history", err)
	}
	for i, turn := range history {
		if len(turn) != 2 {
			return nil, r.Errorf("history[%d]: %d texts, want an instruction and its output", i, len(turn))
		}
	}
	return history, nil
}

// oneOf is the one of these fields that the record has, and its name; none or two of them are errors.
func oneOf(r records.Record, names ...string) (text, name string, err error) {
	for _, n := range names {
		if !r.Has(n) {
			continue
		}
		if name != "" && hasContent(r, name) && hasContent(r, n) {
			return "", "", r.Refuse("leave one of them out", "fields %q and %q: either could be the %s", name, n, names[0])
		}
		if name == "" || hasContent(r, n) {
			name = n
		}
	}
	if name == "" {
		name = names[0]
	}
	text, err = r.String(name)
	return text, name, err
}

// optOneOf is oneOf of fields that may all be missing.
func optOneOf(r records.Record, names ...string) (string, error) {
	if _, err := r.First(names...); err != nil {
		return "", nil
	}
	text, _, err := oneOf(r, names...)
	return text, err
}

// promptCompletion reads {prompt, completion}, under any of the names in fields.go: two texts, or two lists of messages.
func promptCompletion(e *encoder, r records.Record) error {
	if err := refuseUnused(r, true, "system", "history", "context"); err != nil { // pairs of preferences have prompts too
		return err
	}
	names, answers, err := promptPair(r)
	if err != nil {
		return err
	}
	if isList(r.Fields[names]) || isList(r.Fields[answers]) || holdsMessages(r.Fields[names]) && holdsMessages(r.Fields[answers]) {
		return e.conversationPair(r, names, answers)
	}
	if err := refuseUnused(r, false); err != nil {
		return err
	}
	e.unread.fields(r, names, answers, "weight", "train")
	prompt, err := r.String(names)
	if err != nil {
		return err
	}
	completion, err := r.String(answers)
	if err != nil {
		return err
	}
	return e.answer(r, prompt, completion)
}

// answer adds a prompt and the text that is learned behind it.
func (e *encoder) answer(r records.Record, prompt, completion string) error {
	if completion == "" {
		e.notes.Add("records with an empty answer: only its end is learned", r.Place(), "")
	}
	if len(e.end) == 0 && e.o.TrainOnEOS != "none" {
		e.notes.Add("answers without a token that ends them, as the tokenizer has none: the model does not learn to stop", r.Place(), "name the model's eos_token in tokenizer_config.json")
	}
	return e.segments(r, []segment{{prompt, false}, {completion, true}}, true)
}

// text reads {text}: a document that is learned whole.
func text(e *encoder, r records.Record) error {
	if err := refuseUnused(r, true); err != nil {
		return err
	}
	s, _, err := oneOf(r, "text", "content")
	if err != nil {
		return err
	}
	e.unread.fields(r, "text", "content", "weight", "train")
	return e.document(r, strings.NewReader(s))
}

// segments reads {segments: [{text, label}]}: texts of which those with label true are learned. Nothing is added.
func segments(e *encoder, r records.Record) error {
	var list []struct {
		Text   *string         `json:"text"`
		Label  *bool           `json:"label"`
		Train  json.RawMessage `json:"train"`
		Weight json.RawMessage `json:"weight"`
	}
	if err := refuseUnused(r, true); err != nil {
		return err
	}
	if err := r.Decode("segments", &list); err != nil {
		return err
	}
	parts := make([]segment, len(list))
	for i, s := range list {
		if s.Text == nil || s.Label == nil {
			return r.Errorf("segment %d: text or label is missing", i+1)
		}
		if s.Train != nil || s.Weight != nil {
			return r.Refuse("label says whether its text is learned; losses are not weighted", "segment %d: train or weight beside label", i+1)
		}
		parts[i] = segment{*s.Text, *s.Label}
	}
	e.unread.fields(r, "segments", "weight", "train")
	return e.segments(r, parts, false)
}

// superglue learns the right choice of each question of a task. A long prompt is cut at its beginning; a question whose choice
// does not fit is left out.
func superglue(t tasks.Task) format {
	return func(e *encoder, r records.Record) error {
		questions, err := t.Parse(r)
		if err != nil {
			return err
		}
		for _, q := range questions {
			if q.Gold == tasks.Unlabelled {
				return tasks.NoLabel(r)
			}
			t, err := tasks.Tokenise(e.tok, q.Prompt, q.Choices[q.Gold], e.taskLen())
			if err != nil {
				return r.Errorf("%w", err)
			}
			if !t.Fits {
				e.skip(r, "questions left out: the choice is longer than sequence_len", "raise sequence_len")
				continue
			}
			if t.Cut > 0 {
				e.notes.Add(fmt.Sprintf("prompts cut at their beginning to %d tokens", e.taskLen()), r.Place(), "raise sequence_len to keep them whole")
			}
			ids, learned := t.IDs, t.Scored
			choice := learned
			if e.tok.EOS() >= 0 { // it always counts for a score
				choice = learned[:len(learned)-1]
				learned[len(learned)-1] = e.o.TrainOnEOS != "none"
			}
			if !slices.Contains(choice, true) {
				e.skip(r, "samples left out: the question fills the room for tokens", "raise sequence_len")
				continue
			}
			if err := e.masked(r, ids, learned); err != nil {
				return err
			}
		}
		return nil
	}
}

// taskLen is how many tokens a prompt and a choice may have, the end token not counted.
func (e *encoder) taskLen() int {
	if n := e.o.SequenceLen; n > 0 {
		return max(1, min(tasks.MaxLen, n-1))
	}
	return tasks.MaxLen
}
