package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"lomo/internal/fault"
	"lomo/internal/job"
)

// savedRecord is where this chat was saved last, and the line that it wrote.
type savedRecord struct {
	path string
	line []byte
}

// save writes the conversation into a file of records: a new one, or behind those that are there. What this chat saved there last is replaced.
func (t *talk) save(path string) error {
	switch {
	case path == "":
		return usage("e.g. /save chats.jsonl", "/save: the file's name is missing")
	case len(t.Turns) == 0:
		return usage("ask first", "/save: there is nothing to save yet")
	}
	var line bytes.Buffer
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false)
	if err := e.Encode(map[string][]job.ChatMessage{"messages": t.Record()}); err != nil {
		return err
	}
	records, replaced, err := t.write(path, line.Bytes())
	if err != nil {
		return err
	}
	t.saved = savedRecord{path, line.Bytes()}
	switch {
	case replaced:
		t.aside("%s: record %d of this chat replaced, now %s", path, records, fault.Number(len(t.Turns), "turn"))
	case records > 1:
		t.aside("%s: added as record %d, %s", path, records, fault.Number(len(t.Turns), "turn"))
	default:
		t.aside("%s: saved, %s; type messages in datasets", path, fault.Number(len(t.Turns), "turn"))
	}
	return nil
}

// maxRecords bounds a file that a record is added to.
const maxRecords = 1 << 30

func (t *talk) write(path string, line []byte) (records int, replaced bool, err error) {
	if st, err := os.Stat(path); err == nil && (!st.Mode().IsRegular() || st.Size() > maxRecords) {
		return 0, false, refuse("choose another name", "/save %s: not an ordinary file", path)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, false, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return 0, false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	old, err := io.ReadAll(f)
	if err != nil {
		return 0, false, err
	}
	if t.saved.path == path && len(t.saved.line) > 0 {
		old, replaced = bytes.CutSuffix(old, t.saved.line)
	}
	for _, l := range bytes.Split(bytes.TrimSpace(old), []byte("\n")) {
		var r struct{ Messages []json.RawMessage }
		switch {
		case len(bytes.TrimSpace(l)) == 0:
		case json.Unmarshal(l, &r) != nil || r.Messages == nil:
			return 0, false, refuse("choose another name", "/save %s: the file holds something else than records of type messages", path)
		default:
			records++
		}
	}
	text := line
	if len(old) > 0 && !bytes.HasSuffix(old, []byte("\n")) {
		text = append([]byte("\n"), line...)
	}
	if _, err := f.WriteAt(text, int64(len(old))); err != nil {
		return 0, false, err
	}
	return records + 1, replaced, f.Truncate(int64(len(old) + len(text)))
}

// refuse is an error of files, with its way out.
func refuse(advice, format string, args ...any) error {
	return &job.HintError{Err: fmt.Errorf(format, args...), Advice: advice}
}
