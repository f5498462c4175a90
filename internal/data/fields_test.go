package data

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lomo/internal/tokenizer"
)

// What is learned stands in brackets; see spell.
func TestFields(t *testing.T) {
	for _, c := range []struct {
		name, typ, text string
		want            string
	}{
		{"problem, solution", "prompt_completion", `{"problem":"Q","solution":"A","source":null,"id":7}`, "^Q[A$]"},
		{"query, response", "prompt_completion", `{"query":"Q","response":"A","type":"x"}`, "^Q[A$]"},
		{"prompt, response", "prompt_completion", `{"prompt":"Q","response":"A"}`, "^Q[A$]"},
		{"question, response", "prompt_completion", `{"question":"Q","response":"A","system_prompt":""}`, "^Q[A$]"},
		{"question, answer", "prompt_completion", `{"question":"Q","answer":"A"}`, "^Q[A$]"},
		{"instruction, response", "prompt_completion", `{"instruction":"Q","response":"A","category":"qa","context":""}`, "^Q[A$]"},
		{"instruction, output", "prompt_completion", `{"instruction":"Q","output":"A","input":""}`, "^Q[A$]"},
		{"prompt, completion and others", "prompt_completion", `{"prompt":"Q","completion":"A","answer":"B","question":"R"}`, "^Q[A$]"},
		{"nulls of a table", "prompt_completion", `{"prompt":"Q","completion":"A","tools":null,"images":[],"system":"","history":[]}`, "^Q[A$]"},
		{"whole weight", "prompt_completion", `{"prompt":"Q","completion":"A","weight":1,"train":true}`, "^Q[A$]"},
		{"dolly", "alpaca", `{"instruction":"I","context":"C","response":"R","category":"x"}`, "^" + alpacaLong + "I\n\n### Input:\nC\n\n### Response:[R$]"},
		{"instruction, response", "alpaca", `{"instruction":"I","response":"R"}`, "^" + alpacaShort + "I\n\n### Response:[R$]"},
		{"its own rendering beside it", "alpaca", `{"instruction":"I","input":"","output":"R","text":"all of it"}`, "^" + alpacaShort + "I\n\n### Response:[R$]"},
		{"input null", "alpaca", `{"instruction":"I","input":null,"output":"R","history":null,"system":null}`, "^" + alpacaShort + "I\n\n### Response:[R$]"},
		{"output empty, response", "alpaca", `{"instruction":"I","output":"","response":"R"}`, "^" + alpacaShort + "I\n\n### Response:[R$]"},
		{"history empty", "alpaca", `{"instruction":"I","output":"R","history":[]}`, "^" + alpacaShort + "I\n\n### Response:[R$]"},
		{"weight in a table", "prompt_completion", `{"prompt":"Q","completion":"A","weight":"1"}`, "^Q[A$]"},
		{"weight empty in a table", "prompt_completion", `{"prompt":"Q","completion":"A","weight":""}`, "^Q[A$]"},
		{"history empty in a table", "alpaca", `{"instruction":"I","output":"R","history":"","system":""}`, "^" + alpacaShort + "I\n\n### Response:[R$]"},
		{"history of a table", "alpaca", `{"instruction":"I","output":"R","history":"[[\"a\",\"b\"]]"}`, "^" + strings.TrimSuffix(alpacaShort, "\n\n### Instruction:\n") + "\n\n### Instruction:\na\n\n### Response:b\n\n### Instruction:\nI\n\n### Response:[R$]"},
		{"system_prompt", "alpaca", `{"instruction":"I","output":"R","system_prompt":"S"}`, "^S\n\n### Instruction:\nI\n\n### Response:[R$]"},
		{"messages of a table", "prompt_completion", `{"prompt":"[{\"role\":\"user\",\"content\":\"Q\"}]","completion":"[{\"role\":\"assistant\",\"content\":\"A\"}]"}`, "#uQ$#a[A$]"},
		{"a list of other objects", "prompt_completion", `{"prompt":"[{\"a\":1}]","completion":"[{\"b\":2}]"}`, `^[{"a":1}][[{"b":2}]$]`},
		{"an answer that is a list of messages", "prompt_completion", `{"prompt":"Q","completion":"[{\"role\":\"user\",\"content\":\"\"}]"}`, `^Q[[{"role":"user","content":""}]$]`},
		{"system beside messages of a prompt", "prompt_completion", `{"system":"S","prompt":[{"role":"user","content":"Q"}],"completion":[{"role":"assistant","content":"A"}]}`, "#sS$#uQ$#a[A$]"},
		{"a prompt's turn to learn", "prompt_completion", `{"prompt":[{"role":"user","content":"Q"},{"role":"assistant","content":"B","train":true}],"completion":[{"role":"assistant","content":"A"}]}`, "#uQ$#a[B$]#a[A$]"},
		{"training", "messages", `{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"B","training":false},{"role":"assistant","content":"A","trainable":true}]}`, "#uQ$#aB$#a[A$]"},
		{"system_message", "messages", `{"system_message":"S","messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]}`, "#sS$#uQ$#a[A$]"},
		{"systems that agree", "messages", `{"system":"S","system_prompt":"S","messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]}`, "#sS$#uQ$#a[A$]"},
		{"content", "text", `{"content":"ab"}`, "^[ab$]"},
		{"text and others", "text", `{"text":"ab","url":"x","meta":{"a":1,"b":null},"score":0.5}`, "^[ab$]"},
		{"attention_mask, padding behind", "tokenized", `{"input_ids":[107,108,109,0,0],"attention_mask":[1,1,1,0,0]}`, "a[bc]"},
		{"attention_mask, padding before", "tokenized", `{"input_ids":[0,0,107,108,109],"labels":[-100,-100,-100,108,109],"attention_mask":[0,0,1,1,1]}`, "a[bc]"},
		{"attention_mask of truth values", "tokenized", `{"input_ids":[107,108,0],"attention_mask":[true,true,false]}`, "a[b]"},
		{"position_ids", "tokenized", `{"input_ids":[107,108,109],"position_ids":[0,1,2],"token_type_ids":[0,0,0]}`, "a[bc]"},
		{"position_ids before padding", "tokenized", `{"input_ids":[0,107,108],"attention_mask":[0,1,1],"position_ids":[1,0,1]}`, "a[b]"},
		{"completion_mask", "tokenized", `{"input_ids":[107,108,109,110],"completion_mask":[0,0,1,1]}`, "ab[cd]"},
		{"assistant_masks", "tokenized", `{"input_ids":[107,108,109,110],"assistant_masks":[0,1,0,1]}`, "a[b]c[d]"},
		{"masks and labels", "tokenized", `{"input_ids":[107,108,109,110],"labels":[107,108,-100,110],"completion_mask":[0,1,1,1],"assistant_masks":[1,1,1,0]}`, "a[b]cd"},
		{"lists that are no masks", "tokenized", `{"input_ids":[107,108],"tokens":["a","b"],"special_tokens_mask":[0,0],"scores":[1],"offset_mapping":[[0,1],[1,2]]}`, "a[b]"},
		{"lengths of one document", "tokenized", `{"input_ids":[107,108],"seq_lengths":[2],"length":2}`, "a[b]"},
	} {
		t.Run(c.typ+", "+c.name, func(t *testing.T) {
			d := load(t, write(t, "d.jsonl", c.text), c.typ, Options{})
			if got := spell(d.Example(0)); got != c.want || d.Len() != 1 {
				t.Errorf("%d samples, got %s, want %s", d.Len(), got, c.want)
			}
		})
	}
}

