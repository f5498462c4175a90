package data

import (
	"fmt"
	"slices"
	"strings"

	"lomo/internal/data/records"
	"lomo/internal/tokenizer"
)

// Tokenizer is what of a tokenizer is needed; *tokenizer.Tokenizer has it.
type Tokenizer interface {
	EncodeOffsets(text string, special bool) (ids []int32, offs [][2]int, err error)
	ChatTokens(msgs []tokenizer.Message, o tokenizer.ChatOptions) (tokenizer.Conversation, error)
	EOS() int32
	PAD() int32
	UNK() int32
}

// encoder makes samples and appends them to a corpus.
type encoder struct {
	tok        Tokenizer // nil: only tokenized data
	begin, end []int32   // what stands before and after a text: bos where the tokenizer adds it, eos
	o          Options
	out        *corpus
	skipped    int
	notes      records.Notes
	unread     unread
	left       records.Notes   // of the samples of this source that were left out
	roles      map[string]bool // of the messages that went through a chat template
	wording    *wording        // that the chat template takes; nil until it was looked at
	labels     []int32         // reused
}

func newEncoder(tok Tokenizer, o Options) (*encoder, error) {
	o.RolesToTrain = slices.Clone(o.RolesToTrain)
	for i, role := range o.RolesToTrain {
		if usual := usualRoles[role]; usual != "" && role != functionCall {
			o.RolesToTrain[i] = usual
		}
	}
	e := &encoder{tok: tok, o: o, out: &corpus{}, roles: map[string]bool{}}
	if tok == nil {
		return e, nil
	}
	for _, id := range []int32{tok.PAD(), tok.UNK(), tok.EOS()} {
		if id >= 0 && (o.VocabSize == 0 || int(id) < o.VocabSize) {
			e.out.pad = id
			break
		}
	}
	// The tokenizer's own frame, seen around one letter.
	ids, offs, err := tok.EncodeOffsets("a", true)
	if err != nil {
		return nil, err
	}
	inside := false
	for i, id := range ids {
		switch {
		case offs[i][0] >= 0:
			inside = true
		case inside:
			e.end = append(e.end, id)
		default:
			e.begin = append(e.begin, id)
		}
	}
	if len(e.end) == 0 && tok.EOS() >= 0 {
		e.end = []int32{tok.EOS()}
	}
	return e, nil
}

// told says how many samples there are.
func (e *encoder) told() {
	if e.o.OnSample != nil {
		e.o.OnSample(e.out.len())
	}
}

// segment is a part of a sample's text; train says whether it is learned.
type segment struct {
	text  string
	train bool
}

// segments adds a sample made of texts that follow each other, tokenised as one. A token with any part of a learned
// text is learned: where a prompt's last space merges with the answer, that token belongs to the answer. framed puts
// bos and eos around.
func (e *encoder) segments(r records.Record, parts []segment, framed bool) error {
	var text strings.Builder
	ends := make([]int, len(parts))
	for i, p := range parts {
		text.WriteString(p.text)
		ends[i] = text.Len()
	}
	inner, offs, err := e.tok.EncodeOffsets(text.String(), false)
	if err != nil {
		return r.Errorf("%w", err)
	}
	var ids []int32
	var train []bool
	if framed && !e.begins(r, inner) {
		ids, train = append(ids, e.begin...), make([]bool, len(e.begin))
	}
	if !e.o.TrainOnInputs && slices.ContainsFunc(offs, func(span [2]int) bool { return straddles(parts, ends, span) }) {
		e.notes.Add("samples with a token of the end of what is not learned and the beginning of what is: it is learned, but a prompt alone is cut in other tokens", r.Place(),
			"let the prompt end without white space, and begin the answer with it")
	}
	p := 0
	for i, id := range inner {
		for p < len(ends)-1 && ends[p] <= offs[i][0] {
			p++
		}
		ids, train = append(ids, id), append(train, overlapsLearned(parts, ends, p, offs[i]))
	}
	if framed && !endsWith(ids, e.end) {
		for _, id := range e.end {
			ids, train = append(ids, id), append(train, e.o.TrainOnEOS != "none")
		}
	}
	return e.masked(r, ids, train)
}

// straddles reports whether bytes [span) begin in a part that is not learned and end in the learned one behind it.
func straddles(parts []segment, ends []int, span [2]int) bool {
	for p := 1; p < len(parts); p++ {
		if parts[p].train && !parts[p-1].train && span[0] < ends[p-1] && ends[p-1] < span[1] {
			return true
		}
	}
	return false
}

// overlapsLearned reports whether bytes [span) hold anything of a learned part, p being the part that span begins in.
func overlapsLearned(parts []segment, ends []int, p int, span [2]int) bool {
	if span[1] <= span[0] {
		return false // stands for no text
	}
	for ; p < len(parts); p++ {
		if parts[p].train && len(parts[p].text) > 0 {
			return ends[p]-len(parts[p].text) < span[1]
		}
		if ends[p] >= span[1] {
			break
		}
	}
	return false
}

