package tokenizer

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"lomo/internal/checkpoint/gguf"
	"lomo/internal/fault"
)

const typeUnused = 5

// toSafetensors is the way out of a tokenizer that GGUF cannot describe.
const toSafetensors = "a program that reads GGUF files could not encode texts as this model does; write a folder instead: --to safetensors"

// GGUF is the tokenizer as the metadata of a GGUF file of a model with rows tokens, in the words that llama.cpp knows. Where those
// would make other ids of ordinary texts it is an error, where only of rare ones a note.
func (t *Tokenizer) GGUF(rows int) (kv []gguf.KV, notes []string, err error) {
	m, isBPE := t.model.(*bpe)
	switch {
	case !isBPE:
		return nil, nil, fault.Refuse(toSafetensors, "the tokenizer is a Unigram model, which this build does not write to GGUF files")
	case m.prefix+m.suffix != "":
		return nil, nil, fault.Refuse(toSafetensors, "the tokenizer marks the parts of words (%q), which a GGUF file cannot say", m.prefix+m.suffix)
	}
	w := &ggufVocabulary{t: t, model: m, rows: rows}
	if w.bytes() {
		err = w.byteLevel()
	} else {
		err = w.sentencePiece()
	}
	if err != nil {
		return nil, nil, err
	}
	w.roles()
	w.around()
	w.flags()
	w.templates()
	return w.kv, w.notes, nil
}

// ggufVocabulary is a tokenizer on its way into metadata.
type ggufVocabulary struct {
	t     *Tokenizer
	model *bpe
	rows  int
	kv    []gguf.KV
	notes []string

	tokens []string
	types  []int32
}

func (w *ggufVocabulary) put(key string, value any) {
	w.kv = append(w.kv, gguf.KV{Key: "tokenizer." + key, Value: value})
}

func (w *ggufVocabulary) note(format string, args ...any) {
	w.notes = append(w.notes, fmt.Sprintf(format, args...))
}

// bytes reports whether the last pre-tokenizer writes texts in the byte alphabet.
func (w *ggufVocabulary) bytes() bool {
	n := len(w.t.pre)
	if n == 0 {
		return false
	}
	_, yes := w.t.pre[n-1].(byteLevel)
	return yes
}

// padName is what a row of the embedding that has no token is called in GGUF files.
func padName(id int) string { return fmt.Sprintf("[PAD%d]", id) }

// fill lists the tokens, one for each row of the embedding, whose types typeOf refines. llama.cpp wants every text once.
func (w *ggufVocabulary) fill(typeOf func(id int32, token string, kind int32) (string, int32)) error {
	t := w.t
	seen := make(map[string]int, w.rows)
	w.tokens, w.types = make([]string, w.rows), make([]int32, w.rows)
	for id := range w.rows {
		token, kind := t.Token(int32(id)), int32(typeNormal)
		if a, added := t.added[int32(id)]; added {
			if kind = typeUserDefined; t.specials[a.Content] {
				kind = typeControl
			}
		}
		if token == "" {
			token, kind = padName(id), typeUnused
		}
		token, kind = typeOf(int32(id), token, kind)
		if other, twice := seen[token]; twice {
			return fault.Refuse(toSafetensors, "the tokens %d and %d are both %.60q, which a GGUF file cannot say", other, id, token)
		}
		seen[token] = id
		w.tokens[id], w.types[id] = token, kind
	}
	if n := t.size - w.rows; n > 0 {
		w.note("left out of the tokenizer: %s for which the model has no row, first %.60q (%d)", fault.Number(n, "token"), t.Token(int32(w.rows)), w.rows)
	}
	return nil
}

// byteLevel describes a byte-level BPE model.
func (w *ggufVocabulary) byteLevel() error {
	if err := w.fill(func(_ int32, token string, kind int32) (string, int32) { return token, kind }); err != nil {
		return err
	}
	nfc := false
	for _, n := range flat(w.t.normalizer) {
		if n != normalizer(unicodeForm(norm.NFC)) {
			return fault.Refuse(toSafetensors, "the tokenizer changes texts before it cuts them (%s), which a GGUF file cannot say", normalizerName(n))
		}
		nfc = true
	}
	pre := "gpt-2" // where nothing merges, it does not matter how texts are cut
	if len(w.model.merges) > 0 {
		var err error
		if pre, err = w.pre(nfc); err != nil {
			return err
		}
	}
	w.put("ggml.model", "gpt2")
	w.put("ggml.pre", pre)
	w.put("ggml.tokens", w.tokens)
	w.put("ggml.token_type", w.types)
	merges := []string{}
	for _, pair := range w.model.ranked() {
		both, _ := w.model.merges.Get(pair[0], pair[1])
		if max(pair[0], pair[1], both.ID) < w.rows {
			merges = append(merges, w.model.tokens[pair[0]]+" "+w.model.tokens[pair[1]])
		}
	}
	w.put("ggml.merges", merges)
	return nil
}

