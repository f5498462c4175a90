package data

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime/debug"
	"slices"
	"strings"

	"lomo/internal/data/records"
	"lomo/internal/rng"
	"lomo/internal/suggest"
	"lomo/internal/tokenizer"
)

// Load reads and tokenises every sample of srcs, in order. tok may be nil if all of them are of type tokenized. Whatever
// cannot be read is an error with file and line; samples without a token to predict are left out and counted; a source
// without any sample wraps ErrEmpty.
func Load(srcs []Source, tok Tokenizer, o Options) (*Dataset, error) {
	if t, ok := tok.(*tokenizer.Tokenizer); ok && t == nil {
		tok = nil // a nil pointer in the interface
	}
	if len(srcs) == 0 {
		return nil, ErrEmpty
	}
	// What is read is kept, and arrays that grow leave their smaller ones behind: a set of gigabytes is to take a few times its size, not twice that.
	defer debug.SetGCPercent(debug.SetGCPercent(collectAt))
	e, err := newEncoder(tok, o)
	if err != nil {
		return nil, err
	}
	d := &Dataset{c: e.out}
	var wrong Errors
	var parts [][]int32 // of the index, one a source
	for i, s := range srcs {
		first := e.out.len()
		e.left = nil
		if err := e.source(s); err != nil {
			wrong.add(err)
			continue
		}
		index, err := weigh(first, e.out.len(), s.Weight, o.Seed, uint32(i))
		if err == nil && len(index) == 0 {
			wrong.add(&records.Error{Path: s.Path, Err: ErrEmpty, Advice: e.emptyHint(s, e.out.len()-first)})
		} else if err != nil {
			wrong.add(fmt.Errorf("%s: %w", s.Path, err))
		}
		parts = append(parts, index)
	}
	if err := wrong.err(); err != nil {
		return nil, err
	}
	if d.index = parts[0]; len(parts) > 1 {
		d.index = slices.Concat(parts...)
	}
	if !e.full() { // else nobody knows what the rest has
		e.unread.notes(&e.notes)
		e.unused(srcs, d)
	}
	d.skipped, d.notes = e.skipped, e.notes
	return d, nil
}

// collectAt is the share of new memory, in percent, at which the garbage of a load is collected. Nearly all that lives are arrays of numbers, which cost
// the collector nothing.
const collectAt = 20

// unused says which settings of chats met nothing in the data.
func (e *encoder) unused(srcs []Source, d *Dataset) {
	if len(e.roles) == 0 {
		if e.o.ChatTemplate != "" && e.o.ChatTemplate != "tokenizer" {
			e.notes.AddAll(Note{What: "samples that do not go through chat_template, as their type writes its own prompt or none", Count: d.Len(), First: srcs[0].Path,
				Advice: "write the records as type messages to learn with it"})
		}
		return
	}
	for _, role := range e.o.RolesToTrain {
		if !e.roles[role] {
			e.notes.AddAll(Note{What: fmt.Sprintf("roles_to_train names %q, a role that no message has", short([]byte(role))), Count: 1, Advice: e.rolesThere(role)})
		}
	}
}

// rolesThere says which roles the messages have, for some that none of them has.
func (e *encoder) rolesThere(missing ...string) string {
	const most = 8
	all := slices.Sorted(maps.Keys(e.roles))
	names := make([]string, 0, most)
	for _, r := range all[:min(len(all), most)] {
		names = append(names, short([]byte(r)))
	}
	text := "they have " + strings.Join(names, ", ")
	if len(all) > most {
		text += fmt.Sprintf(" and %d more", len(all)-most)
	}
	for _, role := range missing {
		if near := suggest.Nearest(strings.ToLower(role), all); near != "" {
			return text + fmt.Sprintf("; did you mean %q?", short([]byte(near)))
		}
	}
	return text
}

