package data

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"lomo/internal/data/records"
)

// A record's fields are of three kinds: those that its type takes, those that mean something to training but not to this type,
// which are refused by name, and all others (id, source, category, …), which cannot matter and pass.

// meaning is why a field that a type does not take cannot be passed over.
type meaning struct {
	names  []string
	what   string
	advice string
	plain  bool // refused only by types that do not use the chat template
}

var meanings = []meaning{
	{names: []string{"chosen", "rejected", "chosen_response", "rejected_response"}, what: "preferences are not trained",
		advice: "keep the answer to learn as completion, output or messages, and leave the pair out"},
	{names: []string{"images", "image", "videos", "video", "audios", "audio"}, what: "only text can be learned", advice: "leave records with it out of the file"},
	{names: []string{"functions", "function_call"}, what: "an old form of tools and tool_calls", advice: `write tools: [{"type": "function", "function": {…}}] and tool_calls in messages`},
	{names: []string{"loss_mask", "loss_weights", "loss_weight", "sample_weight"}, what: "losses are not weighted",
		advice: "type segments says which texts are learned, type tokenized takes labels, and datasets take a weight for a whole file"},
	{names: []string{"enable_thinking", "reasoning_effort", "add_generation_prompt"}, what: "a variable of chat templates stands in chat_template_kwargs",
		advice: `write "chat_template_kwargs": {"enable_thinking": …}, or leave it out`},
	{names: []string{"tools", "documents", "chat_template_kwargs"}, what: "it goes to a chat template, which this type does not use", advice: "write the record as type messages", plain: true},
	{names: []string{"history", "system", "system_prompt", "system_message", "context"}, what: "this type has no place for it", advice: "write the record as type messages, or alpaca with system and history", plain: true},
	{names: []string{"chat_template"}, what: "a record has no template of its own", advice: "name the template as chat_template of the run, or leave the field out"},
	{names: []string{"template_kwargs", "chat_template_args", "chat_kwargs"}, what: "variables of chat templates stand in chat_template_kwargs", advice: `write "chat_template_kwargs": {…}, or leave it out`},
	{names: []string{"reasoning_content", "reasoning", "thinking"}, what: "reasoning beside the answer is not learned",
		advice: "write it into the answer, or as reasoning_content of the assistant's message (type messages); else leave it out"},
	{names: []string{"train_on_inputs", "train_on_prompt", "mask_history", "mask_inputs", "roles_to_train", "train_on_eos"}, what: "what is learned is the run's to say",
		advice: "leave it out; train_on_inputs, roles_to_train and train_on_eos are settings of the run"},
	{names: []string{"kto_tag"}, what: "preferences are not trained", advice: "keep the answers to learn, without kto_tag"},
}

// refuseUnused refuses fields that mean something, but not to this type.
func refuseUnused(r records.Record, chat bool, taken ...string) error {
	for _, m := range meanings {
		if m.plain && chat {
			continue
		}
		for _, name := range m.names {
			if hasContent(r, name) && !slices.Contains(taken, name) {
				return r.Refuse(m.advice, "field %q: %s", name, m.what)
			}
		}
	}
	if label := string(r.Fields["label"]); label == "true" || label == "false" {
		return r.Refuse("keep the answers to learn, without label", "field \"label\": %s, a preference, and preferences are not trained", label)
	}
	return wholeWeight(r)
}

// systemNames are the names of a record's own words to the system.
var systemNames = []string{"system", "system_prompt", "system_message"}

// systemText is what a record says to the system, "" for nothing.
func systemText(r records.Record) (string, error) {
	text, from := "", ""
	for _, name := range systemNames {
		s, err := r.OptString(name)
		switch {
		case err != nil:
			return "", err
		case s == "" || s == text:
		case text != "":
			return "", r.Refuse("leave one of them out", "fields %q and %q say different things", from, name)
		default:
			text, from = s, name
		}
	}
	return text, nil
}

// hasContent reports whether a field is there and not null, "", [] or {}: tables give every record every field.
func hasContent(r records.Record, name string) bool {
	return r.Has(name) && !emptyJSON(r.Fields[name])
}

func emptyJSON(raw json.RawMessage) bool {
	switch text := strings.TrimSpace(string(raw)); text {
	case "", "null", `""`:
		return true
	default:
		return len(text) >= 2 && (text[0] == '[' || text[0] == '{') && strings.TrimSpace(text[1:len(text)-1]) == ""
	}
}

// wholeWeight refuses a record that is to count more or less than others, or not at all.
func wholeWeight(r records.Record) error {
	const advice = "records count alike; weight of a data set says how often its samples are used, and messages take weight 0 or 1 each"
	if hasContent(r, "weight") && !slices.Contains([]string{"1", "1.0", "true"}, strings.Trim(string(r.Fields["weight"]), `"`)) { // tables have texts
		return r.Refuse(advice, "field \"weight\": %s, a record has no weight of its own", short(r.Fields["weight"]))
	}
	if r.Has("train") && string(r.Fields["train"]) == "false" {
		return r.Refuse("leave it out of the file", "field \"train\": false, a record that is not to be trained")
	}
	return nil
}

// short is a value for an error.
func short(raw json.RawMessage) string {
	const most = 40
	if len(raw) <= most {
		return string(raw)
	}
	return strings.ToValidUTF8(string(raw[:most]), "") + "…"
}

// The names of what is asked and what is answered, as data sets spell them.
var (
	promptNames = []string{"prompt", "input", "source", "question", "problem", "query", "instruction"}
	answerNames = []string{"completion", "output", "target", "answer", "solution", "response"}
)

// promptPair finds the fields that hold prompt and completion. prompt and completion are what they say whatever else there is; of
// the other names one of each kind must be there, or it is open which is meant.
func promptPair(r records.Record) (prompt, answer string, err error) {
	if r.Has("prompt") && r.Has("completion") {
		return "prompt", "completion", nil
	}
	pick := func(names []string) (string, error) {
		var there []string
		for _, n := range names {
			if hasContent(r, n) {
				there = append(there, n)
			}
		}
		if len(there) > 1 {
			advice := fmt.Sprintf("call the one to take %s", names[0])
			if slices.Contains(there, "instruction") {
				advice = "records of instruction, input and output are of type alpaca; else " + advice
			}
			return "", r.Refuse(advice, "fields %q and %q: either could be the %s", there[0], there[1], names[0])
		}
		if len(there) == 1 {
			return there[0], nil
		}
		return r.First(names...)
	}
	if prompt, err = pick(promptNames); err != nil {
		return "", "", err
	}
	answer, err = pick(answerNames)
	return prompt, answer, err
}
