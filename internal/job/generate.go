package job

import (
	"fmt"
	"io"
	"strings"

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
	Runtime
}

// Continuation is one continued prompt.
type Continuation struct {
	Prompt string `json:"prompt"`
	Text   string `json:"text"`
	Tokens int    `json:"tokens"`
}

// Generate continues each prompt and writes pieces of text to stream as they appear, a line feed after each continuation
// (nil: not wanted).
func Generate(o GenerateOptions, stream io.Writer, note Note) ([]Continuation, error) {
	m, err := OpenModel(o.Model)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	tok, err := m.Tokenizer()
	if err != nil {
		return nil, err
	}
	m.note(note)
	m.noteTokenizer(tok, note)
	stops := tok.EOSIDs()
	if o.Chat {
		if o.ChatTemplate, stops, err = chatStops(tok, o.ChatTemplate); err != nil {
			return nil, err
		}
	}
	var prompts [][]int32
	for i, p := range o.Prompts {
		ids, err := promptIDs(tok, p, o)
		if err == nil {
			err = outside(tok, ids, m.Config.VocabSize, "the prompt")
		}
		if err != nil {
			return nil, err
		}
		prompts = append(prompts, ids)
		if err := o.room(m.Config, i, len(ids), note); err != nil {
			return nil, err
		}
	}
	l, err := LoadModel(o.Model, o.Runtime, 1)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	l.noteRounding(l.DType, note)
	var out []Continuation
	err = l.Each(func(r *Rank) error {
		if r.Number > 0 { // it computes the same, for its share of the weights; rank 0 speaks
			_, err := l.continueAll(r, tok, prompts, stops, o, nil)
			return err
		}
		all, err := l.continueAll(r, tok, prompts, stops, o, stream)
		out = all
		return err
	})
	if err != nil {
		return nil, l.overLimit(err)
	}
	return out, nil
}

// reach is how many tokens a prompt of n tokens and its continuation may have: as many as the model knows positions, or where the prompt
// itself goes beyond them, as many as it can be computed for.
func reach(c *model.Config, n, maxTokens int) int {
	end := n + maxTokens
	if known := c.Positions(); n < known {
		end = min(end, known)
	}
	if exact, _ := c.Exact(); exact > 0 {
		end = min(end, exact)
	}
	return end
}

// room refuses prompt number i where there is no room to continue its n tokens, and says where its continuation ends early.
func (o *GenerateOptions) room(c *model.Config, i, n int, note Note) error {
	if exact, key := c.Exact(); exact > 0 && n >= exact {
		return hint("shorten it", "prompt %d of %d tokens: this build computes the model up to %d tokens (%s)", i+1, n, exact, key)
	}
	if n >= c.Positions() {
		note("lomo: warning: prompt %d of %d tokens: the model knows %d positions (max_position_embeddings); later ones are new to it", i+1, n, c.Positions())
	}
	if left := reach(c, n, o.MaxTokens) - n; left < o.MaxTokens {
		note("lomo: warning: prompt %d of %d tokens: its continuation ends after %d tokens at most, where the positions of the model end", i+1, n, left)
	}
	return nil
}

// chatStops is the template that prompts are put through, and the tokens that end its answers.
func chatStops(tok *tokenizer.Tokenizer, value string) (template string, stops []int32, err error) {
	if template, err = ChatTemplate(tok, value); err != nil {
		return "", nil, err
	}
	if (template == "" || template == "tokenizer") && !tok.HasChatTemplate() {
		return "", nil, hint("name one with --chat-template, such as chatml, or leave --chat out to continue plain text", "the model's tokenizer has no chat template")
	}
	stops, err = tok.ChatStops(template)
	return template, stops, err
}

// continueAll continues one prompt after the other.
func (l *Loaded) continueAll(r *Rank, tok *tokenizer.Tokenizer, prompts [][]int32, stops []int32, o GenerateOptions, stream io.Writer) ([]Continuation, error) {
	var out []Continuation
	for i, ids := range prompts {
		text, n, err := l.continueText(r, tok, ids, stops, o, stream)
		if err != nil {
			return nil, err
		}
		out = append(out, Continuation{o.Prompts[i], text, n})
		if stream != nil {
			if _, err := io.WriteString(stream, "\n"); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func promptIDs(tok *tokenizer.Tokenizer, prompt string, o GenerateOptions) ([]int32, error) {
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
	text, err := tok.RenderChat(append(msgs, tokenizer.Message{Role: "user", Content: prompt}), o.ChatTemplate, true)
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

// continueText runs one prompt in a session of its own.
func (l *Loaded) continueText(r *Rank, tok *tokenizer.Tokenizer, ids, stops []int32, o GenerateOptions, stream io.Writer) (string, int, error) {
	mark := r.Device.Memory().Mark()
	defer r.Device.Memory().Release(mark)
	s, err := infer.NewSession(r.Device, r.Net, r.Sweep.Store, reach(l.Config, len(ids), o.MaxTokens), l.DType)
	if err != nil {
		return "", 0, err
	}
	sampler := o.Sampler
	if sampler.Temperature > 0 {
		sampler.Vocab = min(tok.VocabSize(), l.Config.VocabSize) // no draw of a padding row; the likeliest token is what transformers takes, whatever it is
	}
	var got []int32
	shown := ""
	show := func(text string) {
		if rest, ok := strings.CutPrefix(text, shown); ok && stream != nil && err == nil {
			_, err = io.WriteString(stream, rest)
			shown = text
		}
	}
	emit := func(id int32) bool {
		got = append(got, id)
		// Text is shown up to the last whole character: a token may end within one.
		if text := tok.Decode(got, true); !strings.HasSuffix(text, "\uFFFD") {
			show(text)
		}
		return err == nil
	}
	out, gerr := infer.Generate(s, ids, sampler, o.MaxTokens, stops, emit)
	if gerr != nil {
		return "", 0, gerr
	}
	text := tok.Decode(out, true)
	show(text)
	return text, len(out), err
}
