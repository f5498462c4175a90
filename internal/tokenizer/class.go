package tokenizer

import (
	"encoding/json"
	"slices"
	"strings"
)

// tokenizerClass is what transformers 5 makes of a tokenizer's files by the name in tokenizer_class. Most names mean the files as they stand. A few mean a
// pipeline of transformers' own, of which only vocabulary, merges and post-processor come from tokenizer.json; the saved folder must give the same ids
// there as here, so it is used here too.
type tokenizerClass struct {
	name string
	// defaults are the tokens of roles that the files do not name.
	defaults map[string]string
	// pipeline sets normalizer, pre-tokenizer, decoder and the model's options; nil: the file's own.
	pipeline func(f *file, s *sides)
	// again: named tokens are added once more at the end, as special ones with no other flags; restyle keeps flags given by an object.
	again, restyle bool
}

var asFile = &tokenizerClass{name: "PreTrainedTokenizerFast"}

// classes are those with a pipeline of their own that models of the LLaMA family come with.
var classes = map[string]*tokenizerClass{
	"LlamaTokenizer": {defaults: map[string]string{"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}, pipeline: llamaPipeline},
	"GemmaTokenizer": {defaults: map[string]string{"unk_token": "<unk>", "bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "mask_token": "<mask>"},
		pipeline: gemmaPipeline},
	"GPT2Tokenizer": {defaults: map[string]string{"unk_token": "<|endoftext|>", "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"},
		pipeline: func(f *file, s *sides) {
			f.plainBPE()
			f.normalizer, f.preTokenizer, f.decoder = nil, byteLevelJSON(s.prefixSpace(false), true), json.RawMessage(jsonByteLevel)
		}},
	"Qwen2Tokenizer": {defaults: map[string]string{"unk_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}, again: true,
		pipeline: func(f *file, s *sides) {
			f.plainBPE()
			f.normalizer, f.preTokenizer, f.decoder = json.RawMessage(`{"type":"NFC"}`), splitThenBytes(qwen2Pattern, s.prefixSpace(false)), json.RawMessage(jsonByteLevel)
		}},
	"CohereTokenizer": {defaults: map[string]string{"unk_token": "<UNK>", "bos_token": "<BOS_TOKEN>", "eos_token": "<|END_OF_TURN_TOKEN|>", "pad_token": "<PAD>",
		"cls_token": "<CLS>", "sep_token": "<SEP>", "mask_token": "<MASK_TOKEN>"}, again: true, restyle: true,
		pipeline: func(f *file, s *sides) {
			f.plainBPE()
			f.normalizer, f.decoder = json.RawMessage(`{"type":"NFC"}`), json.RawMessage(jsonByteLevel)
			f.preTokenizer = json.RawMessage(`{"type":"Sequence","pretokenizers":[` + jsonDigits + `,` + string(byteLevelJSON(s.prefixSpace(false), true)) + `]}`)
		}},
}

func init() {
	for name, c := range classes {
		c.name = name
	}
}

// familyClass is the class that goes with a model_type of config.json where transformers has one; "" for its general one.
var familyClass = map[string]string{
	"qwen2": "Qwen2Tokenizer", "qwen2_moe": "Qwen2Tokenizer", "qwen3": "Qwen2Tokenizer", "qwen3_moe": "Qwen2Tokenizer",
	"gemma": "GemmaTokenizer", "gemma2": "GemmaTokenizer", "gemma3": "GemmaTokenizer", "gemma3_text": "GemmaTokenizer", "cohere": "CohereTokenizer", "gpt2": "GPT2Tokenizer",
	"mistral": "", "mixtral": "", "ministral": "", "granite": "", "granitemoehybrid": "", "olmo2": "", "olmo3": "", "stablelm": "", "phi3": "",
}

// wrongClass are the families whose folders are known to name a class that is not theirs: transformers takes the family's.
var wrongClass = []string{"qwen2"}

// chooseClass is the class that transformers opens a folder with. named is tokenizer_class of tokenizer_config.json, else of config.json; byteLevel says
// that tokenizer.json works on bytes.
func chooseClass(named, modelType string, byteLevel bool) *tokenizerClass {
	short := strings.TrimSuffix(named, "Fast")
	family, known := familyClass[modelType]
	if short == "LlamaTokenizer" && byteLevel && modelType != "mistral" && modelType != "mixtral" && modelType != "ministral" && !slices.Contains(wrongClass, modelType) {
		return asFile // Llama-3's files often name the class of Llama-2
	}
	name := short
	switch {
	case named == "":
		name = family
	case known && family != short && (family == "" || slices.Contains(wrongClass, modelType)):
		name = family
	}
	if c := classes[name]; c != nil {
		return c
	}
	return asFile
}

// plainBPE is a BPE model without options.
func (f *file) plainBPE() {
	f.unk, f.fuseUnk, f.byteFallback, f.ignoreMerges = nil, false, false, false
}

func llamaPipeline(f *file, s *sides) {
	f.unk, f.fuseUnk, f.byteFallback, f.ignoreMerges, f.normalizer = nil, true, true, false, nil
	scheme, strip := "first", `,{"type":"Strip","content":" ","start":1,"stop":0}`
	switch {
	case !s.prefixSpace(true):
		scheme, strip = "never", ""
	case s.legacy != nil && *s.legacy:
		scheme = "always"
	}
	f.preTokenizer = json.RawMessage(`{"type":"Metaspace","replacement":"▁","prepend_scheme":"` + scheme + `","split":false}`)
	f.decoder = json.RawMessage(`{"type":"Sequence","decoders":[` + jsonFromMarks + strip + `]}`)
}

func gemmaPipeline(f *file, s *sides) {
	f.fuseUnk, f.byteFallback, f.ignoreMerges, f.unk = true, true, false, nil
	if unk := s.role("unk_token"); unk != nil {
		if _, ok := f.ids[unk.Content]; ok {
			f.unk = &unk.Content
		}
	}
	f.normalizer = json.RawMessage(jsonMarks)
	f.preTokenizer = json.RawMessage(`{"type":"Split","pattern":{"String":" "},"behavior":"MergedWithPrevious","invert":false}`)
	f.decoder = json.RawMessage(`{"type":"Sequence","decoders":[` + jsonFromMarks + `]}`)
}

// Parts of pipelines with ▁ for spaces.
const (
	jsonMarks     = `{"type":"Replace","pattern":{"String":" "},"content":"▁"}`
	jsonFromMarks = `{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"}`
)

func byteLevelJSON(prefixSpace, useRegex bool) json.RawMessage {
	b, _ := json.Marshal(map[string]any{"type": "ByteLevel", "add_prefix_space": prefixSpace, "trim_offsets": true, "use_regex": useRegex}) // always marshals
	return b
}

// splitThenBytes is a Split at a pattern followed by the byte alphabet.
func splitThenBytes(pattern string, prefixSpace bool) json.RawMessage {
	quoted, _ := json.Marshal(pattern) // a string always marshals
	return json.RawMessage(`{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":` + string(quoted) +
		`},"behavior":"Isolated","invert":false},` + string(byteLevelJSON(prefixSpace, false)) + `]}`)
}
