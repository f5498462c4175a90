package job

import (
	"fmt"
	"io"
	"strings"

	"lomo/internal/infer"
	"lomo/internal/tokenizer"
)

// GenerateOptions is what `lomo generate` is asked.
type GenerateOptions struct {
	Model     string
	Prompts   []string // each is continued on its own
	Chat      bool     // the prompts are user turns of a chat
	System    string   // with Chat: a system turn before them
	MaxTokens int
	Sampler   infer.Sampler
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
func Generate(o GenerateOptions, stream io.Writer) ([]Continuation, error) {
	m, err := OpenModel(o.Model)
	if err != nil {
		return nil, err
	}
	tok, err := m.Tokenizer()
	m.Close()
	if err != nil {
		return nil, err
	}
	var prompts [][]int32
	longest := 0
	for _, p := range o.Prompts {
		ids, err := promptIDs(tok, p, o)
		if err != nil {
			return nil, err
		}
		prompts = append(prompts, ids)
		longest = max(longest, len(ids))
	}
	l, err := LoadModel(o.Model, o.Runtime, 1)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	if longest >= l.Config.MaxPositions {
		return nil, fmt.Errorf("prompt of %d tokens: the model knows %d positions (max_position_embeddings)", longest, l.Config.MaxPositions)
	}
	var out []Continuation
	err = l.Each(func(r *Rank) error {
		if r.Number > 0 { // it computes the same, for its share of the weights; rank 0 speaks
			_, err := l.continueAll(r, tok, prompts, o, nil)
			return err
		}
		all, err := l.continueAll(r, tok, prompts, o, stream)
		out = all
		return err
	})
	if err != nil {
		return nil, l.overLimit(err)
	}
	return out, nil
}

// continueAll continues one prompt after the other.
func (l *Loaded) continueAll(r *Rank, tok *tokenizer.Tokenizer, prompts [][]int32, o GenerateOptions, stream io.Writer) ([]Continuation, error) {
	var out []Continuation
	for i, ids := range prompts {
		text, n, err := l.continueText(r, tok, ids, o, stream)
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
	if !tok.HasChatTemplate() {
		return nil, hint("leave --chat out to continue plain text", "the model's tokenizer has no chat template")
	}
	var msgs []tokenizer.Message
	if o.System != "" {
		msgs = append(msgs, tokenizer.Message{Role: "system", Content: o.System})
	}
	text, err := tok.RenderChat(append(msgs, tokenizer.Message{Role: "user", Content: prompt}), true)
	if err != nil {
		return nil, err
	}
	return tok.Encode(text, false)
}

// continueText runs one prompt in a session of its own.
func (l *Loaded) continueText(r *Rank, tok *tokenizer.Tokenizer, ids []int32, o GenerateOptions, stream io.Writer) (string, int, error) {
	mark := r.Device.Memory().Mark()
	defer r.Device.Memory().Release(mark)
	s, err := infer.NewSession(r.Device, r.Net, r.Sweep.Store, min(len(ids)+o.MaxTokens, l.Config.MaxPositions), l.DType)
	if err != nil {
		return "", 0, err
	}
	sampler := o.Sampler
	if sampler.Temperature > 0 {
		sampler.Vocab = tok.VocabSize() // no draw of a padding row; the likeliest token is what transformers takes, whatever it is
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
	out, gerr := infer.Generate(s, ids, sampler, o.MaxTokens, tok.EOSIDs(), emit)
	if gerr != nil {
		return "", 0, gerr
	}
	text := tok.Decode(out, true)
	show(text)
	return text, len(out), err
}
