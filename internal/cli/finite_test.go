package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	st "lomo/internal/checkpoint/safetensors"
	"lomo/internal/job"
)

// filled makes a tiny model of which every weight of some tensors is one bf16 number, given by its two bytes.
func filled(t *testing.T, values map[string]uint16) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "m")
	if _, err := job.New(job.NewOptions{Preset: "tiny", Dir: dir, DType: "bf16", MaxShardSize: "1GB"}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "model.safetensors")
	f, err := st.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	start := int64(len(raw)) - f.Entries[len(f.Entries)-1].End
	for _, e := range f.Entries {
		v, ok := values[e.Name]
		if !ok {
			continue
		}
		for i := start + e.Begin; i < start+e.End; i += 2 {
			raw[i], raw[i+1] = byte(v), byte(v>>8)
		}
	}
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestNotFinite: a model whose numbers overflow is no result: exit code 3, a sentence with the way out, and nothing on stdout.
func TestNotFinite(t *testing.T) {
	work := t.TempDir()
	texts, questions := filepath.Join(work, "d.jsonl"), filepath.Join(work, "rte.jsonl")
	for path, text := range map[string]string{
		texts:     `{"text": "The tower stands in Marl."}` + "\n",
		questions: `{"premise": "The tower stands.", "hypothesis": "It stands.", "label": 0}` + "\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) (code int, stdout, stderr string) {
		var out, talk bytes.Buffer
		code = Run(context.Background(), &Streams{Out: &out, Err: &talk}, args)
		return code, out.String(), talk.String()
	}
	broken := filled(t, map[string]uint16{"model.norm.weight": 0x7f7f, "model.embed_tokens.weight": 0x42c8})
	for _, args := range [][]string{
		{"eval", "--data", texts, "--type", "text"},
		{"eval", "--data", texts, "--type", "text", "--json"},
		{"eval", "--data", questions, "--task", "rte", "--json"},
		{"generate", "--prompt", "The tower"},
		{"generate", "--prompt", "The tower", "--temperature", "1"},
	} {
		code, stdout, stderr := run(append(args, "--model", broken)...)
		if code != 3 || stdout != "" || !strings.Contains(stderr, "is not finite: ") || !strings.Contains(stderr, "lomo: hint: its numbers overflow") {
			t.Errorf("%q: exit code %d, stdout %q\n%s", args, code, stdout, stderr)
		}
	}
	// A loss beyond what its perplexity fits into is a result.
	large := filled(t, map[string]uint16{"model.norm.weight": 0x4740})
	code, stdout, stderr := run("eval", "--data", texts, "--type", "text", "--json", "--model", large)
	var got map[string]any
	if err := json.Unmarshal([]byte(stdout), &got); code != 0 || err != nil || got["perplexity"] != nil || got["loss"].(float64) < 710 {
		t.Errorf("exit code %d, %v, %s\n%s", code, err, stdout, stderr)
	}
}
