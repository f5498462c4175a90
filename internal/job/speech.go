package job

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"lomo/internal/fault"
	"lomo/internal/infer"
	"lomo/internal/model"
	"lomo/internal/report"
	"lomo/internal/strictjson"
	"lomo/internal/tensor"
	"lomo/internal/tokenizer"
)

// speech is how a model continues texts: what ends them, and how tokens are chosen.
type speech struct {
	tok     *tokenizer.Tokenizer
	ends    []int32  // tokens
	stops   []string // texts
	sampler infer.Sampler
	limit   int // of new tokens
}

// spoken is one continuation.
type spoken struct {
	Text   string
	IDs    []int32
	Finish infer.Finish
}

// stopAt adds strings that end a continuation. One that is a special token ends it as a token: a text does not show it.
func (p *speech) stopAt(stops []string) error {
	for _, s := range stops {
		if s == "" {
			return &UsageError{hint("leave it out", "a stop string is empty")}
		}
		special := p.tok.SpecialIn(s)
		id, _ := p.tok.ID(special)
		switch {
		case special == "":
			p.stops = append(p.stops, s)
		case special == strings.TrimSpace(s):
			p.ends = append(p.ends, id)
		default:
			return &UsageError{hint(fmt.Sprintf("give %q alone", special), "stop string %q: %q is a special token, which the text of an answer does not show", fault.Line(s), special)}
		}
	}
	return nil
}

// speak continues the tokens ids in s. show gets the text as it comes (nil: not wanted), more is asked before each piece of work (nil: always).
func (p *speech) speak(s *infer.Session, ids []int32, attempt int, show func(string) error, more func() bool) (spoken, error) {
	text := infer.NewText(func(ids []int32) string { return p.tok.Decode(ids, true) }, p.stops)
	var err error
	tell := func(piece string) {
		if show != nil && piece != "" && err == nil {
			err = show(piece)
		}
	}
	emit := func(id int32) bool {
		piece, end := text.Add(id)
		tell(piece)
		return end || err != nil
	}
	sampler := p.sampler
	sampler.Stream = infer.StreamOf(ids, attempt)
	out, why, failed := infer.Generate(s, ids, infer.Request{Sampler: sampler, Limit: p.limit, Ends: p.ends, Emit: emit, Go: more})
	tell(text.End())
	return spoken{text.String(), out, why}, errors.Join(failed, err)
}

// noteSpecial says that a text of the user's has a special token written out.
func noteSpecial(tok *tokenizer.Tokenizer, what, text string, note Note) {
	if s := tok.SpecialIn(text); s != "" {
		note("lomo: warning: %s has %s written out: the model reads it as that token, not as text", what, s)
	}
}

// largeCache is from where on the memory of keys and values is worth a word.
const largeCache = 256 << 20

func noteCache(c *model.Config, tokens int, act tensor.DType, note Note) {
	if n := infer.CacheBytes(c, tokens, act); n >= largeCache {
		note("keys and values of %d tokens take up to %s beside the weights", tokens, report.Bytes(n))
	}
}

// context is how many tokens the model can have before it, and the key that says so.
func contextOf(c *model.Config) (int, string) {
	if exact, key := c.Exact(); exact > 0 && exact < c.Positions() {
		return exact, key
	}
	return c.Positions(), "max_position_embeddings"
}

// generation is what a model's generation_config.json says of the choice of tokens; nil: nothing.
type generation struct {
	path        string
	sample      *bool
	temperature *float64
	topP        *float64
	topK        *int
	penalty     *float64
	stops       []string
	left        []string // keys that are not applied
}

// unapplied are keys that would change the choice of tokens.
var unapplied = []string{"min_p", "typical_p", "epsilon_cutoff", "eta_cutoff", "top_h", "no_repeat_ngram_size", "bad_words_ids", "suppress_tokens", "begin_suppress_tokens",
	"forced_bos_token_id", "forced_eos_token_id", "sequence_bias", "num_beams", "penalty_alpha", "guidance_scale", "exponential_decay_length_penalty", "min_length", "min_new_tokens"}

// neutral are values that change nothing.
var neutral = []string{"null", "0", "0.0", "1", "1.0", "false", "[]", "{}"}

