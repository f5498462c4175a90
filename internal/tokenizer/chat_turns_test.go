package tokenizer

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"lomo/internal/jinja"
)

// spanTokens are the markers of the templates below.
const spanTokens = "<s> </s> <|endoftext|> <|im_start|> <|im_end|> <|start_header_id|> <|end_header_id|> <|eot_id|> <|eom_id|> <|user|> <|assistant|> <|system|> <|end|> " +
	"<start_of_turn> <end_of_turn> <|channel|> <|message|> <|return|> <|call|> <|observation|> <｜User｜> <｜Assistant｜> <｜end▁of▁sentence｜> <tool_call> </tool_call>"

// spanTokenizer is a tokenizer of bytes with added tokens, of which eos are the ones that end a text.
func spanTokenizer(t testing.TB, tokens, eos string, change func(*addedToken)) *Tokenizer {
	t.Helper()
	f := bytesFile()
	for i, s := range strings.Fields(tokens) {
		a := addedToken{ID: int32(256 + i), Content: s, Special: true}
		if change != nil {
			change(&a)
		}
		f.added = append(f.added, a)
	}
	tok, err := f.tokenizer()
	if err != nil {
		t.Fatal(err)
	}
	tok.names = noSpecial
	if id, ok := tok.ID("<s>"); ok {
		tok.names.bos = id
	}
	for _, s := range strings.Fields(eos) {
		id, ok := tok.ID(s)
		if !ok {
			t.Fatalf("no token %q", s)
		}
		tok.names.addEOS(id)
		if tok.names.eos < 0 {
			tok.names.eos = id
		}
	}
	tok.chat = nil
	return tok
}

// talk makes messages of lines such as "user: text"; what follows a role in braces is the message's JSON.
func talk(t testing.TB, lines ...string) []Message {
	t.Helper()
	var list []json.RawMessage
	for _, line := range lines {
		if strings.HasPrefix(line, "{") {
			list = append(list, json.RawMessage(line))
			continue
		}
		role, content, _ := strings.Cut(line, ":")
		b, _ := json.Marshal(struct {
			Role    string `json:"role"`
			Content string `json:"content"`
		}{role, content})
		list = append(list, b)
	}
	b, _ := json.Marshal(list)
	return messagesOf(t, b)
}

