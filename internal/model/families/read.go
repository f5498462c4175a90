package families

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"lomo/internal/strictjson"
)

// ConfigError is what is wrong with a config.json, and the way out where there is one.
type ConfigError struct{ Msg, Advice string }

func (e *ConfigError) Error() string { return "config.json: " + e.Msg }

// Hint says what to do.
func (e *ConfigError) Hint() string { return e.Advice }

// again is the way out of a value that no model has.
const again = "mend that line, or copy the model's config.json again"

// object reads a JSON object by its exact keys.
func object(data []byte) (map[string]json.RawMessage, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, &ConfigError{Msg: "the file is empty", Advice: again}
	}
	if err := strictjson.Check(data); err != nil {
		return nil, &ConfigError{Msg: err.Error(), Advice: again}
	}
	members, err := strictjson.Members(data)
	if err != nil {
		return nil, &ConfigError{Msg: err.Error(), Advice: again}
	}
	raw := make(map[string]json.RawMessage, len(members))
	for _, m := range members {
		raw[m.Name] = m.Value
	}
	return raw, nil
}

// valueOf is the beginning of a value as a message shows it.
func valueOf(raw []byte) string {
	text := strings.Join(strings.Fields(string(raw)), " ")
	if r := []rune(text); len(r) > 40 {
		text = string(r[:40]) + "…"
	}
	return text
}

// reader reads keys of an object; the first failure sticks.
type reader struct {
	raw    map[string]json.RawMessage
	prefix string // of the names of keys in messages: rope_scaling.
	err    error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reader) wrong(key, want string) {
	r.fail(&ConfigError{Msg: fmt.Sprintf("%s%s is %s, want %s", r.prefix, key, valueOf(r.raw[key]), want), Advice: again})
}

// has reports whether the key is there, given whether it is and is not null.
func (r *reader) has(key string) bool {
	_, ok := r.raw[key]
	return ok
}

func (r *reader) given(key string) bool { return r.has(key) && string(r.raw[key]) != "null" }

func (r *reader) int(key string, def int) int {
	if !r.has(key) {
		return def
	}
	n, ok := wholeNumber(r.raw[key])
	if !ok {
		r.wrong(key, "a whole number")
	}
	return n
}

// intOrNull takes def for null too.
func (r *reader) intOrNull(key string, def int) int {
	if !r.given(key) {
		return def
	}
	return r.int(key, def)
}

func wholeNumber(raw json.RawMessage) (int, bool) {
	var n json.Number
	if len(raw) == 0 || raw[0] == '"' || json.Unmarshal(raw, &n) != nil {
		return 0, false
	}
	i, err := n.Int64()
	return int(i), err == nil
}

// ints is a number, or a list of them, or null.
func (r *reader) ints(key string) []int {
	if !r.given(key) {
		return nil
	}
	if n, ok := wholeNumber(r.raw[key]); ok {
		return []int{n}
	}
	var list []json.RawMessage
	if json.Unmarshal(r.raw[key], &list) != nil {
		r.wrong(key, "a token's id or a list of them")
	}
	var out []int
	for _, raw := range list {
		n, ok := wholeNumber(raw)
		if !ok {
			r.wrong(key, "a token's id or a list of them")
		}
		out = append(out, n)
	}
	return out
}

func (r *reader) float(key string, def float64) float64 {
	if !r.has(key) {
		return def
	}
	var x float64
	if raw := r.raw[key]; string(raw) == "null" || json.Unmarshal(raw, &x) != nil || math.IsInf(x, 0) {
		r.wrong(key, "a number")
	}
	return x
}

// floatOrNull takes def for null too.
func (r *reader) floatOrNull(key string, def float64) float64 {
	if !r.given(key) {
		return def
	}
	return r.float(key, def)
}

func (r *reader) bool(key string, def bool) bool {
	if !r.has(key) {
		return def
	}
	var b bool
	if raw := r.raw[key]; string(raw) == "null" || json.Unmarshal(raw, &b) != nil {
		r.wrong(key, "true or false")
	}
	return b
}

func (r *reader) text(key, def string) string {
	if !r.has(key) {
		return def
	}
	var s string
	if raw := r.raw[key]; string(raw) == "null" || json.Unmarshal(raw, &s) != nil {
		r.wrong(key, "a text in quotes")
	}
	return s
}

// textOrNull is "" for null.
func (r *reader) textOrNull(key string) string {
	if !r.given(key) {
		return ""
	}
	return r.text(key, "")
}

// dict is a nested object; nil where it is not there, null or empty, which transformers takes alike.
func (r *reader) dict(key string) *reader {
	if !r.given(key) {
		return nil
	}
	d := &reader{prefix: r.prefix + key + "."}
	if json.Unmarshal(r.raw[key], &d.raw) != nil {
		r.wrong(key, "an object of keys or null")
	}
	if len(d.raw) == 0 {
		return nil
	}
	return d
}

// value decodes a key's value: nil, bool, float64, string, []any or map[string]any.
func (r *reader) value(key string) any {
	var v any
	json.Unmarshal(r.raw[key], &v) //nolint:errcheck // the whole text has been read as JSON before
	return v
}