// TestFieldErrors: a field that would change what is learned is refused by its name and in its line, with a way out.
func TestFieldErrors(t *testing.T) {
	for _, c := range []struct{ name, typ, text, want, hint string }{
		{"label null", "tokenized", `{"input_ids":[5,6,7,8],"labels":[5,6,7,null]}`, `labels[3]: null found, want integer`, ""},
		{"id null", "tokenized", `{"input_ids":[5,null,7]}`, `input_ids[1]: null found, want integer`, ""},
		{"mask null", "tokenized", `{"input_ids":[5,6],"attention_mask":[1,null]}`, `attention_mask[1]: null found, want integer`, ""},
		{"id of 64 bits", "tokenized", `{"input_ids":[5,3000000000]}`, `input_ids[1]: number 3000000000 found, want integer from -2147483648 to 2147483647`, ""},
		{"id with a point", "tokenized", `{"input_ids":[5,6.0]}`, `input_ids[1]: number 6.0 found, want integer`, ""},
		{"id with an exponent", "tokenized", `{"input_ids":[5,1e2]}`, `input_ids[1]: number 1e2 found, want integer`, ""},
		{"id in a string", "tokenized", `{"input_ids":[5,"6"]}`, `input_ids[1]: string found, want integer`, ""},
		{"ids of a batch", "tokenized", `{"input_ids":[[5,6]]}`, `input_ids[0]: list found, want integer`, ""},
		{"ids null", "tokenized", `{"input_ids":null}`, `field "input_ids" is null`, ""},
		{"mask between", "tokenized", `{"input_ids":[5,6,7],"attention_mask":[1,0,1]}`, `attention_mask[1] is 0 between tokens that are attended to`, "leave those tokens out"},
		{"mask numbers documents", "tokenized", `{"input_ids":[5,6,7],"attention_mask":[1,2,2]}`, `attention_mask[1] is 2`, "packing: true packs them again"},
		{"mask of two dimensions", "tokenized", `{"input_ids":[5,6],"attention_mask":[[1,0],[1,1]]}`, `attention_mask[0]: list found, want integer`, ""},
		{"mask too short", "tokenized", `{"input_ids":[5,6,7],"completion_mask":[0,1]}`, `completion_mask has 2 entries, input_ids has 3`, ""},
		{"completion_mask of other numbers", "tokenized", `{"input_ids":[5,6,7],"completion_mask":[0,1,5]}`, `completion_mask[2] is 5`, "0 and 1"},
		{"positions of packed documents", "tokenized", `{"input_ids":[5,6,7,8],"position_ids":[0,1,0,1]}`, `position_ids[2] is 0, want 2`, "records of their own"},
		{"positions from 1", "tokenized", `{"input_ids":[5,6],"position_ids":[1,2]}`, `position_ids[0] is 1, want 0`, ""},
		{"positions too many", "tokenized", `{"input_ids":[5,6],"position_ids":[0,1,2]}`, `position_ids has 3 entries, input_ids has 2`, ""},
		{"token types", "tokenized", `{"input_ids":[5,6],"token_type_ids":[0,1]}`, `token_type_ids[1] is 1`, "one type"},
		{"lengths of documents", "tokenized", `{"input_ids":[5,6,7],"seq_lengths":[1,2]}`, `field "seq_lengths": 2 documents in one record`, "records of their own"},
		{"loss weights", "tokenized", `{"input_ids":[5,6],"loss_weights":[0.5,1]}`, `field "loss_weights": losses are not weighted`, ""},
		{"preferences", "prompt_completion", `{"prompt":"Q","chosen":"A","rejected":"B"}`, `field "chosen": preferences are not trained`, ""},
		{"preferences by label", "prompt_completion", `{"prompt":"Q","completion":"A","label":false}`, `field "label": false, a preference, and preferences are not trained`, "without label"},
		{"a mask of another name", "tokenized", `{"input_ids":[5,6,7],"mask":[0,1,1]}`, `field "mask": a value for each token, of a name that means nothing here`, "labels, completion_mask"},
		{"label for labels", "tokenized", `{"input_ids":[5,6,7],"label":[5,6,7]}`, `field "label": a value for each token, of a name that means nothing here`, ""},
		{"weights of tokens", "tokenized", `{"input_ids":[5,6,7],"w":[0.5,1,1]}`, `field "w": a value for each token, of a name that means nothing here`, ""},
		{"preferences beside", "prompt_completion", `{"prompt":"Q","completion":"A","chosen":"A","rejected":"B"}`, `field "chosen": preferences are not trained`, "keep the answer"},
		{"preferences of alpaca", "alpaca", `{"instruction":"Q","output":"A","rejected":"B"}`, `field "rejected": preferences are not trained`, ""},
		{"images", "alpaca", `{"instruction":"Q","output":"A","images":["x"]}`, `field "images": only text can be learned`, ""},
		{"tools", "alpaca", `{"instruction":"Q","output":"A","tools":"[{}]"}`, `field "tools": it goes to a chat template, which this type does not use`, "messages"},
		{"system", "prompt_completion", `{"system":"S","prompt":"Q","completion":"A"}`, `field "system": this type has no place for it`, "messages, or alpaca"},
		{"history", "prompt_completion", `{"history":[["a","b"]],"prompt":"Q","completion":"A"}`, `field "history": this type has no place for it`, ""},
		{"context", "prompt_completion", `{"question":"Q","context":"C","answer":"A"}`, `field "context": this type has no place for it`, ""},
		{"two answers", "prompt_completion", `{"question":"Q","answer":"A","solution":"S"}`, `fields "answer" and "solution": either could be the completion`, "call the one to take completion"},
		{"two prompts", "prompt_completion", `{"question":"Q","problem":"P","answer":"A"}`, `fields "question" and "problem": either could be the prompt`, ""},
		{"alpaca of another type", "prompt_completion", `{"instruction":"I","input":"X","output":"A"}`, `fields "input" and "instruction": either could be the prompt`, "type alpaca"},
		{"input and context", "alpaca", `{"instruction":"I","input":"X","context":"C","output":"A"}`, `fields "input" and "context": either could be the input`, "leave one of them out"},
		{"output and response", "alpaca", `{"instruction":"I","output":"A","response":"B"}`, `fields "output" and "response": either could be the output`, ""},
		{"query", "alpaca", `{"instruction":"I","query":"Q","output":"A"}`, `field "query" beside instruction: type alpaca has no place for it`, "called input"},
		{"history of bad JSON", "alpaca", `{"instruction":"I","output":"A","history":"[[1"}`, `history[0]: the end of the text found in a list, want a comma or its end`, ""},
		{"system_prompt beside texts", "prompt_completion", `{"system_prompt":"S","question":"Q","response":"A"}`, `field "system_prompt": this type has no place for it`, "messages, or alpaca"},
		{"reasoning beside an answer", "prompt_completion", `{"question":"Q","reasoning":"R","answer":"A"}`, `field "reasoning": reasoning beside the answer is not learned`, "into the answer"},
		{"kto_tag", "alpaca", `{"instruction":"I","output":"A","kto_tag":true}`, `field "kto_tag": preferences are not trained`, ""},
		{"labels shifted", "tokenized", `{"input_ids":[5,6,7,8],"labels":[-100,7,8,-100]}`, `labels are shifted: labels[i] is input_ids[i+1]`, "unshifted"},
		{"a segment's weight", "segments", `{"segments":[{"text":"a","label":true,"weight":2}]}`, `segment 1: train or weight beside label`, "losses are not weighted"},
		{"history null within", "alpaca", `{"instruction":"I","output":"A","history":[["a",null]]}`, `history[0][1]: null found, want string`, ""},
		{"history as text", "alpaca", `{"instruction":"I","output":"A","history":"a"}`, `field "history": string found, want list`, ""},
		{"output null", "alpaca", `{"instruction":"I","output":null}`, `field "output" is null`, ""},
		{"output a list", "alpaca", `{"instruction":"I","output":["A"]}`, `field "output": list found, want string`, ""},
		{"Output", "alpaca", `{"instruction":"I","Output":"A"}`, `field "output" is missing; the record has "Output", "instruction"`, ""},
		{"output twice", "alpaca", `{"instruction":"I","output":"A","output":"B"}`, `"output" stands twice in an object`, ""},
		{"weight", "alpaca", `{"instruction":"I","output":"A","weight":0.5}`, `field "weight": 0.5, a record has no weight of its own`, "data set"},
		{"train", "prompt_completion", `{"prompt":"I","completion":"A","train":false}`, `field "train": false, a record that is not to be trained`, "leave it out"},
		{"segments null", "segments", `{"segments":[{"text":"a","label":true},null]}`, `segments[1]: null found, want object`, ""},
		{"segments, Label", "segments", `{"segments":[{"text":"a","Label":true}]}`, `segment 1: text or label is missing`, ""},
		{"segments, label 1", "segments", `{"segments":[{"text":"a","label":1}]}`, `segments[0].label: number 1 found, want true or false`, ""},
		{"text a list", "text", `{"text":["a"]}`, `field "text": list found, want string`, ""},
		{"text and content", "text", `{"text":"a","content":"b"}`, `fields "text" and "content": either could be the text`, ""},
	} {
		t.Run(c.typ+", "+c.name, func(t *testing.T) {
			path := write(t, "d.jsonl", "\n\n"+c.text)
			_, err := Load([]Source{{Path: path, Type: c.typ}}, fake{}, Options{VocabSize: 512})
			if err == nil {
				t.Fatal("no error")
			}
			got := strings.ReplaceAll(err.Error(), path, "d.jsonl")
			if !strings.HasPrefix(got, "d.jsonl:3: ") || !strings.HasSuffix(got, c.want) {
				t.Errorf("error %s\nwant  d.jsonl:3: %s", got, c.want)
			}
			var h interface{ Hint() string }
			if !errors.As(err, &h) || h.Hint() == "" || !strings.Contains(h.Hint(), c.hint) {
				t.Errorf("hint of %q lacks %q", got, c.hint)
			}
		})
	}
}

