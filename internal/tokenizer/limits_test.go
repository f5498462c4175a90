package tokenizer

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"lomo/internal/strictjson"
)

// objectOf is n members of an object, of names that differ.
func objectOf(n int, value string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "\"%x\":%s", i, value)
	}
	return b.String()
}

// TestLimitsOnFiles: what is larger than any file in use is refused by name, before it is held; what just fits is read.
func TestLimitsOnFiles(t *testing.T) {
	for _, c := range []struct {
		file, text string
		size       int64 // filled up to, with spaces; 0: as it is
		hole       int64 // instead, of zeros
		want       string
	}{
		{"tokenizer_config.json", "{}", maxConfig, 0, ""},
		{"tokenizer_config.json", "{}", maxConfig + 1, 0, "4194305 bytes, at most 4194304 are read"},
		{"tokenizer_config.json", "{}", 0, 1 << 40, "1099511627776 bytes"},
		{"special_tokens_map.json", "{}", maxConfig + 1, 0, "4194305 bytes"},
		{"added_tokens.json", "{}", maxConfig + 1, 0, "4194305 bytes"},
		{"generation_config.json", "{}", maxConfig + 1, 0, "4194305 bytes"},
		{"config.json", "{}", maxConfig + 1, 0, "4194305 bytes"},
		{"chat_template.json", "{}", maxConfig + 1, 0, "4194305 bytes"},
		{"chat_template.jinja", "x", maxConfig + 1, 0, "4194305 bytes"},
		{"tokenizer.json", tinyJSON, 0, maxFile + 1, "100663297 bytes, at most 100663296 are read"},
		{"tokenizer.json", tinyJSON, 0, 1 << 40, "1099511627776 bytes"},
		{"tokenizer_config.json", "{" + objectOf(strictjson.MaxNames, "0") + "}", 0, 0, ""},
		{"tokenizer_config.json", "{" + objectOf(strictjson.MaxNames+1, "0") + "}", 0, 0, "more than 100000 names"},
		{"tokenizer_config.json", `{"a":{` + objectOf(strictjson.MaxNames, "0") + "}}", 0, 0, "more than 100000 names"},
		{"tokenizer_config.json", `{"a":[` + strings.Repeat(`{"b":0},`, strictjson.MaxNames) + "0]}", 0, 0, "more than 100000 names"},
		{"tokenizer_config.json", `{"a":"` + strings.Repeat(`\":\\`, strictjson.MaxNames+1) + `"}`, 0, 0, ""},
		{"config.json", "{" + objectOf(400000, "0") + "}", 0, 0, "more than 100000 names"},
		{"generation_config.json", "{" + objectOf(400000, "0") + "}", 0, 0, "more than 100000 names"},
		{"added_tokens.json", "{" + objectOf(300000, "0") + "}", 0, 0, "more than 100000 names"},
		{"chat_template.json", "{" + objectOf(300000, "0") + "}", 0, 0, "more than 100000 names"},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, c.file)
		if c.size > 0 {
			c.text += strings.Repeat(" ", int(c.size)-len(c.text))
		}
		for name, text := range map[string]string{"tokenizer.json": tinyJSON, c.file: c.text} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if c.hole > 0 {
			if err := os.Truncate(path, c.hole); err != nil {
				t.Skip(err) // a file system without holes
			}
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Open(dir)
		runtime.ReadMemStats(&after)
		what := fmt.Sprintf("%s of %d bytes", c.file, max(len(c.text), int(c.hole)))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path)) {
			t.Errorf("%s: %.300v, want %q", what, err, c.want)
		}
		if made := after.TotalAlloc - before.TotalAlloc; c.want != "" && made > 3*maxConfig+8<<20 {
			t.Errorf("%s: %d MiB made", what, made>>20)
		}
	}
}

// TestLimitOnTokens: no more tokens than may be, whatever their ids.
func TestLimitOnTokens(t *testing.T) {
	defer func(n int) { maxTokens = n }(maxTokens)
	maxTokens = 1000
	const n = 1001
	for name, c := range map[string]struct{ old, new string }{
		"all of one id": {`"vocab":{"a":0,"b":1,"ab":2}`, `"vocab":{` + objectOf(n, "0") + "}"},
		"unigram":       {`"type":"BPE","unk_token":null,"vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]`, `"type":"Unigram","unk_id":0,"vocab":[` + strings.Repeat(`["a",-1],`, n) + `["b",0]]`},
		"added":         {`"added_tokens":[`, `"added_tokens":[` + strings.Repeat(`{"id":3},`, n)},
	} {
		_, err := readTokenizer(strings.NewReader(strings.Replace(tinyJSON, c.old, c.new, 1)))
		if err == nil || !strings.Contains(err.Error(), "more than 1000") {
			t.Errorf("%s: %.300v", name, err)
		}
	}
}
