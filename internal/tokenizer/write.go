package tokenizer

import "encoding/json"

// source is where a tokenizer came from, as far as WriteFiles needs it.
type source struct {
	json, dir string // files to copy; json "" for a tokenizer made here
	// The parts of tokenizer.json for a tokenizer made here.
	normalizer, preTokenizer, postProcessor, decoder json.RawMessage
}

func (f *file) source() source {
	return source{normalizer: f.normalizer, preTokenizer: f.preTokenizer, postProcessor: f.postProcessor, decoder: f.decoder}
}