// pre is the name in tokenizer.ggml.pre that stands for the way in which texts are cut.
func (w *ggufVocabulary) pre(nfc bool) (string, error) {
	cuts, err := w.cuts()
	if err != nil {
		return "", err
	}
	var fitting []preFamily
	for _, f := range preFamilies {
		if slices.Equal(f.patterns, cuts) {
			fitting = append(fitting, f)
		}
	}
	if len(fitting) == 0 {
		return "", fault.Refuse(toSafetensors, "the tokenizer cuts texts at %.60q, as no pre-tokenizer of llama.cpp does (tokenizer.ggml.pre)", strings.Join(cuts, " then "))
	}
	if !w.wholeByMerges() {
		fitting = slices.DeleteFunc(fitting, func(f preFamily) bool { return f.ignoreMerges != w.model.ignoreMerges })
		if len(fitting) == 0 {
			return "", fault.Refuse(toSafetensors, "the tokenizer has ignore_merges %v, and no pre-tokenizer of llama.cpp that cuts texts as it does (tokenizer.ggml.pre)", w.model.ignoreMerges)
		}
	}
	best := fitting[0]
	for _, f := range fitting {
		if f.nfc == nfc && f.ignoreMerges == w.model.ignoreMerges {
			best = f
			break
		}
	}
	name := strings.Fields(best.names)[0]
	if nfc && !best.nfc {
		w.note("texts are not brought into the form NFC by programs that read the GGUF file (tokenizer.ggml.pre %q): letters written as letter and mark may become other tokens", name)
	}
	return name, nil
}

// cuts are the patterns at which texts are cut, one after the other.
func (w *ggufVocabulary) cuts() (list []string, err error) {
	cannot := func(what string) error {
		return fault.Refuse(toSafetensors, "the tokenizer cuts texts by %s, which no pre-tokenizer of llama.cpp does (tokenizer.ggml.pre)", what)
	}
	for _, p := range w.t.pre {
		switch p := p.(type) {
		case *splitter:
			whole := p.behavior == "Isolated" && !p.invert || p.behavior == "Removed" && p.invert // the matches are the pieces
			if !whole || p.pattern.source == "" {
				return nil, cannot("a Split of behavior " + p.behavior)
			}
			list = append(list, p.pattern.source)
		case digits:
			if list = append(list, digit); !p.individual {
				list[len(list)-1] = `\p{N}+`
			}
		case byteLevel:
			if p.addPrefixSpace {
				return nil, cannot("a ByteLevel with add_prefix_space")
			}
			if p.useRegex {
				list = append(list, gpt2Pattern)
			}
		default:
			return nil, cannot(strings.TrimPrefix(fmt.Sprintf("%T", p), "tokenizer."))
		}
	}
	return list, nil
}

// wholeByMerges reports whether the merges make of every token's text that token, so that ignore_merges changes nothing.
func (w *ggufVocabulary) wholeByMerges() bool {
	m := *w.model
	m.ignoreMerges = false
	e := new(encoder)
	var symbols []symbol
	for id, token := range m.tokens {
		if _, added := w.t.added[int32(id)]; added || token == "" {
			continue
		}
		symbols = m.encode(symbols[:0], token, false, e)
		if len(symbols) != 1 || symbols[0].id != m.ids[token] {
			return false
		}
	}
	return true
}

// sentencePiece describes a BPE model of characters with bytes to fall back to. Its merges become scores.
func (w *ggufVocabulary) sentencePiece() error {
	m := w.model
	if !m.byteFallback || w.lacksByte() {
		return fault.Refuse(toSafetensors, "the tokenizer has no tokens <0x00> to <0xFF> for unknown characters, which llama.cpp needs of a SentencePiece model")
	}
	prefix, err := w.spacePrefix()
	if err != nil {
		return err
	}
	err = w.fill(func(id int32, token string, kind int32) (string, int32) {
		switch {
		case id == m.unk:
			kind = typeUnknown
		case kind == typeNormal && slices.Contains(m.fallback[:], id):
			kind = typeByte
		case kind == typeUserDefined:
			token = strings.ReplaceAll(token, wordMark, " ") // as it stands in texts
		}
		return token, kind
	})
	if err != nil {
		return err
	}
	scores, err := w.scores()
	if err != nil {
		return err
	}
	w.put("ggml.model", "llama")
	w.put("ggml.pre", "default")
	w.put("ggml.tokens", w.tokens)
	w.put("ggml.scores", scores)
	w.put("ggml.token_type", w.types)
	w.put("ggml.add_space_prefix", prefix)
	return nil
}