// TestNotes: what is not taken as it stands is counted, with its first place.
func TestNotes(t *testing.T) {
	for _, c := range []struct {
		name, typ, text string
		o               Options
		want            []string
	}{
		{"nothing", "prompt_completion", `{"prompt":"Q","completion":"A"}`, Options{}, nil},
		{"cut", "prompt_completion", `{"prompt":"Q","completion":"A"}` + "\n" + `{"prompt":"Q","completion":"ABCDE"}` + "\n" + `{"prompt":"Q","completion":"ABCDE"}`, Options{SequenceLen: 4},
			[]string{"samples cut to sequence_len 4: 2 (the first: d:2); raise sequence_len to keep them whole"}},
		{"cut away", "prompt_completion", `{"prompt":"QQQQQQ","completion":"A"}` + "\n" + `{"prompt":"Q","completion":"A"}`, Options{SequenceLen: 4},
			[]string{"samples left out: what is learned lies behind sequence_len 4: 1 (the first: d:1); raise sequence_len"}},
		{"nothing learned", "tokenized", `{"input_ids":[5,6],"labels":[-100,-100]}` + "\n" + `{"input_ids":[5]}` + "\n" + `{"input_ids":[5,6]}`, Options{},
			[]string{"samples left out: no token is learned: 2 (the first: d:1)"}},
		{"padding", "tokenized", `{"input_ids":[5,6]}` + "\n" + `{"input_ids":[5,6,0],"attention_mask":[1,1,0]}`, Options{},
			[]string{"tokenized records whose padding was cut: 1 (the first: d:2)"}},
		{"empty answer", "prompt_completion", `{"prompt":"Q","completion":""}`, Options{}, []string{"records with an empty answer: only its end is learned: 1 (the first: d:1)"}},
		{"empty turn", "messages", `{"messages":[{"role":"user","content":""},{"role":"assistant","content":" "}]}`, Options{}, []string{"learned turns that are empty: only their end is learned: 1 (the first: d:1)"}},
		{"nobody to learn", "messages", `{"messages":[{"role":"user","content":"Q"}]}` + "\n" + `{"messages":[{"role":"assistant","content":"A"}]}`, Options{},
			[]string{"samples left out: no token is learned: 1 (the first: d:1)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, "d.jsonl", c.text)
			d := load(t, path, c.typ, c.o)
			var got []string
			for _, n := range d.Notes() {
				got = append(got, strings.ReplaceAll(n.String(), path, "d"))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("notes (-want +got):\n%s", diff)
			}
			if first := d.First(1).Notes(); len(first) != len(d.Notes()) {
				t.Errorf("the first sample has notes %v", first)
			}
		})
	}
}

