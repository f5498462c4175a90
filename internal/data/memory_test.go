package data

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestMemoryOfLoad: a set of text takes at most three times its file while it is read, whatever its records are.
func TestMemoryOfLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("it reads 10 MB")
	}
	words := strings.Repeat("abcdefghij klm nopqr stuvw xyz ", 40)
	for _, c := range []struct {
		name, typ string
		record    func(i int) string
	}{
		{"one word", "text", func(i int) string { return fmt.Sprintf(`{"text":"w%d"}`, i%7) }},
		{"short texts", "text", func(i int) string { return fmt.Sprintf(`{"text":%q}`, words[i%31:i%31+60]) }},
		{"long texts", "text", func(i int) string { return fmt.Sprintf(`{"text":%q}`, strings.Repeat(words, 16)) }},
		{"answers", "prompt_completion", func(i int) string {
			return fmt.Sprintf(`{"prompt":%q,"completion":%q}`, words[:70], words[i%31:i%31+50])
		}},
		{"many short messages", "messages", func(i int) string {
			return `{"messages":[` + strings.Repeat(`{"role":"user","content":"a b"},{"role":"assistant","content":"c d"},`, 19) + `{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`
		}},
		{"ids", "tokenized", func(i int) string { return `{"input_ids":[` + strings.Repeat("7,8,", 100) + `9]}` }},
		{"ids and other labels", "tokenized", func(i int) string {
			return `{"input_ids":[` + strings.Repeat("7,8,", 100) + `9],"labels":[` + strings.Repeat("5,-100,", 100) + `6]}`
		}},
	} {
		const size = 1.5e6
		path := filepath.Join(t.TempDir(), "d.jsonl")
		var text strings.Builder
		for i := 0; text.Len() < size; i++ {
			text.WriteString(c.record(i) + "\n")
		}
		if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		file := float64(text.Len())
		text.Reset()
		// What the collector has not got to yet counts in HeapAlloc, on a busy machine more of it: the least of three tries is told.
		least := math.Inf(1)
		for try := 0; try < 3 && least > 3; try++ {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			before, most := m.HeapAlloc, uint64(0)
			_, err := Load([]Source{{Path: path, Type: c.typ}}, fake{bos: true}, Options{SequenceLen: 512, OnSample: func(n int) {
				if n%256 == 0 {
					runtime.ReadMemStats(&m)
					most = max(most, m.HeapAlloc)
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			least = min(least, float64(most-before)/file)
		}
		if least > 3 {
			t.Errorf("%s: %.1f MB took %.1f times that", c.name, file/1e6, least)
		} else {
			t.Logf("%s: %.1f times the file", c.name, least)
		}
	}
}