// Templates without marks, in the shapes of those that models come with.
var unmarked = map[string]string{
	// Phi-3: eos at the very end.
	"phi-3": "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}",
	// The first one of Llama 3, which always asks for an answer.
	"first llama-3": "{% for m in messages %}{% set c = '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set c = bos_token + c %}{% endif %}" +
		"{{ c }}{% endfor %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}",
	// Vicuna: no generation prompt.
	"vicuna": "{% for m in messages %}{% if m.role == 'user' %}{{ 'USER: ' + m.content + '\n' }}{% elif m.role == 'system' %}{{ m.content + '\n\n' }}{% else %}{{ 'ASSISTANT: ' + m.content + eos_token + '\n' }}{% endif %}{% endfor %}",
	// Mistral, third: the system turn goes to the last user.
	"mistral-3": "{% set s = messages[0].content if messages[0].role == 'system' else none %}{% set turns = messages[1:] if s is not none else messages %}{{ bos_token }}{% for m in turns %}{% if m.role == 'user' %}" +
		"{{ '[INST] ' + (s + '\n\n' if loop.last or loop.index0 == turns|length - 2 else '') + m.content + '[/INST]' if s is not none else '[INST] ' + m.content + '[/INST]' }}{% else %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}",
	// Mistral Nemo: the system turn is shown only while an answer is awaited.
	"nemo": "{% set s = messages[0].content if messages[0].role == 'system' else none %}{% set turns = messages[1:] if s is not none else messages %}{{ bos_token }}{% for m in turns %}{% if m.role == 'user' %}" +
		"{{ '[INST]' + (s + '\n\n' if loop.last and s is not none else '') + m.content + '[/INST]' }}{% else %}{{ m.content + eos_token }}{% endif %}{% endfor %}",
	// Cohere: what kind of answer it is stands in the header, which the prompt begins in its own way.
	"command": "{% for m in messages %}{% if m.role == 'assistant' %}{{ '<|start_header_id|><|assistant|>' }}{% if m.tool_calls %}{{ '<|call|>[{\"n\": \"' + m.tool_calls[0].function.name + '\"}]<|end|>' }}" +
		"{% else %}{{ '<|message|>' + m.content + '<|end|>' }}{% endif %}{{ '</s>' }}{% elif m.role == 'tool' %}<tool_call>{{ messages[loop.index0 - 1].tool_calls[0].function.name }}: {{ m.content }}</tool_call>" +
		"{% else %}{{ '<|user|>' + m.content + '<|end|></s>' }}{% endif %}{% endfor %}{% if add_generation_prompt %}<|start_header_id|><|assistant|><|channel|>{% endif %}",
	// Phi-3.5: empty turns are left out.
	"phi-3.5": "{% for m in messages %}{% if m.content %}{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}",
	// DeepSeek-R1: reasoning is dropped from all turns, and the prompt begins it.
	"deepseek-r1": "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '<｜User｜>' + m.content }}{% elif m.role == 'assistant' %}{% set c = m.content %}{% if '</think>' in c %}{% set c = c.split('</think>')[-1] %}{% endif %}" +
		"{{ '<｜Assistant｜>' + c + '<｜end▁of▁sentence｜>' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\n' }}{% endif %}",
	// Qwen3: reasoning stays in the last turn alone; tool calls.
	"qwen-3": `{%- set ns = namespace(last=-1) %}
{%- for m in messages %}{%- if m.role == 'user' %}{%- set ns.last = loop.index0 %}{%- endif %}{%- endfor %}
{%- for m in messages %}
    {%- if m.role == 'assistant' %}
        {%- set c = m.content or '' %}{%- set r = m.reasoning_content or '' %}
        {%- if '</think>' in c %}
            {%- set r = c.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
            {%- set c = c.split('</think>')[-1].lstrip('\n') %}
        {%- endif %}
        {{- '<|im_start|>assistant\n' }}
        {%- if loop.index0 > ns.last and (loop.last or r) %}{{- '<think>\n' + r.strip('\n') + '\n</think>\n\n' }}{%- endif %}
        {{- c.lstrip('\n') }}
        {%- for t in m.tool_calls or [] %}
            {%- if not loop.first or c %}{{- '\n' }}{%- endif %}
            {{- '<tool_call>\n{"name": "' + t.function.name + '", "arguments": ' + t.function.arguments | tojson + '}\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\n' }}
    {%- elif m.role == 'tool' %}
        {{- '<|im_start|>user\n<tool_response>\n' + m.content + '\n</tool_response><|im_end|>\n' }}
    {%- else %}
        {{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}`,
	// gpt-oss: another end at the very end, and reasoning in a channel.
	"harmony": "{% for m in messages %}{% if m.role == 'assistant' %}{% if m.thinking and loop.last %}{{ '<|start_header_id|>assistant<|channel|>analysis<|message|>' + m.thinking + '<|end|>' }}{% endif %}" +
		"{{ '<|start_header_id|>assistant<|channel|>final<|message|>' + m.content + ('<|return|>' if loop.last else '<|end|>') }}{% else %}{{ '<|start_header_id|>' + m.role + '<|message|>' + m.content + '<|end|>' }}{% endif %}{% endfor %}" +
		"{% if add_generation_prompt %}<|start_header_id|>assistant{% endif %}",
	// GLM-4: the next speaker's token ends a turn.
	"glm-4": "{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}",
	// The end stands behind a line end, and between turns there are words of the template.
	"instruction": "{% for m in messages %}{% if m.role == 'user' %}{{ '### Instruction:\n' + m.content + '\n\n' }}{% else %}{{ '### Response:\n' + m.content + '\n' + eos_token + '\n\n' }}{% endif %}{% endfor %}" +
		"{% if add_generation_prompt %}{{ '### Response:\n' }}{% endif %}",
	// Llama 3.1: calls end with another token.
	"llama-3.1": "{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' }}{% if m.tool_calls %}{% set c = m.tool_calls[0].function %}{{ '{\"name\": \"' + c.name + '\", ' }}" +
		"{{ '\"parameters\": ' + c.arguments | tojson + '}' }}{{ '<|eom_id|>' if builtin else '<|eot_id|>' }}{% else %}{{ m.content | trim + '<|eot_id|>' }}{% endif %}{% endfor %}" +
		"{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
	// Roles in words of their own, one of which the answers may be.
	"letters": "{% for m in messages %}{{ m.role + ' is ' + m.content + '</s>' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant is ' }}{% endif %}",
}

const call = `{"role":"assistant","content":null,"tool_calls":[{"type":"function","function":{"name":"f","arguments":{"a":"b"}}}]}`