// TestUnread: fields that nobody reads are named, once, with a count and the first place; what is in every file is not.
func TestUnread(t *testing.T) {
	for _, c := range []struct{ name, typ, text, want string }{
		{"of records", "prompt_completion", `{"prompt":"Q","completion":"A"}` + "\n" + `{"prompt":"Q","completion":"A","cot":"C","suffix":"S"}` + "\n" + `{"prompt":"Q","completion":"A","cot":"D"}`,
			`records with fields that are not read: "cot", "suffix": 2 (the first: d.jsonl:2)`},
		{"of alpaca", "alpaca", `{"instruction":"I","output":"A","text":"all","Input":"X"}`, `records with fields that are not read: "Input": 1 (the first: d.jsonl:1)`},
		{"of chats", "messages", `{"conversations":[{"from":"human","value":"R"}],"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]}`,
			`records with fields that are not read: "conversations": 1 (the first: d.jsonl:1)`},
		{"of chats, but what messages say", "messages", `{"prompt":"Q","note":"N","messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]}`,
			`records with fields that are not read: "note": 1 (the first: d.jsonl:1)`},
		{"of tokens", "tokenized", `{"input_ids":[5,6],"prompt_length":1,"length":2}`, `records with fields that are not read: "prompt_length": 1 (the first: d.jsonl:1)`},
		{"of a control character", "text", `{"text":"ab","\u001b[31m":1}`, `records with fields that are not read: "\x1b[31m": 1 (the first: d.jsonl:1)`},
		{"harmless", "text", `{"text":"ab","id":1,"source":"x","meta":{"a":1},"empty":"","none":null}`, ""},
		{"a role nobody named", "messages", `{"messages":[{"role":"narrator","content":"N"},{"role":"user","content":"Q"},{"role":"assistant","content":"A"},{"role":"developer","content":"D"}]}`,
			`messages of role "narrator", which roles_to_train does not name: not learned: 1 (the first: d.jsonl:1)`},
		{"a role of a number", "messages", `{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"A"},{"role":"assistant_2","content":"B"}]}`,
			`messages of role "assistant_2", which roles_to_train does not name: not learned: 1 (the first: d.jsonl:1)`},
		{"a misspelt role that is not learned", "messages", `{"messages":[{"role":"sytem","content":"S"},{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]}`,
			`messages of role "sytem", which roles_to_train does not name: not learned: 1 (the first: d.jsonl:1); did you mean "system"?`},
		{"labels of other tokens", "tokenized", `{"input_ids":[5,6,7],"labels":[-100,9,7]}`, `records with labels that are not their tokens: the labels are learned: 1 (the first: d.jsonl:1)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, "d.jsonl", c.text)
			var got []string
			for _, n := range load(t, path, c.typ, Options{}).Notes() {
				got = append(got, strings.ReplaceAll(n.String(), path, "d.jsonl"))
			}
			if strings.Join(got, "\n") != c.want {
				t.Errorf("notes %q, want %q", got, c.want)
			}
		})
	}
}

// TestUnreadOfMessages: fields of messages that the chat template names are read.
func TestUnreadOfMessages(t *testing.T) {
	record := `{"messages":[{"role":"user","content":"Q","mood":"M"},{"role":"assistant","content":"A","voice":"V","id":"1"}]}`
	for template, want := range map[string]string{
		"chatml": `records with fields of messages that neither lomo nor the chat template reads: "mood", "voice": 1`,
		"{% for m in messages %}{{ m.role }}:{{ m.content }}{{ m.voice }}\n{% endfor %}":                `records with fields of messages that neither lomo nor the chat template reads: "mood": 1`,
		"{% for m in messages %}{{ m.role }}:{{ m.mood }}{{ m.content }}{{ m['voice'] }}\n{% endfor %}": "",
	} {
		d, err := Load([]Source{{Path: write(t, "d.jsonl", record), Type: "messages"}}, tokenizer.NewByteLevel(), Options{ChatTemplate: template})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, n := range d.Notes() {
			if strings.Contains(n.What, "fields of messages") {
				got, _, _ = strings.Cut(n.String(), " (")
			}
		}
		if got != want {
			t.Errorf("%s: note %q, want %q", template, got, want)
		}
	}
}

// TestNullContent: a template that adds the content of a call to a text takes null for an empty one.
func TestNullContent(t *testing.T) {
	template := "{% for m in messages %}[{{ m.role }}]{{ '' + m.content }}{% for c in m.tool_calls %}<{{ c.function.name }}>{% endfor %}{% endfor %}"
	for _, content := range []string{`"content":null,`, ``, `"content":"",`} {
		record := `{"messages":[{"role":"user","content":"Q"},{"role":"assistant",` + content + `"tool_calls":[{"type":"function","function":{"name":"f","arguments":{}}}]},{"role":"tool","content":"R"},{"role":"assistant","content":"A"}]}`
		tok := tokenizer.NewByteLevel()
		d, err := Load([]Source{{Path: write(t, "d.jsonl", record), Type: "messages"}}, tok, Options{ChatTemplate: template})
		if err != nil {
			t.Fatalf("%s: %v", content, err)
		}
		text, learned := spelled(tok, d.Example(0))
		if text != "[user]Q[assistant]<f>[tool]R[assistant]A" || len(learned) != 2 || !strings.HasPrefix(learned[0], "<f>") {
			t.Errorf("%s: text %q, learned %q", content, text, learned)
		}
	}
}

// TestNone: a template that asks whether the content is none is given none.
func TestNone(t *testing.T) {
	template := "{% for m in messages %}[{{ m.role }}]{% if m.content is none %}<{{ m.tool_calls[0].function.name }}>{% else %}{{ '' + m.content }}{% endif %}{% endfor %}"
	record := `{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":null,"tool_calls":[{"type":"function","function":{"name":"f","arguments":{}}}]}]}`
	tok := tokenizer.NewByteLevel()
	d, err := Load([]Source{{Path: write(t, "d.jsonl", record), Type: "messages"}}, tok, Options{ChatTemplate: template})
	if err != nil {
		t.Fatal(err)
	}
	if text, learned := spelled(tok, d.Example(0)); text != "[user]Q[assistant]<f>" || len(learned) != 1 || learned[0] != "<f>" {
		t.Errorf("text %q, learned %q", text, learned)
	}
}

// TestNothingLeft: where no sample is left, the error says what became of most of them.
func TestNothingLeft(t *testing.T) {
	for _, c := range []struct{ name, typ, text, want string }{
		{"behind the end", "prompt_completion", `{"prompt":"0123456789","completion":"A"}`, "1 samples left out: what is learned lies behind sequence_len 8: raise sequence_len"},
		{"no role", "messages", `{"messages":[{"role":"user","content":"Q"}]}`, "1 samples left out: no token is learned; see roles_to_train"},
		{"both", "prompt_completion", `{"prompt":"0123456789","completion":"A"}` + "\n" + `{"prompt":"0123456789","completion":"B"}`, "2 samples left out: what is learned lies behind sequence_len 8: raise sequence_len"},
		{"labels", "tokenized", `{"input_ids":[5,6],"labels":[-100,-100]}`, "1 samples left out: no token is learned; a label of -100 is not learned"},
		{"no record", "tokenized", "", "the files hold no record"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load([]Source{{Path: write(t, "d.jsonl", c.text), Type: c.typ}}, fake{}, Options{VocabSize: 512, SequenceLen: 8})
			var h interface{ Hint() string }
			if !errors.Is(err, ErrEmpty) || !errors.As(err, &h) || h.Hint() != c.want {
				t.Errorf("error %v, hint %q, want %q", err, h.Hint(), c.want)
			}
		})
	}
}

// TestShortened: what the template leaves out of a message, as Qwen3's does of earlier reasoning, is counted.
func TestShortened(t *testing.T) {
	template := "{% for m in messages %}[{{ m.role }}]{% if m.reasoning_content and loop.last %}<{{ m.reasoning_content }}>{% endif %}{{ m.content.split('</think>')[-1] | trim | upper }}{% endfor %}"
	message := func(role, content, more string) string {
		return `{"role":"` + role + `","content":"` + content + `"` + more + `}`
	}
	for _, c := range []struct {
		name, messages string
		want           int
	}{
		{"plain", message("user", "Q", "") + "," + message("assistant", "A", ""), 0},
		{"white space", message("user", ` Q\n`, "") + "," + message("assistant", `\n\n A b`, ""), 0},
		{"reasoning of the last", message("user", "Q", "") + "," + message("assistant", "A", `,"reasoning_content":"R"`), 0},
		{"reasoning of an earlier one", message("assistant", "A", `,"reasoning_content":"R"`) + "," + message("user", "Q", "") + "," + message("assistant", "A", `,"reasoning_content":"R"`), 1},
		{"reasoning within the content", message("user", "Q", "") + "," + message("assistant", `<think>R</think>A`, ""), 1},
		{"two", message("user", "a</think>Q", "") + "," + message("assistant", `<think>R</think>A`, ""), 2},
	} {
		d, err := Load([]Source{{Path: write(t, "d.jsonl", `{"messages":[`+c.messages+`]}`), Type: "messages"}}, tokenizer.NewByteLevel(), Options{ChatTemplate: template})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		got := 0
		for _, n := range d.Notes() {
			if strings.Contains(n.What, "leaves out a part") {
				got += n.Count
			}
		}
		if got != c.want {
			t.Errorf("%s: %d messages, want %d", c.name, got, c.want)
		}
	}
}

// TestWeightOfNone: a weight that takes no sample is told, with one that takes some.
func TestWeightOfNone(t *testing.T) {
	for n, want := range map[int]string{
		1:  "weight: 0.001 takes none of the 1 that were read; 1 takes one",
		10: "weight: 0.001 takes none of the 10 that were read; 0.1 takes one",
		60: "weight: 0.001 takes none of the 60 that were read; 0.02 takes one",
	} {
		path := write(t, "d.jsonl", strings.Repeat(`{"input_ids":[5,6,7]}`+"\n", n))
		_, err := Load([]Source{{Path: path, Type: "tokenized", Weight: 0.001}}, nil, Options{})
		var h interface{ Hint() string }
		if !errors.Is(err, ErrEmpty) || !errors.As(err, &h) || h.Hint() != want {
			t.Errorf("%d: error %v, want the hint %q", n, err, want)
		}
		weight := strings.TrimSuffix(want[strings.LastIndex(want, "; ")+2:], " takes one")
		w, err := strconv.ParseFloat(weight, 64)
		if err != nil {
			t.Fatal(err)
		}
		if d, err := Load([]Source{{Path: path, Type: "tokenized", Weight: w}}, nil, Options{}); err != nil || d.Len() == 0 {
			t.Errorf("%d: weight %v: %v", n, w, err)
		}
	}
}

// TestRolesThatNobodyHas: where roles_to_train names no role of the messages, the error says which they have.
func TestRolesThatNobodyHas(t *testing.T) {
	path := write(t, "d.jsonl", `{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]}`)
	for roles, want := range map[string]string{
		"assistent":     `no message has a role of roles_to_train: [assistent]; they have assistant, user; did you mean "assistant"?`,
		"Assistant":     `no message has a role of roles_to_train: [Assistant]; they have assistant, user; did you mean "assistant"?`,
		"asistant, usr": `no message has a role of roles_to_train: [asistant, usr]; they have assistant, user; did you mean "assistant"?`,
		"narrator":      `no message has a role of roles_to_train: [narrator]; they have assistant, user`,
	} {
		_, err := Load([]Source{{Path: path, Type: "messages"}}, fake{}, Options{RolesToTrain: strings.Split(roles, ", ")})
		var h interface{ Hint() string }
		if !errors.Is(err, ErrEmpty) || !errors.As(err, &h) || h.Hint() != want {
			t.Errorf("%s: error %v, hint %q, want %q", roles, err, h.Hint(), want)
		}
	}
}

// TestUnusedSettings: roles_to_train may use ShareGPT's names; a role that no message has, and a template that no record goes through, are told.
func TestUnusedSettings(t *testing.T) {
	const chat, alpaca = `{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]}`, `{"instruction":"I","output":"A"}`
	for _, c := range []struct {
		name, typ, text string
		o               Options
		trained         int
		want            string
	}{
		{"assistant", "messages", chat, Options{RolesToTrain: []string{"assistant"}}, 2, ""},
		{"gpt", "messages", chat, Options{RolesToTrain: []string{"gpt"}}, 2, ""},
		{"human and gpt", "messages", chat, Options{RolesToTrain: []string{"human", "gpt"}}, 4, ""},
		{"a misspelt role", "messages", chat, Options{RolesToTrain: []string{"assistant", "usr"}}, 2, `roles_to_train names "usr", a role that no message has: 1; they have assistant, user; did you mean "user"?`},
		{"a role of other letters", "messages", chat, Options{RolesToTrain: []string{"assistant", "User"}}, 2, `roles_to_train names "User", a role that no message has: 1; they have assistant, user; did you mean "user"?`},
		{"a role of another world", "messages", chat, Options{RolesToTrain: []string{"assistant", "narrator"}}, 2, `roles_to_train names "narrator", a role that no message has: 1; they have assistant, user`},
		{"roles of no chat", "alpaca", alpaca, Options{RolesToTrain: []string{"assistant"}}, 2, ""},
		{"a template of no chat", "alpaca", alpaca, Options{ChatTemplate: "chatml"}, 2,
			`samples that do not go through chat_template, as their type writes its own prompt or none: 1 (the first: d.jsonl); write the records as type messages to learn with it`},
		{"the tokenizer's", "alpaca", alpaca, Options{ChatTemplate: "tokenizer"}, 2, ""},
		{"a template", "messages", chat, Options{ChatTemplate: "chatml"}, 2, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, "d.jsonl", c.text)
			d := load(t, path, c.typ, c.o)
			var got []string
			for _, n := range d.Notes() {
				got = append(got, strings.ReplaceAll(n.String(), path, "d.jsonl"))
			}
			if strings.Join(got, "\n") != c.want || d.Stats().Trained != c.trained {
				t.Errorf("%d learned, notes %q, want %d and %q", d.Stats().Trained, got, c.trained, c.want)
			}
		})
	}
}

