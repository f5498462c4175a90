package tasks

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"lomo/internal/data/records"
)

// parse reads one line as a record of a task.
func parseLine(t *testing.T, task, line string) ([]Example, error) {
	t.Helper()
	tk, err := Lookup(task)
	if err != nil {
		t.Fatal(err)
	}
	var out []Example
	err = records.ReadJSON("d.jsonl", strings.NewReader(line), func(r records.Record) error {
		q, err := tk.Parse(r)
		out = append(out, q...)
		return err
	})
	return out, err
}

// The prompts were written out by hand from the table in LOMO's prompts.py.
func TestPrompts(t *testing.T) {
	for _, c := range []struct {
		task, line string
		want       []Example
	}{
		{"rte", `{"premise":"It rains.","hypothesis":"It is wet.","label":"not_entailment","idx":0}`,
			[]Example{{"It rains.\nDoes this mean that \"It is wet.\" is true? Yes or No?\nAnswer: ", []string{"Yes", "No"}, 1, ""}}},
		{"boolq", `{"question":"is it so","passage":"It is so.","idx":0,"label":true}`,
			[]Example{{"It is so. is it so\nAnswer: ", []string{"No", "Yes"}, 1, ""}}},
		{"wic", `{"word":"class","sentence1":"A.","sentence2":"B.","idx":0,"label":"false","start1":1,"version":1.1}`,
			[]Example{{"Does the word \"class\" have the same meaning in these two sentences? Yes, No?\nA.\nB.\nAnswer: ", []string{"No", "Yes"}, 0, ""}}},
		{"wsc", `{"text":"Ann saw Bo. She left.","target":{"span1_index":0,"span1_text":"Ann","span2_index":3,"span2_text":"She"},"label":"True"}`,
			[]Example{{"Ann saw Bo. She left.\nIn the previous sentence, does the pronuon \"She\" refer to \"Ann\"? Yes or No?\nAnswer: ", []string{"No", "Yes"}, 1, ""}}},
		{"copa", `{"premise":"He ran.","choice1":"He fell.","choice2":"He sat.","question":"effect","label":0}`,
			[]Example{{"He ran. so ", []string{"He fell.", "He sat."}, 0, ""}}},
		{"COPA", `{"premise":"He ran.","choice1":"He fell.","choice2":"He sat.","question":"cause","label":"1"}`,
			[]Example{{"He ran. because ", []string{"He fell.", "He sat."}, 1, ""}}},
		{"cb", `{"premise":"P.","hypothesis":"h","label":"neutral"}`,
			[]Example{{"Suppose P. Can we infer that \"h\"? Yes, No, or Maybe?\n", []string{"Yes", "No", "Maybe"}, 2, ""}}},
		{"multirc", `{"idx":0,"version":1.1,"passage":{"text":"T.","questions":[{"question":"Q?","idx":0,"answers":[{"text":"a","idx":0,"label":0},{"text":"b","idx":1,"label":1}]}]}}`,
			[]Example{
				{"T.\nQuestion: Q?\nI found this answer \"a\". Is that correct? Yes or No?\nAnswer: ", []string{"No", "Yes"}, 0, ""},
				{"T.\nQuestion: Q?\nI found this answer \"b\". Is that correct? Yes or No?\nAnswer: ", []string{"No", "Yes"}, 1, ""}}},
		// Both "Bo" and "Ann B" are right: the alphabet's first is gold and the other is no choice. Offsets count characters: é is one.
		{"record", `{"source":"x","idx":0,"passage":{"text":"é Bo met Ann B and Bo.\n@highlight\nX","entities":[{"start":19,"end":20},{"start":2,"end":3},{"start":9,"end":13},{"start":34,"end":34}]},` +
			`"qas":[{"query":"@placeholder won","idx":0,"answers":[{"start":2,"end":3,"text":"Bo"},{"start":9,"end":13,"text":"Ann B"}]},{"query":"q","answers":[]}]}`,
			[]Example{
				{"é Bo met Ann B and Bo.\n- X\n@placeholder won\nQuestion: What is the \"@placeholder\"?\nAnswer: ", []string{"Ann B", "X"}, 0, ""},
				{"é Bo met Ann B and Bo.\n- X\nq\nQuestion: What is the \"@placeholder\"?\nAnswer: ", []string{"Bo", "Ann B", "X"}, Unlabelled, ""}}},
	} {
		got, err := parseLine(t, c.task, c.line)
		if err != nil {
			t.Errorf("%s: %v", c.task, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.task, diff)
		}
	}
}

