package job

import (
	"errors"
	"strings"
	"testing"

	"lomo/internal/config"
	"lomo/internal/preset"
	"lomo/internal/train"
)

// hostRun is a run of SmolLM2-135M on the CPU.
func hostRun(t *testing.T, set ...string) (*config.Config, train.Options) {
	t.Helper()
	m, err := preset.Config("smollm2-135m")
	if err != nil {
		t.Fatal(err)
	}
	l, err := config.Load(config.Input{Set: append([]string{"device=cpu"}, set...)})
	if err != nil {
		t.Fatal(err)
	}
	o, err := trainOptions(&l.Config, m)
	if err != nil {
		t.Fatal(err)
	}
	return &l.Config, o
}

// TestNearestOnHost: what a refusal names fits when it is set, is not set already, and where nothing fits that is said.
func TestNearestOnHost(t *testing.T) {
	for _, c := range []struct {
		set   []string
		limit string
		want  string // in the hint
	}{
		{[]string{"micro_batch_size=4", "sequence_len=512", "gradient_checkpointing=false"}, "1GiB", "--set "},
		{[]string{"micro_batch_size=8", "sequence_len=512"}, "600MiB", "--set activation_offload=disk"},
		{[]string{"micro_batch_size=1", "sequence_len=512", "optimizer=adamw"}, "900MiB", "--set optimizer="},
		{[]string{"micro_batch_size=1", "sequence_len=512", "optimizer=lomo"}, "250MiB", "offload=disk"},
		{[]string{"micro_batch_size=1", "sequence_len=64", "optimizer=lomo", "offload=disk", "activation_offload=disk"}, "40MiB", "no setting of batch, length, checkpointing, optimizer or offload takes less"},
		{[]string{"micro_batch_size=2", "sequence_len=512"}, "40MiB", "no setting of batch, length, checkpointing, optimizer and offload fits: --set "},
	} {
		conf, o := hostRun(t, append(c.set, "memory_limit="+c.limit)...)
		_, err := Plan(o, conf, 0, Cards{})
		var u *UsageError
		if !errors.As(err, &u) {
			t.Errorf("%v: %v", c, err)
			continue
		}
		var h interface{ Hint() string }
		if !errors.As(err, &h) || !strings.Contains(h.Hint(), c.want) || strings.Contains(err.Error()+h.Hint(), "bytes") {
			t.Errorf("%v: %v\n%s", c, err, h.Hint())
			continue
		}
		given, _, fits := strings.Cut(h.Hint(), " fits: ")
		if !strings.HasPrefix(given, "--set ") || !fits {
			continue
		}
		more := c.set
		for _, s := range strings.Split(strings.TrimPrefix(given, "--set "), " --set ") {
			for _, had := range c.set {
				if had == s {
					t.Errorf("%v: %s is set already", c, s)
				}
			}
			more = append(more, s)
		}
		conf, o = hostRun(t, append(more, "memory_limit="+c.limit)...)
		if _, err := Plan(o, conf, 0, Cards{}); err != nil {
			t.Errorf("%v: %s does not fit: %v", c, given, err)
		}
	}
}
