package config

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Key describes one setting, read from the tags of Config.
type Key struct {
	Name    string   // as in YAML; options of a block are dotted: adamw.eps
	Aliases []string // other names for it
	OneOf   []string // values a string may take
	Planned []string // values that a later version will take
	Help    string   // a sentence
	Example string   // a value worth showing, as YAML; "" shows the default
	Group   string   // what the key is about, with those of the same group
	Resume  bool     // may change when a run is resumed

	hidden bool // only the default works yet

	typ   reflect.Type
	len   int // wanted length of a list; 0 is any
	index []int
}

// Block names the option block the key is in, "" for none.
func (k Key) Block() string {
	block, _, dotted := strings.Cut(k.Name, ".")
	if !dotted {
		return ""
	}
	return block
}

func (k Key) isText() bool { return k.typ != nil && k.typ.Kind() == reflect.String }

// Values is what the key takes, for help and errors.
func (k Key) Values() string {
	if len(k.OneOf) > 0 && k.isText() {
		return strings.Join(k.OneOf, ", ")
	}
	return wanted(k.typ)
}

var (
	keys        = structKeys(reflect.TypeFor[Config](), "", nil)
	datasetKeys = structKeys(reflect.TypeFor[Dataset](), "", nil)
	blocks      = blockNames(keys)
)

// Keys lists every setting that does something, in the order of Config.
func Keys() []Key {
	return slices.DeleteFunc(slices.Clone(keys), func(k Key) bool { return k.hidden })
}

// NameOf is a key's own name for one of its names, "" for what is no key.
func NameOf(name string) string {
	k, _ := find(keys, name)
	return k.Name
}

// structKeys reads the keys of a struct type; a field that is a struct is an option block.
func structKeys(t reflect.Type, prefix string, index []int) []Key {
	var out []Key
	group := "Options of " + strings.TrimSuffix(prefix, ".")
	for i := range t.NumField() {
		f := t.Field(i)
		if g := f.Tag.Get("group"); g != "" {
			group = g
		}
		name, at := prefix+f.Tag.Get("yaml"), append(slices.Clone(index), i)
		if f.Type.Kind() == reflect.Struct {
			out = append(out, structKeys(f.Type, name+".", at)...)
			continue
		}
		length, _ := strconv.Atoi(f.Tag.Get("len"))
		out = append(out, Key{
			Name: name, Aliases: fields(f.Tag.Get("alias")), OneOf: fields(f.Tag.Get("oneof")), Help: f.Tag.Get("help"),
			Planned: fields(f.Tag.Get("planned")), Example: f.Tag.Get("example"), Group: group,
			Resume: f.Tag.Get("resume") == "free", hidden: f.Tag.Get("hidden") == "true", typ: f.Type, len: length, index: at,
		})
	}
	return out
}

func fields(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

func blockNames(keys []Key) []string {
	var out []string
	for _, k := range keys {
		if b := k.Block(); b != "" && !slices.Contains(out, b) {
			out = append(out, b)
		}
	}
	return out
}

// find looks a key up by its name or an alias.
func find(list []Key, name string) (Key, bool) {
	for _, k := range list {
		if k.Name == name || slices.Contains(k.Aliases, name) {
			return k, true
		}
	}
	return Key{}, false
}

// names are all names and aliases a user may write where the block prefix ("" or "adamw.") is already given.
func names(list []Key, prefix string) []string {
	var out []string
	for _, k := range list {
		rest, inside := strings.CutPrefix(k.Name, prefix)
		if !inside || prefix == "" && k.Block() != "" {
			continue
		}
		out = append(append(out, rest), k.Aliases...)
	}
	if prefix == "" && len(list) > len(datasetKeys) {
		out = append(out, blocks...)
	}
	return slices.DeleteFunc(out, func(name string) bool { k, _ := find(list, prefix+name); return k.hidden })
}

// wanted says in words what a value of type t looks like.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Uint64:
		return "a whole number from 0"
	case reflect.Float64:
		return "a number"
	case reflect.Slice:
		switch t.Elem().Kind() {
		case reflect.Struct:
			return "a list of {path, type, split, weight}"
		case reflect.Float64:
			return "a list of numbers"
		}
		return "a list of words"
	}
	return "text"
}