// begins tells whether a text has the bos that would be put before it, as texts do that a chat template made.
func (e *encoder) begins(r records.Record, ids []int32) bool {
	if len(e.begin) == 0 || len(ids) < len(e.begin) || !slices.Equal(ids[:len(e.begin)], e.begin) {
		return false
	}
	e.notes.Add("texts that begin with bos themselves: no second one is put before them", r.Place(), "")
	return true
}

func endsWith(ids, end []int32) bool {
	if len(end) == 0 || len(ids) < len(end) {
		return false
	}
	for i, id := range end {
		if ids[len(ids)-len(end)+i] != id {
			return false
		}
	}
	return true
}

// masked adds a sample whose learned tokens are marked; train_on_inputs learns the rest too.
func (e *encoder) masked(r records.Record, ids []int32, train []bool) error {
	e.labels = e.labels[:0]
	for i, id := range ids {
		if !train[i] && !e.o.TrainOnInputs {
			id = ignored
		}
		e.labels = append(e.labels, id)
	}
	return e.put(r, "token", ids, e.labels)
}

// put adds a sample: ids are checked against the vocabulary, the sample is cut to sequence_len, and left out if no token
// of it is predicted then. list names the ids in errors.
func (e *encoder) put(r records.Record, list string, ids, labels []int32) error {
	if e.full() {
		return errEnough
	}
	for i, id := range ids {
		if err := e.inVocab(r, list, i, id); err != nil {
			return err
		}
	}
	n := len(ids)
	if e.o.SequenceLen > 0 {
		n = min(n, e.o.SequenceLen)
	}
	if n < len(ids) && e.o.Stride > 0 {
		return e.windows(r, ids, labels)
	}
	learns := func(labels []int32) bool {
		return len(labels) > 1 && slices.ContainsFunc(labels[1:], func(l int32) bool { return l != ignored })
	}
	switch {
	case learns(labels[:n]):
		if n < len(ids) {
			e.notes.Add(fmt.Sprintf("samples cut to sequence_len %d", n), r.Place(), "raise sequence_len to keep them whole")
		}
		e.out.add(ids[:n], labels[:n], n < len(ids))
		e.told()
	case learns(labels):
		e.skip(r, fmt.Sprintf("samples left out: what is learned lies behind sequence_len %d", n), "raise sequence_len")
	default:
		e.skip(r, "samples left out: no token is learned", "")
	}
	return nil
}

// full tells that there are as many samples as were asked for: errEnough ends the reading.
func (e *encoder) full() bool { return e.o.Limit > 0 && e.out.len() >= e.o.Limit }

// windows adds a sample that is longer than a row as several: each begins Stride tokens behind the one before it, and predicts what
// that one did not.
func (e *encoder) windows(r records.Record, ids, labels []int32) error {
	before := e.out.len()
	for from, done := 0, 0; done < len(ids); from += e.o.Stride {
		to := min(from+e.o.SequenceLen, len(ids))
		part := unseen(labels[from:to], done-from)
		if slices.ContainsFunc(part[1:], func(l int32) bool { return l != ignored }) {
			e.out.add(ids[from:to], part, false)
			e.told()
		}
		done = to
	}
	if e.out.len() == before {
		e.skip(r, "samples left out: no token is learned", "")
	}
	return nil
}

// unseen is labels without those of the first n tokens, which the window before has predicted.
func unseen(labels []int32, n int) []int32 {
	out := slices.Clone(labels)
	for i := range out[:max(n, 0)] {
		out[i] = ignored
	}
	return out
}

// skip counts a sample that is left out.
func (e *encoder) skip(r records.Record, why, advice string) {
	e.skipped++
	e.notes.Add(why, r.Place(), advice)
	e.left.Add(why, r.Place(), advice)
}

// inVocab refuses an id that the model has no row for. A tokenizer may have more tokens than its model: those that no text has do no harm.
func (e *encoder) inVocab(r records.Record, list string, i int, id int32) error {
	if id >= 0 && (e.o.VocabSize == 0 || int(id) < e.o.VocabSize) {
		return nil
	}
	err, advice := fmt.Errorf("%s %d: id %d is negative", list, i, id), "the data was made with another tokenizer than the model's"
	if id >= 0 {
		err = fmt.Errorf("%s %d: id %d, the model's vocabulary has %d", list, i, id, e.o.VocabSize)
	}
	if tok, ok := e.tok.(interface{ Token(int32) string }); ok && list == "token" && id >= 0 {
		err = fmt.Errorf("token %d, %q: id %d, and the model's vocabulary has %d (vocab_size)", i, tok.Token(id), id, e.o.VocabSize)
		advice = tokenizer.NoRow
	}
	return &records.Error{Path: r.Path, Line: r.Line, Row: r.Row, Err: err, Advice: advice}
}
