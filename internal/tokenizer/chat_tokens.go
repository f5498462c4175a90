package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// ChatOptions says what of a conversation is learned.
type ChatOptions struct {
	// Roles are the roles whose turns are learned, unless a message says otherwise; nil: assistant.
	Roles []string
	// TrainOnEOS says which end-of-turn tokens are learned: "turn" (or ""), those of learned turns;
	// "all", also those of the others; "last", that of the last learned turn; "none".
	TrainOnEOS string
	// Template is "" or "tokenizer" for the tokenizer's own, the name of another, or a template's text.
	Template string
}

// Conversation is a conversation as token ids.
type Conversation struct {
	IDs   []int32
	Train []bool // which of them are learned
	// NoEnd is how many learned turns have no token that ends them: a model that learns them does not learn to stop.
	NoEnd int
	// LastOnly says that of the learned turns only the last could be located in the text; the others are not learned.
	LastOnly bool
}

// turn is the learned part of one message in the rendered text: its content, and the end token that
// follows it ([end,end) if there is none).
type turn struct{ start, end, eosEnd int }

// ChatTokens is the conversation as token ids, and which of them are learned: contents of learned turns
// and, as TrainOnEOS wants, the tokens that end them. Where the template marks assistant turns with
// {% generation %}, the marks decide; else a turn is what the message adds to the text of those
// before it, for which that text must be the beginning of the whole.
func (t *Tokenizer) ChatTokens(msgs []Message, o ChatOptions) (Conversation, error) {
	switch o.TrainOnEOS {
	case "", "turn", "all", "last", "none":
	default:
		return Conversation{}, fmt.Errorf("train_on_eos %q is none of turn, all, last, none", o.TrainOnEOS)
	}
	c, err := t.template(o.Template)
	if err != nil {
		return Conversation{}, err
	}
	s, marks, err := t.render(c, msgs, false)
	if err != nil {
		return Conversation{}, err
	}
	turns, err := t.turns(c, msgs, s, marks, o)
	if err != nil {
		return Conversation{}, err
	}
	ids, offsets, err := t.EncodeOffsets(s, false)
	if err != nil {
		return Conversation{}, err
	}
	return Conversation{IDs: ids, Train: mask(ids, offsets, turns, o.TrainOnEOS)}, nil
}

// mask marks the tokens of the turns. A token is learned if any of its bytes is.
func mask(ids []int32, offsets [][2]int, turns []turn, eos string) []bool {
	train := make([]bool, len(ids))
	ends := map[int32]bool{} // ids of end tokens
	last := -1               // index of the last learned turn's
	k := 0
	for i, at := range offsets {
		for k < len(turns) && at[0] >= turns[k].eosEnd {
			k++
		}
		if k == len(turns) {
			break
		}
		n := turns[k]
		switch {
		case at[0] >= n.end:
			ends[ids[i]] = true
			last = i
			train[i] = eos == "" || eos == "turn"
		case at[1] > n.start || at[0] == at[1] && at[0] >= n.start:
			train[i] = true
		}
	}
	for i, id := range ids {
		if eos == "all" && ends[id] || eos == "last" && i == last {
			train[i] = true
		}
	}
	return train
}

// turns finds the learned turns in the rendered text s, in order.
func (t *Tokenizer) turns(c *exec.Template, msgs []Message, s string, marks [][2]int, o ChatOptions) ([]turn, error) {
	roles := o.Roles
	if roles == nil {
		roles = []string{"assistant"}
	}
	var turns []turn
	marked := 0
	for k, m := range msgs {
		mark := -1
		if m.Role == "assistant" && len(marks) > 0 {
			mark = marked
			marked++
		}
		learned := slices.Contains(roles, m.Role)
		if m.Train != nil {
			learned = *m.Train
		}
		if !learned {
			continue
		}
		var n turn
		var err error
		if mark >= 0 && mark < len(marks) {
			n = t.markedTurn(s, marks[mark])
		} else if n, err = t.addedTurn(c, msgs, k, s); err != nil {
			return nil, err
		}
		turns = append(turns, n)
	}
	if len(marks) > 0 && marked != len(marks) {
		return nil, fmt.Errorf("chat template: %d generation marks for %d assistant messages", len(marks), marked)
	}
	return turns, nil
}

// markedTurn is the turn inside a {% generation %} mark; its end token is the last thing in the mark or
// the first behind it.
func (t *Tokenizer) markedTurn(s string, mark [2]int) turn {
	text := s[mark[0]:mark[1]]
	tail := strings.TrimRightFunc(text, unicode.IsSpace)
	if p := t.specialSuffix(tail); p != "" {
		end := mark[0] + len(tail)
		return turn{mark[0], end - len(p), end}
	}
	space := len(s[mark[1]:]) - len(strings.TrimLeftFunc(s[mark[1]:], unicode.IsSpace))
	if p, at := t.raw.next(s, mark[1]); p != nil && p.token.Special && at == mark[1]+space {
		return turn{mark[0], mark[1] + space, at + len(p.s)}
	}
	return turn{mark[0], mark[1], mark[1]}
}

// specialSuffix is the special token at the end of s, or "".
func (t *Tokenizer) specialSuffix(s string) string {
	best := ""
	for token := range t.specials {
		if len(token) > len(best) && strings.HasSuffix(s, token) {
			best = token
		}
	}
	return best
}

// addedTurn is what message k adds to the text of those before it.
func (t *Tokenizer) addedTurn(c *exec.Template, msgs []Message, k int, s string) (turn, error) {
	upTo, _, err := t.render(c, msgs[:k+1], false)
	if err != nil {
		return turn{}, err
	}
	before := ""
	prompted := false // before ends where the content begins
	if k > 0 {
		if before, _, err = t.render(c, msgs[:k], false); err != nil {
			return turn{}, err
		}
		if msgs[k].Role == "assistant" {
			prompt, _, err := t.render(c, msgs[:k], true)
			if err != nil {
				return turn{}, err
			}
			if prompted = strings.HasPrefix(upTo, prompt); prompted {
				before = prompt
			}
		}
	}
	if !strings.HasPrefix(upTo, before) || !strings.HasPrefix(s, upTo) {
		return turn{}, fmt.Errorf("chat template: the text of the first %d messages changes when later ones follow, so the tokens "+
			"of message %d (%s) cannot be told apart; use a template with {%% generation %%} marks", k+1, k+1, msgs[k].Role)
	}
	from, added := len(before), upTo[len(before):]
	content := msgs[k].Content
	i := strings.Index(added, content)
	if i < 0 {
		content = strings.TrimSpace(content)
		i = strings.Index(added, content)
	}
	switch {
	case i < 0 && !prompted:
		return turn{}, fmt.Errorf("chat template: it rewrites the content of message %d (%s), so its tokens cannot be told apart; "+
			"use a template with {%% generation %%} marks", k+1, msgs[k].Role)
	case i < 0: // an assistant's rewritten content: all up to the last special token
		i, content = 0, ""
		if tail := strings.TrimRightFunc(added, unicode.IsSpace); t.specialSuffix(tail) != "" {
			content = strings.TrimSuffix(tail, t.specialSuffix(tail))
		}
	case prompted: // what the template puts between the prompt and the content is the model's to write
		content = added[:i+len(content)]
		i = 0
	}
	n := turn{start: from + i, end: from + i + len(content)}
	n.eosEnd = n.end
	if p, at := t.raw.next(upTo, n.end); p != nil && p.token.Special {
		n.end, n.eosEnd = at, at+len(p.s) // white space before the end token is learned too
	}
	return n, nil
}
