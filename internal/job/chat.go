package job

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lomo/internal/infer"
	"lomo/internal/tokenizer"
)

// ChatOptions is what `lomo chat` is asked. What is nil is left to the model's generation_config.json, and then to this program.
type ChatOptions struct {
	Model        string
	System       string
	ChatTemplate string // the key of this name
	Stops        []string
	MaxTokens    int // of an answer
	Context      int // tokens that the model has before it; 0: as many as it knows, at most usualContext
	Temperature  *float64
	TopP         *float64
	TopK         *int
	Penalty      *float64
	Seed         uint64
	Runtime
}

// What is taken where neither the user nor the model says anything.
const (
	usualContext     = 8192
	usualTemperature = 0.7
	usualTopP        = 0.95
)

// ChatTurn is a question and its answer.
type ChatTurn struct{ Ask, Answer string }

// Chat is a conversation with a model.
type Chat struct {
	Context int // in tokens
	System  string
	Turns   []ChatTurn
	Reading func(tokens int) // is told how many tokens are read before an answer begins; nil: not wanted

	o        ChatOptions
	l        *Loaded
	p        *speech
	note     Note
	template string
	sessions []*infer.Session // by rank
	first    int              // turn that the model still has before it
	attempts int              // at answering the last question
	how      string
}

// Reply is an answer, and how it came about.
type Reply struct {
	Text         string        `json:"text"`
	PromptTokens int           `json:"prompt_tokens"` // of the conversation up to it
	Kept         int           `json:"kept_tokens"`   // of these, that did not have to be read again
	Tokens       int           `json:"tokens"`
	IDs          []int32       `json:"token_ids"`
	Finish       infer.Finish  `json:"finish_reason"`
	Dropped      int           `json:"dropped_turns"` // oldest turns that no longer fit, and were left out from here on
	Writing      time.Duration `json:"-"`             // from the first token on
}

// OpenChat loads a model for a conversation.
func OpenChat(o ChatOptions, note Note) (*Chat, error) {
	m, err := OpenModel(o.Model)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	tok, err := m.Tokenizer()
	if err != nil {
		return nil, err
	}
	m.note(note)
	m.noteTokenizer(tok, note)
	c := &Chat{o: o, System: o.System, note: note, p: &speech{tok: tok, limit: o.MaxTokens}}
	c.p.sampler = infer.Sampler{Seed: o.Seed, Known: tok.Known(m.Config.VocabSize)}
	if c.template, err = c.p.chat(o.ChatTemplate, "continue plain text with `lomo generate --model "+o.Model+"`"); err != nil {
		return nil, err
	}
	if err := c.p.stopAt(o.Stops); err != nil {
		return nil, err
	}
	noteSpecial(tok, "--system", o.System, note)
	if err := c.choose(m); err != nil {
		return nil, err
	}
	if err := c.window(m); err != nil {
		return nil, err
	}
	if _, err := c.promptIDs(0, "x"); err != nil { // a template that cannot be used, such as one that has no place for the system's text
		return nil, err
	}
	return c, c.load()
}

// choose settles how tokens are chosen: by the user's words, else the model's, else ours.
func (c *Chat) choose(m *Model) error {
	g, err := readGeneration(m)
	if err != nil {
		return err
	}
	s, from := &c.p.sampler, "lomo's choice for chats"
	s.Temperature, s.TopP = usualTemperature, usualTopP
	if g.temperature != nil || g.topP != nil || g.topK != nil || g.sample != nil {
		from = g.path
		s.Temperature, s.TopP = *either(g.temperature, new(usualTemperature)), *either(g.topP, new(1.0))
		s.TopK = *either(g.topK, new(0))
		if g.sample != nil && !*g.sample {
			s.Temperature = 0
		}
	}
	if c.o.Temperature != nil {
		from, s.Temperature = "", *c.o.Temperature
	}
	if c.o.TopP != nil {
		s.TopP = *c.o.TopP
	}
	if c.o.TopK != nil {
		s.TopK = *c.o.TopK
	}
	if s.Temperature == 0 {
		s.TopP, s.TopK = 1, 0
	}
	c.how = fmt.Sprintf("temperature %v", s.Temperature)
	if s.TopP < 1 {
		c.how += fmt.Sprintf(", top-p %v", s.TopP)
	}
	if s.TopK > 0 {
		c.how += fmt.Sprintf(", top-k %d", s.TopK)
	}
	if from != "" {
		c.how += " (" + from + ")"
	}
	return g.apply(c.p, c.o.Penalty, c.note)
}