// lacksByte reports whether a byte has no token: <0x09>, or the character itself in its place.
func (w *ggufVocabulary) lacksByte() bool {
	for b, id := range w.model.fallback {
		if id < 0 && (b >= 0x80 || w.model.id(string(rune(b))) < 0) {
			return true
		}
	}
	return false
}

// scores gives each token the place of its first merge, negative: llama.cpp merges the neighbours whose token has the highest score.
// That is the same as the merges if those are all ways to write tokens as two, token by token.
func (w *ggufVocabulary) scores() ([]float32, error) {
	m := w.model
	scores := make([]float32, w.rows)
	known := make([]bool, w.rows)
	last, place := -1, 0
	for _, pair := range m.ranked() {
		both, _ := m.merges.Get(pair[0], pair[1])
		if max(pair[0], pair[1], both.ID) >= w.rows {
			continue
		}
		if both.ID == last || w.types[both.ID] == typeUserDefined && known[both.ID] { // those are found before anything merges
			continue
		}
		if known[both.ID] {
			return nil, fault.Refuse(toSafetensors, "the merges of the tokenizer are not in the order of scores: those of %.60q stand in two places", m.tokens[both.ID])
		}
		place++
		scores[both.ID], known[both.ID], last = float32(-place), true, both.ID
	}
	normal := func(id int32) bool {
		return int(id) < w.rows && (w.types[id] == typeNormal || w.types[id] == typeUserDefined)
	}
	missing, first := 0, ""
	for id := range w.rows {
		if w.types[id] != typeNormal {
			continue
		}
		token := m.tokens[id]
		for _, s := range splitsOf(token, m.ids, normal) {
			if _, ok := m.merges.Get(int(m.ids[s.left]), int(m.ids[s.right])); !ok {
				if missing++; missing == 1 {
					first = s.left + " + " + s.right
				}
			}
		}
		if !known[id] { // never made of two; single characters are there from the start
			scores[id] = float32(-len(m.merges) - 1)
		}
	}
	if missing > 0 {
		return nil, fault.Refuse(toSafetensors, "the tokenizer lacks %s that a SentencePiece model has, first %.60q: by scores alone texts would become other tokens", fault.Number(missing, "merge"), first)
	}
	return scores, nil
}

// spacePrefix reads normalizer and pre-tokenizer: spaces become ▁, and one is put before a text or not.
func (w *ggufVocabulary) spacePrefix() (prefix bool, err error) {
	cannot := func(what string) (bool, error) {
		return false, fault.Refuse(toSafetensors, "the tokenizer changes texts by %s, which a GGUF file cannot say", what)
	}
	spaces, doubled := false, false
	for _, n := range flat(w.t.normalizer) {
		switch n := n.(type) {
		case prepend:
			if prefix = string(n) == wordMark; !prefix {
				return cannot(fmt.Sprintf("a Prepend of %q", string(n)))
			}
		case replace:
			if n.pattern.source == `\A`+wordMark && n.content == wordMark+wordMark && spaces {
				doubled = true // for a Metaspace, which puts no ▁ before a text that begins with one
				continue
			}
			if spaces = n.pattern.literal == " " && n.content == wordMark; !spaces {
				return cannot("a Replace of other than spaces")
			}
		default:
			return cannot(normalizerName(n))
		}
	}
	for _, p := range w.t.pre {
		switch p := p.(type) {
		case metaspace:
			if p.replacement != wordMark || spaces && !doubled {
				return cannot("a Metaspace beside other changes")
			}
			if p.cut && !w.model.words {
				return cannot("a Metaspace that keeps words apart which the merges would join")
			}
			spaces, prefix = true, p.scheme != "never"
			switch {
			case p.scheme == "first":
				w.note("behind special tokens within a text, and before texts that begin with a space, programs that read the GGUF file put one ▁ more than this tokenizer (prepend_scheme first)")
			case p.scheme == "always" && !doubled:
				w.note("before texts that begin with a space programs that read the GGUF file put one ▁ more than this tokenizer (prepend_scheme always)")
			}
		case *splitter:
			if p.pattern.literal != " " || !spaces {
				return cannot("a Split of behavior " + p.behavior)
			} // no space is left to split at
		default:
			return cannot(strings.TrimPrefix(fmt.Sprintf("%T", p), "tokenizer."))
		}
	}
	if !spaces {
		return cannot("nothing: spaces stay spaces")
	}
	return prefix, nil
}

