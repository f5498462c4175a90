package tokenizer

import (
	"encoding/json"
	"strings"

	"lomo/internal/fault"
)

// preFamily is what names in tokenizer.ggml.pre stand for: the text is cut at each pattern in turn, the
// matches being pieces of their own, as llama.cpp does (src/llama-vocab.cpp). Where llama.cpp rewrote a
// pattern for its own matcher, the pattern is the one of the family's tokenizer.json.
type preFamily struct {
	names        string
	patterns     []string
	ignoreMerges bool
	bos          bool // add_bos_token, where the file does not say
	nfc          bool
}

// Parts of patterns that several families have.
const (
	contractions = `(?i:'s|'t|'re|'ve|'m|'ll|'d)`
	casedWords   = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+` // a word that ends in lower case …
	upperWords   = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*` // … or begins in upper case
	lineEnds     = `\s*[\r\n]+|\s+(?!\S)|\s+`
	chineseKana  = `[\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+`
	asciiMarked  = `[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_\x60{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+`
	digit        = `\p{N}`
	gpt4oPattern = casedWords + contractions + `?|` + upperWords + contractions + `?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|` + lineEnds
	noBrackets   = ` ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{964}\x{6D4}\x{60C})]+`
	notHan       = `&&[^\p{Han}]]`
)

// casedLetters are the letters with case of an older Unicode, as DeepSeek's first tokenizer lists them.
const casedLetters = `[` +
	`A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293}\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377}` +
	`\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1}\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}` +
	`\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-` +
	`\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-` +
	`\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-` +
	`\x{1FEC}\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}` +
	`\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-` +
	`\x{2CE4}\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787}\x{A78B}-\x{A78E}` +
	`\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3}` +
	`\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}` + `]`

var preFamilies = []preFamily{
	{names: "gpt-2 gpt2 mpt olmo jais trillion granite-docling phi-2 gigachat a.x-4.0 mellum exaone4 modern-bert jina-es jina-de jina-v2-es jina-v2-de",
		patterns: []string{gpt2Pattern}},
	{names: "smollm starcoder refact command-r codeshell exaone minerva-7b mellum2", patterns: []string{digit, gpt2Pattern}},
	{names: "llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano", patterns: []string{llama3Pattern}, ignoreMerges: true, bos: true},
	{names: "dbrx smaug-bpe glm4 chatglm-bpe", patterns: []string{llama3Pattern}},
	{names: "qwen2 deepseek-r1-qwen", patterns: []string{qwen2Pattern}, nfc: true},
	{names: "stablelm2 hunyuan solar-open megrez kormo f2llmv2 grok-2", patterns: []string{qwen2Pattern}},
	{names: "qwen35", nfc: true, patterns: []string{contractions + `|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|` + lineEnds}},
	{names: "deepseek-llm", patterns: []string{`[\r\n]`, `\s?` + casedLetters + `+`,
		`\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+`, `\s+$`, deepseekAsian, `\p{N}+`}},
	{names: "deepseek-coder", patterns: []string{`[\r\n]`, `\s?\p{L}+`, `\s?\p{P}+`, deepseekAsian, digit}},
	{names: "deepseek-v3 hunyuan-dense joyai-llm", patterns: []string{`\p{N}{1,3}`, chineseKana, asciiMarked + `[\r\n]*|` + lineEnds}},
	{names: "youtu", ignoreMerges: true, patterns: []string{
		`[\x{AC00}-\x{D7A3}\x{3131}-\x{318E}]+|[\x{FF01}\x{2026}\x{201C}\x{201D}\x{2018}\x{2019}\x{2014}\x{FF1A}\x{FF1B}\x{FF0C}\x{3001}-\x{303F}\x{FE30}-\x{FE4F}]+|[\x{3105}-\x{312F}]+|` + chineseKana,
		casedWords + contractions + `?|` + upperWords + contractions + `?|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|` + lineEnds}},
	{names: "falcon", patterns: []string{`[\p{P}\$\+<=>\^~\|\x60]+`, gpt2Pattern, `[0-9][0-9][0-9]`}},
	{names: "poro-chat bloom gpt3-finnish", patterns: []string{noBrackets}},
	{names: "viking", patterns: []string{noBrackets, digit}},
	{names: "tekken", ignoreMerges: true, bos: true, patterns: []string{
		casedWords + `|` + upperWords + `|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|` + lineEnds}},
	{names: "gpt-4o llama4 kanana2 talkie minimax-m2", patterns: []string{gpt4oPattern}},
	{names: "tiny_aya cohere2moe", patterns: []string{`\d{1,3}(?=(?:\d{3})*\b)`, gpt4oPattern}},
	{names: "kimi-k2", patterns: []string{`[\p{Han}]+|` + withoutHan(casedWords) + contractions + `?|` + withoutHan(upperWords) + contractions +
		`?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|` + lineEnds}},
	{names: "superbpe", patterns: []string{`\p{N}+`, `(?=(\d{3})+(?!\d))`}},
	{names: "bailingmoe bailingmoe2 llada-moe", patterns: []string{
		`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`}},
	{names: "seed-coder", patterns: []string{contractions + `|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|` + lineEnds}},
	{names: "jais-2", patterns: []string{contractions + `|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|` +
		`\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}`}},
	{names: "exaone-moe", patterns: []string{
		contractions + `|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+`}},
	{names: "minicpm5", ignoreMerges: true, patterns: []string{`\p{N}{1,3}`,
		contractions + `|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|` + lineEnds}},
	{names: "laguna", patterns: []string{`[^\n]+|[\n]+`, qwen2Pattern}},
	{names: "chameleon", bos: true, patterns: []string{`<sentinel:[0-9]+>`, `(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z`, `([\t\n]|    |  )`, digit,
		`[\p{P}!-/:-@\[-\x60{-~]`, gpt2Pattern}},
	// What llama.cpp's converter writes where it does not know the tokenizer.
	{names: "default", patterns: []string{`[\p{P}\$\+<=>\^~\|]+`, gpt2Pattern, `\p{N}+`, `[0-9][0-9][0-9]`}},
}

