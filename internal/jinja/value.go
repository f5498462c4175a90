package jinja

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
)

// Value is what a template sees: nil (None), bool, int64, *big.Int (integers beyond int64), float64, a string (plain, or made by Marked), *List, *Dict,
// and, made by templates only, tuples, undefined values, namespaces, ranges, iterators and functions.
type Value = any

// List is a list. Templates cannot change it.
type List struct{ items []Value }

// NewList is a list of these values.
func NewList(items ...Value) *List { return &List{items} }

// Len is the number of items.
func (l *List) Len() int { return len(l.items) }

// At is item i.
func (l *List) At(i int) Value { return l.items[i] }

// Append adds a value at the end.
func (l *List) Append(v Value) { l.items = append(l.items, v) }

// tuple is a Python tuple. names are the attributes of a named one (groupby's).
type tuple struct {
	items []Value
	names []string
}

// Dict is a dictionary in order of insertion. Templates cannot change it.
type Dict struct {
	entries []entry
	index   map[any]int // by hash key; nil while there are few entries
}

type entry struct {
	hash  any
	key   Value
	value Value
}

// smallDict is the number of entries up to which a look-up compares them one by one.
const smallDict = 8

// NewDict is an empty dictionary.
func NewDict() *Dict { return &Dict{} }

// Len is the number of entries.
func (d *Dict) Len() int { return len(d.entries) }

// Set sets the value of a key. A key that is there keeps its place.
func (d *Dict) Set(key string, v Value) { d.set(key, key, v) }

// Get is the value of a key, and whether it is there.
func (d *Dict) Get(key string) (Value, bool) { return d.get(key) }

// Keys are the keys in order. Those that are no strings are left out: only templates make such.
func (d *Dict) Keys() []string {
	keys := make([]string, 0, len(d.entries))
	for i := range d.entries {
		if s, ok := Text(d.entries[i].key); ok {
			keys = append(keys, s)
		}
	}
	return keys
}

// find is the place of a hash key, or -1.
func (d *Dict) find(hash any) int {
	if d.index != nil {
		if i, ok := d.index[hash]; ok {
			return i
		}
		return -1
	}
	if s, ok := hash.(string); ok {
		for i := range d.entries {
			if k, ok := d.entries[i].hash.(string); ok && k == s {
				return i
			}
		}
		return -1
	}
	for i := range d.entries {
		if d.entries[i].hash == hash {
			return i
		}
	}
	return -1
}

func (d *Dict) get(hash any) (Value, bool) {
	if i := d.find(hash); i >= 0 {
		return d.entries[i].value, true
	}
	return nil, false
}

func (d *Dict) set(hash any, key, v Value) {
	if i := d.find(hash); i >= 0 {
		d.entries[i].value = v
		return
	}
	d.entries = append(d.entries, entry{hash, key, v})
	switch n := len(d.entries); {
	case d.index != nil:
		d.index[hash] = n - 1
	case n > smallDict:
		d.index = make(map[any]int, 2*n)
		for i := range d.entries {
			d.index[d.entries[i].hash] = i
		}
	}
}

// Types of hash keys besides string, int64 and float64: values that are equal have equal keys.
type (
	noneKey  struct{}
	wideKey  string // decimal digits of an integer beyond int64
	tupleKey string // the keys of the items, written one after the other
	objKey   struct{ p any }
	undefKey struct{}
)

// hashKey is what a value is found by in a dictionary. Lists and dictionaries have none.
func (st *state) hashKey(v Value) any {
	switch v := v.(type) {
	case string:
		return v
	case *str:
		return v.s
	case nil:
		return noneKey{}
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	case int64:
		return v
	case float64:
		if n := int64(v); float64(n) == v && v > -(1<<62) && v < 1<<62 {
			return n
		}
		if n := wholeFloat(v); n != nil {
			return wideKey(n.String())
		}
		return v
	case *big.Int:
		return wideKey(v.String())
	case *tuple:
		defer st.enter("hash")()
		var b []byte
		for _, item := range v.items {
			k := st.hashKey(item)
			b = fmt.Appendf(b, "%T ", k)
			if p, ok := k.(objKey); ok {
				b = fmt.Appendf(b, "%p", p.p)
			}
			s := fmt.Sprint(k)
			b = append(strconv.AppendInt(b, int64(len(s)), 10), ':')
			b = append(b, s...)
			st.pay(len(s) + 16)
		}
		return tupleKey(b)
	case *undefined:
		return undefKey{}
	case *List, *Dict, *dictView:
		st.fail("unhashable type: '%s'", typeName(v))
	}
	return objKey{v}
}

// wholeFloat is a float without fraction as an integer, or nil.
func wholeFloat(f float64) *big.Int {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil
	}
	if b, acc := new(big.Float).SetFloat64(f).Int(nil); b != nil && acc == big.Exact {
		return b
	}
	return nil
}

// undefined is what a name that has no value gives. It prints nothing, is false, and refuses everything else.
type undefined struct {
	message string // what an error says about it
}

// namespace is what namespace() makes: the one thing that templates can change.
type namespace struct{ attrs *Dict }

// rangeValue is range(start, stop, step).
type rangeValue struct{ start, stop, step int64 }

func (r *rangeValue) len() int {
	switch {
	case r.step > 0 && r.start < r.stop:
		return int(uint64(r.stop-r.start-1)/uint64(r.step)) + 1
	case r.step < 0 && r.start > r.stop:
		return int(uint64(r.start-r.stop-1)/uint64(-r.step)) + 1
	}
	return 0
}

// dictView is d.keys(), d.values() or d.items().
type dictView struct {
	d    *Dict
	kind byte // 'k', 'v', 'i'
}

// iterator is what Python makes lazily: generators of filters, reversed lists. It can be read once.
type iterator struct {
	kind string // Python's name of it
	next func() (Value, bool)
}

// function is something that can be called.
type function struct {
	name string
	call func(st *state, a *args) Value
	// attrs are attributes of it, such as dict.fromkeys.
	attrs map[string]Value
}

// args are the arguments of a call.
type args struct {
	pos   []Value
	names []string // of kw
	kw    []Value
}

// typeName is Python's name of a value's type.
func typeName(v Value) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case int64, *big.Int:
		return "int"
	case float64:
		return "float"
	case string:
		return "str"
	case *str:
		if v.markup {
			return "Markup"
		}
		return "str"
	case *List:
		return "list"
	case *tuple:
		return "tuple"
	case *Dict:
		return "dict"
	case *undefined:
		return "Undefined"
	case *namespace:
		return "Namespace"
	case *rangeValue:
		return "range"
	case *dictView:
		return map[byte]string{'k': "dict_keys", 'v': "dict_values", 'i': "dict_items"}[v.kind]
	case *iterator:
		return v.kind
	case *macro:
		return "Macro"
	case *loopContext:
		return "LoopContext"
	case *cycler:
		return "Cycler"
	}
	return "function"
}
