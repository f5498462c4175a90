package tokenizer

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/nlpodyssey/gotokenizers/models/bpemodel"

	"lomo/internal/fault"
	"lomo/internal/strictjson"
)

// looksLikeTiktoken reports whether a file begins as tiktoken's do: a token in base64, a space, its rank.
func looksLikeTiktoken(raw []byte) bool {
	line, _, _ := bytes.Cut(raw, []byte("\n"))
	token, rank, ok := bytes.Cut(bytes.TrimSuffix(line, []byte("\r")), []byte(" "))
	if !ok || len(token) == 0 {
		return false
	}
	_, err := base64.StdEncoding.DecodeString(string(token))
	_, notNumber := strconv.ParseUint(string(rank), 10, 31)
	return err == nil && notNumber == nil
}

// readTiktoken reads a file of tiktoken's: a line for each token, its bytes in base64 and its rank, which is its id. Such files know neither special
// tokens nor how text is split: the pattern is Llama-3's, as transformers has it, and special tokens come from tokenizer_config.json. Meta's folders have
// none; theirs are those of its own code.
func readTiktoken(raw []byte, s *sides) (*file, error) {
	var tokens []string
	var ranks []int32
	for n, line := range bytes.Split(raw, []byte("\n")) {
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 {
			continue
		}
		coded, number, ok := bytes.Cut(line, []byte(" "))
		token, err := base64.StdEncoding.DecodeString(string(coded))
		rank, err2 := strconv.ParseUint(string(number), 10, 31)
		if !ok || err != nil || err2 != nil || len(token) == 0 {
			return nil, fmt.Errorf("line %d: %s is no token in base64 and its rank", n+1, clip(string(line)))
		}
		if len(tokens) == maxTokens || rank >= uint64(maxTokens) {
			return nil, fmt.Errorf("line %d: more than %d tokens", n+1, maxTokens)
		}
		tokens, ranks = append(tokens, string(token)), append(ranks, int32(rank))
	}
	f, err := rankedFile(tokens, ranks, 0)
	if err != nil {
		return nil, err
	}
	f.preTokenizer = splitThenBytes(llama3Pattern, false)
	if !s.hasConfig && len(s.decoder) == 0 && len(s.extra) == 0 && len(tokens) == llama3Ranks {
		f.addMeta(s.dir)
		return f, nil
	}
	// Tokens up to the highest id that a side file gives, those between without a name.
	highest := -1
	for id := range s.decoder {
		highest = max(highest, int(id))
	}
	if highest >= len(tokens)+maxReserved {
		return nil, fmt.Errorf("added token %d lies more than %d behind the %d tokens of the file", highest, maxReserved, len(tokens))
	}
	for id := len(tokens); id <= highest; id++ {
		content := fmt.Sprintf("<|reserved_token_%d|>", id)
		if a, ok := s.decoder[int32(id)]; ok {
			content = a.Content
		}
		f.added = append(f.added, addedToken{ID: int32(id), Content: content, Special: true})
	}
	for _, a := range s.extra {
		if !slices.ContainsFunc(f.added, func(o addedToken) bool { return o.Content == a.Content }) {
			f.added = append(f.added, addedToken{ID: int32(len(tokens) + len(f.added)), Content: a.Content, Special: true})
		}
	}
	return f, nil
}

// maxReserved bounds the tokens that are made up between those of a file and the highest named one.
const maxReserved = 1 << 16

// llama3Ranks is how many tokens Llama-3's tokenizer.model has.
const llama3Ranks = 128000

// addMeta adds the special tokens of Meta's own code for Llama-3 or, where params.json says so, for 3.1 and later.
func (f *file) addMeta(dir string) {
	names := []string{"<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>", "<|reserved_special_token_2|>",
		"<|reserved_special_token_3|>", "<|start_header_id|>", "<|end_header_id|>", "<|reserved_special_token_4|>", "<|eot_id|>"}
	reserved, stops := 5, []string{"<|eot_id|>"}
	var params struct {
		Scaled bool `json:"use_scaled_rope"`
	}
	if b, err := fault.Read(filepath.Join(dir, "params.json"), 1<<20); dir != "" && err == nil && json.Unmarshal(b, &params) == nil && params.Scaled {
		names[4], names[5], names[8] = "<|finetune_right_pad_id|>", "<|reserved_special_token_2|>", "<|eom_id|>"
		names, reserved, stops = append(names, "<|python_tag|>"), 3, append(stops, "<|eom_id|>")
	}
	for i := reserved; len(names) < 256; i++ {
		names = append(names, fmt.Sprintf("<|reserved_special_token_%d|>", i))
	}
	for i, name := range names {
		f.added = append(f.added, addedToken{ID: int32(llama3Ranks + i), Content: name, Special: true})
		if slices.Contains(stops, name) {
			f.stops = append(f.stops, int32(llama3Ranks+i))
		}
	}
	f.named = map[string]string{"bos_token": names[0], "eos_token": names[1]}
}