// TestOwnBOS: a text that begins with bos, as those that a chat template made, gets no second one; that is told.
func TestOwnBOS(t *testing.T) {
	for _, c := range []struct{ name, typ, text, want, note string }{
		{"prompt", "prompt_completion", `{"prompt":"\u0001Q","completion":"A\u0000"}`, "^Q[A$]", "1"},
		{"text", "text", `{"text":"\u0001ab"}`, "^[ab$]", "1"},
		{"bos later", "text", `{"text":"a\u0001b"}`, "^[a^b$]", ""},
		{"completion", "prompt_completion", `{"prompt":"","completion":"\u0001A"}`, "^[A$]", "1"},
		{"alpaca", "alpaca", `{"instruction":"I","output":"\u0001R"}`, "^" + alpacaShort + "I\n\n### Response:[^R$]", ""},
		{"segments are as they are", "segments", `{"segments":[{"text":"\u0001\u0001a","label":false},{"text":"b","label":true}]}`, "^^a[b]", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := load(t, write(t, "d.jsonl", c.text), c.typ, Options{})
			if got := spell(d.Example(0)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			note := ""
			for _, n := range d.Notes() {
				if strings.Contains(n.What, "begin with bos") {
					note = strconv.Itoa(n.Count)
				}
			}
			if note != c.note {
				t.Errorf("noted %q times, want %q", note, c.note)
			}
		})
	}
}

