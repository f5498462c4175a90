package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestLongTexts: a message quotes no more than 200 characters of a file's own text, whichever text of whichever format is long.
func TestLongTexts(t *testing.T) {
	long := strings.Repeat("Q", 5000)
	text := regexp.MustCompile(`"[^"\\]*"|[A-Za-z_]+:`)
	for _, f := range readables(t) {
		switch filepath.Ext(f.name) {
		case ".json", ".jsonl", ".yaml", ".yml", ".csv", ".jinja":
		default:
			continue
		}
		path := filepath.Join(t.TempDir(), f.name)
		spans := text.FindAllIndex(f.file, -1)
		for i, at := range spans[:min(len(spans), 60)] {
			var b []byte
			if word := f.file[at[0]:at[1]]; word[0] == '"' {
				b = append(append(append(b, f.file[:at[0]+1]...), long...), f.file[at[1]-1:]...)
			} else {
				b = append(append(append(b, f.file[:at[0]]...), long...), f.file[at[1]-1:]...)
			}
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
			err := f.read(path)
			if err == nil {
				continue
			}
			var said bytes.Buffer
			printError(&said, err)
			for line := range strings.Lines(said.String()) {
				if n := strings.Count(line, "Q"); n > 200 {
					t.Errorf("%s, text %d: %d characters of the file: %.160s", f.name, i, n, line)
				}
			}
		}
	}
}
