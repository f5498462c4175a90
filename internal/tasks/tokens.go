package tasks

import "fmt"

// MaxLen is LOMO's bound on the tokens of a prompt and choice, the end token not counted.
const MaxLen = 1024

// Encoder is what of a tokenizer is needed; *tokenizer.Tokenizer has it.
type Encoder interface {
	EncodeOffsets(text string, special bool) (ids []int32, offs [][2]int, err error)
	EOS() int32
}

// Tokens is a prompt with a choice behind it. Scored marks the tokens that count: those that hold any of the choice's
// text, and the end token.
type Tokens struct {
	IDs    []int32
	Scored []bool
	Cut    bool // the prompt filled maxLen, nothing of the choice is left
}

// Tokenise encodes prompt+choice with the tokenizer's own beginning, cuts it to maxLen tokens on the right and ends it
// with eos where the tokenizer has one. Tokens are told apart by the bytes they cover, so a token of the prompt's last
// space and the choice's first letters counts.
func Tokenise(tok Encoder, prompt, choice string, maxLen int) (Tokens, error) {
	ids, offs, err := tok.EncodeOffsets(prompt+choice, true)
	if err != nil {
		return Tokens{}, fmt.Errorf("tokenize: %w", err)
	}
	eos := tok.EOS()
	if n := len(ids); n > 0 && ids[n-1] == eos && offs[n-1][1] <= offs[n-1][0] {
		ids = ids[:n-1] // the tokenizer ends texts itself: do not do it twice
	}
	ids = ids[:min(len(ids), maxLen)]
	t := Tokens{IDs: append(make([]int32, 0, len(ids)+1), ids...), Scored: make([]bool, len(ids), len(ids)+1), Cut: true}
	for i := range ids {
		if offs[i][1] > len(prompt) && offs[i][1] > offs[i][0] {
			t.Scored[i], t.Cut = true, false
		}
	}
	if eos >= 0 {
		t.IDs, t.Scored = append(t.IDs, eos), append(t.Scored, true)
	}
	return t, nil
}