// readGeneration reads the generation_config.json of a model; one without has none of these settings.
func readGeneration(m *Model) (g generation, err error) {
	g.path = m.Source.AuxFiles()[generationConfig]
	if g.path == "" {
		return g, nil
	}
	raw, err := fault.Read(g.path, 1<<20)
	if err != nil {
		return g, hint("copy the model's files again, or remove this one", "%w", err)
	}
	list, err := strictjson.Members(raw)
	for _, m := range list {
		if err != nil {
			break
		}
		err = g.read(m)
	}
	if err != nil {
		return g, advise("correct that place, or copy the file again", fmt.Errorf("%s: %w", g.path, err))
	}
	return g, nil
}

func (g *generation) read(m strictjson.Member) error {
	value := func(v any) error {
		if err := strictjson.Unmarshal(m.Value, v); err != nil {
			return fmt.Errorf("line %d: %s: %w", m.Line, m.Name, err)
		}
		return nil
	}
	number := func(v **float64, most float64, bound string) error {
		if err := value(v); err != nil || *v == nil || **v > 0 && **v <= most {
			return err
		}
		return fmt.Errorf("line %d: %s %v is not above 0%s", m.Line, m.Name, **v, bound)
	}
	switch m.Name {
	case "do_sample":
		return value(&g.sample)
	case "temperature":
		if slices.Contains(neutral[1:3], string(m.Value)) {
			g.temperature = new(float64)
			return nil
		}
		return number(&g.temperature, math.MaxFloat64, "")
	case "top_p":
		return number(&g.topP, 1, " and at most 1")
	case "repetition_penalty":
		return number(&g.penalty, math.MaxFloat64, "")
	case "top_k":
		if err := value(&g.topK); err != nil || g.topK == nil || *g.topK >= 0 {
			return err
		}
		return fmt.Errorf("line %d: top_k %d is below 0", m.Line, *g.topK)
	case "stop_strings":
		if bytes.HasPrefix(m.Value, []byte{'"'}) {
			g.stops = make([]string, 1)
			return value(&g.stops[0])
		}
		return value(&g.stops)
	}
	if slices.Contains(unapplied, m.Name) && !slices.Contains(neutral, string(m.Value)) {
		g.left = append(g.left, m.Name)
	}
	return nil
}

// apply takes over the penalty, unless the user set one, and the stop strings, and says so.
func (g *generation) apply(p *speech, penalty *float64, note Note) error {
	if penalty != nil {
		p.sampler.Penalty = *penalty
	} else if g.penalty != nil && *g.penalty != 1 {
		p.sampler.Penalty = *g.penalty
		note("%s: repetition_penalty %v is applied; --repetition-penalty 1 turns it off", g.path, *g.penalty)
	}
	if len(g.left) > 0 {
		note("lomo: warning: %s: %s %s not applied", g.path, strings.Join(g.left, ", "), map[bool]string{true: "is", false: "are"}[len(g.left) == 1])
	}
	for _, s := range g.stops {
		if err := p.stopAt([]string{s}); err != nil {
			note("lomo: warning: %s: stop_strings: %v: left out", g.path, err)
		}
	}
	return nil
}

// verdicts are the answers that rank 0 got to a question which all ranks ask in the same order: what one does all must do.
type verdicts struct {
	mu     sync.Mutex
	change sync.Cond
	list   []bool
	closed bool
}

func newVerdicts() *verdicts {
	v := &verdicts{}
	v.change.L = &v.mu
	return v
}

// asking wraps the question of rank 0, reading is that of each other rank. close ends the waiting of the others.
func (v *verdicts) asking(more func() bool) func() bool {
	return func() bool {
		yes := more()
		v.mu.Lock()
		defer v.mu.Unlock()
		v.list = append(v.list, yes)
		v.change.Broadcast()
		return yes
	}
}

func (v *verdicts) reading() func() bool {
	n := 0
	return func() bool {
		v.mu.Lock()
		defer v.mu.Unlock()
		for n >= len(v.list) && !v.closed {
			v.change.Wait()
		}
		n++
		return n <= len(v.list) && v.list[n-1]
	}
}

func (v *verdicts) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
	v.change.Broadcast()
}