const deepseekAsian = `[\x{4E00}-\x{9FA5}\x{800}-\x{4E00}\x{AC00}-\x{D7FF}]+`

// withoutHan takes Chinese characters out of the letters of casedWords and upperWords.
func withoutHan(words string) string { return strings.ReplaceAll(words, `\p{M}]`, `\p{M}`+notHan) }

// besideHint is the way out of a GGUF file's tokenizer that cannot be read.
const besideHint = "put the tokenizer.json and tokenizer_config.json of the original model beside the file: they are used then"

// findPre is the family of a name.
func findPre(name string) (preFamily, error) {
	for _, f := range preFamilies {
		for _, known := range strings.Fields(f.names) {
			if known == name {
				return f, nil
			}
		}
	}
	if name == "" {
		return preFamily{}, fault.Refuse(besideHint, "tokenizer.ggml.pre is missing, so how the tokenizer cuts texts is unknown")
	}
	return preFamily{}, fault.Refuse(besideHint, "tokenizer.ggml.pre %.100q is not supported", name)
}

// json is the pre-tokenizer in tokenizer.json's words.
func (f preFamily) json() json.RawMessage {
	patterns := f.patterns
	last := jsonByteLevelPlain
	if n := len(patterns) - 1; patterns[n] == gpt2Pattern { // ByteLevel does that one itself
		patterns, last = patterns[:n], jsonByteLevel
	}
	var parts []string
	for _, p := range patterns {
		if p == digit {
			parts = append(parts, jsonDigits)
			continue
		}
		quoted, _ := json.Marshal(p) // a string always marshals
		parts = append(parts, `{"type":"Split","pattern":{"Regex":`+string(quoted)+`},"behavior":"Isolated","invert":false}`)
	}
	if len(parts) == 0 {
		return json.RawMessage(last)
	}
	return json.RawMessage(`{"type":"Sequence","pretokenizers":[` + strings.Join(append(parts, last), ",") + `]}`)
}
