package data

import (
	"errors"
	"fmt"
	"strings"

	"lomo/internal/data/records"
	"lomo/internal/strictjson"
)

// lookedAt is how many records Detect looks at.
const lookedAt = 50

var errEnough = errors.New("enough records")

// Detect finds the type of a data set by looking at its first records.
func Detect(path, split string) (string, error) { return detect(path, split, typeOf) }

// DetectChat is Detect for a model that one talks to: questions and answers in plain text are of type messages, which makes turns of them.
func DetectChat(path, split string) (string, error) {
	return detect(path, split, func(r records.Record) (string, error) {
		typ, err := typeOf(r)
		switch {
		case typ == "alpaca":
			typ = "messages"
		case typ == "prompt_completion":
			if asked, answered, bad := promptPair(r); bad == nil && !isList(r.Fields[asked]) && !isList(r.Fields[answered]) && !holdsMessages(r.Fields[asked]) {
				typ = "messages"
			}
		}
		return typ, err
	})
}

func detect(path, split string, typeOf func(records.Record) (string, error)) (string, error) {
	set, err := records.Files(path, split)
	if err != nil {
		return "", err
	}
	found, first, seen := "", "", 0
	for _, file := range set.Files {
		if records.Ext(file) == ".txt" {
			if found != "" && found != "text" {
				return "", mixed(found, first, "text", file)
			}
			found, first = "text", file
			continue
		}
		err := records.Each(file, func(r records.Record) error {
			typ, err := typeOf(r)
			if err != nil {
				return err
			}
			if found != "" && typ != found {
				return mixed(found, first, typ, r.Place())
			}
			if found == "" {
				found, first = typ, r.Place()
			}
			if seen++; seen == lookedAt {
				return errEnough
			}
			return nil
		})
		if errors.Is(err, errEnough) {
			break
		}
		if err != nil {
			return "", err
		}
	}
	if found == "" {
		return "", &records.Error{Path: path, Msg: "there is no record in it", Advice: "a record is one JSON object a line, e.g. " + examples["messages"]}
	}
	return found, nil
}

func mixed(a, first, b, place string) error {
	return &Error{Msg: fmt.Sprintf("%s is a record of type %s, and %s of type %s", first, a, place, b), Advice: "put them into two files, or give the type"}
}

// typeOf is the type whose fields a record has.
func typeOf(r records.Record) (string, error) {
	switch {
	case r.Has("input_ids"):
		return "tokenized", nil
	case r.Has("segments"):
		return "segments", nil
	case hasContent(r, "chosen") || hasContent(r, "rejected"):
		return "", refuseUnused(r, true)
	}
	if field, err := r.First(conversationFields["messages"]...); err == nil {
		return listType(r, field), nil
	}
	if r.Has("instruction") && (r.Has("output") || r.Has("response")) {
		return "alpaca", nil
	}
	if _, _, err := promptPair(r); err == nil {
		return "prompt_completion", nil
	}
	if r.Has("text") || r.Has("content") {
		return "text", nil
	}
	if _, err := r.First("label", "premise", "hypothesis", "passage", "sentence1"); err == nil && (r.Has("premise") || r.Has("passage") || r.Has("sentence1")) {
		return "", r.Refuse("if it is a task of SuperGLUE, give its type, e.g. superglue:rte; else write the fields as prompt and completion", "its fields fit no type that can be told from them")
	}
	var known []string
	for _, t := range Types[:len(Types)-1] {
		known = append(known, t)
	}
	_, err := r.First("messages")
	var missing *records.Error
	if errors.As(err, &missing) {
		missing.Msg = strings.Replace(missing.Msg, `field "messages" is missing; the record has`, "no type has these fields:", 1)
		missing.Advice = "write records as one of " + strings.Join(known, ", ") + ", e.g. " + examples["prompt_completion"]
	}
	return "", err
}

// fittingType adds to an error of a record that lacks a field which other type it seems to be of.
func fittingType(err error, r records.Record, name string) error {
	bad, is := err.(*records.Error)
	if !is || bad.Advice != "" || !strings.Contains(bad.Msg, "is missing; the record has") {
		return err
	}
	if typ, other := typeOf(r); other == nil && typ != name {
		bad.Advice = "its fields are those of type: " + typ
	}
	return err
}

// listType tells ShareGPT's conversations, of from and value, from lists of role and content.
func listType(r records.Record, field string) string {
	raw, err := listOf(r, field)
	if err != nil {
		return "messages"
	}
	list, err := strictjson.Elements(raw)
	if err != nil || len(list) == 0 {
		return "messages"
	}
	if t, err := readTurn(list[0]); err == nil && t.spoken {
		return "sharegpt"
	}
	return "messages"
}
