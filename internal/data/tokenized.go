package data

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"lomo/internal/data/records"
	"lomo/internal/strictjson"
)

// masks are the fields of tokenized records that say by 0 which tokens are not learned.
var masks = []string{"completion_mask", "assistant_masks", "assistant_mask", "loss_mask"}

// tokenized reads {input_ids, labels?}: nothing is added; without labels every token but the first is learned. A token that a mask
// gives 0 is not learned; one that attention_mask gives 0 is padding and is cut.
func tokenized(e *encoder, r records.Record) error {
	if err := refuseUnused(r, true, "loss_mask"); err != nil {
		return err
	}
	var ids, labels []int32
	if err := r.Decode("input_ids", &ids); err != nil {
		return err
	}
	if r.Has("labels") {
		if err := r.Decode("labels", &labels); err != nil {
			return err
		}
		if err := sameLength(r, "labels", len(labels), len(ids)); err != nil {
			return err
		}
		for i, id := range labels {
			if id == ignored {
				continue
			}
			if err := e.inVocab(r, "labels", i, id); err != nil {
				return err
			}
		}
		if err := ownLabels(e, r, ids, labels); err != nil {
			return err
		}
	} else {
		labels = append(labels, ids...)
	}
	for _, name := range masks {
		mask, err := maskOf(r, name, len(ids))
		if err != nil {
			return err
		}
		for i, m := range mask {
			if m == 0 {
				labels[i] = ignored
			}
		}
	}
	for i, id := range ids { // padding too: an id out of the vocabulary says that the tokenizer was another one
		if err := e.inVocab(r, "input_ids", i, id); err != nil {
			return err
		}
	}
	if err := noOtherList(r, len(ids)); err != nil {
		return err
	}
	from, to, err := attended(r, len(ids))
	if err != nil {
		return err
	}
	if err := plainPositions(r, from, to, len(ids)); err != nil {
		return err
	}
	if to-from < len(ids) {
		e.notes.Add("tokenized records whose padding was cut", r.Place(), "")
	}
	e.unread.fields(r, slices.Concat(perToken, []string{"weight", "train", "length", "num_tokens", "text", "tokens"})...)
	if pad := e.padding(ids, labels, to); pad && to == len(ids) && !r.Has("attention_mask") {
		e.notes.Add("tokenized records that end in several pad tokens, which are learned", r.Place(), "give attention_mask, or labels of -100 there")
	}
	return e.put(r, "input_ids", ids[from:to], labels[from:to])
}

// ownLabels refuses labels that stand one place before their tokens, and counts records with others than their tokens.
func ownLabels(e *encoder, r records.Record, ids, labels []int32) error {
	own, next := true, true
	for i, l := range labels {
		if l == ignored {
			continue
		}
		own = own && l == ids[i]
		next = next && i+1 < len(ids) && l == ids[i+1]
	}
	switch {
	case own:
	case next:
		return r.Refuse("labels[i] is what input_ids[i] is to be: give them unshifted, as in Hugging Face's collators", "labels are shifted: labels[i] is input_ids[i+1]")
	default:
		e.notes.Add("records with labels that are not their tokens: the labels are learned", r.Place(), "")
	}
	return nil
}

// perToken are the fields of tokenized records that hold a value for each token and are read, or cannot matter.
var perToken = append([]string{"input_ids", "labels", "attention_mask", "position_ids", "token_type_ids", "seq_lengths", "cu_seqlens", "sub_seq_lens",
	"special_tokens_mask", "offset_mapping"}, masks...)

// noOtherList refuses a list of numbers or truth values, one a token, of a name that means nothing here: it would say which are learned.
func noOtherList(r records.Record, tokens int) error {
	if tokens < 2 {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(r.Fields)) {
		if slices.Contains(perToken, name) || !strings.HasPrefix(string(r.Fields[name]), "[") {
			continue
		}
		var numbers []float64
		var flags []bool
		if strictjson.Unmarshal(r.Fields[name], &numbers) == nil && len(numbers) == tokens || strictjson.Unmarshal(r.Fields[name], &flags) == nil && len(flags) == tokens {
			return r.Refuse("lists of a value a token are labels, "+strings.Join(masks, ", ")+", attention_mask and position_ids; leave it out if it says nothing",
				"field %q: a value for each token, of a name that means nothing here", name)
		}
	}
	return nil
}