func either[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

// window settles how many tokens the model has before it.
func (c *Chat) window(m *Model) error {
	most, key := contextOf(m.Config)
	c.Context = c.o.Context
	switch {
	case c.Context > most:
		return &UsageError{hint(fmt.Sprintf("set it to %d or lower", most), "--context %d: the model's is %d (%s)", c.Context, most, key)}
	case c.Context == 0 && most > usualContext:
		c.Context = usualContext
		c.note("the conversation may have %d tokens, of the model's %d: --context N changes that", c.Context, most)
	case c.Context == 0:
		c.Context = most
	}
	return nil
}

// load reads the weights and takes the memory of the conversation.
func (c *Chat) load() (err error) {
	c.o.Shrink = "--context"
	if c.l, err = LoadModel(c.o.Model, c.o.Runtime, 1); err != nil {
		return err
	}
	c.l.noteRounding(c.l.DType, c.note)
	noteCache(c.l.Config, c.Context, c.l.DType, c.note)
	c.sessions = make([]*infer.Session, len(c.l.Ranks))
	err = c.l.Each(func(r *Rank) (err error) {
		c.sessions[r.Number], err = infer.NewSession(r.Device, r.Net, r.Sweep.Store, c.Context, c.l.DType)
		return err
	})
	if err != nil {
		c.l.Close()
	}
	return c.l.explain(err)
}

// Close releases the model.
func (c *Chat) Close() error { return c.l.Close() }

// Describe says with what, and how, one talks.
func (c *Chat) Describe() string {
	return fmt.Sprintf("%s on %s: %s, seed %d, context of %d tokens", c.o.Model, c.l.Ranks[0].Device.Name(), c.how, c.o.Seed, c.Context)
}

// Greedy says that the likeliest token is taken each time.
func (c *Chat) Greedy() bool { return c.p.sampler.Temperature == 0 }

// Reset forgets the turns; the system's text stays.
func (c *Chat) Reset() { c.Turns, c.first, c.attempts = nil, 0, 0 }

// SetSystem changes the system's text from the next answer on. It is refused where the template has no place for it.
func (c *Chat) SetSystem(text string) error {
	old := c.System
	c.System = text
	if _, err := c.promptIDs(len(c.Turns), "x"); err != nil {
		c.System = old
		return err
	}
	noteSpecial(c.p.tok, "the system's text", text, c.note)
	return nil
}

// Say asks the model and appends the turn. show gets the answer as it comes; the end of ctx ends the answer, which is kept as far as it went.
// Whatever fails, the conversation is as before.
func (c *Chat) Say(ctx context.Context, text string, show func(string) error) (Reply, error) {
	c.attempts = 0
	noteSpecial(c.p.tok, "the message", text, c.note)
	return c.answer(ctx, text, show)
}

// Retry answers the last question anew. When it fails, the answer that was stays.
func (c *Chat) Retry(ctx context.Context, show func(string) error) (Reply, error) {
	n := len(c.Turns)
	if n == 0 {
		return Reply{}, errors.New("there is no question yet")
	}
	last, first := c.Turns[n-1], c.first
	c.Turns, c.first = c.Turns[:n-1], min(c.first, n-1)
	c.attempts++
	r, err := c.answer(ctx, last.Ask, show)
	if len(c.Turns) < n {
		c.Turns, c.first = append(c.Turns, last), first
	}
	return r, err
}

func (c *Chat) answer(ctx context.Context, text string, show func(string) error) (r Reply, err error) {
	ids, first, err := c.fit(text)
	if err != nil {
		return r, err
	}
	r.Dropped, r.PromptTokens = first-c.first, len(ids)
	var began time.Time
	votes := newVerdicts()
	r.Kept = c.sessions[0].Common(ids)
	if c.Reading != nil {
		c.Reading(len(ids) - r.Kept)
	}
	var out spoken
	err = c.l.Each(func(rank *Rank) error {
		s := c.sessions[rank.Number]
		if rank.Number > 0 {
			_, err := c.p.speak(s, ids, c.attempts, nil, votes.reading())
			return err
		}
		defer votes.close()
		more := func() bool {
			if s.Len() >= len(ids) && began.IsZero() {
				began = time.Now() // the first token was chosen
			}
			return ctx.Err() == nil
		}
		var err error
		out, err = c.p.speak(s, ids, c.attempts, show, votes.asking(more))
		return err
	})
	if !began.IsZero() {
		r.Writing = time.Since(began)
	}
	r.Text, r.IDs, r.Tokens, r.Finish = out.Text, out.IDs, len(out.IDs), out.Finish
	if err != nil {
		return r, c.l.explain(err)
	}
	if r.Finish == infer.Interrupted && r.Text == "" { // nothing to keep: the question was not answered
		return r, nil
	}
	c.first = first
	c.Turns = append(c.Turns, ChatTurn{text, r.Text})
	return r, nil
}

// fit is the conversation with a new question as tokens, and its first turn. When there is no room for an answer, the oldest turns
// are left out until half of the context is free: what remains is read again, and this is not to happen at every turn.
func (c *Chat) fit(text string) (ids []int32, first int, err error) {
	first = c.first
	if ids, err = c.promptIDs(first, text); err != nil {
		return nil, 0, err
	}
	if len(ids)+min(c.p.limit, max(1, c.Context/4)) > c.Context {
		for first < len(c.Turns) && len(ids) > c.Context/2 {
			first++
			if ids, err = c.promptIDs(first, text); err != nil {
				return nil, 0, err
			}
		}
	}
	if len(ids) >= c.Context {
		return nil, 0, hint("shorten it", "the message, with what the template puts around it, has %s: the context holds %d", tokenCount(len(ids)), c.Context)
	}
	return ids, first, outside(c.p.tok, ids, c.l.Config.VocabSize, "the message")
}

// promptIDs are the tokens of the turns from first on, and a new question.
func (c *Chat) promptIDs(first int, text string) ([]int32, error) {
	var msgs []tokenizer.Message
	for _, m := range c.messages(first) {
		msgs = append(msgs, tokenizer.Message{Role: m.Role, Content: m.Content})
	}
	return chatIDs(c.p.tok, append(msgs, tokenizer.Message{Role: "user", Content: text}), c.template)
}

// ChatMessage is one message of a record.
type ChatMessage struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// Record is the whole conversation, also what no longer fits into the context, as a record of type messages.
func (c *Chat) Record() []ChatMessage { return c.messages(0) }

func (c *Chat) messages(first int) (list []ChatMessage) {
	if c.System != "" {
		list = append(list, ChatMessage{"system", c.System})
	}
	for _, t := range c.Turns[first:] {
		list = append(list, ChatMessage{"user", t.Ask}, ChatMessage{"assistant", t.Answer})
	}
	return list
}
