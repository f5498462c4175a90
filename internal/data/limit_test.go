package data

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lomo/internal/tokenizer"
)

// TestLimit: to show a few samples, no more than they is read: the rest may be broken, or a TiB.
func TestLimit(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, size int64) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if size > 0 {
			if err := os.Truncate(path, size); err != nil {
				t.Skip(err)
			}
		}
		return path
	}
	line := `{"text": "one two three four five"}` + "\n"
	sets := map[string]Source{
		"jsonl":     {Path: write("a.jsonl", strings.Repeat(line, 3)+"broken\n", 1<<40), Type: "text"},
		"list":      {Path: write("b.json", "["+strings.Repeat(line[:len(line)-1]+",\n", 3)+"broken", 1<<40), Type: "text"},
		"csv":       {Path: write("c.csv", "text\n"+strings.Repeat("one two\n", 3000), 1<<40), Type: "text"},
		"txt":       {Path: write("d.txt", strings.Repeat("one two three\n", 100000), 1<<40), Type: "text"},
		"tokenized": {Path: write("e.jsonl", strings.Repeat(`{"input_ids": [1,2,3]}`+"\n", 3)+"broken\n", 1<<40), Type: "tokenized"},
	}
	folder := filepath.Join(dir, "folder")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		write(fmt.Sprintf("folder/%d.jsonl", i), line+line+"broken\n", 0)
	}
	sets["folder"] = Source{Path: folder, Type: "text"}
	for name, s := range sets {
		start := time.Now()
		d, err := Load([]Source{s}, tokenizer.NewByteLevel(), Options{SequenceLen: 64, Limit: 2})
		if err != nil || d.Len() != 2 {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: %v", name, took)
		}
		if name == "folder" || name == "jsonl" || name == "tokenized" { // a rest that is read is seen
			if d, err := Load([]Source{s}, tokenizer.NewByteLevel(), Options{SequenceLen: 64, Limit: 100}); err == nil {
				t.Errorf("%s: %d samples, and what is broken was not seen", name, d.Len())
			}
		}
	}
}
