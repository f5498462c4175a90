package config

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"lomo/internal/data"
	"lomo/internal/suggest"
	"lomo/internal/tasks"
)

// value turns what a user wrote into the Go type of its key, or says what is wanted instead.
func (s *source) value(x setting) (any, bool) {
	before := len(s.problems)
	v := s.typed(x, x.key, x.key.Name, x.node, x.where)
	return v, len(s.problems) == before
}

// typed converts node, a part of setting x, for key k, which errors call name.
func (s *source) typed(x setting, k Key, name string, node *yaml.Node, where string) any {
	if k.typ.Kind() != reflect.Slice {
		return s.scalar(k, k.typ, name, node, where)
	}
	if node.Kind != yaml.SequenceNode {
		s.wrongType(k, k.typ, name, node, where)
		return nil
	}
	if k.len > 0 && len(node.Content) != k.len {
		s.problems.add(where, example(k), "%s: want %d numbers, have %d", name, k.len, len(node.Content))
		return nil
	}
	list := reflect.MakeSlice(k.typ, 0, len(node.Content))
	for i, n := range node.Content {
		n, item := resolve(n), fmt.Sprintf("%s[%d]", name, i)
		var v any
		if elem := k.typ.Elem(); elem.Kind() == reflect.Struct {
			v = s.dataset(x, item, n)
		} else {
			v = s.scalar(k, elem, item, n, where)
		}
		if v != nil {
			list = reflect.Append(list, reflect.ValueOf(v))
		}
	}
	return list.Interface()
}

// scalar converts one word or number to type t, nil and a problem when it is not one.
func (s *source) scalar(k Key, t reflect.Type, name string, node *yaml.Node, where string) any {
	if node.Kind != yaml.ScalarNode || !fits(t, node.Tag) {
		s.wrongType(k, t, name, node, where)
		return nil
	}
	if (t.Kind() == reflect.Int || t.Kind() == reflect.Uint64) && octal(node.Value) {
		s.problems.add(where, "write it without the zero", "%s: %s would mean a number of base 8", name, shown(node))
		return nil
	}
	v := reflect.New(t)
	if err := node.Decode(v.Interface()); err != nil {
		s.wrongType(k, t, name, node, where)
		return nil
	}
	if t.Kind() == reflect.String {
		word := node.Value // as written: 007 stays 007
		if node.Tag == "!!binary" {
			word = v.Elem().String() // bytes that are no UTF-8 are printed so
		}
		s.oneOf(k, name, word, where)
		return word
	}
	if f, ok := v.Elem().Interface().(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
		s.wrongType(k, t, name, node, where)
		return nil
	}
	return v.Elem().Interface()
}

// octal tells numbers that YAML 1.1 reads as octal ones, such as 010, from those that say so (0o10).
func octal(number string) bool {
	digits := strings.TrimLeft(number, "+-")
	return len(digits) > 1 && digits[0] == '0' && strings.Trim(digits, "0123456789_") == ""
}

// fits tells whether a scalar of a YAML tag may be a value of t. Paths and sizes may look like numbers.
func fits(t reflect.Type, tag string) bool {
	switch t.Kind() {
	case reflect.Bool:
		return tag == "!!bool"
	case reflect.Int, reflect.Uint64:
		return tag == "!!int"
	case reflect.Float64:
		return tag == "!!int" || tag == "!!float"
	}
	return slices.Contains([]string{"!!str", "!!int", "!!float", "!!timestamp", "!!binary", "!!merge"}, tag)
}

// oneOf checks a word against the values its key may take.
func (s *source) oneOf(k Key, name, word, where string) {
	if len(k.OneOf) == 0 || slices.Contains(k.OneOf, word) {
		return
	}
	if slices.Contains(k.Planned, strings.ToLower(word)) {
		advice := "it has " + strings.Join(k.OneOf, ", ")
		if to, note := MeantWord(k.Name, word); to != "" && len(k.OneOf) > 1 {
			advice += "; nearest is " + strings.TrimSuffix(to+": "+note, ": ")
		} else if note != "" {
			advice += ": " + note
		}
		s.problems.add(where, advice, "%s: %s is not in this version", name, word)
		return
	}
	s.problems.add(where, instead(k.Name, word, k.OneOf), "%s: %q is not one of %s", name, shorten(word), strings.Join(k.OneOf, ", "))
}

