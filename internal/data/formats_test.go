package data

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lomo/internal/data/records"
	"lomo/internal/tasks"
)

const alpacaShort = "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\n"
const alpacaLong = "Below is an instruction that describes a task, paired with an input that provides further context. Write a response that appropriately completes the request.\n\n### Instruction:\n"

// What is learned stands in brackets; see spell.
func TestFormats(t *testing.T) {
	for _, c := range []struct {
		name, typ, text string
		o               Options
		want            []string
	}{
		{"alpaca", "alpaca", `[{"instruction":"Add","input":"","output":"2"},{"instruction":"Add","input":"1 1","output":"2"}]`, Options{},
			[]string{"^" + alpacaShort + "Add\n\n### Response:[2$]", "^" + alpacaLong + "Add\n\n### Input:\n1 1\n\n### Response:[2$]"}},
		{"alpaca, system and history", "alpaca", `{"instruction":"C","output":"c","system":"S","history":[["A","a"],["B","b"]]}`, Options{},
			[]string{"^S\n\n### Instruction:\nA\n\n### Response:a\n\n### Instruction:\nB\n\n### Response:b\n\n### Instruction:\nC\n\n### Response:[c$]"}},
		{"prompt_completion", "prompt_completion", `{"prompt":"Q ","completion":"A"}`, Options{}, []string{"^Q [A$]"}},
		{"input, output", "prompt_completion", `{"input":"Q ","output":"A"}`, Options{}, []string{"^Q [A$]"}},
		{"source, target", "prompt_completion", `{"source":"Q ","target":"A"}`, Options{}, []string{"^Q [A$]"}},
		{"question, answer", "prompt_completion", `{"question":"Q ","answer":"A"}`, Options{}, []string{"^Q [A$]"}},
		{"empty completion", "prompt_completion", `{"prompt":"Q","completion":""}`, Options{}, []string{"^Q[$]"}},
		{"empty prompt", "prompt_completion", `{"prompt":"","completion":"A"}`, Options{}, []string{"^[A$]"}},
		{"eos in the text", "prompt_completion", `{"prompt":"Q","completion":"A\u0000"}`, Options{}, []string{"^Q[A$]"}},
		{"eos in the text", "text", `{"text":"ab\u0000"}`, Options{}, []string{"^[ab$]"}},
		{"eos not learned", "prompt_completion", `{"prompt":"Q","completion":"A"}`, Options{TrainOnEOS: "none"}, []string{"^Q[A]$"}},
		{"inputs learned", "prompt_completion", `{"prompt":"Q","completion":"A"}`, Options{TrainOnInputs: true}, []string{"^[QA$]"}},
		{"cut", "prompt_completion", `{"prompt":"Q","completion":"ABC"}`, Options{SequenceLen: 4}, []string{"^Q[AB]"}},
		{"text", "text", `{"text":"ab"}` + "\n" + `{"text":"c"}`, Options{}, []string{"^[ab$]", "^[c$]"}},
		{"text in parts", "text", `{"text":"abcdef"}`, Options{SequenceLen: 3}, []string{"^[ab]", "c[de]", "f[$]"}},
		{"segments", "segments", `{"segments":[{"text":"Q","label":false},{"text":"A","label":true},{"text":"","label":true},{"text":"B","label":false}]}`, Options{}, []string{"Q[A]B"}},
		{"tokenized", "tokenized", `{"input_ids":[107,108,109]}`, Options{}, []string{"a[bc]"}},
		{"tokenized, labels", "tokenized", `{"input_ids":[107,108,109],"labels":[-100,-100,109]}`, Options{}, []string{"ab[c]"}},
		{"tokenized, label of the first", "tokenized", `{"input_ids":[107,108,109],"labels":[107,-100,109]}`, Options{}, []string{"ab[c]"}},
		{"messages", "messages", `{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]}`, Options{}, []string{"#uQ$#a[A$]"}},
		{"messages in parts", "messages", `{"messages":[{"role":"user","content":[{"type":"text","text":"Q"},{"type":"text","text":"?"}]},{"role":"assistant","content":"A"}]}`, Options{}, []string{"#uQ?$#a[A$]"}},
		{"messages, weight", "messages", `{"messages":[{"role":"assistant","content":"A","weight":0},{"role":"assistant","content":"B","weight":1}]}`, Options{}, []string{"#aA$#a[B$]"}},
		{"messages, train", "messages", `{"messages":[{"role":"user","content":"A","train":true},{"role":"assistant","content":"B","train":false}]}`, Options{}, []string{"#u[A$]#aB$"}},
		{"roles, eos", "messages", `{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]}`, Options{RolesToTrain: []string{"user"}, TrainOnEOS: "none"}, []string{"#u[Q]$#aA$"}},
		{"messages, inputs", "messages", `{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]}`, Options{TrainOnInputs: true}, []string{"#[uQ$#aA$]"}},
		{"sharegpt", "sharegpt", `{"system":"S","conversations":[{"from":"human","value":"Q"},{"from":"gpt","value":"A"}]}`, Options{}, []string{"#sS$#uQ$#a[A$]"}},
		{"superglue", "superglue:copa", `{"premise":"P.","choice1":"a.","choice2":"b.","question":"cause","label":1}`, Options{}, []string{"^P. because [b.$]"}},
		{"superglue, eos", "superglue:copa", `{"premise":"P.","choice1":"a.","choice2":"b.","question":"effect","label":"0"}`, Options{TrainOnEOS: "none"}, []string{"^P. so [a.]$"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := load(t, write(t, "d.jsonl", c.text), c.typ, c.o)
			var got []string
			for _, e := range d.Examples() {
				got = append(got, spell(e))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("samples (-want +got):\n%s", diff)
			}
		})
	}
}

