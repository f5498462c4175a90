package data

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"lomo/internal/data/records"
)

// unread collects the fields that nobody looked at, so that a name that was meant to be read is seen not to be.
type unread struct {
	records, messages fieldNames
}

// fieldNames are names, in how many records they stood, and where first.
type fieldNames struct {
	names map[string]bool
	count int
	first string
}

// harmless are fields that are in most files and mean nothing to training.
var harmless = []string{"id", "idx", "index", "uuid", "prompt_id", "conversation_id", "tool_call_id", "source", "dataset", "category", "subset", "split", "url", "license", "lang", "language",
	"model", "created", "timestamp", "date", "hash", "meta", "metadata"}

// fields counts the fields of a record, but those taken and the harmless ones.
func (u *unread) fields(r records.Record, taken ...string) {
	some := false
	for name := range r.Fields {
		if name != "" && hasContent(r, name) && !slices.Contains(taken, name) && !slices.Contains(harmless, name) {
			some = u.records.add(name)
		}
	}
	u.records.stood(some, r)
}

// turns counts the fields of messages that the template does not name.
func (u *unread) turns(r records.Record, list []turn, template string) {
	some := false
	for i := range list {
		for _, f := range list[i].fields {
			if !emptyJSON(f.Value) && !slices.Contains(taken, f.Name) && !slices.Contains(harmless, f.Name) && !names(template, f.Name) {
				some = u.messages.add(f.Name)
			}
		}
	}
	u.messages.stood(some, r)
}

// taken are the fields of a message whose absence from the text is an error already.
var taken = []string{"tool_calls", "reasoning_content", "thinking", "reasoning"}

// names tells whether a template has this word.
func names(template, word string) bool {
	ok, err := regexp.MatchString(`\b`+regexp.QuoteMeta(word)+`\b`, template)
	return ok || err != nil
}

func (f *fieldNames) add(name string) bool {
	if f.names == nil {
		f.names = map[string]bool{}
	}
	const most = 100 // of a file whose fields are data
	if len(f.names) < most {
		f.names[name] = true
	}
	return true
}

func (f *fieldNames) stood(some bool, r records.Record) {
	if some {
		f.count++
		if f.first == "" {
			f.first = r.Place()
		}
	}
}

// note says what was not read.
func (f *fieldNames) note(notes *Notes, what string) {
	if f.count == 0 {
		return
	}
	list := slices.Sorted(maps.Keys(f.names))
	const shown = 8
	more := ""
	if len(list) > shown {
		more = fmt.Sprintf(" and %d more", len(list)-shown)
		list = list[:shown]
	}
	for i, name := range list {
		list[i] = fmt.Sprintf("%q", short([]byte(name)))
	}
	notes.AddAll(Note{What: what + " " + strings.Join(list, ", ") + more, Count: f.count, First: f.first})
}

// notes says what was not read of all records.
func (u *unread) notes(notes *Notes) {
	u.records.note(notes, "records with fields that are not read:")
	u.messages.note(notes, "records with fields of messages that neither lomo nor the chat template reads:")
}
