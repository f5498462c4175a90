package data

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"lomo/internal/data/records"
	"lomo/internal/strictjson"
)

// turn is one message as a record gives it.
type turn struct {
	role    string
	text    string              // of the content, of all its parts
	parts   bool                // the content is a list of parts
	content json.RawMessage     // nil: missing
	fields  []strictjson.Member // the others, without those that say what is learned
	train   *bool               // as the message says; nil: its role decides
	spoken  bool                // ShareGPT's names: from and value
}

// turns reads a list of messages, {role, content} as OpenAI writes them or {from, value} as ShareGPT does.
func turns(r records.Record, field string) ([]turn, error) {
	raw, err := listOf(r, field)
	if err != nil {
		return nil, err
	}
	list, err := strictjson.Elements(raw)
	if err != nil {
		return nil, r.FieldError(field, err)
	}
	out := make([]turn, len(list))
	for i, raw := range list {
		if out[i], err = readTurn(raw); err != nil {
			where := fmt.Sprintf("message %d", i+1)
			if out[i].role != "" {
				where += " (" + out[i].role + ")"
			}
			bad := &records.Error{Path: r.Path, Line: r.Line, Row: r.Row, Err: fmt.Errorf("%s: %w", where, err)}
			if e := (*Error)(nil); errors.As(err, &e) {
				bad.Advice = e.Advice
			}
			return nil, bad
		}
	}
	return out, nil
}

// isList reports whether a value is a list, or one of the two forms that listOf takes for one.
func isList(raw json.RawMessage) bool { return len(raw) > 0 && (raw[0] == '[' || raw[0] == '{') }

// holdsMessages reports whether a text is a list of messages as JSON, as columns of tables have it.
func holdsMessages(raw json.RawMessage) bool {
	list, err := unquoted(raw, "[")
	if err != nil || len(list) == 0 || list[0] != '[' {
		return false
	}
	items, err := strictjson.Elements(list)
	for _, item := range items {
		if t, bad := readTurn(item); bad != nil || t.role == "" {
			return false
		}
	}
	return err == nil && len(items) > 0
}

// listOf is a field that holds a list of objects: as such, as JSON within a string (columns of tables), or as an object of lists
// of equal length, which datasets makes of a sequence of structs.
func listOf(r records.Record, field string) (json.RawMessage, error) {
	if !r.Has(field) {
		return nil, r.Decode(field, new(any)) // says what is there
	}
	raw, err := unquoted(r.Fields[field], "[")
	if err != nil {
		return nil, r.FieldError(field, err)
	}
	if raw[0] == '{' {
		return transposed(r, field, raw)
	}
	return raw, nil
}

// unquoted is the JSON text within a string that begins with one of these characters; any other value is returned as it is.
func unquoted(raw json.RawMessage, begin string) (json.RawMessage, error) {
	if len(raw) == 0 || raw[0] != '"' {
		return raw, nil
	}
	var text string
	if err := strictjson.Unmarshal(raw, &text); err != nil {
		return nil, err
	}
	text = strings.TrimSpace(text)
	if text == "" || !strings.Contains(begin, text[:1]) {
		return raw, nil
	}
	if err := strictjson.Check([]byte(text)); err != nil {
		return nil, err
	}
	return json.RawMessage(text), nil
}

// transposed turns {"role": [a, b], "content": [c, d]} into [{"role": a, "content": c}, {"role": b, "content": d}].
func transposed(r records.Record, field string, raw json.RawMessage) (json.RawMessage, error) {
	members, err := strictjson.Members(raw)
	if err != nil {
		return nil, r.FieldError(field, err)
	}
	var columns [][]json.RawMessage
	for _, m := range members {
		column, err := strictjson.Elements(m.Value)
		if err != nil || len(columns) > 0 && len(column) != len(columns[0]) {
			return nil, r.Errorf("field %q: object found, want list", field)
		}
		columns = append(columns, column)
	}
	var rows []map[string]json.RawMessage
	for k, column := range columns {
		for i, v := range column {
			if k == 0 {
				rows = append(rows, map[string]json.RawMessage{})
			}
			if string(v) != "null" {
				rows[i][members[k].Name] = v
			}
		}
	}
	return json.Marshal(rows)
}

// marks are the fields of a message that say whether it is learned.
var marks = []string{"train", "training", "trainable", "weight", "loss"}

// likeMarks finds names that others give such a field; a truth value in one cannot be passed over.
var likeMarks = regexp.MustCompile(`^(is_|do_|to_|no_|should_|use_)?(train|trained|training|trainable|learn|learned|supervise|supervised|loss|mask|masked|ignore|ignored|skip)(_on|_loss|_in_loss|_mask)?$`)

// refusedOfMessage are fields of a message that would change what is learned, and cannot be honoured.
var refusedOfMessage = []struct{ name, what, advice string }{
	{"function_call", "an old form of tool_calls", `write tool_calls: [{"type": "function", "function": {"name": …, "arguments": {…}}}]`},
	{"train_detail", "parts of a message are not marked", "type segments says which texts are learned"},
	{"loss_mask", "parts of a message are not marked", "train: false leaves a message out; type segments says which texts are learned"},
	{"mask", "parts of a message are not marked", "train: false leaves a message out; type segments says which texts are learned"},
	{"loss_scale", "losses are not weighted", "weight 0 leaves a message out"},
	{"loss_weight", "losses are not weighted", "weight 0 leaves a message out"},
	{"refusal", "a refusal stands beside the content, where no template finds it", "write it as content"},
	{"audio", "only text can be learned", "leave records with it out of the file"},
	{"image", "only text can be learned", "leave records with it out of the file"},
	{"images", "only text can be learned", "leave records with it out of the file"},
	{"video", "only text can be learned", "leave records with it out of the file"},
	{"videos", "only text can be learned", "leave records with it out of the file"},
}

