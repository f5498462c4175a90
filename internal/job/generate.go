package job

import (
	"fmt"

	"lomo/internal/infer"
	"lomo/internal/model"
	"lomo/internal/tokenizer"
)

// GenerateOptions is what `lomo generate` is asked.
type GenerateOptions struct {
	Model   string
	Prompts []string // each is continued on its own
	Chat    bool     // the prompts are user turns of a chat
	System  string   // with Chat: a system turn before them
	// ChatTemplate is the key of this name, with Chat.
	ChatTemplate string
	MaxTokens    int
	Sampler      infer.Sampler
	Penalty      *float64 // nil: what the model's generation_config.json says
	Stops        []string // texts that end a continuation
	Runtime
}

// Continuation is one continued prompt.
type Continuation struct {
	Prompt       string       `json:"prompt"`
	Text         string       `json:"text"`
	PromptTokens int          `json:"prompt_tokens"`
	Tokens       int          `json:"tokens"`
	IDs          []int32      `json:"token_ids"`
	Finish       infer.Finish `json:"finish_reason"`
}

// GenerateOutput takes what comes of the prompts: pieces of text as they appear, and each continuation when it is whole. nil: not wanted.
type GenerateOutput struct {
	Show func(text string) error
	Done func(Continuation) error
}

// Generate continues each prompt.
func Generate(o GenerateOptions, to GenerateOutput, note Note) error {
	m, err := OpenModel(o.Model)
	if err != nil {
		return err
	}
	defer m.Close()
	tok, err := m.Tokenizer()
	if err != nil {
		return err
	}
	m.note(note)
	m.noteTokenizer(tok, note)
	p := &speech{tok: tok, ends: tok.EOSIDs(), sampler: o.Sampler, limit: o.MaxTokens}
	p.sampler.Known = tok.Known(m.Config.VocabSize)
	if o.Chat {
		if o.ChatTemplate, err = p.chat(o.ChatTemplate, "leave --chat out to continue plain text"); err != nil {
			return err
		}
	}
	if err := p.stopAt(o.Stops); err != nil {
		return err
	}
	g, err := readGeneration(m)
	if err == nil {
		err = g.apply(p, o.Penalty, note)
	}
	if err != nil {
		return err
	}
	prompts, err := o.prompts(m, tok, note)
	if err != nil {
		return err
	}
	o.Shrink = "--max-new-tokens"
	l, err := LoadModel(o.Model, o.Runtime, 1)
	if err != nil {
		return err
	}
	defer l.Close()
	l.noteRounding(l.DType, note)
	longest := 0
	for _, ids := range prompts {
		longest = max(longest, reach(l.Config, len(ids), o.MaxTokens))
	}
	noteCache(l.Config, longest, l.DType, note)
	return l.explain(l.Each(func(r *Rank) error {
		if r.Number > 0 { // it computes the same, for its share of the weights; rank 0 speaks
			return l.continueAll(r, p, prompts, o, GenerateOutput{})
		}
		return l.continueAll(r, p, prompts, o, to)
	}))
}

// prompts are the tokens of each prompt. One that leaves no room for a continuation is refused before a weight is read.
func (o *GenerateOptions) prompts(m *Model, tok *tokenizer.Tokenizer, note Note) (prompts [][]int32, err error) {
	if o.Chat {
		noteSpecial(tok, "--system", o.System, note)
	}
	for i, text := range o.Prompts {
		name := "the prompt"
		if len(o.Prompts) > 1 {
			name = fmt.Sprintf("prompt %d", i+1)
		}
		ids, err := promptIDs(tok, text, o)
		if err == nil {
			err = outside(tok, ids, m.Config.VocabSize, name)
		}
		if err == nil {
			err = o.room(m.Config, name, len(ids), note)
		}
		if err != nil {
			return nil, err
		}
		if o.Chat {
			noteSpecial(tok, name, text, note)
		}
		prompts = append(prompts, ids)
	}
	return prompts, nil
}

// reach is how many tokens a prompt of n tokens and its continuation may have: no more than the model knows positions, or can be computed for.
func reach(c *model.Config, n, maxTokens int) int {
	end, _ := contextOf(c)
	return min(n+maxTokens, end)
}

// room refuses a prompt of n tokens that fills the model's context, and says where a continuation ends early.
func (o *GenerateOptions) room(c *model.Config, name string, n int, note Note) error {
	end, key := contextOf(c)
	if n >= end {
		return hint("shorten it", "%s of %s leaves no room in the model's context of %d (%s)", name, tokenCount(n), end, key)
	}
	if left := end - n; left < o.MaxTokens {
		note("lomo: warning: %s of %s: its continuation ends after %s at most, where the model's context of %d does (%s)", name, tokenCount(n), tokenCount(left), end, key)
	}
	return nil
}

// tokenCount is "1 token" or "5 tokens".
func tokenCount(n int) string {
	if n == 1 {
		return "1 token"
	}
	return fmt.Sprintf("%d tokens", n)
}

// chat makes texts end as the chat template that value means ends them, and returns that. else is the other way out of a model without one.
func (p *speech) chat(value, otherwise string) (template string, err error) {
	if template, err = ChatTemplate(p.tok, value); err != nil {
		return "", err
	}
	if (template == "" || template == "tokenizer") && !p.tok.HasChatTemplate() {
		return "", hint("name one with --chat-template, such as chatml, or "+otherwise, "the model's tokenizer has no chat template")
	}
	ends, text, err := p.tok.ChatEnds(template)
	if text != "" {
		p.stops = append(p.stops, text)
	}
	p.ends = ends
	return template, err
}

// continueAll continues one prompt after the other, each in a session of its own.
func (l *Loaded) continueAll(r *Rank, p *speech, prompts [][]int32, o GenerateOptions, to GenerateOutput) error {
	for i, ids := range prompts {
		mark := r.Device.Memory().Mark()
		s, err := infer.NewSession(r.Device, r.Net, r.Sweep.Store, reach(l.Config, len(ids), o.MaxTokens), l.DType)
		if err != nil {
			return err
		}
		out, err := p.speak(s, ids, 0, to.Show, nil)
		r.Device.Memory().Release(mark)
		if err == nil && to.Done != nil {
			err = to.Done(Continuation{o.Prompts[i], out.Text, len(ids), len(out.IDs), out.IDs, out.Finish})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func promptIDs(tok *tokenizer.Tokenizer, prompt string, o *GenerateOptions) ([]int32, error) {
	if !o.Chat {
		ids, err := tok.Encode(prompt, true)
		if err == nil && len(ids) == 0 {
			return nil, &UsageError{fmt.Errorf("the prompt has no tokens")}
		}
		return ids, err
	}
	var msgs []tokenizer.Message
	if o.System != "" {
		msgs = append(msgs, tokenizer.Message{Role: "system", Content: o.System})
	}
	return chatIDs(tok, append(msgs, tokenizer.Message{Role: "user", Content: prompt}), o.ChatTemplate)
}

// chatIDs are the tokens of a conversation up to where the assistant would go on.
func chatIDs(tok *tokenizer.Tokenizer, msgs []tokenizer.Message, template string) ([]int32, error) {
	text, err := tok.RenderChat(msgs, template, true)
	if err != nil {
		return nil, err
	}
	return tok.Encode(text, false)
}

// outside refuses tokens that the model has no row for.
func outside(tok *tokenizer.Tokenizer, ids []int32, size int, what string) error {
	if err := tok.Outside(ids, size); err != nil {
		return hint(tokenizer.NoRow, "%s: %w", what, err)
	}
	return nil
}