// TestBrokenCalls: arguments that are no JSON, which a model would learn to write, are counted.
func TestBrokenCalls(t *testing.T) {
	template := "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% for c in m.tool_calls %}<{{ (c.function or c).name }} {{ (c.function or c).arguments }}>{% endfor %}{% endfor %}"
	for calls, want := range map[string]int{
		`[{"name":"f","arguments":{"a":1}}]`:                                       0,
		`[{"function":{"name":"f","arguments":"{\"a\": 1}"}}]`:                     0,
		`[{"function":{"name":"f","arguments":"[1]"}}]`:                            0,
		`[{"function":{"name":"f","arguments":""}}]`:                               1,
		`[{"name":"f","arguments":"a=1"}]`:                                         1,
		`[{"name":"f","arguments":"{'a': 1}"},{"name":"g","arguments":"{\"a\":"}]`: 2,
		`"[{\"name\": \"f\", \"arguments\": \"x\"}]"`:                              1,
		`[{"name":"f","arguments":"{\"a\": 1, \"a\": 2}"}]`:                        1,
	} {
		record := `{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"","tool_calls":` + calls + `}]}`
		d, err := Load([]Source{{Path: write(t, "d.jsonl", record), Type: "messages"}}, tokenizer.NewByteLevel(), Options{ChatTemplate: template})
		if err != nil {
			t.Fatalf("%s: %v", calls, err)
		}
		got := 0
		for _, n := range d.Notes() {
			if strings.Contains(n.What, "no JSON") {
				got += n.Count
			}
		}
		if got != want {
			t.Errorf("%s: %d calls, want %d", calls, got, want)
		}
	}
}