// A token across the edge of prompt and completion belongs to the completion.
func TestMergedEdge(t *testing.T) {
	d, err := Load([]Source{{Path: write(t, "d.jsonl", `{"prompt":"Q ","completion":"AB C"}`), Type: "prompt_completion"}}, fake{pairs: true, mark: true}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := spell(d.Example(0)), "_Q[ AB C$]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestLabelsUnlikeIDs(t *testing.T) {
	path := write(t, "d.jsonl", `{"input_ids":[1,2,3]}`+"\n"+`{"input_ids":[4,5,6],"labels":[-100,7,-100]}`+"\n"+`{"input_ids":[8,9]}`)
	d, err := Load([]Source{{Path: path, Type: "tokenized"}}, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []Example
	for _, e := range d.Examples() {
		got = append(got, e)
	}
	want := []Example{
		{[]int32{1, 2, 3}, []int32{-100, 2, 3}}, {[]int32{4, 5, 6}, []int32{-100, 7, -100}}, {[]int32{8, 9}, []int32{-100, 9}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ name, typ, text, want, hint string }{
		{"no type", "", `{}`, `data set d.jsonl: type is missing`, "types: alpaca, "},
		{"unknown type", "chat", `{}`, `data set d.jsonl: unknown type "chat"`, "types: alpaca, "},
		{"unknown task", "superglue:sst2", `{}`, `data set d.jsonl: unknown task "sst2"`, "tasks: boolq, "},
		{"no record", "text", ``, `d.jsonl: the data set is empty: no sample has a token to predict`, "the files hold no record"},
		{"no token", "text", `{"text":""}` + "\n" + `{"input":"x"}`, `d.jsonl:2: field "text" is missing; the record has "input"`, ""},
		{"nothing to predict", "prompt_completion", `{"prompt":"abcdefgh","completion":"x"}`, `d.jsonl: the data set is empty: no sample has a token to predict`, "1 samples left out: what is learned lies behind sequence_len"},
		{"alpaca", "alpaca", `{"instruction":"a"}`, `d.jsonl:1: field "output" is missing; the record has "instruction"`, ""},
		{"alpaca history", "alpaca", `{"instruction":"a","output":"b","history":["x"]}`, `d.jsonl:1: history[0]: string found, want list`, ""},
		{"alpaca turn", "alpaca", `{"instruction":"a","output":"b","history":[["x"]]}`, `d.jsonl:1: history[0]: 1 texts, want an instruction and its output`, ""},
		{"completion", "prompt_completion", `{"prompt":"a"}`, `d.jsonl:1: field "completion" is missing; the record has "prompt"`, ""},
		{"neither", "prompt_completion", `{"ask":"a","reply":"b"}`, `d.jsonl:1: field "prompt" is missing; the record has "ask", "reply"`, ""},
		{"segments", "segments", `{"segments":[{"text":"a"}]}`, `d.jsonl:1: segment 1: text or label is missing`, ""},
		{"ids", "tokenized", `{"input_ids":[1,2.5]}`, `d.jsonl:1: input_ids[1]: number 2.5 found, want integer`, ""},
		{"ids in text", "tokenized", `{"input_ids":"1 2"}`, `d.jsonl:1: field "input_ids": string found, want list`, ""},
		{"vocabulary", "tokenized", `{"input_ids":[1,2]}` + "\n" + `{"input_ids":[1,700]}`, `d.jsonl:2: input_ids 1: id 700, the model's vocabulary has 512`, "another tokenizer"},
		{"negative", "tokenized", `{"input_ids":[1,-1]}`, `d.jsonl:1: input_ids 1: id -1 is negative`, "another tokenizer"},
		{"label", "tokenized", `{"input_ids":[1,2],"labels":[-100,512]}`, `d.jsonl:1: labels 1: id 512, the model's vocabulary has 512`, "another tokenizer"},
		{"label count", "tokenized", `{"input_ids":[1,2],"labels":[2]}`, `d.jsonl:1: labels has 1 entries, input_ids has 2`, ""},
		{"role", "messages", `{"messages":[{"content":"a"}]}`, `d.jsonl:1: message 1: role is missing`, ""},
		{"content", "messages", `{"messages":[{"role":"user"}]}`, `d.jsonl:1: message 1 (user): content is missing`, ""},
		{"image", "messages", `{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}`, `d.jsonl:1: message 1 (user): content part 1: type "image_url", only text can be learned`, ""},
		{"content number", "messages", `{"messages":[{"role":"user","content":1}]}`, `d.jsonl:1: message 1 (user): content: 1 found, want a string or a list of text parts`, ""},
		{"no message", "messages", `{"messages":[]}`, `d.jsonl:1: the conversation has no message`, ""},
		{"message of text", "messages", `{"messages":["a"]}`, `d.jsonl:1: message 1: string found, want object`, ""},
		{"speaker", "sharegpt", `{"conversations":[{"from":"bot","value":"a"}]}`, `d.jsonl:1: message 1: from is "bot", want human, gpt, system, function_call, observation or tool`, ""},
		{"value", "sharegpt", `{"conversations":[{"from":"gpt"}]}`, `d.jsonl:1: message 1 (gpt): value is missing`, ""},
		{"task field", "superglue:rte", `{"premise":"a"}`, `task rte: d.jsonl:1: field "hypothesis" is missing; the record has "premise"`, ""},
		{"task label", "superglue:rte", `{"premise":"a","hypothesis":"b"}`, `d.jsonl:1: the question has no label`, "test files have no labels"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, "d.jsonl", c.text)
			_, err := Load([]Source{{Path: path, Type: c.typ}}, fake{bos: true}, Options{SequenceLen: 8, VocabSize: 512})
			if err == nil {
				t.Fatal("no error")
			}
			if got := strings.ReplaceAll(err.Error(), path, "d.jsonl"); got != c.want {
				t.Errorf("error %s\nwant  %s", got, c.want)
			}
			var h interface{ Hint() string }
			if c.hint != "" && (!errors.As(err, &h) || !strings.Contains(h.Hint(), c.hint)) {
				t.Errorf("hint lacks %q", c.hint)
			}
		})
	}
}

func TestLoadErrors(t *testing.T) {
	txt := write(t, "d.txt", "a")
	for _, c := range []struct {
		src  Source
		tok  Tokenizer
		want string
	}{
		{Source{Path: txt, Type: "alpaca"}, fake{}, "a .txt file cannot be of type alpaca"},
		{Source{Path: txt, Type: "text"}, nil, "type text needs the model's tokenizer"},
		{Source{Path: txt, Type: "text", Weight: -1}, fake{}, "weight -1 of 1 samples"},
		{Source{Path: txt + "x", Type: "text"}, fake{}, "no such file"},
		{Source{Path: txt, Type: "text", Weight: 0.1}, fake{}, ErrEmpty.Error()},
		{Source{Path: write(t, "l.txt", "a\nb\xe9"), Type: "text"}, fake{}, "l.txt:2: the text is not UTF-8"},
	} {
		if _, err := Load([]Source{c.src}, c.tok, Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %s", c.src, err, c.want)
		}
	}
	if _, err := Load(nil, nil, Options{}); !errors.Is(err, ErrEmpty) {
		t.Errorf("no source: %v", err)
	}
}

// FuzzFormats: any record of any type gives samples that keep the corpus's rules, or an error with a place.
func FuzzFormats(f *testing.F) {
	for i, s := range []string{
		`{"instruction":"a","input":"b","output":"c","history":[["x","y"]]}`, `{"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"}]}`,
		`{"messages":[{"role":"assistant","content":[{"type":"text","text":"a"}],"weight":0}]}`, `{"prompt":"a","completion":"b"}`, `{"text":"abc"}`,
		`{"segments":[{"text":"a","label":true},{"text":"","label":false}]}`, `{"input_ids":[1,2,3],"labels":[-100,2,9]}`,
		`{"premise":"a","hypothesis":"b","label":1}`,
	} {
		f.Add(uint8(i), uint8(5), true, s)
	}
	f.Fuzz(func(t *testing.T, which, length uint8, inputs bool, line string) {
		typ := Types[int(which)%len(Types)]
		if typ == "superglue:<task>" {
			typ = "superglue:" + tasks.Names()[int(length)%len(tasks.Names())]
		}
		e, err := newEncoder(fake{bos: true, pairs: true}, Options{SequenceLen: int(length), TrainOnInputs: inputs, VocabSize: 600})
		if err != nil {
			t.Fatal(err)
		}
		add, err := formatOf(typ)
		if err != nil {
			t.Fatal(err)
		}
		err = records.ReadJSON("f", strings.NewReader(line), func(r records.Record) error { return add(e, r) })
		var place *records.Error
		if err != nil && !errors.As(err, &place) {
			t.Fatalf("error without a place: %v", err)
		}
		for i := range e.out.len() {
			from, to := e.out.span(int32(i))
			if e.out.trained(from, from+1) > 0 || length > 0 && to-from > int(length) || to-from < 2 {
				t.Fatalf("sample %d: tokens %d to %d, first one learned: %v", i, from, to, e.out.trained(from, from+1) > 0)
			}
		}
	})
}

// TestAdviceShowsRecord: what is wrong with a record comes with what it should look like, for every type.
func TestAdviceShowsRecord(t *testing.T) {
	for _, name := range append(slices.Clone(Types[:len(Types)-1]), "superglue:rte") {
		path := filepath.Join(t.TempDir(), "bad.jsonl")
		if err := os.WriteFile(path, []byte("{\"nothing\": 1}\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Load([]Source{{Path: path, Type: name, Weight: 1}}, fake{}, Options{})
		advice := (interface{ Hint() string })(nil)
		if !errors.As(err, &advice) || !strings.Contains(advice.Hint(), "type "+name) {
			t.Errorf("%s: %v has the hint %v", name, err, advice)
		}
	}
}
