package job

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lomo/internal/data"
	"lomo/internal/tokenizer"
)

// TestQuestionOf: a prompt is what comes before the last learned part of a record.
func TestQuestionOf(t *testing.T) {
	row := func(learned ...[2]int) data.Example {
		e := data.Example{}
		for i := range 12 {
			e.IDs, e.Labels = append(e.IDs, int32(100+i)), append(e.Labels, -100)
		}
		for _, l := range learned {
			for i := l[0]; i < l[1]; i++ {
				e.Labels[i] = e.IDs[i]
			}
		}
		return e
	}
	for _, c := range []struct {
		e    data.Example
		want string
	}{
		{row([2]int{5, 12}), "5 7"},
		{row([2]int{2, 4}, [2]int{8, 10}), "8 2"}, // the last of two answers, without what follows it
		{row([2]int{3, 4}), "3 1"},
		{row([2]int{1, 12}), "4 8"}, // a text: a third of it
		{row([2]int{0, 12}), "4 8"},
		{row(), "none"},
		{row([2]int{0, 2}), "none"}, // too short to have a beginning
		{data.Example{}, "none"},
	} {
		q, ok := questionOf(c.e)
		got := "none"
		if ok {
			got = fmt.Sprint(len(q.prompt), len(q.answer))
		}
		if got != c.want {
			t.Errorf("%v: %s, want %s", c.e.Labels, got, c.want)
		}
	}
	long := data.Example{}
	for i := range samplePrompt + 100 {
		long.IDs, long.Labels = append(long.IDs, int32(i)), append(long.Labels, -100)
	}
	long.Labels[samplePrompt+90] = 1
	if q, ok := questionOf(long); !ok || q.cut != 90 || len(q.prompt) != samplePrompt || q.prompt[0] != 90 {
		t.Errorf("a long prompt: %v, cut %d, %d left", ok, q.cut, len(q.prompt))
	}
}

// TestQuestions: other facts come before other wordings of one, and those before prompts that are cut.
func TestQuestions(t *testing.T) {
	long := strings.Repeat("x", samplePrompt+1)
	path := filepath.Join(t.TempDir(), "d.jsonl")
	var text strings.Builder
	for _, pair := range [][2]string{{"a", "1"}, {"b", "1"}, {long, "4"}, {"c", "2"}, {"a", "3"}, {"d", "3"}} {
		fmt.Fprintf(&text, "{\"prompt\": %q, \"completion\": %q}\n", pair[0], pair[1])
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	tok := tokenizer.NewByteLevel()
	ds, err := data.Load([]data.Source{{Path: path, Type: "prompt_completion"}}, tok, data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]string{1: "a", 2: "ac", 3: "acd", 4: "acdb", 5: "acdb" + long[:samplePrompt], 9: "acdb" + long[:samplePrompt]} {
		got := ""
		for _, q := range questions(ds, n) {
			got += tok.Decode(q.prompt, false)
		}
		if got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