// padding reports whether learned tokens before place to are the pad token, more than once.
func (e *encoder) padding(ids, labels []int32, to int) bool {
	if e.tok == nil || to < 3 {
		return false
	}
	pad := e.tok.PAD()
	return pad >= 0 && ids[to-1] == pad && ids[to-2] == pad && labels[to-1] != ignored && labels[to-2] != ignored
}

func sameLength(r records.Record, name string, got, want int) error {
	if got == want {
		return nil
	}
	return r.Errorf("%s has %d entries, input_ids has %d", name, got, want)
}

// maskOf is a list of 0 and 1, one a token; nil if there is none. Truth values are taken for them.
func maskOf(r records.Record, name string, tokens int) ([]int32, error) {
	if !r.Has(name) {
		return nil, nil
	}
	var mask []int32
	if err := r.Decode(name, &mask); err != nil {
		var flags []bool
		if r.Decode(name, &flags) != nil {
			return nil, err
		}
		mask = mask[:0]
		for _, f := range flags {
			mask = append(mask, map[bool]int32{true: 1}[f])
		}
	}
	for i, m := range mask {
		if m != 0 && m != 1 {
			advice := "a mask holds 0 and 1"
			if name == "attention_mask" {
				advice += "; documents that were packed into one record are given as records of their own, packing: true packs them again"
			}
			return nil, r.Refuse(advice, "%s[%d] is %d", name, i, m)
		}
	}
	return mask, sameLength(r, name, len(mask), tokens)
}

// attended is the part of the tokens that attention_mask leaves: padding stands before or behind it.
func attended(r records.Record, tokens int) (from, to int, err error) {
	mask, err := maskOf(r, "attention_mask", tokens)
	if err != nil || mask == nil {
		return 0, tokens, err
	}
	to = tokens
	for from < to && mask[from] == 0 {
		from++
	}
	for to > from && mask[to-1] == 0 {
		to--
	}
	for i := from; i < to; i++ {
		if mask[i] == 0 {
			return 0, 0, r.Refuse("only padding before or behind the tokens can be left out; leave those tokens out of the record", "attention_mask[%d] is 0 between tokens that are attended to", i)
		}
	}
	return from, to, nil
}

// plainPositions wants position_ids to count from 0, and token_type_ids and the lengths of packed documents to say nothing.
func plainPositions(r records.Record, from, to, tokens int) error {
	const packed = "positions count from 0 in every record; give documents that were packed into one record as records of their own"
	if r.Has("position_ids") {
		var positions []int32
		if err := r.Decode("position_ids", &positions); err != nil {
			return err
		}
		if err := sameLength(r, "position_ids", len(positions), tokens); err != nil {
			return err
		}
		for i := from; i < to; i++ {
			if int(positions[i]) != i-from {
				return r.Refuse(packed, "position_ids[%d] is %d, want %d", i, positions[i], i-from)
			}
		}
	}
	if r.Has("token_type_ids") {
		var types []int32
		if err := r.Decode("token_type_ids", &types); err != nil {
			return err
		}
		for i, t := range types {
			if t != 0 {
				return r.Refuse("LLaMA has one type of tokens: leave the field out", "token_type_ids[%d] is %d", i, t)
			}
		}
	}
	for _, name := range []string{"seq_lengths", "cu_seqlens", "sub_seq_lens"} {
		if !r.Has(name) {
			continue
		}
		var lengths []int32
		if err := r.Decode(name, &lengths); err != nil {
			return err
		}
		if whole := len(lengths) == 1 && int(lengths[0]) == tokens; !whole && !(name == "cu_seqlens" && len(lengths) == 2) {
			return r.Refuse(packed, "field %q: %s", name, fmt.Sprintf("%d documents in one record", len(lengths)))
		}
	}
	return nil
}