// TestTurns: spans written by hand, of templates without marks.
func TestTurns(t *testing.T) {
	tok := spanTokenizer(t, spanTokens, "</s> <｜end▁of▁sentence｜> <|eom_id|> <|return|>", nil)
	user := []string{"user", "assistant"}
	for _, c := range []struct {
		name, template string
		o              ChatOptions
		msgs           []string
		want           string
	}{
		{"chatml", "chatml", ChatOptions{}, []string{"system:S", "user:U", "assistant:A", "user:V", "assistant:B b"},
			"<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n[A<|im_end|>]\n<|im_start|>user\nV<|im_end|>\n<|im_start|>assistant\n[B b<|im_end|>]\n"},
		{"an answer that is a word of the header", "chatml", ChatOptions{}, []string{"user:user", "assistant:assistant", "user:a", "assistant:s"},
			"<|im_start|>user\nuser<|im_end|>\n<|im_start|>assistant\n[assistant<|im_end|>]\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n[s<|im_end|>]\n"},
		{"an empty answer", "chatml", ChatOptions{}, []string{"user:U", "assistant:", "user:V", "assistant:a"},
			"<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n[<|im_end|>]\n<|im_start|>user\nV<|im_end|>\n<|im_start|>assistant\n[a<|im_end|>]\n"},
		{"the user's turns too", "chatml", ChatOptions{Roles: user}, []string{"user:s", "assistant:a", "user:user", "assistant:"},
			"<|im_start|>user\n[s<|im_end|>]\n<|im_start|>assistant\n[a<|im_end|>]\n<|im_start|>user\n[user<|im_end|>]\n<|im_start|>assistant\n[<|im_end|>]\n"},
		{"the same text in all turns", "chatml", ChatOptions{}, []string{"system:x", "user:x", "assistant:x", "user:x", "assistant:x"},
			"<|im_start|>system\nx<|im_end|>\n<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n[x<|im_end|>]\n<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n[x<|im_end|>]\n"},
		{"an end token in the answer", "chatml", ChatOptions{TrainOnEOS: "none"}, []string{"user:U", "assistant:a</s>b"},
			"<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n[a</s>b]<|im_end|>\n"},
		{"llama-2", "llama-2", ChatOptions{}, []string{"system:S", "user:U", "assistant:A", "user:V", "assistant:  B "},
			"<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nU [/INST][ A </s>]<s>[INST] V [/INST][ B </s>]"},
		{"llama-2, users", "llama-2", ChatOptions{Roles: user}, []string{"user:U", "assistant:", "user:INST", "assistant:B"},
			"<s>[INST] [U] [/INST][  </s>]<s>[INST] [INST] [/INST][ B </s>] (2 without end)"},
		{"llama-3", "llama-3", ChatOptions{}, []string{"system:S", "user:U", "assistant:\nA\n"},
			"<s><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nU<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n[A<|eot_id|>]"},
		{"mistral", "mistral", ChatOptions{}, []string{"system:S", "user:U", "assistant:A", "user:V", "assistant:B"},
			"<s> [INST] S\n\nU [/INST][ A</s>] [INST] V [/INST][ B</s>]"},
		{"zephyr", "zephyr", ChatOptions{}, []string{"user:U", "assistant:A", "user:V", "assistant:user"},
			"<|user|>\nU</s>\n<|assistant|>\n[A</s>]\n<|user|>\nV</s>\n<|assistant|>\n[user</s>]\n"},
		{"gemma", "gemma", ChatOptions{}, []string{"system:S", "user:U", "assistant:model", "user:V", "assistant:B"},
			"<s><start_of_turn>user\nS\n\nU<end_of_turn>\n<start_of_turn>model\n[model<end_of_turn>]\n<start_of_turn>user\nV<end_of_turn>\n<start_of_turn>model\n[B<end_of_turn>]\n"},
		{"deepseek", "deepseek", ChatOptions{}, []string{"user:U", "assistant:A", "user:V", "assistant:"},
			"<s><｜User｜>U<｜Assistant｜>[A</s>]<｜User｜>V<｜Assistant｜>[</s>]"},
		{"alpaca", "alpaca", ChatOptions{}, []string{"system:S", "user:Response", "assistant:Response", "user:V", "assistant:B"},
			"S\n\n### Instruction:\nResponse\n\n### Response:[Response</s>]\n\n### Instruction:\nV\n\n### Response:[B</s>]"},
		{"qwen, a call", "qwen", ChatOptions{}, []string{"user:U", call, `{"role":"tool","content":"3"}`, "assistant:A"},
			"<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n[<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"b\"}}\n</tool_call><|im_end|>]\n" +
				"<|im_start|>user\n<tool_response>\n3\n</tool_response><|im_end|>\n<|im_start|>assistant\n[A<|im_end|>]\n"},
		{"phi-3", unmarked["phi-3"], ChatOptions{}, []string{"user:U", "assistant:A", "user:V", "assistant:assistant"},
			"<|user|>\nU<|end|>\n<|assistant|>\n[A<|end|>]\n<|user|>\nV<|end|>\n<|assistant|>\n[assistant<|end|>]\n</s>"},
		{"first llama-3", unmarked["first llama-3"], ChatOptions{}, []string{"user:U", "assistant:A", "user:V", "assistant:"},
			"<s><|start_header_id|>user<|end_header_id|>\n\nU<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n[A<|eot_id|>]<|start_header_id|>user<|end_header_id|>\n\nV<|eot_id|>" +
				"<|start_header_id|>assistant<|end_header_id|>\n\n[<|eot_id|>]<|start_header_id|>assistant<|end_header_id|>\n\n"},
		{"vicuna", unmarked["vicuna"], ChatOptions{}, []string{"system:S", "user:ASSISTANT", "assistant:ASSISTANT", "user:V", "assistant:"},
			"S\n\nUSER: ASSISTANT\nASSISTANT: [ASSISTANT</s>]\nUSER: V\nASSISTANT: [</s>]\n"},
		{"vicuna, users", unmarked["vicuna"], ChatOptions{Roles: user, TrainOnEOS: "all"}, []string{"user:USER", "assistant:A"},
			"USER: [USER]\nASSISTANT: [A</s>]\n (1 without end)"},
		{"mistral-3", unmarked["mistral-3"], ChatOptions{}, []string{"system:S", "user:U", "assistant:A", "user:V", "assistant:B"},
			"<s>[INST] U[/INST][ A</s>][INST] S\n\nV[/INST][ B</s>]"},
		{"nemo", unmarked["nemo"], ChatOptions{}, []string{"system:S", "user:U", "assistant:A", "user:V", "assistant:V"},
			"<s>[INST]U[/INST]A</s>[INST]S\n\nV[/INST][V</s>] (the last one only)"},
		{"nemo without a system turn", unmarked["nemo"], ChatOptions{}, []string{"user:U", "assistant:A", "user:V", "assistant:B"}, "<s>[INST]U[/INST][A</s>][INST]V[/INST][B</s>]"},
		{"command", unmarked["command"], ChatOptions{}, []string{"user:U", call, `{"role":"tool","content":"3"}`, "assistant:f"},
			"<|user|>U<|end|></s><|start_header_id|><|assistant|>[<|call|>[{\"n\": \"f\"}]<|end|></s>]<tool_call>f: 3</tool_call><|start_header_id|><|assistant|>[<|message|>f<|end|></s>]"},
		{"phi-3.5, an empty turn", unmarked["phi-3.5"], ChatOptions{}, []string{"user:U", "assistant:A", "user:V", "assistant:"},
			"<|user|>\nU<|end|>\n<|assistant|>\n[A<|end|>]\n<|user|>\nV<|end|>\n</s>"},
		{"deepseek-r1", unmarked["deepseek-r1"], ChatOptions{}, []string{"user:U", "assistant:<think>\nhm\n</think>A", "user:V", "assistant:<think>\nso\n</think>B"},
			"<s><｜User｜>U<｜Assistant｜>[A<｜end▁of▁sentence｜>]<｜User｜>V<｜Assistant｜>[B<｜end▁of▁sentence｜>]"},
		{"qwen-3", unmarked["qwen-3"], ChatOptions{}, []string{"user:U", "assistant:<think>\nhm\n</think>\n\nA", "user:V", "assistant:<think>\nso\n</think>\n\nB"},
			"<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n[A<|im_end|>]\n<|im_start|>user\nV<|im_end|>\n<|im_start|>assistant\n[<think>\nso\n</think>\n\nB<|im_end|>]\n"},
		{"qwen-3, no reasoning", unmarked["qwen-3"], ChatOptions{}, []string{"user:U", "assistant:think", "user:V", "assistant:"},
			"<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n[think<|im_end|>]\n<|im_start|>user\nV<|im_end|>\n<|im_start|>assistant\n[<think>\n\n</think>\n\n<|im_end|>]\n"},
		{"qwen-3, nothing but reasoning before", unmarked["qwen-3"], ChatOptions{}, []string{"user:U", "assistant:<think>\nhm\n</think>\n\n", "user:V", "assistant:B"},
			"<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n<|im_end|>\n<|im_start|>user\nV<|im_end|>\n<|im_start|>assistant\n[<think>\n\n</think>\n\nB<|im_end|>]\n (the last one only)"},
		{"qwen-3, reasoning and calls", unmarked["qwen-3"], ChatOptions{}, []string{"user:U",
			`{"role":"assistant","content":"","reasoning_content":"hm","tool_calls":[{"function":{"name":"f","arguments":{}}},{"function":{"name":"g","arguments":{"x":[1,"y"]}}}]}`,
			`{"role":"tool","content":"3"}`, `{"role":"assistant","thinking":"so","content":"B"}`},
			"<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n[<think>\nhm\n</think>\n\n<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>\n<tool_call>\n{\"name\": \"g\", \"arguments\": {\"x\": [1, \"y\"]}}\n</tool_call><|im_end|>]\n" +
				"<|im_start|>user\n<tool_response>\n3\n</tool_response><|im_end|>\n<|im_start|>assistant\n[<think>\nso\n</think>\n\nB<|im_end|>]\n"},
		{"harmony", unmarked["harmony"], ChatOptions{}, []string{"user:U", `{"role":"assistant","thinking":"hm","content":"final"}`},
			"<|start_header_id|>user<|message|>U<|end|><|start_header_id|>assistant[<|channel|>analysis<|message|>hm<|end|><|start_header_id|>assistant<|channel|>final<|message|>final<|return|>]"},
		{"glm-4", unmarked["glm-4"], ChatOptions{}, []string{"user:U", "assistant:user"}, "<|user|>\nU<|assistant|>\n[user] (1 without end)"},
		{"instruction", unmarked["instruction"], ChatOptions{}, []string{"user:Response", "assistant:Response", "user:V", "assistant:\n"},
			"### Instruction:\nResponse\n\n### Response:\n[Response\n</s>]\n\n### Instruction:\nV\n\n### Response:\n[\n\n</s>]\n\n"},
		{"llama-3.1, a call", unmarked["llama-3.1"], ChatOptions{Roles: []string{"assistant", "tool"}}, []string{"user:U", call, `{"role":"tool","content":"3"}`, "assistant:A"},
			"<s><|start_header_id|>user<|end_header_id|>\n\nU<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n[{\"name\": \"f\", \"parameters\": {\"a\": \"b\"}}<|eot_id|>]" +
				"<|start_header_id|>tool<|end_header_id|>\n\n[3<|eot_id|>]<|start_header_id|>assistant<|end_header_id|>\n\n[A<|eot_id|>]"},
		{"letters", unmarked["letters"], ChatOptions{Roles: user}, []string{"user:is", "assistant:a", "user:s", "assistant:is"},
			"user is [is</s>]assistant is [a</s>]user is [s</s>]assistant is [is</s>]"},
		{"an assistant that begins", "chatml", ChatOptions{}, []string{"assistant:assistant", "user:U", "assistant:A"},
			"<|im_start|>assistant\n[assistant<|im_end|>]\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n[A<|im_end|>]\n"},
		{"two answers in a row", "chatml", ChatOptions{}, []string{"user:U", "assistant:A", "assistant:assistant"},
			"<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n[A<|im_end|>]\n<|im_start|>assistant\n[assistant<|im_end|>]\n"},
		{"last", "chatml", ChatOptions{TrainOnEOS: "last"}, []string{"user:U", "assistant:A", "user:V", "assistant:B"},
			"<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n[A]<|im_end|>\n<|im_start|>user\nV<|im_end|>\n<|im_start|>assistant\n[B<|im_end|>]\n"},
		{"all", "chatml", ChatOptions{TrainOnEOS: "all"}, []string{"user:U<|im_end|>", "assistant:A"},
			"<|im_start|>user\nU<|im_end|>[<|im_end|>]\n<|im_start|>assistant\n[A<|im_end|>]\n"},
		{"content in parts", "chatml", ChatOptions{}, []string{`{"role":"user","content":[{"type":"text","text":"text"}]}`, `{"role":"assistant","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}`},
			"<|im_start|>user\ntext<|im_end|>\n<|im_start|>assistant\n[ab<|im_end|>]\n"},
	} {
		c.o.Template = c.template
		got, err := tok.ChatTokens(talk(t, c.msgs...), c.o)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := got.spell(tok); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}

// TestTurnEnds: the end of a turn is learned whatever kind of token it is, and where it is none, that is said.
func TestTurnEnds(t *testing.T) {
	plain := func(a *addedToken) { a.Special = false }
	normalized := func(a *addedToken) { a.Normalized = true }
	wide := func(a *addedToken) { a.LStrip, a.RStrip = true, true }
	msgs := []string{"user:U", "assistant:A", "user:V", "assistant:B"}
	const chatml = "<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n[A<|im_end|>]\n<|im_start|>user\nV<|im_end|>\n<|im_start|>assistant\n[B<|im_end|>]\n"
	const zephyr = "<|user|>\nU</s>\n<|assistant|>\n[A</s>]\n<|user|>\nV</s>\n<|assistant|>\n[B</s>]\n"
	for _, c := range []struct {
		name, tokens, eos, template, train string
		change                             func(*addedToken)
		want                               string
	}{
		{"special", "<|im_start|> <|im_end|>", "<|im_end|>", "chatml", "", nil, chatml},
		{"not special", "<|im_start|> <|im_end|>", "<|im_end|>", "chatml", "", plain, chatml},
		{"normalized", "<s> </s>", "</s>", "zephyr", "", normalized, zephyr},
		{"neither", "<s> </s>", "</s>", "zephyr", "", func(a *addedToken) { plain(a); normalized(a) }, zephyr},
		{"taking white space", "<s> </s>", "</s>", "zephyr", "", wide, strings.ReplaceAll(strings.ReplaceAll(zephyr, "</s>\n", "</s>"), "</s>]\n", "</s>]")},
		{"not the eos", "<|im_start|> <|im_end|> </s>", "</s>", "chatml", "", plain, chatml},
		{"no eos at all", "<|im_start|> <|im_end|>", "", "chatml", "", normalized, chatml},
		{"all, not special", "<|im_start|> <|im_end|>", "<|im_end|>", "chatml", "all", plain, strings.NewReplacer("U<|im_end|>", "U[<|im_end|>]", "V<|im_end|>", "V[<|im_end|>]").Replace(chatml)},
		{"none, not special", "<|im_start|> <|im_end|>", "<|im_end|>", "chatml", "none", plain, strings.ReplaceAll(chatml, "<|im_end|>]", "]<|im_end|>")},
		{"last, normalized", "<|im_start|> <|im_end|>", "<|im_end|>", "chatml", "last", normalized, strings.ReplaceAll(chatml, "A<|im_end|>]", "A]<|im_end|>")},
		{"markers as text", "<s> </s>", "</s>", "chatml", "", nil, chatml + " (2 without end)"},
		{"markers as text, none", "<s> </s>", "</s>", "chatml", "none", nil, strings.ReplaceAll(chatml, "<|im_end|>]", "]<|im_end|>")},
		{"no eos to write", "<|user|> <|assistant|>", "", "zephyr", "", nil, "<|user|>\nU\n<|assistant|>\n[A]\n<|user|>\nV\n<|assistant|>\n[B]\n (2 without end)"},
		{"several eos", "<|end|> <|user|> <|assistant|> </s>", "</s> <|user|>", "phi", "", plain,
			"<|user|>\nU<|end|>\n<|assistant|>\n[A<|end|>]\n<|user|>\nV<|end|>\n<|assistant|>\n[B<|end|>]\n"},
		{"the next speaker", "<|user|> <|assistant|> </s>", "</s> <|user|>", unmarked["glm-4"], "", nil, "<|user|>\nU<|assistant|>\n[A<|user|>]\nV<|assistant|>\n[B] (1 without end)"},
		{"an end in words", "</s>", "</s>", "{% for m in messages %}{{ '[' + m.role + ']' + m.content + '[/s]' }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}", "", nil,
			"[user]U[/s][assistant][A[/s]][user]V[/s][assistant][B[/s]] (2 without end)"},
		{"an end in brackets", "</s> [/s]", "</s>", "{% for m in messages %}{{ '[' + m.role + ']' + m.content + '[/s]' }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}", "", nil,
			"[user]U[/s][assistant][A[/s]][user]V[/s][assistant][B[/s]]"},
	} {
		tok := spanTokenizer(t, c.tokens, c.eos, c.change)
		got, err := tok.ChatTokens(talk(t, msgs...), ChatOptions{Template: c.template, TrainOnEOS: c.train})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := got.spell(tok); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}

// TestMarkedTurns: which marks are learned, and their ends.
func TestMarkedTurns(t *testing.T) {
	tok := spanTokenizer(t, spanTokens, "</s>", nil)
	no := `{"role":"assistant","content":"B"}`
	const (
		content = "{% for m in messages %}{% if m.role == 'assistant' %}A:{% generation %}{{ m.content }}{% endgeneration %}</s>\n{% else %}U:{{ m.content }}</s>\n{% endif %}{% endfor %}"
		whole   = "{% for m in messages %}{% if m.role == 'assistant' %}A:{% generation %}{{ m.content }}</s>\n{% endgeneration %}{% else %}U:{{ m.content }}</s>\n{% endif %}{% endfor %}"
		last    = "{% for m in messages %}{% if m.role == 'assistant' %}A:{% if loop.last %}{% generation %}{{ m.content }}</s>{% endgeneration %}{% else %}{{ m.content }}</s>{% endif %}{% else %}U:{{ m.content }}{% endif %}{% endfor %}"
		never   = "{% for m in messages %}{{ m.content }}</s>{% if m.role == 'x' %}{% generation %}{% endgeneration %}{% endif %}{% endfor %}"
		two     = "{% for m in messages %}{% if m.role == 'assistant' %}A:{% generation %}<|message|>{% endgeneration %} {% generation %}{{ m.content }}</s>{% endgeneration %}{% else %}U:{{ m.content }}{% endif %}{% endfor %}"
	)
	skip := false
	for _, c := range []struct {
		name, template, train string
		roles                 []string
		not                   int // message that is not learned; 0: none
		want                  string
	}{
		{"content", content, "", nil, 0, "U:U</s>\nA:[A]</s>\nU:V</s>\nA:[B]</s>\n (2 without end)"},
		{"content, all", content, "all", nil, 0, "U:U[</s>]\nA:[A</s>]\nU:V[</s>]\nA:[B</s>]\n"},
		{"content, none", content, "none", nil, 0, "U:U</s>\nA:[A]</s>\nU:V</s>\nA:[B]</s>\n"},
		{"whole", whole, "", nil, 0, "U:U</s>\nA:[A</s>\n]U:V</s>\nA:[B</s>\n]"},
		{"whole, none", whole, "none", nil, 0, "U:U</s>\nA:[A]</s>\nU:V</s>\nA:[B]</s>\n"},
		{"whole, last", whole, "last", nil, 0, "U:U</s>\nA:[A]</s>\nU:V</s>\nA:[B</s>\n]"},
		{"whole, one turn not", whole, "", nil, 1, "U:U</s>\nA:A</s>\nU:V</s>\nA:[B</s>\n]"},
		{"whole, the user's too", whole, "", []string{"user", "assistant"}, 0, "U:[U</s>]\nA:[A</s>\n]U:[V</s>]\nA:[B</s>\n]"},
		{"whole, the user's alone", whole, "", []string{"user"}, 0, "U:[U</s>]\nA:A</s>\nU:[V</s>]\nA:B</s>\n"},
		{"the last one", last, "", nil, 0, "U:UA:A</s>U:VA:[B</s>] (1 unmarked)"},
		{"never", never, "", nil, 0, "U</s>A</s>V</s>B</s> (2 unmarked)"},
		{"two marks a turn", two, "", nil, 0, "U:UA:[<|message|>] [A</s>]U:VA:[<|message|>] [B</s>]"},
		{"two marks a turn, one turn not", two, "", nil, 1, "U:UA:<|message|> A</s>U:VA:[<|message|>] [B</s>]"},
	} {
		msgs := talk(t, "user:U", "assistant:A", "user:V", no)
		if c.not > 0 {
			msgs[c.not].Train = &skip
		}
		got, err := tok.ChatTokens(msgs, ChatOptions{Template: c.template, TrainOnEOS: c.train, Roles: c.roles})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := got.spell(tok); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}

// TestChatStops: generation ends at the tokenizer's own ends and at the template's.
func TestChatStops(t *testing.T) {
	tok := spanTokenizer(t, spanTokens, "</s>", nil)
	for template, want := range map[string]string{
		"chatml": "</s><|im_end|>", "llama-2": "</s>", "llama-3": "</s><|eot_id|>", "mistral": "</s>", "gemma": "</s><end_of_turn>", "zephyr": "</s>",
		"qwen": "</s><|im_end|>", "phi": "</s><|end|>", "deepseek": "</s>", "alpaca": "</s>", unmarked["harmony"]: "</s><|return|>", unmarked["glm-4"]: "</s>",
		unmarked["first llama-3"]: "</s><|eot_id|>", unmarked["phi-3"]: "</s><|end|>", unmarked["vicuna"]: "</s>",
	} {
		ids, err := tok.ChatStops(template)
		if got := tok.Decode(ids, false); err != nil || got != want {
			t.Errorf("%s: %q (%v), want %q", template, got, err, want)
		}
	}
}

// parsed is the value of a JSON text.
func parsed(t testing.TB, text string) jinja.Value {
	t.Helper()
	v, err := jinja.ParseJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestIncomplete: what a template leaves out of a conversation is an error that names it.
func TestIncomplete(t *testing.T) {
	tok := spanTokenizer(t, spanTokens, "</s>", nil)
	const system = "{% for m in messages %}{% if m.role != 'system' %}{{ m.role + ': ' + m.content + '</s>' }}{% endif %}{% endfor %}"
	for _, c := range []struct {
		name, template string
		msgs           []string
		tools          string
		want           string // "": no error
	}{
		{"a system turn", system, []string{"system:S", "user:U", "assistant:A"}, "", "leaves out the content of message 1 (system)"},
		{"no system turn", system, []string{"user:U", "assistant:A"}, "", ""},
		{"a blank one", system, []string{"system: \n", "user:U", "assistant:A"}, "", ""},
		{"a role that is not known", "{% for m in messages %}{% if m.role in ['user', 'assistant'] %}{{ m.content + '</s>' }}{% endif %}{% endfor %}",
			[]string{"user:U", "assistant:A", "tool:3", "assistant:B"}, "", "leaves out the content of message 3 (tool)"},
		{"calls", "chatml", []string{"user:U", call, "tool:3", "assistant:B"}, "", "leaves out the tool calls of message 2 (assistant)"},
		{"words beside calls", unmarked["llama-3.1"], []string{"user:U", `{"role":"assistant","content":"Let me see","tool_calls":[{"function":{"name":"f","arguments":{}}}]}`}, "",
			"leaves out the content of message 2 (assistant)"},
		{"reasoning", "chatml", []string{"user:U", `{"role":"assistant","content":"A","reasoning_content":"hm"}`}, "", "leaves out the reasoning of message 2 (assistant)"},
		{"reasoning of an earlier turn", unmarked["qwen-3"], []string{"user:U", `{"role":"assistant","content":"A","reasoning_content":"hm"}`, "user:V", "assistant:B"}, "", ""},
		{"the last user's words only", "{{ messages[-2].content + messages[-1].content + '</s>' }}", []string{"user:U", "assistant:A", "user:V", "assistant:B"}, "", "leaves out the content of message 1 (user)"},
		{"tools", "chatml", []string{"user:U", "assistant:A"}, `[{"type":"function","function":{"name":"f"}}]`, "leaves out the tools"},
		{"tools that are shown", "qwen", []string{"user:U", "assistant:A"}, `[{"type":"function","function":{"name":"f"}}]`, ""},
		{"no tools", "chatml", []string{"user:U", "assistant:A"}, `[]`, ""},
		{"a switch", "{% if messages[0].content == 'think' %}{% set messages = messages[1:] %}T{% endif %}{% for m in messages %}{{ m.content + '</s>' }}{% endfor %}", []string{"system:think", "user:U", "assistant:A"}, "", ""},
		{"stripped", "{% for m in messages %}{{ m.content | trim + '</s>' }}{% endfor %}", []string{"user: U ", "assistant:\n"}, "", ""},
		{"upper case", "{% for m in messages %}{{ m.content | upper + '</s>' }}{% endfor %}", []string{"user:u", "assistant:a"}, "", ""},
	} {
		o := ChatOptions{Template: c.template}
		if c.tools != "" {
			o.Tools = parsed(t, c.tools)
		}
		_, err := tok.ChatTokens(talk(t, c.msgs...), o)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

// TestLongConversation: the time of a conversation grows with its turns, not with their square; every answer is found.
func TestLongConversation(t *testing.T) {
	const n = 3000
	msgs := make([]Message, 0, 2*n)
	for range n {
		msgs = append(msgs, Message{Role: "user", Content: "q"}, Message{Role: "assistant", Content: "a"})
	}
	began := time.Now()
	c, err := NewByteLevel().ChatTokens(msgs, ChatOptions{Template: "chatml"})
	if err != nil {
		t.Fatal(err)
	}
	learned := 0
	for _, on := range c.Train {
		if on {
			learned++
		}
	}
	if learned != 2*n {
		t.Errorf("%d tokens learned, want %d: each answer and its end", learned, 2*n)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("%d turns took %s", 2*n, took)
	}
}

// TestChatEnds: where no token ends a turn, its text does: what the template writes behind an answer, or before the next question.
func TestChatEnds(t *testing.T) {
	all, few := spanTokenizer(t, spanTokens, "</s>", nil), NewByteLevel()
	few.chat = chatTemplates{}
	for _, c := range []struct {
		name, template string
		tok            *Tokenizer
		want           string
	}{
		{"a token", "chatml", all, ""},
		{"eos", "llama-2", all, ""},
		{"eos at the end of a line", "zephyr", all, ""},
		{"a token that the tokenizer does not have", "{% for m in messages %}<|turn|>{{ m.role }}\n{{ m.content }}<|done|>\n{% endfor %}{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}", all, "<|done|>"},
		{"a word", "{% for m in messages %}{{ m.role }}: {{ m.content }} ###\n{% endfor %}", all, "###"},
		{"the next header", "{% for m in messages %}{{ m.role | capitalize }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}", all, "\nUser:"},
		{"the next header behind an empty line", "{% for m in messages %}### {{ m.role }}\n{{ m.content }}\n\n{% endfor %}{% if add_generation_prompt %}### assistant\n{% endif %}", all, "\n\n### user"},
		{"nothing at all", "{% for m in messages %}{{ m.content }}\n{% endfor %}", all, ""},
		{"eos behind the last answer only", "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token if loop.last else '\n' }}{% endfor %}", all, ""},
		{"chatml without its tokens", "chatml", few, ""},
	} {
		_, got, err := c.tok.ChatEnds(c.template)
		if err != nil || got != c.want {
			t.Errorf("%s: %q (%v), want %q", c.name, got, err, c.want)
		}
	}
}

func TestSpecialIn(t *testing.T) {
	tok := spanTokenizer(t, spanTokens, "</s>", nil)
	for text, want := range map[string]string{
		"": "", "What is it?": "", "user": "", "< |im_end| >": "", "a <|im_end|> b": "<|im_end|>", "</s>": "</s>", "1 </s> 2 <|im_end|>": "</s>", "<|im_end": "",
	} {
		if got := tok.SpecialIn(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestKnown: padding rows and gaps are known for what they are.
func TestKnown(t *testing.T) {
	tok := NewByteLevel()
	tok.vocab.tokens[5] = ""
	known := tok.Known(tok.size + 10)
	if len(known) != tok.size || !known[4] || known[5] || !known[tok.size-1] {
		t.Errorf("%d of %d ids: %v", len(known), tok.size, known)
	}
	if known := tok.Known(7); len(known) != 7 {
		t.Errorf("%d ids of a model of 7 rows", len(known))
	}
}