// dataset converts one entry of datasets.
func (s *source) dataset(x setting, name string, node *yaml.Node) any {
	d, where := Dataset{Weight: 1}, x.place(node)
	if node.Kind != yaml.MappingNode {
		advice := "write `- {path: train.jsonl, type: messages}`"
		if node.Kind == yaml.ScalarNode && node.Tag == "!!str" {
			advice = fmt.Sprintf("write `- {path: %s, type: messages}`, with the type of its records", shorten(node.Value))
		}
		s.problems.add(where, advice, "%s: want {path, type, split, weight}, have %s", name, shown(node))
		return nil
	}
	seen, to := []string{}, reflect.ValueOf(&d).Elem()
	for i := 0; i+1 < len(node.Content); i += 2 {
		field, n, where := node.Content[i].Value, resolve(node.Content[i+1]), x.place(node.Content[i])
		k, known := find(datasetKeys, field)
		switch {
		case !known:
			advice := "it has path, type, split and weight"
			if a, foreign := inDatasets[field]; foreign {
				advice = a.Hint()
			} else if near := suggest.Nearest(field, names(datasetKeys, "")); near != "" {
				advice = fmt.Sprintf("did you mean %q?", near)
			}
			s.problems.add(where, advice, "%s: unknown key %q", name, field)
		case slices.Contains(seen, field):
			s.problems.add(where, "keep one of them", "%s: %s is given twice", name, field)
		default:
			if n.Tag == "!!null" {
				s.problems.add(where, "give one, or remove the line", "%s.%s has no value", name, field)
				break
			}
			if v := s.typed(x, k, name+"."+field, n, where); v != nil {
				to.FieldByIndex(k.index).Set(reflect.ValueOf(v))
			}
			if field == "type" && n.Kind == yaml.ScalarNode {
				s.datasetType(name, n.Value, where)
			}
			if field == "weight" && d.Weight <= 0 {
				s.problems.add(where, "0.5 takes half of the samples, 2 each twice", "%s.weight: %v is not above 0", name, d.Weight)
			}
		}
		seen = append(seen, field)
	}
	for _, need := range []string{"path", "type"} {
		if !slices.Contains(seen, need) {
			s.problems.add(where, "write {path: train.jsonl, type: messages}; `lomo help config datasets` lists the types", "%s: %s is missing", name, need)
		}
	}
	return d
}

// datasetType checks what a record is said to hold.
func (s *source) datasetType(name, word, where string) {
	if KnownType(word) {
		return
	}
	types := DatasetTypes()
	s.problems.add(where, instead("type", word, types), "%s.type: %q is not one of %s", name, shorten(word), strings.Join(types, ", "))
}

// DatasetTypes are the types a data set may have.
func DatasetTypes() []string {
	types := slices.DeleteFunc(slices.Clone(data.Types), func(t string) bool { return strings.Contains(t, "<") })
	for _, t := range tasks.Names() {
		types = append(types, "superglue:"+t)
	}
	return types
}

// KnownType tells whether a data set may have a type.
func KnownType(name string) bool {
	_, err := tasks.Lookup(strings.TrimPrefix(name, "superglue:"))
	return slices.Contains(data.Types, name) || strings.HasPrefix(name, "superglue:") && err == nil
}

func (s *source) wrongType(k Key, t reflect.Type, name string, node *yaml.Node, where string) {
	s.problems.add(where, meant(k, t, node), "%s: want %s, have %s", name, wanted(t), shown(node))
}

// shown is a value as an error quotes it.
func shown(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	text := shorten(node.Value)
	switch {
	case node.Tag == "!!null":
		return "nothing"
	case node.Tag == "!!str":
		return fmt.Sprintf("the text %q", text)
	case !strings.HasPrefix(node.Tag, "!!"):
		return fmt.Sprintf("the YAML tag %q", shorten(node.Tag))
	}
	return text
}

// shorten cuts a text that an error quotes, between two characters.
func shorten(text string) string {
	const most = 40
	if len(text) <= most {
		return text
	}
	end := most
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}
