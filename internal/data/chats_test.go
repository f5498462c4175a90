package data

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lomo/internal/tokenizer"
)

type chatsGolden struct {
	Templates map[string]string
	Cases     []struct {
		Name, Type, Template, Record, Text string
		Learned                            []string
	}
}

func readChats(t testing.TB) (g chatsGolden) {
	t.Helper()
	raw, err := os.ReadFile("testdata/chats.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// TestChats: records of conversations give the text and learn the parts that transformers' apply_chat_template gives and marks;
// scripts/golden/data_chats.py asked it.
func TestChats(t *testing.T) {
	g := readChats(t)
	tok := tokenizer.NewByteLevel()
	if len(g.Cases) < 30 {
		t.Fatalf("%d cases", len(g.Cases))
	}
	for _, c := range g.Cases {
		t.Run(c.Name, func(t *testing.T) {
			d, err := Load([]Source{{Path: write(t, "d.jsonl", c.Record), Type: c.Type}}, tok, Options{ChatTemplate: g.Templates[c.Template]})
			if err != nil {
				t.Fatal(err)
			}
			text, learned := spelled(tok, d.Example(0))
			if diff := cmp.Diff(c.Text, text); diff != "" {
				t.Errorf("text (-transformers +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.Learned, learned); diff != "" {
				t.Errorf("learned (-transformers +got):\n%s", diff)
			}
			if n := d.Notes(); len(n) > 0 && c.Name != "empty answer" {
				t.Errorf("notes %v", n)
			}
		})
	}
}

// spelled is the text of a sample, and its learned parts.
func spelled(tok *tokenizer.Tokenizer, e Example) (string, []string) {
	var parts [][]int32
	for i, id := range e.IDs {
		if e.Labels[i] == ignored {
			continue
		}
		if i == 0 || e.Labels[i-1] == ignored {
			parts = append(parts, nil)
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], id)
	}
	var texts []string
	for _, p := range parts {
		texts = append(texts, tok.Decode(p, false))
	}
	return tok.Decode(e.IDs, false), texts
}

// TestChatErrors: what a record of a conversation says and no template could be told is refused, in its line and by its name.
// TestMarksOfMessages: what a message says of itself wins over its role, but for a weight of 1, which every message has that says nothing.
func TestMarksOfMessages(t *testing.T) {
	const template = "{% for m in messages %}[{{ m.content }}]{% endfor %}"
	for marks, want := range map[string][]string{
		`|`:                            {"A"},
		`"weight":1|"weight":1`:        {"A"},
		`"weight":1.0|"weight":0`:      nil,
		`"train":true|`:                {"Q", "A"},
		`"train":1|"weight":0.0`:       {"Q"},
		`"loss":true|"loss":false`:     {"Q"},
		`"weight":1,"train":true|`:     {"Q", "A"},
		`"train":0,"trainable":false|`: {"A"},
		`"weight":0|"weight":1`:        {"A"},
		`"trainable":false|"loss":1`:   {"A"},
	} {
		of := func(mark string) string {
			if mark == "" {
				return ""
			}
			return "," + mark
		}
		user, assistant, _ := strings.Cut(marks, "|")
		record := `{"messages":[{"role":"user","content":"Q"` + of(user) + `},{"role":"assistant","content":"A"` + of(assistant) + `}]}`
		d, err := Load([]Source{{Path: write(t, "d.jsonl", record), Type: "messages"}}, tokenizer.NewByteLevel(), Options{ChatTemplate: template, TrainOnEOS: "none"})
		if want == nil {
			if !errors.Is(err, ErrEmpty) {
				t.Errorf("%s: %v, want no sample", marks, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", marks, err)
		}
		_, learned := spelled(tokenizer.NewByteLevel(), d.Example(0))
		if got := strings.Trim(strings.Join(learned, ""), "[]"); strings.NewReplacer("[", "", "]", "").Replace(got) != strings.Join(want, "") {
			t.Errorf("%s: learned %q, want %q", marks, learned, want)
		}
	}
}

func TestChatErrors(t *testing.T) {
	g := readChats(t)
	tok := tokenizer.NewByteLevel()
	msgs := func(fields string) string {
		return `{"messages":[{"role":"user","content":"Q"},{"role":"assistant"` + fields + `}]}`
	}
	with := func(fields string) string {
		return `{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"A"}],` + fields + `}`
	}
	for _, c := range []struct{ name, typ, template, text, want, hint string }{
		{"no content", "messages", "", msgs(``), `message 2 (assistant): content is missing`, "a record of type messages"},
		{"content null", "messages", "", msgs(`,"content":null`), `message 2 (assistant): content is missing`, ""},
		{"no calls beside it", "messages", "", msgs(`,"content":null,"tool_calls":[]`), `message 2 (assistant): content is missing`, ""},
		{"Content", "messages", "", msgs(`,"Content":"A"`), `message 2 (assistant): content is missing`, ""},
		{"content twice", "messages", "", msgs(`,"content":"A","content":"B"`), `messages[1]: "content" stands twice in an object`, "keep the one"},
		{"content and value", "messages", "", msgs(`,"content":"A","value":"B"`), `message 2 (assistant): content and value say different things`, "leave one of them out"},
		{"role and from", "messages", "", msgs(`,"from":"gpt","content":"A"`), `message 2: role and from say different things`, "leave one of them out"},
		{"role number", "messages", "", `{"messages":[{"role":1,"content":"A"}]}`, `message 1: role: number 1 found, want string`, ""},
		{"role empty", "messages", "", `{"messages":[{"role":"","content":"A"}]}`, `message 1: role is empty`, ""},
		{"null message", "messages", "", `{"messages":[{"role":"user","content":"Q"},null]}`, `message 2: null found, want object`, ""},
		{"messages object", "messages", "", `{"messages":{"role":"user","content":"Q"}}`, `field "messages": object found, want list`, ""},
		{"messages text", "messages", "", `{"messages":"hello"}`, `field "messages": string found, want list`, ""},
		{"columns of other lengths", "messages", "", `{"messages":{"role":["user","assistant"],"content":["Q"]}}`, `field "messages": object found, want list`, ""},
		{"image", "messages", "", msgs(`,"content":[{"type":"image_url","image_url":{"url":"x"}}]`), `message 2 (assistant): content part 1: type "image_url", only text can be learned`, ""},
		{"audio part", "messages", "", msgs(`,"content":[{"type":"text","text":"A"},{"type":"input_audio"}]`), `message 2 (assistant): content part 2: type "input_audio", only text can be learned`, ""},
		{"part without text", "messages", "", msgs(`,"content":[{"type":"text"}]`), `message 2 (assistant): content part 1: text is missing`, ""},
		{"part null", "messages", "", msgs(`,"content":[null]`), `message 2 (assistant): content: [0]: null found, want object`, ""},
		{"part of another type", "messages", "", msgs(`,"content":[{"type":"text","text":["A"]}]`), `message 2 (assistant): content: [0].text: list found, want string`, ""},
		{"images beside content", "messages", "", msgs(`,"content":"A","images":["x.png"]`), `message 2 (assistant): field "images": only text can be learned`, "leave records with it out"},
		{"audio", "messages", "", msgs(`,"content":"A","audio":{"id":"x"}`), `message 2 (assistant): field "audio": only text can be learned`, ""},
		{"refusal", "messages", "", msgs(`,"content":null,"refusal":"No."`), `message 2 (assistant): field "refusal": a refusal stands beside the content, where no template finds it`, "write it as content"},
		{"function_call", "messages", "", msgs(`,"content":null,"function_call":{"name":"f","arguments":"{}"}`), `message 2 (assistant): field "function_call": an old form of tool_calls`, "write tool_calls"},
		{"weight 0.5", "messages", "", msgs(`,"content":"A","weight":0.5`), `message 2 (assistant): weight is 0.5, want 0 or 1`, "losses are not weighted"},
		{"weight 2", "messages", "", msgs(`,"content":"A","weight":2`), `message 2 (assistant): weight is 2, want 0 or 1`, ""},
		{"weight in a string", "messages", "", msgs(`,"content":"A","weight":"0"`), `message 2 (assistant): weight is "0", want 0 or 1`, ""},
		{"train in a string", "messages", "", msgs(`,"content":"A","train":"false"`), `message 2 (assistant): train is "false", want true or false`, ""},
		{"weight and train", "messages", "", msgs(`,"content":"A","weight":0,"train":true`), `message 2 (assistant): weight contradicts another field that says whether the message is learned`, "give one of"},
		{"train_detail", "messages", "", msgs(`,"content":"A","train_detail":[{"begin_offset":0,"end_offset":1,"train":false}]`), `message 2 (assistant): field "train_detail": parts of a message are not marked`, "type segments"},
		{"call without name", "messages", "all", msgs(`,"content":null,"tool_calls":[{"type":"function","function":{"arguments":"{}"}}]`), `message 2: tool_calls: call 1: the name of the function is missing`, "a call is"},
		{"call of text", "messages", "all", msgs(`,"content":null,"tool_calls":["f()"]`), `message 2: tool_calls: call 1: want an object`, ""},
		{"calls as an object", "messages", "all", msgs(`,"content":null,"tool_calls":{"name":"f"}`), `message 2: tool_calls: want a list of calls`, ""},
		{"calls the template does not write", "messages", "chatml", msgs(`,"content":"","tool_calls":[{"type":"function","function":{"name":"f","arguments":{}}}]`), `chat template: it leaves out the tool calls`, "chat_template"},
		{"tools the template does not write", "messages", "chatml", with(`"tools":[{"type":"function","function":{"name":"f"}}]`), `chat template: it leaves out the tools`, "chat_template"},
		{"reasoning the template does not write", "messages", "chatml", msgs(`,"content":"A","reasoning_content":"R"`), `chat template: it leaves out the reasoning`, "chat_template"},
		{"documents the template does not write", "messages", "chatml", with(`"documents":[{"title":"T","text":"x"}]`), `chat template: it leaves out the documents`, "chat_template"},
		{"tools as text", "messages", "all", with(`"tools":"use a calculator"`), `field "tools": want a list of objects, or one as JSON in a string`, ""},
		{"tools broken", "messages", "all", with(`"tools":"[{\"name\":"`), `tools[0].name: the text ends where a value is wanted`, ""},
		{"tools as an object", "messages", "all", with(`"tools":{"name":"f"}`), `field "tools": want a list of objects, or one as JSON in a string`, ""},
		{"tool of a number", "messages", "all", with(`"tools":[1]`), `tools[0]: want an object`, ""},
		{"tool null", "messages", "all", with(`"tools":[null]`), `tools[0]: want an object`, ""},
		{"functions", "messages", "all", with(`"functions":[{"name":"f"}]`), `field "functions": an old form of tools and tool_calls`, "write tools"},
		{"documents of text", "messages", "all", with(`"documents":["x"]`), `documents[0]: want an object`, ""},
		{"arguments of text", "messages", "all", with(`"chat_template_kwargs":"thinking"`), `field "chat_template_kwargs": want an object of the template's variables`, ""},
		{"arguments that are the record's", "messages", "all", with(`"chat_template_kwargs":{"tools":[]}`), `field "chat_template_kwargs": "tools" is not a variable that a record gives`, "fields of the record"},
		{"arguments that are the run's", "messages", "all", with(`"chat_template_kwargs":{"add_generation_prompt":true}`), `field "chat_template_kwargs": "add_generation_prompt" is not a variable that a record gives`, ""},
		{"arguments the template does not have", "messages", "all", with(`"chat_template_kwargs":{"enable_thinkin":true}`), `field "chat_template_kwargs": the chat template has no variable "enable_thinkin"`, "choose a chat_template"},
		{"arguments of chatml", "messages", "chatml", with(`"chat_template_kwargs":{"enable_thinking":false}`), `field "chat_template_kwargs": the chat template has no variable "enable_thinking"`, ""},
		{"an argument at the wrong place", "messages", "all", with(`"enable_thinking":false`), `field "enable_thinking": a variable of chat templates stands in chat_template_kwargs`, ""},
		{"no part", "messages", "all", msgs(`,"content":[]`), `message 2 (assistant): content is missing`, ""},
		{"mask of a message", "messages", "", msgs(`,"content":"A","mask":1`), `message 2 (assistant): field "mask": parts of a message are not marked`, ""},
		{"an answer beside the messages", "messages", "", `{"messages":[{"role":"user","content":"Q"}],"response":"A"}`, `field "response": an answer beside the messages is not learned`, "add it to the messages"},
		{"a completion beside the messages", "messages", "", with(`"completion":[{"role":"assistant","content":"B"}]`), `field "completion": an answer beside the messages is not learned`, ""},
		{"preferences by label", "messages", "", with(`"label":true`), `field "label": true, a preference, and preferences are not trained`, ""},
		{"two systems", "messages", "all", `{"system":"S","messages":[{"role":"system","content":"T"},{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]}`, `field "system" and a first message of role system say different things`, "leave one of them out"},
		{"preferences", "messages", "", with(`"chosen":[{"role":"assistant","content":"A"}],"rejected":[]`), `field "chosen": preferences are not trained`, "keep the answer"},
		{"two systems of the record", "messages", "all", with(`"system":"S","system_prompt":"T"`), `fields "system" and "system_prompt" say different things`, "leave one of them out"},
		{"another system", "messages", "all", `{"system_prompt":"S","messages":[{"role":"system","content":"T"},{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]}`, `field "system_prompt" and a first message of role system say different things`, ""},
		{"template of a record", "messages", "", with(`"chat_template":"{{ messages }}"`), `field "chat_template": a record has no template of its own`, "of the run"},
		{"arguments of another name", "messages", "all", with(`"template_kwargs":{"enable_thinking":false}`), `field "template_kwargs": variables of chat templates stand in chat_template_kwargs`, "chat_template_kwargs"},
		{"reasoning beside", "messages", "all", with(`"reasoning":"R"`), `field "reasoning": reasoning beside the answer is not learned`, "reasoning_content"},
		{"setting of the run", "messages", "", with(`"train_on_inputs":true`), `field "train_on_inputs": what is learned is the run's to say`, "settings of the run"},
		{"role Assistant", "messages", "", `{"messages":[{"role":"user","content":"Q"},{"role":"Assistant","content":"A"}]}`, `message 2: the role is "Assistant", which is not learned as assistant`, "write it as assistant, or name it in roles_to_train"},
		{"role assistent", "messages", "", `{"messages":[{"role":"user","content":"Q"},{"role":"assistent","content":"A"}]}`, `message 2: the role is "assistent", which is not learned as assistant`, "write it as assistant, or name it in roles_to_train"},
		{"role asistant", "messages", "", `{"messages":[{"role":"user","content":"Q"},{"role":"asistant","content":"A"}]}`, `message 2: the role is "asistant", which is not learned as assistant`, ""},
		{"role assistants", "messages", "", `{"messages":[{"role":"user","content":"Q"},{"role":"assistants","content":"A"}]}`, `message 2: the role is "assistants", which is not learned as assistant`, ""},
		{"role Asisstant", "messages", "", `{"messages":[{"role":"user","content":"Q"},{"role":"Asisstant","content":"A"}]}`, `message 2: the role is "Asisstant", which is not learned as assistant`, ""},
		{"role with a space", "messages", "", `{"messages":[{"role":"user","content":"Q"},{"role":"assistant ","content":"A"}]}`, `message 2: the role is "assistant ", which is not learned as assistant`, ""},
		{"role USER", "messages", "", `{"messages":[{"role":"USER","content":"Q"},{"role":"assistant","content":"A"}]}`, `message 1: the role is "USER", which is not learned as user`, "write it as user"},
		{"role GPT", "messages", "", `{"messages":[{"role":"user","content":"Q"},{"role":"GPT","content":"A"}]}`, `message 2: the role is "GPT", which is not learned as assistant`, ""},
		{"role model", "messages", "", `{"messages":[{"role":"user","content":"Q"},{"role":"model","content":"A"}]}`, `message 2: the role is "model", which is not learned as assistant`, ""},
		{"role bot", "messages", "", `{"messages":[{"role":"user","content":"Q"},{"role":"bot","content":"A"}]}`, `message 2: the role is "bot", which is not learned as assistant`, ""},
		{"learned by another name", "messages", "", msgs(`,"content":"A","is_train":false`), `message 2 (assistant): field "is_train": false, whether the message is learned is said by another name`, "train: false"},
		{"masked", "messages", "", msgs(`,"content":"A","masked":true`), `message 2 (assistant): field "masked": true, whether the message is learned is said by another name`, ""},
		{"ignored", "messages", "", msgs(`,"content":"A","ignore":1`), `message 2 (assistant): field "ignore": 1, whether the message is learned is said by another name`, ""},
		{"content true", "messages", "", msgs(`,"content":true`), `message 2 (assistant): content: true found, want a string or a list of text parts`, ""},
		{"images", "messages", "", with(`"images":["a.png"]`), `field "images": only text can be learned`, ""},
		{"weight of a record", "messages", "", with(`"weight":0.3`), `field "weight": 0.3, a record has no weight of its own`, ""},
		{"sharegpt, text of a call", "sharegpt", "all", `{"conversations":[{"from":"human","value":"Q"},{"from":"function_call","value":"f(x)"}]}`, `message 2: function_call: the value is not JSON`, "its value is JSON"},
		{"sharegpt, call without name", "sharegpt", "all", `{"conversations":[{"from":"function_call","value":"{\"arguments\":{}}"}]}`, `message 1: function_call: the name of the function is missing`, ""},
		{"sharegpt, no call", "sharegpt", "all", `{"conversations":[{"from":"function_call","value":"[]"}]}`, `message 1: function_call: the value holds no call`, ""},
		{"sharegpt, call number", "sharegpt", "all", `{"conversations":[{"from":"function_call","value":"[1]"}]}`, `message 1: function_call: the value is no call`, ""},
		{"sharegpt, value number", "sharegpt", "all", `{"conversations":[{"from":"human","value":1}]}`, `message 1 (human): content: 1 found, want a string or a list of text parts`, ""},
		{"sharegpt, value null", "sharegpt", "all", `{"conversations":[{"from":"human","value":null}]}`, `message 1 (human): value is missing`, ""},
		{"sharegpt, speaker", "sharegpt", "all", `{"conversations":[{"from":"Bob","value":"a"}]}`, `message 1: from is "Bob", want human, gpt, system, function_call, observation or tool`, ""},
		{"prompt text, completion list", "prompt_completion", "all", `{"prompt":"Q","completion":[{"role":"assistant","content":"A"}]}`, `field "prompt": a text beside a list of messages`, "both are texts"},
		{"prompt list, completion text", "prompt_completion", "all", `{"prompt":[{"role":"user","content":"Q"}],"completion":"A"}`, `field "completion": a text beside a list of messages`, "both are texts"},
		{"completion empty", "prompt_completion", "all", `{"prompt":[{"role":"user","content":"Q"}],"completion":[]}`, `field "completion": no message`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, "d.jsonl", "\n"+c.text)
			template := g.Templates[c.template]
			if template == "" {
				template = c.template
			}
			_, err := Load([]Source{{Path: path, Type: c.typ}}, tok, Options{ChatTemplate: template})
			if err == nil {
				t.Fatal("no error")
			}
			got := strings.ReplaceAll(err.Error(), path, "d.jsonl")
			if !strings.HasPrefix(got, "d.jsonl:2: ") || !strings.Contains(got, c.want) {
				t.Errorf("error %s\nwant  d.jsonl:2: %s", got, c.want)
			}
			var h interface{ Hint() string }
			if !errors.As(err, &h) || h.Hint() == "" || !strings.Contains(h.Hint(), c.hint) {
				t.Errorf("hint of %q lacks %q", got, c.hint)
			}
			if strings.Contains(got, "\n") || strings.Contains(h.Hint(), "\n") {
				t.Errorf("more than two lines: %s\n%s", got, h.Hint())
			}
		})
	}
}

// TestExchange: a question and its answer, under any names, give the sample that the same words as messages give.
func TestExchange(t *testing.T) {
	g := readChats(t)
	tok := tokenizer.NewByteLevel()
	template := g.Templates[g.Cases[0].Template]
	load := func(name, text, typ string) (Example, []Note) {
		t.Helper()
		d, err := Load([]Source{{Path: write(t, name, text), Type: typ}}, tok, Options{ChatTemplate: template})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return d.Example(0), d.Notes()
	}
	const ab = `{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}`
	for _, c := range []struct{ name, text, same string }{
		{"d.jsonl", `{"prompt": "a", "completion": "b"}`, ab},
		{"d.jsonl", `{"question": "a", "answer": "b", "id": 3}`, ab},
		{"d.csv", "question,answer\na,b\n", ab},
		{"d.csv", "query,response,system\na,b,\n", ab},
		{"d.jsonl", `{"instruction": "a", "input": "", "output": "b"}`, ab},
		{"d.jsonl", `{"instruction": "a", "context": "c", "response": "b"}`, strings.Replace(ab, `"a"`, `"a\nc"`, 1)},
		{"d.json", `[{"instruction": "a", "input": "c", "output": "b", "history": [["x", "y"]], "system": "s"}]`,
			`{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}, {"role": "user", "content": "a\nc"}, {"role": "assistant", "content": "b"}]}`},
	} {
		want, _ := load("want.jsonl", c.same, "messages")
		got, notes := load(c.name, c.text, "messages")
		if diff := cmp.Diff(want, got); diff != "" || len(notes) > 0 {
			t.Errorf("%s: (-messages +got):\n%s\nnotes %v", c.text, diff, notes)
		}
	}
	for text, want := range map[string]string{
		`{"question": "a"}`: `field "messages" is missing`,
		`{"question": "a", "query": "b", "answer": "c"}`:        `fields "question" and "query": either could be the prompt`,
		`{"question": "a", "context": "b", "answer": "c"}`:      `field "context"`,
		`{"prompt": [1], "completion": "c"}`:                    `field "prompt"`,
		`{"instruction": "a", "output": "b", "history": [[1]]}`: `history[0][0]`,
		`{"instruction": "a", "output": "b", "target": "c"}`:    `either could be`,
		`{"question": "a", "answer": "b", "rejected": "c"}`:     "preferences are not trained",
	} {
		_, err := Load([]Source{{Path: write(t, "d.jsonl", text), Type: "messages"}}, tok, Options{ChatTemplate: template})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