// readTurn reads one message. Its errors have no place.
func readTurn(raw json.RawMessage) (t turn, err error) {
	members, err := strictjson.Members(raw)
	if err != nil {
		return t, err
	}
	get := func(name string) json.RawMessage {
		for _, m := range members {
			if m.Name == name && string(m.Value) != "null" {
				return m.Value
			}
		}
		return nil
	}
	both := func(a, b string) (json.RawMessage, error) {
		x, y := get(a), get(b)
		if x != nil && y != nil && string(x) != string(y) {
			return nil, &Error{Msg: fmt.Sprintf("%s and %s say different things", a, b), Advice: "leave one of them out"}
		}
		if x == nil {
			return y, nil
		}
		return x, nil
	}
	role, err := both("role", "from")
	if err != nil {
		return t, err
	}
	if role == nil {
		return t, errors.New("role is missing")
	}
	if err := strictjson.Unmarshal(role, &t.role); err != nil {
		return t, fmt.Errorf("role: %w", err)
	}
	if t.role == "" {
		return t, errors.New("role is empty")
	}
	t.spoken = get("from") != nil
	for _, bad := range refusedOfMessage {
		if v := get(bad.name); v != nil && !emptyJSON(v) {
			return t, &Error{Msg: fmt.Sprintf("field %q: %s", bad.name, bad.what), Advice: bad.advice}
		}
	}
	for _, m := range members {
		if v := string(m.Value); likeMarks.MatchString(m.Name) && !slices.Contains(marks, m.Name) && slices.Contains([]string{"true", "false", "0", "1"}, v) {
			return t, &Error{Msg: fmt.Sprintf("field %q: %s, whether the message is learned is said by another name", m.Name, v), Advice: "write train: true or train: false"}
		}
	}
	if t.train, err = trainMark(get); err != nil {
		return t, err
	}
	content, err := both("content", "value")
	if err != nil {
		return t, err
	}
	for _, m := range members {
		switch {
		case m.Name == "content" || m.Name == "value":
			t.content = json.RawMessage("null")
		case m.Name == "role" || m.Name == "from" || slices.Contains(marks, m.Name) || string(m.Value) == "null":
		default:
			t.fields = append(t.fields, m)
		}
	}
	if content != nil && string(content) != "[]" {
		t.content = content
		t.text, t.parts, err = plainText(content)
		return t, err
	}
	for _, name := range []string{"tool_calls", "reasoning_content", "thinking", "reasoning"} { // stand in for it
		if v := get(name); v != nil && !emptyJSON(v) {
			return t, nil
		}
	}
	if t.spoken {
		return t, errors.New("value is missing")
	}
	return t, errors.New("content is missing")
}

// trainMark reads what a message says of its being learned: train or loss, true or false, weight 0 or 1 as OpenAI has it.
func trainMark(get func(string) json.RawMessage) (*bool, error) {
	var train *bool
	for _, name := range marks {
		var now bool
		switch v := string(get(name)); v {
		case "":
			continue
		case "true", "1", "1.0":
			now = true
		case "false", "0", "0.0":
		default:
			want := "true or false"
			if name == "weight" {
				want = "0 or 1"
			}
			return nil, &Error{Msg: fmt.Sprintf("%s is %s, want %s", name, short(json.RawMessage(v)), want), Advice: "a message is learned or not; losses are not weighted"}
		}
		if train != nil && *train != now {
			return nil, &Error{Msg: fmt.Sprintf("%s contradicts another field that says whether the message is learned", name), Advice: "give one of " + strings.Join(marks, ", ")}
		}
		if name == "weight" && now {
			continue // 1 is what a message has without it: its role decides
		}
		train = &now
	}
	return train, nil
}

// plainText reads the content of a message: a string, or a list of parts {type: text, text}.
func plainText(raw json.RawMessage) (text string, parts bool, err error) {
	switch raw[0] {
	case '"':
		err = strictjson.Unmarshal(raw, &text)
		return text, false, err
	case '[':
	default:
		return "", false, fmt.Errorf("content: %s found, want a string or a list of text parts", short(raw))
	}
	var list []struct {
		Type string  `json:"type"`
		Text *string `json:"text"`
	}
	if err := strictjson.Unmarshal(raw, &list); err != nil {
		return "", true, fmt.Errorf("content: %w", err)
	}
	var out strings.Builder
	for i, p := range list {
		switch {
		case p.Type != "text":
			return "", true, fmt.Errorf("content part %d: type %q, only text can be learned", i+1, p.Type)
		case p.Text == nil:
			return "", true, fmt.Errorf("content part %d: text is missing", i+1)
		}
		out.WriteString(*p.Text)
	}
	return out.String(), true, nil
}
