package tasks

import (
	"slices"
)

// MaxLen is LOMO's bound on the tokens of a prompt and choice, the end token not counted.
const MaxLen = 1024

// Encoder is what of a tokenizer is needed; *tokenizer.Tokenizer has it.
type Encoder interface {
	EncodeOffsets(text string, special bool) (ids []int32, offs [][2]int, err error)
	EOS() int32
}

// Tokens is a prompt and a choice as a model sees them.
type Tokens struct {
	IDs    []int32
	Scored []bool // the tokens that count
	Cut    int    // tokens of the prompt that were left out
	Fits   bool   // false: there is no room for the whole choice and a token before it, so it cannot be scored
}

// Tokenise encodes prompt+choice with the tokenizer's own beginning and ends it with eos where the tokenizer has one, so that
// there may be maxLen+1 tokens. What is longer is cut at the beginning of the prompt, behind the tokenizer's own first token:
// the question stands at the prompt's end, and a choice is never cut. The tokens that count are those that hold any of the
// choice's text, and eos. They are told by the bytes they cover, so a token of the prompt's last space and the choice's first
// letters counts.
func Tokenise(tok Encoder, prompt, choice string, maxLen int) (Tokens, error) {
	ids, offs, err := tok.EncodeOffsets(prompt+choice, true)
	if err != nil {
		return Tokens{}, err
	}
	eos := tok.EOS()
	if n := len(ids); n > 0 && ids[n-1] == eos && offs[n-1][1] <= offs[n-1][0] {
		ids = ids[:n-1] // the tokenizer ends texts itself: do not do it twice
	}
	t := Tokens{Scored: make([]bool, len(ids), len(ids)+1), Cut: max(0, len(ids)-maxLen)}
	begin, first := 0, len(ids) // the tokenizer's own first tokens, and the choice's first
	for begin < len(ids) && offs[begin][1] <= offs[begin][0] {
		begin++
	}
	for i := len(ids) - 1; i >= 0; i-- {
		if t.Scored[i] = offs[i][1] > len(prompt) && offs[i][1] > offs[i][0]; t.Scored[i] {
			first = i
		}
	}
	if t.Fits = t.Cut == 0 || first-t.Cut >= max(begin, 1); !t.Fits {
		return t, nil
	}
	t.IDs = slices.Delete(slices.Clone(ids), begin, begin+t.Cut)
	t.Scored = slices.Delete(t.Scored, begin, begin+t.Cut)
	if eos >= 0 {
		t.IDs, t.Scored = append(t.IDs, eos), append(t.Scored, true)
	}
	return t, nil
}