// TestEdges: a token across the edge of prompt and answer, and an answer that no token ends, are told.
func TestEdges(t *testing.T) {
	const across, endless = "samples with a token of the end", "answers without a token that ends them"
	for _, c := range []struct {
		name, typ, text string
		tok             fake
		o               Options
		want            string // the beginnings of the notes
	}{
		{"the answer begins with the space", "prompt_completion", `{"prompt":"Q:","completion":" A"}`, fake{pairs: true}, Options{}, ""},
		{"the prompt ends with the space", "prompt_completion", `{"prompt":"Q: ","completion":"A"}`, fake{pairs: true}, Options{}, across},
		{"a line end", "prompt_completion", `{"prompt":"Q\n","completion":"A"}`, fake{lines: true}, Options{}, across},
		{"no pairs", "prompt_completion", `{"prompt":"Q: ","completion":"A"}`, fake{}, Options{}, ""},
		{"all is learned", "prompt_completion", `{"prompt":"Q: ","completion":"A"}`, fake{pairs: true}, Options{TrainOnInputs: true}, ""},
		{"segments", "segments", `{"segments":[{"text":"Q ","label":false},{"text":"A","label":true}]}`, fake{pairs: true}, Options{}, across},
		{"segments, learned first", "segments", `{"segments":[{"text":"Q ","label":true},{"text":"A","label":false}]}`, fake{pairs: true}, Options{}, ""},
		{"no eos", "prompt_completion", `{"prompt":"Q","completion":"AB"}`, fake{endless: true}, Options{}, endless},
		{"no eos wanted", "prompt_completion", `{"prompt":"Q","completion":"AB"}`, fake{endless: true}, Options{TrainOnEOS: "none"}, ""},
		{"no eos, alpaca", "alpaca", `{"instruction":"Q","output":"AB"}`, fake{endless: true}, Options{}, endless},
		{"no eos, text", "text", `{"text":"AB"}`, fake{endless: true}, Options{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := Load([]Source{{Path: write(t, "d.jsonl", c.text), Type: c.typ}}, c.tok, c.o)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, n := range d.Notes() {
				got = append(got, n.What)
			}
			if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], c.want)) {
				t.Errorf("notes %q, want one that begins %q", got, c.want)
			}
		})
	}
}
