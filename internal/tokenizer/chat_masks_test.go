package tokenizer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"lomo/internal/jinja"
)

// masksGolden is testdata/tokenizer/masks.json: what transformers makes of templates with marks, and of the known templates.
type masksGolden struct {
	MadeBy        map[string]string `json:"made_by"`
	Tokenizer     json.RawMessage
	Templates     map[string]string
	Conversations map[string]json.RawMessage
	Masks         []struct {
		Template, Conversation string
		IDs                    []int32
		Mask                   []int
	}
	Named []struct {
		Template    string
		Messages    json.RawMessage
		Prompt      bool
		Text, Error string
	}
}

// messagesOf are the messages of a JSON list.
func messagesOf(t testing.TB, raw []byte) []Message {
	t.Helper()
	v, err := jinja.ParseJSON(raw)
	if err != nil {
		t.Fatal(err)
	}
	list := v.(*jinja.List)
	var msgs []Message
	for i := range list.Len() {
		d := list.At(i).(*jinja.Dict)
		m := Message{Fields: d}
		role, _ := d.Get("role")
		m.Role, _ = jinja.Text(role)
		content, _ := d.Get("content")
		m.Content, _ = jinja.Text(content)
		msgs = append(msgs, m)
	}
	return msgs
}

// masksTokenizer is the small tokenizer of the golden masks.
func masksTokenizer(t testing.TB, g *masksGolden) *Tokenizer {
	t.Helper()
	golden(t, "masks.json", g)
	tok, err := readTokenizer(bytes.NewReader(g.Tokenizer))
	if err != nil {
		t.Fatal(err)
	}
	tok.names.bos = tok.addedID["<s>"]
	tok.names.eos = tok.addedID["</s>"]
	tok.names.eosIDs = []int32{tok.names.eos}
	return tok
}

// TestMarksGolden compares with transformers' return_assistant_tokens_mask.
func TestMarksGolden(t *testing.T) {
	var g masksGolden
	tok := masksTokenizer(t, &g)
	if len(g.Masks) < 100 {
		t.Fatalf("%d masks: the golden file is not the whole", len(g.Masks))
	}
	compared := 0
	for _, c := range g.Masks {
		msgs := messagesOf(t, g.Conversations[c.Conversation])
		got, err := tok.ChatTokens(msgs, ChatOptions{Template: g.Templates[c.Template]})
		if err != nil {
			source := g.Templates[c.Template]
			leaves := strings.Contains(err.Error(), "leaves out the tool calls") && !strings.Contains(source, "tool_calls") ||
				strings.Contains(err.Error(), "leaves out the reasoning") && !strings.Contains(source, "reasoning_content") ||
				c.Template == "calls without marks" && c.Conversation == "call and words"
			if !leaves {
				t.Errorf("%s, %s: %v", c.Template, c.Conversation, err)
			}
			continue
		}
		compared++
		want := make([]bool, len(c.Mask))
		for i, m := range c.Mask {
			want[i] = m == 1
		}
		if !slices.Equal(got.IDs, c.IDs) || !slices.Equal(got.Train, want) {
			t.Errorf("%s, %s:\n got %q\nwant %q", c.Template, c.Conversation, learned(tok, got.IDs, got.Train), learned(tok, c.IDs, want))
		}
	}
	if compared < 80 {
		t.Errorf("%d masks compared", compared)
	}
}

// TestKnownTemplates compares the templates that have names with jinja2.
func TestKnownTemplates(t *testing.T) {
	var g masksGolden
	tok := masksTokenizer(t, &g)
	seen := map[string]int{}
	for _, c := range g.Named {
		msgs := messagesOf(t, c.Messages)
		chat, err := tok.newChat(msgs, ChatOptions{Template: c.Template})
		if err != nil {
			t.Fatal(err)
		}
		r, err := chat.render(msgs, rendering{prompt: c.Prompt, marked: true})
		switch {
		case c.Error != "" && err == nil:
			t.Errorf("%s %s: got %q, want the error %q", c.Template, c.Messages, r.Text, c.Error)
		case c.Error == "" && err != nil:
			t.Errorf("%s %s: %v", c.Template, c.Messages, err)
		case err == nil && r.Text != c.Text:
			t.Errorf("%s %s, prompt %v:\n got %q\nwant %q", c.Template, c.Messages, c.Prompt, r.Text, c.Text)
		}
		seen[c.Template]++
	}
	h := sha256.New()
	for _, name := range TemplateNames {
		if seen[name] == 0 {
			t.Errorf("%s is not in the golden file", name)
		}
		h.Write([]byte(knownTemplate(name)))
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != g.MadeBy["templates_sha256"] {
		t.Errorf("the templates have hash %s, the golden file was made of %s: run scripts/golden/chat_masks.py again", got, g.MadeBy["templates_sha256"])
	}
	// The renderings of the formats' own descriptions.
	msgs := []Message{{Role: "system", Content: "S"}, {Role: "user", Content: "U1"}, {Role: "assistant", Content: "A1"}, {Role: "user", Content: "U2"}}
	for name, want := range map[string]string{
		"llama-2": "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nU1 [/INST] A1 </s><s>[INST] U2 [/INST]",
		"llama-3": "<s><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nU1<|eot_id|>" +
			"<|start_header_id|>assistant<|end_header_id|>\n\nA1<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nU2<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
		"chatml":   "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\nA1<|im_end|>\n<|im_start|>user\nU2<|im_end|>\n<|im_start|>assistant\n",
		"qwen":     "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU1<|im_end|>\n<|im_start|>assistant\nA1<|im_end|>\n<|im_start|>user\nU2<|im_end|>\n<|im_start|>assistant\n",
		"mistral":  "<s> [INST] S\n\nU1 [/INST] A1</s> [INST] U2 [/INST]",
		"zephyr":   "<|system|>\nS</s>\n<|user|>\nU1</s>\n<|assistant|>\nA1</s>\n<|user|>\nU2</s>\n<|assistant|>\n",
		"phi":      "<|system|>\nS<|end|>\n<|user|>\nU1<|end|>\n<|assistant|>\nA1<|end|>\n<|user|>\nU2<|end|>\n<|assistant|>\n",
		"gemma":    "<s><start_of_turn>user\nS\n\nU1<end_of_turn>\n<start_of_turn>model\nA1<end_of_turn>\n<start_of_turn>user\nU2<end_of_turn>\n<start_of_turn>model\n",
		"deepseek": "<s>S<｜User｜>U1<｜Assistant｜>A1</s><｜User｜>U2<｜Assistant｜>",
		"alpaca":   "S\n\n### Instruction:\nU1\n\n### Response:A1</s>\n\n### Instruction:\nU2\n\n### Response:",
	} {
		if got, err := tok.RenderChat(msgs, name, true); err != nil || got != want {
			t.Errorf("%s:\n got %q (%v)\nwant %q", name, got, err, want)
		}
	}
}

// spell writes a conversation, what is learned in brackets, and what must be said of it.
func (c Conversation) spell(tok *Tokenizer) string {
	s := learned(tok, c.IDs, c.Train)
	if c.NoEnd > 0 {
		s += fmt.Sprintf(" (%d without end)", c.NoEnd)
	}
	if c.Unmarked > 0 {
		s += fmt.Sprintf(" (%d unmarked)", c.Unmarked)
	}
	if c.LastOnly {
		s += " (the last one only)"
	}
	return s
}
