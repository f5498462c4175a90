package cli

import (
	"encoding/json"
	"fmt"

	"lomo/internal/data"
	"lomo/internal/job"
	"lomo/internal/tokenizer"
)

// inspectData shows what training would make of a data set.
func inspectData(s *Streams, o *inspectOptions) error {
	opts, tok, err := inspectOptionsOf(o)
	if err != nil {
		return err
	}
	if o.First {
		opts.Limit = o.Limit
	}
	d, err := data.Load([]data.Source{{Path: o.Path, Type: o.Type, Split: o.Split}}, tok, opts)
	if err != nil {
		return err
	}
	for _, n := range d.Notes() {
		fmt.Fprintf(s.Err, "data: %s\n", n)
	}
	var name func(int32) string
	if tok != nil {
		name = func(id int32) string { return tok.Decode([]int32{id}, false) }
	}
	if !o.JSON {
		first := ""
		if o.First && d.Len() == o.Limit {
			first = "at the beginning "
		}
		fmt.Fprintf(s.Out, "%s: %s%s\n", o.Path, first, statsLine(d.Stats()))
	}
	for i := range min(o.Limit, d.Len()) {
		if err := showSample(s, o, i, d.Describe(i, name)); err != nil {
			return err
		}
	}
	return nil
}

// inspectOptionsOf reads a data set as a run with the same settings would.
func inspectOptionsOf(o *inspectOptions) (data.Options, *tokenizer.Tokenizer, error) {
	c := &o.Config.Config
	opts := data.Options{SequenceLen: c.SequenceLen, MicroBatch: 1, Seed: c.Seed, TrainOnInputs: c.TrainOnInputs,
		RolesToTrain: c.RolesToTrain, TrainOnEOS: c.TrainOnEOS, ChatTemplate: c.ChatTemplate}
	if o.Model == "" {
		return opts, nil, nil
	}
	tok, err := job.OpenTokenizer(o.Model)
	if err != nil {
		return opts, nil, err
	}
	if opts.ChatTemplate, err = job.ChatTemplate(tok, c.ChatTemplate); err != nil {
		return opts, nil, err
	}
	if m, err := job.OpenModel(o.Model); err == nil { // a folder may hold a tokenizer only
		opts.VocabSize = m.Config.VocabSize
		m.Close()
	}
	return opts, tok, nil
}

func showSample(s *Streams, o *inspectOptions, i int, tokens []data.Token) error {
	if o.JSON {
		return json.NewEncoder(s.Out).Encode(map[string]any{"sample": i, "tokens": tokens})
	}
	fmt.Fprintf(s.Out, "sample %d: %d tokens\n", i+1, len(tokens))
	return data.WriteTokens(s.Out, tokens)
}
