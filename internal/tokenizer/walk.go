package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

// object reads {…} or null and calls value for each key; value must read the value.
func object(d *json.Decoder, value func(key string) error) error {
	start, err := d.Token()
	if err != nil || start == nil {
		return err
	}
	if start != json.Delim('{') {
		return fmt.Errorf("%s found, want an object", shown(start))
	}
	return members(d, value)
}

// shown is the kind of value that a token begins.
func shown(start json.Token) string {
	switch start := start.(type) {
	case json.Delim:
		return map[json.Delim]string{'{': "an object", '[': "a list"}[start]
	case string:
		return "a text"
	case bool:
		return "true or false"
	}
	return fmt.Sprintf("the number %v", start)
}

// members is object behind its {.
func members(d *json.Decoder, value func(key string) error) error {
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		if err := value(key.(string)); err != nil { // keys of an object are strings
			return fmt.Errorf("%s: %w", clip(key.(string)), err)
		}
	}
	_, err := d.Token()
	return err
}

// array reads […] or null and calls value for each element; value must read it.
func array(d *json.Decoder, value func(n int) error) error {
	start, err := d.Token()
	if err != nil || start == nil {
		return err
	}
	if start != json.Delim('[') {
		return fmt.Errorf("%s found, want a list", shown(start))
	}
	return elements(d, value)
}

// elements is array behind its [.
func elements(d *json.Decoder, value func(n int) error) error {
	for n := 0; d.More(); n++ {
		if n == math.MaxInt32 {
			return errors.New("too long")
		}
		if err := value(n); err != nil {
			return fmt.Errorf("%d: %w", n, err)
		}
	}
	_, err := d.Token()
	return err
}

// skip reads any value and forgets it.
func skip(d *json.Decoder) error {
	var raw json.RawMessage
	return d.Decode(&raw)
}

// component reads a small value whose meaning depends on its type.
func component(d *json.Decoder, raw *json.RawMessage) error {
	if err := d.Decode(raw); err != nil {
		return err
	}
	if len(*raw) > maxComponent {
		return fmt.Errorf("%d bytes, at most %d are read", len(*raw), maxComponent)
	}
	// Each level is parsed again with its children, so depth is bounded; brackets inside strings
	// count too, which no real file notices.
	depth := 0
	for _, b := range *raw {
		switch b {
		case '{':
			if depth++; depth > 2*maxDepth {
				return fmt.Errorf("nested more than %d deep", 2*maxDepth)
			}
		case '}':
			depth--
		}
	}
	return nil
}

// clip shortens a key for an error message.
func clip(s string) string {
	if len(s) > 64 {
		return fmt.Sprintf("%.64q…", s)
	}
	return s
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }
