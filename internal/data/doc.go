// Package data turns data files into micro-batches: records are rendered, tokenised and given a label mask, kept in flat
// arrays, and dealt out packed or one a row.
//
//	d, err := data.Load(sources, tok, o)         // every sample, tokenised: 4 bytes a token
//	train, val := d.Split(0.01, o.Seed)
//	l := data.NewLoader(train, o)
//	b, err := l.Next()                           // B×T ids, targets, positions and document starts
//	s := l.State()                               // two numbers; Restore goes on from there, bit for bit
//
// Labels follow Hugging Face: the label of a position is the id that should stand there, −100 where nothing is learned.
// A batch holds targets, which are labels moved one position ahead.
package data
