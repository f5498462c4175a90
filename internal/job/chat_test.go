package job

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lomo/internal/infer"
)

// newChat is a chat with a random model that takes the likeliest tokens.
func newChat(t *testing.T, change func(*ChatOptions)) (*Chat, *[]string) {
	t.Helper()
	o := ChatOptions{Model: newTiny(t), ChatTemplate: "chatml", MaxTokens: 8, Temperature: new(0.0), Seed: 1, Runtime: Runtime{Device: "cpu"}}
	if change != nil {
		change(&o)
	}
	var notes []string
	c, err := OpenChat(o, func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, &notes
}

func say(t *testing.T, c *Chat, text string) Reply {
	t.Helper()
	shown := ""
	r, err := c.Say(t.Context(), text, func(s string) error { shown += s; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if shown != r.Text {
		t.Errorf("%q: shown %q, the answer is %q", text, shown, r.Text)
	}
	return r
}

// TestChatKeepsCache: what the turns before left in the cache is not computed again, and the answers are those of a chat that has nothing in it.
func TestChatKeepsCache(t *testing.T) {
	c, _ := newChat(t, func(o *ChatOptions) { o.System = "Be brief." })
	asked := []string{"Where is the harbour?", "And the market?", "Thank you. <b>"}
	read := 0
	c.Reading = func(n int) { read = n }
	for i, text := range asked {
		r := say(t, c, text)
		if i == 0 && r.Kept != 0 || i > 0 && r.Kept < 40*i || read != r.PromptTokens-r.Kept {
			t.Errorf("turn %d: %d of %d tokens kept, %d read", i+1, r.Kept, r.PromptTokens, read)
		}
		fresh, _ := newChat(t, func(o *ChatOptions) { o.System, o.Model = "Be brief.", c.o.Model })
		fresh.Turns = slices.Clone(c.Turns[:i])
		if f := say(t, fresh, text); !slices.Equal(f.IDs, r.IDs) || f.Kept != 0 || f.PromptTokens != r.PromptTokens {
			t.Errorf("turn %d: %v, without a cache %v", i+1, r.IDs, f.IDs)
		}
	}
	one, _ := generate(t, GenerateOptions{Model: c.o.Model, Prompts: asked[:1], Chat: true, System: "Be brief.", ChatTemplate: "chatml", MaxTokens: 8})
	if one[0].Text != c.Turns[0].Answer {
		t.Errorf("generate answers %q, chat %q", one[0].Text, c.Turns[0].Answer)
	}
	if r := c.Record(); len(r) != 7 || r[0] != (ChatMessage{"system", "Be brief."}) || r[5] != (ChatMessage{"user", asked[2]}) || r[6].Role != "assistant" {
		t.Errorf("record %v", r)
	}
}

// TestChatDropsTurns: a full context loses its oldest turns, which is counted; the system's text and the record stay whole.
func TestChatDropsTurns(t *testing.T) {
	c, _ := newChat(t, func(o *ChatOptions) { o.Context, o.System = 160, "Be brief." })
	dropped := 0
	for i := range 8 {
		r := say(t, c, fmt.Sprintf("Question number %d?", i))
		if dropped += r.Dropped; r.PromptTokens+r.Tokens > 160 || dropped != c.first {
			t.Errorf("turn %d: %d tokens, %d turns dropped, the first is %d", i+1, r.PromptTokens+r.Tokens, dropped, c.first)
		}
	}
	if dropped < 4 || len(c.Turns) != 8 || len(c.Record()) != 17 {
		t.Errorf("%d turns dropped, %d kept, %d messages", dropped, len(c.Turns), len(c.Record()))
	}
	// What does not fit alone is refused with both numbers, and changes nothing.
	_, err := c.Say(t.Context(), strings.Repeat("long ", 100), func(string) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "the context holds 160") || len(c.Turns) != 8 || c.first != dropped {
		t.Errorf("%v; %d turns, the first %d", err, len(c.Turns), c.first)
	}
	c.Reset()
	if r := say(t, c, "Again?"); r.Dropped != 0 || len(c.Record()) != 3 {
		t.Errorf("after a reset: %d turns dropped, %v", r.Dropped, c.Record())
	}
	// The answer has its room too: where the prompt leaves less than its 8 tokens, a turn goes.
	r := say(t, c, "And again?")
	for _, room := range []int{8, 7} {
		c.Context = r.PromptTokens + room
		again, err := c.Retry(t.Context(), func(string) error { return nil })
		if err != nil || r.Dropped != 0 || again.Dropped != 8-room {
			t.Errorf("room for %d tokens: %d turns dropped, then %d, %v", room, r.Dropped, again.Dropped, err)
		}
	}
}

// TestChatInterrupted: an answer that is stopped is kept as far as it went; one without a word leaves the chat as it was, on several ranks too.
func TestChatInterrupted(t *testing.T) {
	for _, ranks := range []int{1, 2} {
		c, _ := newChat(t, func(o *ChatOptions) { o.Devices, o.MaxTokens = ranks, 50 })
		ctx, cancel := context.WithCancel(t.Context())
		text := ""
		r, err := c.Say(ctx, "Tell me all of it", func(s string) error {
			if text += s; len(text) > 5 {
				cancel()
			}
			return nil
		})
		if err != nil || r.Finish != infer.Interrupted || r.Text != text || len(text) > 20 || len(c.Turns) != 1 {
			t.Errorf("%d ranks: %q, %v, %v; %d turns", ranks, r.Text, r.Finish, err, len(c.Turns))
		}
		r, err = c.Say(ctx, "More", func(string) error { return nil })
		if err != nil || r.Finish != infer.Interrupted || len(c.Turns) != 1 {
			t.Errorf("%d ranks: stopped at once: %v, %v, %d turns", ranks, r.Finish, err, len(c.Turns))
		}
		kept := c.Turns[0]
		if _, err := c.Retry(ctx, func(string) error { return nil }); err != nil || len(c.Turns) != 1 || c.Turns[0] != kept {
			t.Errorf("%d ranks: an answer that is not given takes the old one away: %v, %v", ranks, err, c.Turns)
		}
		c.p.limit = 3
		if r := say(t, c, "Go on"); r.Tokens != 3 || len(c.Turns) != 2 {
			t.Errorf("%d ranks: after a stop: %d tokens, %d turns", ranks, r.Tokens, len(c.Turns))
		}
	}
}

// TestChatRetry: another attempt draws other tokens, the same attempts of the same seed the same ones.
func TestChatRetry(t *testing.T) {
	var model string
	attempts := func() (all []string) {
		c, _ := newChat(t, func(o *ChatOptions) {
			o.Temperature, o.TopP = new(30.0), new(1.0)
			if model == "" {
				model = o.Model
			}
			o.Model = model
		})
		all = append(all, say(t, c, "Who?").Text)
		for range 3 {
			r, err := c.Retry(t.Context(), func(string) error { return nil })
			if err != nil || len(c.Turns) != 1 || c.Turns[0].Answer != r.Text {
				t.Fatalf("%v, %v", err, c.Turns)
			}
			all = append(all, r.Text)
		}
		return all
	}
	a, b := attempts(), attempts()
	if !slices.Equal(a, b) || len(slices.Compact(slices.Sorted(slices.Values(a)))) != 4 {
		t.Errorf("%q, and again %q", a, b)
	}
}

// TestChatChoice: the user's words go before the model's, and these before ours; what is taken is said.
func TestChatChoice(t *testing.T) {
	for _, c := range []struct {
		file   string
		change func(*ChatOptions)
		want   string
	}{
		{`{}`, func(o *ChatOptions) { o.Temperature = nil }, "temperature 0.7, top-p 0.95 (lomo's choice for chats)"},
		{`{"temperature": 0.6, "top_p": 0.9, "top_k": 40}`, func(o *ChatOptions) { o.Temperature = nil }, "temperature 0.6, top-p 0.9, top-k 40 ("},
		{`{"temperature": 0.6, "top_p": 0.9}`, func(o *ChatOptions) { o.Temperature = new(1.5) }, "temperature 1.5, top-p 0.9, seed"},
		{`{"temperature": 0.6, "top_p": 0.9}`, func(o *ChatOptions) { o.TopP, o.TopK, o.Temperature = new(0.5), new(3), nil }, "temperature 0.6, top-p 0.5, top-k 3 ("},
		{`{"temperature": 0.6, "top_p": 0.9}`, nil, "temperature 0, seed"},
		{`{"do_sample": false, "temperature": 0.6}`, func(o *ChatOptions) { o.Temperature = nil }, "temperature 0 ("},
		{`{"do_sample": true}`, func(o *ChatOptions) { o.Temperature = nil }, "temperature 0.7 ("},
		{`{"top_k": null, "temperature": null}`, func(o *ChatOptions) { o.Temperature = nil }, "temperature 0.7, top-p 0.95 (lomo's choice"},
	} {
		dir := newTiny(t)
		if err := os.WriteFile(filepath.Join(dir, "generation_config.json"), []byte(c.file), 0o644); err != nil {
			t.Fatal(err)
		}
		chat, _ := newChat(t, func(o *ChatOptions) {
			if o.Model = dir; c.change != nil {
				c.change(o)
			}
		})
		if got := chat.Describe(); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.file, got, c.want)
		}
	}
}

// TestChatRefusals: what a template has no place for is refused, and the chat is as before.
func TestChatRefusals(t *testing.T) {
	c, notes := newChat(t, func(o *ChatOptions) {
		o.ChatTemplate = "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system here') }}{% endif %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
	})
	if err := c.SetSystem("Be brief."); err == nil || !strings.Contains(err.Error(), "no system here") || c.System != "" {
		t.Errorf("%v, system %q", err, c.System)
	}
	say(t, c, "a <|endoftext|> b")
	if len(*notes) != 1 || !strings.Contains((*notes)[0], "<|endoftext|> written out") {
		t.Errorf("notes %q", *notes)
	}
	if !slices.Equal(c.p.stops, []string{"\nuser:"}) {
		t.Errorf("stop strings %q: the template ends turns with the next header", c.p.stops)
	}
}