func TestLabels(t *testing.T) {
	for raw, want := range map[string]int{`true`: 1, `"false"`: 0, `"True"`: 1, `0`: 0, `"1"`: 1, `-1`: Unlabelled, `null`: Unlabelled, `""`: Unlabelled} {
		got, err := parseLine(t, "boolq", `{"question":"q","passage":"p","label":`+raw+`}`)
		if err != nil || got[0].Gold != want {
			t.Errorf("label %s: %v %v, want %d", raw, got, err, want)
		}
	}
	if got, err := parseLine(t, "rte", `{"premise":"p","hypothesis":"h"}`); err != nil || got[0].Gold != Unlabelled {
		t.Errorf("no label: %v %v", got, err)
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ task, line, want string }{
		{"rte", `{"premise":"p","label":0}`, `task rte: d.jsonl:1: field "hypothesis" is missing; the record has "label", "premise"`},
		{"rte", `{"premise":"p","hypothesis":"h","label":"maybe"}`, `task rte: d.jsonl:1: field "label": "maybe", want one of entailment, not_entailment, or its number from 0`},
		{"boolq", `{"passage":"p","question":"q","label":2}`, `task boolq: d.jsonl:1: field "label": "2", want one of false, true, or its number from 0`},
		{"boolq", `{"passage":"p","question":1,"label":1}`, `task boolq: d.jsonl:1: field "question": number 1 found, want string`},
		{"wsc", `{"text":"t","target":{},"label":1}`, `task wsc: d.jsonl:1: field "target": span1_text or span2_text is missing`},
		{"wsc", `{"text":"t","target":"x","label":1}`, `task wsc: d.jsonl:1: field "target": string found, want object`},
		{"copa", `{"premise":"p","choice1":"a","choice2":"b","question":"why","label":1}`, `task copa: d.jsonl:1: field "question": "why", want "cause" or "effect"`},
		{"copa", `{"premise":"p","choice1":"a","choice2":" ","question":"cause","label":1}`, `task copa: d.jsonl:1: choice 2 is empty`},
		{"multirc", `{"passage":{"text":"t"}}`, `task multirc: d.jsonl:1: field "passage": no answer to judge`},
		{"record", `{"passage":{"text":"abc","entities":[{"start":1,"end":3}]},"qas":[]}`, `task record: d.jsonl:1: field "passage": entity at 1 to 3 of a text of 3 characters`},
		{"record", `{"passage":{"text":"abc","entities":[{"start":1,"end":2}]},"qas":[{"query":"q","answers":[{"text":"x"}]}]}`, `task record: d.jsonl:1: field "qas": answer "x" is no entity of the passage`},
	} {
		if _, err := parseLine(t, c.task, c.line); err == nil || err.Error() != c.want {
			t.Errorf("%s %s:\nerror %v\nwant  %s", c.task, c.line, err, c.want)
		}
	}
}

func TestLookupUnknown(t *testing.T) {
	_, err := Lookup("sst2")
	var e *UnknownError
	if !errors.As(err, &e) || e.Error() != `unknown task "sst2"` || e.Hint() != "tasks: boolq, cb, copa, multirc, record, rte, wic, wsc" {
		t.Errorf("error %v, hint %q", err, e.Hint())
	}
}