// flat is a normalizer's parts.
func flat(n normalizer) (list []normalizer) {
	all, several := n.(normalizers)
	if !several {
		return []normalizer{n}
	}
	for _, part := range all {
		list = append(list, flat(part)...)
	}
	return list
}

// normalizerName is what tokenizer.json calls a normalizer, as near as its kind tells.
func normalizerName(n normalizer) string {
	switch n := n.(type) {
	case prepend:
		return "Prepend"
	case replace:
		return "Replace"
	case unicodeForm:
		return []string{"NFC", "NFD", "NFKC", "NFKD"}[n]
	case alphabetNormalizer:
		return "ByteLevel"
	}
	name := strings.TrimPrefix(fmt.Sprintf("%T", n), "tokenizer.")
	return strings.ToUpper(name[:1]) + name[1:]
}

// roles names the tokens that begin, end and pad texts. Several tokens may end one: what is no eos is the end of a turn or of a message.
func (w *ggufVocabulary) roles() {
	n := w.t.names
	set := func(role string, id int32) {
		if id >= 0 && int(id) < w.rows {
			w.put("ggml."+role+"_token_id", uint32(id))
		}
	}
	set("bos", n.bos)
	set("eos", n.eos)
	set("unknown", n.unk)
	set("padding", n.pad)
	stops := slices.DeleteFunc(slices.Clone(n.eosIDs), func(id int32) bool { return id == n.eos || int(id) >= w.rows })
	place := slices.IndexFunc(stops, func(id int32) bool { return w.t.Token(id) == "<|eom_id|>" })
	if place < 0 && len(stops) > 1 {
		place = 1
	}
	if place >= 0 {
		set("eom", stops[place])
		stops = slices.Delete(stops, place, place+1)
	}
	if len(stops) > 0 {
		set("eot", stops[0])
		stops = stops[1:]
	}
	if len(stops) > 0 {
		w.note("%s of the model left out of the GGUF file, which has room for three, first %.60q (%d)", fault.Number(len(stops), "stop"), w.t.Token(stops[0]), stops[0])
	}
	if n.eos < 0 || int(n.eos) >= w.rows {
		w.note("the tokenizer names no token that ends a text (eos_token): programs that read the GGUF file take one of their own, or go on to the end of the context")
	}
}

// around says which tokens are put before and behind every text.
func (w *ggufVocabulary) around() {
	bos, eos, odd, behind := false, false, false, false
	for _, part := range w.t.post {
		switch one := len(part.ids) == 1; {
		case part.text:
			behind = true
		case len(part.ids) == 0:
		case one && !behind && !bos && part.ids[0] == w.t.names.bos:
			bos = true
		case one && behind && !eos && part.ids[0] == w.t.names.eos:
			eos = true
		default:
			odd = true
		}
	}
	w.put("ggml.add_bos_token", bos)
	w.put("ggml.add_eos_token", eos)
	if odd {
		w.note("the tokenizer puts other tokens around a text than one bos before and one eos behind it (post_processor), which a GGUF file cannot say")
	}
}

// flags tells of added tokens that match differently from llama.cpp's.
func (w *ggufVocabulary) flags() {
	n, first := 0, ""
	for _, id := range slices.Sorted(maps.Keys(w.t.added)) {
		if a := w.t.added[id]; a.LStrip || a.RStrip || a.SingleWord {
			if n++; n == 1 {
				first = a.Content
			}
		}
	}
	if n > 0 {
		w.note("%s with spaces beside, or for whole words only (lstrip, rstrip, single_word), which a GGUF file cannot say, first %.60q", fault.Number(n, "added token"), first)
	}
}

// templates adds the chat templates.
func (w *ggufVocabulary) templates() {
	if s := w.t.chat["default"]; s != "" {
		w.put("chat_template", s)
	}
	var named []string
	for _, name := range slices.Sorted(maps.Keys(w.t.chat)) {
		if name != "default" && w.t.chat[name] != "" {
			named = append(named, name)
			w.put("chat_template."+name, w.t.chat[name])
		}
	}
	if len(named) > 0 {
		w.put("chat_templates", named)
	}
}
