package cli

import (
	"encoding/json"
	"fmt"

	"lomo/internal/job"
	"lomo/internal/tokenizer"
)

// tokenizerFacts is a tokenizer as `lomo inspect --json` prints it; −1 stands for a token there is not.
type tokenizerFacts struct {
	Vocab        int      `json:"vocab_size"`
	BOS          int32    `json:"bos_token_id"`
	EOS          []int32  `json:"eos_token_ids"`
	PAD          int32    `json:"pad_token_id"`
	UNK          int32    `json:"unk_token_id"`
	ChatTemplate bool     `json:"chat_template"`
	Notes        []string `json:"notes,omitempty"`

	name func(int32) string
}

func describeTokenizer(t *tokenizer.Tokenizer) *tokenizerFacts {
	return &tokenizerFacts{Vocab: t.VocabSize(), BOS: t.BOS(), EOS: t.EOSIDs(), PAD: t.PAD(), UNK: t.UNK(), ChatTemplate: t.HasChatTemplate(), Notes: t.Notes(), name: t.Token}
}

func (f *tokenizerFacts) print(s *Streams) {
	show := func(id int32) string {
		if id < 0 {
			return "none"
		}
		return fmt.Sprintf("%d %q", id, f.name(id))
	}
	fmt.Fprintf(s.Out, "tokenizer: %d tokens; bos %s, pad %s, unk %s", f.Vocab, show(f.BOS), show(f.PAD), show(f.UNK))
	for _, id := range f.EOS {
		fmt.Fprintf(s.Out, ", eos %s", show(id))
	}
	if f.ChatTemplate {
		fmt.Fprintln(s.Out, "; with a chat template")
	} else {
		fmt.Fprintln(s.Out, "; without a chat template")
	}
	for _, n := range f.Notes {
		fmt.Fprintf(s.Out, "tokenizer: note: %s\n", n)
	}
}

func inspectTokenizer(s *Streams, o *inspectOptions) error {
	tok, err := job.OpenTokenizer(o.Path)
	if err != nil {
		return err
	}
	f := describeTokenizer(tok)
	if o.JSON {
		return json.NewEncoder(s.Out).Encode(f)
	}
	f.print(s)
	return nil
}