func TestLoad(t *testing.T) {
	labelled, bare := `{"premise":"p","hypothesis":"h","label":"entailment"}`+"\n", `{"premise":"p","hypothesis":"h"}`
	for _, c := range []struct {
		task, text string
		n          int
		want       string
	}{
		{"rte", labelled + labelled, 2, ""},
		{"rte", labelled + bare, 0, "val.jsonl:2: the question has no label"},
		{"rte", "", 0, "val.jsonl: no question of task rte"},
		{"boolq", labelled, 0, `task boolq: val.jsonl:1: field "passage" is missing; the record has "hypothesis", "label", "premise"`},
		{"sst2", labelled, 0, `unknown task "sst2"`},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "val.jsonl")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Load(c.task, path)
		if c.want == "" && (err != nil || len(got) != c.n) {
			t.Errorf("%s: %d examples, %v", c.task, len(got), err)
		}
		if c.want != "" && (err == nil || strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "") != c.want) {
			t.Errorf("%s: error %v, want %s", c.task, err, c.want)
		}
	}
}

// words is a tokenizer whose tokens are a word with the space before it; its beginning token is 1, its end token 2.
type words struct{ ends bool }

func (words) EOS() int32 { return 2 }

func (w words) EncodeOffsets(text string, special bool) (ids []int32, offs [][2]int, err error) {
	ids, offs = []int32{1}, [][2]int{{-1, -1}}
	for at := 0; at < len(text); {
		end := at + 1
		for end < len(text) && text[end] != ' ' && text[end] != '\n' {
			end++
		}
		ids, offs = append(ids, int32(10+end-at)), append(offs, [2]int{at, end})
		at = end
	}
	if w.ends {
		ids, offs = append(ids, 2), append(offs, [2]int{-1, -1})
	}
	return ids, offs, nil
}

