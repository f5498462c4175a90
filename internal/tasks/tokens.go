package tasks

import "fmt"

// MaxLen is LOMO's bound on the tokens of a prompt and choice, the end token not counted.
const MaxLen = 1024

// Encoder is what of a tokenizer is needed; *tokenizer.Tokenizer has it.
type Encoder interface {
	EncodeOffsets(text string, special bool) (ids []int32, offs [][2]int, err error)
	EOS() int32
}

// Tokenise encodes prompt+choice with the tokenizer's own beginning, cuts it to maxLen tokens on the right and ends it
// with eos where the tokenizer has one, so that ids may have maxLen+1 tokens. scored marks the tokens that count: those
// that hold any of the choice's text, and eos. They are told by the bytes they cover, so a token of the prompt's last
// space and the choice's first letters counts; where the prompt alone is too long, only eos is left of them.
func Tokenise(tok Encoder, prompt, choice string, maxLen int) (ids []int32, scored []bool, err error) {
	ids, offs, err := tok.EncodeOffsets(prompt+choice, true)
	if err != nil {
		return nil, nil, fmt.Errorf("tokenize: %w", err)
	}
	eos := tok.EOS()
	if n := len(ids); n > 0 && ids[n-1] == eos && offs[n-1][1] <= offs[n-1][0] {
		ids = ids[:n-1] // the tokenizer ends texts itself: do not do it twice
	}
	ids = ids[:min(len(ids), maxLen)]
	scored = make([]bool, len(ids), len(ids)+1)
	for i := range ids {
		scored[i] = offs[i][1] > len(prompt) && offs[i][1] > offs[i][0]
	}
	if eos >= 0 {
		ids, scored = append(ids, eos), append(scored, true)
	}
	return ids, scored, nil
}
