package job

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lomo/internal/tokenizer"
)

// TestQuestionsCut: a prompt that is cut beside any of its choices is said to be, once, and a question without room for one of them is left out.
func TestQuestionsCut(t *testing.T) {
	short, long, longest := "Yes.", strings.Repeat("y", 30), strings.Repeat("y", 70)
	for _, c := range []struct {
		first, second string
		cut, left     bool
	}{
		{short, short, false, false},
		{long, short, true, false},
		{short, long, true, false},
		{long, long, true, false},
		{longest, short, false, true},
		{short, longest, false, true},
		{long, longest, false, true},
	} {
		path := filepath.Join(t.TempDir(), "val.jsonl")
		record := func(a, b string) string {
			return fmt.Sprintf(`{"premise":"%s","question":"effect","choice1":"%s","choice2":"%s","label":0}`+"\n", strings.Repeat("p", 40), a, b)
		}
		if err := os.WriteFile(path, []byte(record(short, short)+record(c.first, c.second)), 0o644); err != nil {
			t.Fatal(err)
		}
		questions, places, remarks, err := taskQuestions(EvalOptions{Task: "copa", Data: path}, tokenizer.NewByteLevel(), 320, 64)
		if err != nil {
			t.Fatal(err)
		}
		said := ""
		if len(remarks) > 0 {
			said = remarks[0].String()
		}
		want := map[bool]string{true: "prompts cut at their beginning to 64 tokens: 1 (the first: " + path + ":2)"}[c.cut]
		if c.left {
			want = "questions left out, of which a choice is longer than 64 tokens: 1 (the first: " + path + ":2)"
		}
		if said != want || len(remarks) > 1 || len(questions) != len(places) || len(questions) != map[bool]int{true: 1, false: 2}[c.left] {
			t.Errorf("choices of %d and %d letters: %d questions, said %q, want %q", len(c.first), len(c.second), len(questions), said, want)
		}
	}
}