func TestTokenise(t *testing.T) {
	for _, c := range []struct {
		name           string
		tok            Encoder
		prompt, choice string
		max            int
		want           Tokens
	}{
		// "Hi\nAnswer: Yes" is Hi, \nAnswer:, ␣Yes: the last holds the prompt's space and the choice, and counts.
		{"space merges", words{}, "Hi\nAnswer: ", "Yes", MaxLen, Tokens{IDs: []int32{1, 12, 18, 14, 2}, Scored: []bool{false, false, false, true, true}, Fits: true}},
		{"the tokenizer ends texts", words{ends: true}, "Hi\nAnswer: ", "Yes", MaxLen, Tokens{IDs: []int32{1, 12, 18, 14, 2}, Scored: []bool{false, false, false, true, true}, Fits: true}},
		{"exactly full", words{}, "Hi\nAnswer: ", "Yes", 4, Tokens{IDs: []int32{1, 12, 18, 14, 2}, Scored: []bool{false, false, false, true, true}, Fits: true}},
		{"a prompt's beginning is cut behind bos", words{}, "Hi\nAnswer: ", "Yes", 3, Tokens{IDs: []int32{1, 18, 14, 2}, Scored: []bool{false, false, true, true}, Cut: 1, Fits: true}},
		{"nothing but bos before the choice", words{}, "Hi\nAnswer: ", "Yes", 2, Tokens{IDs: []int32{1, 14, 2}, Scored: []bool{false, true, true}, Cut: 2, Fits: true}},
		{"no room for the choice", words{}, "Hi\nAnswer: ", "Yes", 1, Tokens{Scored: []bool{false, false, false, true}, Cut: 3}},
		{"a choice of several tokens", words{}, "a b c", " d e", 4, Tokens{IDs: []int32{1, 12, 12, 12, 2}, Scored: []bool{false, false, true, true, true}, Cut: 2, Fits: true}},
		{"whose first would be cut", words{}, "a b c", " d e", 2, Tokens{Scored: []bool{false, false, false, false, true, true}, Cut: 4}},
		{"without bos a token of the prompt stays", bare{}, "a b c", " d", 2, Tokens{IDs: []int32{12, 12}, Scored: []bool{false, true}, Cut: 2, Fits: true}},
		{"or the choice has nothing before it", bare{}, "a b c", " d", 1, Tokens{Scored: []bool{false, false, false, true}, Cut: 3}},
		{"a choice of no text", words{}, "a b", "", 3, Tokens{IDs: []int32{1, 11, 12, 2}, Scored: []bool{false, false, false, true}, Fits: true}},
	} {
		got, err := Tokenise(c.tok, c.prompt, c.choice, c.max)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// bare is words without a beginning or an end token.
type bare struct{}

func (bare) EOS() int32 { return -1 }

func (bare) EncodeOffsets(text string, special bool) ([]int32, [][2]int, error) {
	ids, offs, err := words{}.EncodeOffsets(text, special)
	return ids[1:], offs[1:], err
}

// FuzzParse: any record gives questions whose gold answer is one of their choices, or an error with its line.
func FuzzParse(f *testing.F) {
	f.Add(uint8(0), `{"premise":"p","hypothesis":"h","label":"entailment"}`)
	f.Add(uint8(2), `{"text":"t","target":{"span1_text":"a","span2_text":"b"},"label":true}`)
	f.Add(uint8(4), `{"passage":{"text":"t","questions":[{"question":"q","answers":[{"text":"a","label":1}]}]}}`)
	f.Add(uint8(6), `{"passage":{"text":"ab","entities":[{"start":0,"end":1}]},"qas":[{"query":"q","answers":[{"text":"ab"}]}]}`)
	f.Fuzz(func(t *testing.T, which uint8, line string) {
		task := table[int(which)%len(table)]
		err := records.ReadJSON("f", strings.NewReader(line), func(r records.Record) error {
			questions, err := task.Parse(r)
			for _, q := range questions {
				if err == nil && (q.Gold < Unlabelled || q.Gold >= len(q.Choices)) {
					t.Fatalf("gold %d of %d choices", q.Gold, len(q.Choices))
				}
			}
			return err
		})
		var place *records.Error
		if err != nil && !errors.As(err, &place) {
			t.Fatalf("error without a place: %v", err)
		}
	})
}

// TestPlaces: a question is told with the line of its record, or with its row in a file that has no lines.
func TestPlaces(t *testing.T) {
	type row struct {
		Premise    string `parquet:"premise"`
		Hypothesis string `parquet:"hypothesis"`
		Label      string `parquet:"label"`
	}
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	texts := map[string]string{
		"a.jsonl": `{"premise":"p","hypothesis":"h","label":"entailment"}` + "\n\n" + `{"premise":"p","hypothesis":"h","label":"entailment"}`,
		"a.csv":   "premise,hypothesis,label\n\"two\nlines\",h,entailment\np,h,entailment\n",
		"b.csv":   "premise,hypothesis,label\np,h,entailment\np,h,\n",
	}
	for name, text := range texts {
		if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, label := range map[string]string{"a.parquet": "entailment", "b.parquet": ""} {
		if err := parquet.WriteFile(at(name), []row{{"p", "h", "entailment"}, {"p", "h", label}}); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string][]string{"a.jsonl": {":1", ":3"}, "a.csv": {":2", ":4"}, "a.parquet": {": row 1", ": row 2"}} {
		got, err := Load("rte", at(name))
		if err != nil || len(got) != 2 || got[0].Place != at(name)+want[0] || got[1].Place != at(name)+want[1] {
			t.Errorf("%s: %+v, %v, want %q", name, got, err, want)
		}
	}
	for name, want := range map[string]string{"b.csv": ":3: the question has no label", "b.parquet": ": row 2: the question has no label"} {
		if _, err := Load("rte", at(name)); err == nil || err.Error() != at(name)+want {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}
