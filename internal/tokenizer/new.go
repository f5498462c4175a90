package tokenizer

import (
	"encoding/json"

	"github.com/nlpodyssey/gotokenizers/models/bpemodel"
)

// NewByteLevel is a tokenizer of single bytes, for models made from nothing: 256 byte tokens, then
// <|endoftext|> (eos and pad), <|im_start|> and <|im_end|>, and the ChatML template.
func NewByteLevel() *Tokenizer {
	f := bytesFile()
	for i, s := range []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"} {
		f.added = append(f.added, addedToken{ID: int32(256 + i), Content: s, Special: true})
	}
	t, err := f.tokenizer()
	if err != nil {
		panic("tokenizer: the byte-level tokenizer is wrong: " + err.Error()) // a programmer's error: it has no input
	}
	t.names = special{bos: -1, eos: 256, pad: 256, unk: -1, eosIDs: []int32{256, 258}}
	t.chat = chatTemplates{"default": knownTemplate("chatml")}
	t.source = f.source()
	return t
}

// bytesFile is the file of a tokenizer of single bytes.
func bytesFile() *file {
	f := &file{
		kind:         "BPE",
		ids:          make(map[string]int32, 256),
		merges:       bpemodel.MergeMap{},
		preTokenizer: json.RawMessage(`{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}`),
		decoder:      json.RawMessage(jsonByteLevel),
	}
	for b, r := range byteRune {
		f.ids[string(r)] = int32(b)
	}
	return f
}
