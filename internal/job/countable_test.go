package job

import (
	"errors"
	"strings"
	"testing"
	"time"

	"lomo/internal/preset"
)

// TestStepsBeyondCounting: a number with zeros too many is refused at once, by the key that has them; what is large and can be is planned in seconds.
func TestStepsBeyondCounting(t *testing.T) {
	m, err := preset.Config("tiny")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		set  []string
		want string // the key that is named; "": planned
	}{
		{[]string{"gradient_accumulation_steps=1000000"}, "gradient_accumulation_steps: 1000000"},
		{[]string{"gradient_accumulation_steps=5000", "micro_batch_size=1"}, "gradient_accumulation_steps: 5000"},
		{[]string{"micro_batch_size=1000000"}, "micro_batch_size: 1000000"},
		{[]string{"micro_batch_size=40000", "gradient_accumulation_steps=100"}, "micro_batch_size: 40000"},
		{[]string{"gradient_accumulation_steps=4000", "micro_batch_size=1000"}, "gradient_accumulation_steps: 4000"},
		{[]string{"micro_batch_size=100000", "memory_limit=1GiB"}, "micro_batch_size: 100000"},
		{[]string{"gradient_accumulation_steps=500", "micro_batch_size=2"}, ""},
		{[]string{"micro_batch_size=2000"}, ""},
	} {
		cfg := loaded(t, "out", append([]string{"device=cpu", "sequence_len=512"}, c.set...)...)
		start := time.Now()
		_, err := PlanOnly(&cfg.Config, m, Cards{})
		var usage *UsageError
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("%v: it took %v", c.set, took)
		}
		if c.want == "" && err != nil || c.want != "" && (!errors.As(err, &usage) || !strings.HasPrefix(err.Error(), c.want+": a step of ")) {
			t.Errorf("%v: %v, want %q", c.set, err, c.want)
		}
	}
	cfg := loaded(t, "out", "device=cpu", "gradient_accumulation_steps=100000")
	o, err := trainOptions(&cfg.Config, m)
	if err != nil {
		t.Fatal(err)
	}
	var hinted interface{ Hint() string }
	if _, err := (known{rows: 7}).plan(o, &cfg.Config, 0, Cards{}); !errors.As(err, &hinted) || !strings.Contains(hinted.Hint(), "an epoch of the data is 7 sequences") {
		t.Errorf("with data: %v", err)
	}
}

// TestPlanHasTheData: what the samples take is an owner of the plan, and counts.
func TestPlanHasTheData(t *testing.T) {
	m, err := preset.Config("tiny")
	if err != nil {
		t.Fatal(err)
	}
	cfg := loaded(t, "out", "device=cpu", "sequence_len=64")
	o, err := trainOptions(&cfg.Config, m)
	if err != nil {
		t.Fatal(err)
	}
	without, err := Plan(o, &cfg.Config, 0, Cards{})
	if err != nil {
		t.Fatal(err)
	}
	with, err := known{bytes: 5 << 20}.plan(o, &cfg.Config, 0, Cards{})
	if err != nil {
		t.Fatal(err)
	}
	if with.Owners["data"] != 5<<20 || with.Peak != without.Peak+(5<<20) {
		t.Errorf("%d bytes of data, a peak of %d, %d without", with.Owners["data"], with.Peak, without.Peak)
	}
}