// emptyHint says why nothing of a source is left, of which read samples were good: from what was said of those that were left out.
func (e *encoder) emptyHint(s Source, read int) string {
	left := e.left
	switch {
	case read > 0:
		return fmt.Sprintf("weight: %v takes none of the %d that were read; %.1g takes one", s.Weight, read, math.Ceil(1000/float64(read))/1000)
	case len(left) == 0:
		return "the files hold no record"
	}
	if to := e.o.RolesToTrain; len(to) > 0 && len(e.roles) > 0 && !slices.ContainsFunc(to, func(role string) bool { return e.roles[role] }) {
		return fmt.Sprintf("no message has a role of roles_to_train: [%s]; %s", strings.Join(to, ", "), e.rolesThere(to...))
	}
	why := left[0]
	for _, n := range left {
		if n.Count > why.Count {
			why = n
		}
	}
	hint := fmt.Sprintf("%d %s", why.Count, why.What)
	if why.Advice != "" {
		hint += ": " + why.Advice
	} else if s.Type == "messages" || s.Type == "sharegpt" {
		hint += "; see roles_to_train"
	} else if s.Type == "tokenized" {
		hint += "; a label of -100 is not learned"
	}
	return hint
}

// source adds the samples of one data set.
func (e *encoder) source(s Source) error {
	add, err := formatOf(s.Type)
	if err != nil {
		return fmt.Errorf("data set %s: %w", s.Path, err)
	}
	if e.tok == nil && s.Type != "tokenized" {
		return &Error{Msg: fmt.Sprintf("data set %s: type %s needs the model's tokenizer, which has none", s.Path, s.Type),
			Advice: "put tokenizer.json beside the model, or use type: tokenized"}
	}
	set, err := records.Files(s.Path, s.Split)
	if err != nil {
		return err
	}
	for _, n := range set.Notes {
		e.notes.AddAll(n)
	}
	var wrong Errors
	for _, f := range set.Files {
		if e.full() {
			break
		}
		if err := e.file(f, s.Type, add); !errors.Is(err, errEnough) {
			wrong.add(err)
		}
	}
	return wrong.err()
}

// file adds the samples of one file.
func (e *encoder) file(path, name string, add format) error {
	if records.Ext(path) == ".txt" {
		if name != "text" {
			return &records.Error{Path: path, Msg: fmt.Sprintf("a .txt file cannot be of type %s", name), Advice: "plain text is of type text"}
		}
		return e.textFile(path)
	}
	some := false
	var wrong Errors // of records; what is no record ends the file
	err := records.Each(path, func(r records.Record) error {
		some = true
		if err := add(e, r); !errors.Is(err, errEnough) {
			wrong.add(withExample(fittingType(err, r, name), name))
		}
		if e.full() {
			return errEnough
		}
		return nil
	})
	if err == nil && !some {
		e.notes.Add("files without a record", path, "")
	}
	if !errors.Is(err, errEnough) {
		wrong.add(withExample(err, name))
	}
	return wrong.err()
}

// weigh lists the samples from … to−1 as often as weight says: its whole part each, and of its fraction that share of
// the samples, drawn by seed and the source's number, in order. 0 stands for 1.
func weigh(from, to int, weight float64, seed uint64, source uint32) ([]int32, error) {
	n := to - from
	if weight == 0 {
		weight = 1
	}
	if !(weight > 0) || weight*float64(n) > 1<<31-1 {
		return nil, &Error{Msg: fmt.Sprintf("weight %v of %d samples", weight, n), Advice: "weight is how often each sample is used, above 0: 0.5 takes half of them, 2 each twice"}
	}
	whole := int(weight)
	extra, more := make(bits, (n+63)/64), int((weight-float64(whole))*float64(n)+0.5)
	if more > 0 {
		// Draw 0 of this purpose splits off the validation set.
		for _, i := range rng.Perm(seed, rng.Split, 1+source, n)[:more] {
			extra.set(int(i))
		}
	}
	out := make([]int32, 0, whole*n+more)
	for i := range n {
		for range whole {
			out = append(out, int32(from+i))
		}
		if extra.has(i) {
			out = append(out, int32(from+i))
		}
	}
	return out, nil
}