// rankedFile is the byte-level BPE of tokens (as bytes) with their ranks; ids begin at first.
func rankedFile(tokens []string, ranks []int32, first int32) (*file, error) {
	f := &file{kind: "BPE", ids: make(map[string]int32, len(tokens)), ignoreMerges: true, decoder: json.RawMessage(jsonByteLevel), merges: bpemodel.MergeMap{}}
	if len(tokens) == 0 {
		return nil, errors.New("it has no tokens")
	}
	rankOf := make(map[string]int32, len(tokens))
	taken := make(map[int32]bool, len(tokens))
	for i, token := range tokens {
		if _, twice := rankOf[token]; twice || taken[ranks[i]] {
			return nil, fmt.Errorf("token %d: its bytes or its rank %d stand twice", i, ranks[i])
		}
		rankOf[token], taken[ranks[i]] = ranks[i], true
		f.ids[string(appendAlphabet(nil, token))] = first + ranks[i]
	}
	type merge struct{ left, right, both int32 }
	var all []merge
	for _, token := range tokens {
		if len(token) > maxPiece {
			continue
		}
		for i := 1; i < len(token); i++ {
			left, okLeft := rankOf[token[:i]]
			right, okRight := rankOf[token[i:]]
			if okLeft && okRight {
				all = append(all, merge{left, right, rankOf[token]})
			}
		}
	}
	slices.SortFunc(all, func(a, b merge) int {
		return cmp.Or(cmp.Compare(a.both, b.both), cmp.Compare(a.left, b.left), cmp.Compare(a.right, b.right))
	})
	for rank, m := range all {
		f.merges.Set(int(first+m.left), int(first+m.right), bpemodel.MergeValue{Rank: rank, ID: int(first + m.both)})
	}
	return f, nil
}

// readTekken reads Mistral's tekken.json: special tokens, and behind them the tokens with their bytes in base64.
func readTekken(raw []byte, s *sides) (*file, error) {
	var t struct {
		Config struct {
			Pattern string `json:"pattern"`
			Size    *int   `json:"default_vocab_size"`
			Special *int   `json:"default_num_special_tokens"`
		} `json:"config"`
		Vocab []struct {
			Bytes string `json:"token_bytes"`
		} `json:"vocab"`
		Special []struct {
			Rank int    `json:"rank"`
			Text string `json:"token_str"`
		} `json:"special_tokens"`
	}
	if err := strictjson.Unmarshal(raw, &t); err != nil {
		return nil, fmt.Errorf("not a tekken.json: %w", err)
	}
	if t.Config.Pattern == "" || len(t.Vocab) == 0 {
		return nil, errors.New("not a tekken.json: it has no config.pattern or no vocab")
	}
	names := make([]string, len(t.Special))
	for _, e := range t.Special {
		if e.Rank < 0 || e.Rank >= len(names) || names[e.Rank] != "" || e.Text == "" {
			return nil, fmt.Errorf("special_tokens: rank %d of %q is taken or beyond the %d", e.Rank, e.Text, len(names))
		}
		names[e.Rank] = e.Text
	}
	if len(t.Special) == 0 {
		names = slices.Clone(tekkenSpecial)
	}
	count := len(names)
	if t.Config.Special != nil {
		count = *t.Config.Special
	}
	if count < len(names) || count > maxTokens {
		return nil, fmt.Errorf("config: default_num_special_tokens is %d, and %d have names", count, len(names))
	}
	for i := len(names); i < count; i++ {
		names = append(names, fmt.Sprintf("<SPECIAL_%d>", i))
	}
	if n := t.Config.Size; n != nil {
		if *n <= count {
			return nil, fmt.Errorf("config: default_vocab_size is %d, of which %d are special", *n, count)
		}
		t.Vocab = t.Vocab[:min(len(t.Vocab), *n-count)]
	}
	tokens, ranks := make([]string, len(t.Vocab)), make([]int32, len(t.Vocab))
	for i, v := range t.Vocab {
		b, err := base64.StdEncoding.DecodeString(v.Bytes)
		if err != nil || len(b) == 0 {
			return nil, fmt.Errorf("vocab: token_bytes %q of token %d is no base64", v.Bytes, i)
		}
		tokens[i], ranks[i] = string(b), int32(i)
	}
	f, err := rankedFile(tokens, ranks, int32(count))
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		f.ids[name] = int32(i)
		f.added = append(f.added, addedToken{ID: int32(i), Content: name, Special: true})
	}
	f.preTokenizer = splitThenBytes(t.Config.Pattern, false)
	if !s.hasConfig { // the roles of Mistral's own code
		f.named = map[string]string{}
		for role, name := range map[string]string{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"} {
			if slices.Contains(names, name) {
				f.named[role] = name
			}
		}
	}
	return f, nil
}

// tekkenSpecial are the special tokens of files that list none.
var tekkenSpecial = []string{"<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]",
	"[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]"}
