//go:build cuda && linux

package ladder

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lomo/internal/config"
	"lomo/internal/cudakern/sim"
	"lomo/internal/job"
	"lomo/internal/train"
)

// bound is that of a dtype.
func bound(dtype string) float64 {
	if dtype == "f32" {
		return 1e-4 // measured: 1.1e-5
	}
	return 0.05 // measured: 0.023, where host and card do not end with the same bits
}

var one = machine{Options: sim.Options{Cards: 1, Order: 11}}

// methods is what is compared with the CPU: five steps each.
var methods = []struct {
	dtype string
	tied  bool
	set   []string
}{
	{"f32", false, []string{"optimizer=lomo", "learning_rate=0.05"}},
	{"f32", true, []string{"optimizer=lomo", "learning_rate=0.05", "max_grad_norm=0.5", "gradient_accumulation_steps=2"}},
	{"f32", false, []string{"optimizer=adalomo", "learning_rate=0.01"}},
	{"f32", true, []string{"optimizer=adamw", "learning_rate=0.001"}},
	{"bf16", true, []string{"optimizer=lomo", "learning_rate=0.3"}},
	{"bf16", false, []string{"optimizer=lomo", "learning_rate=0.3", "max_grad_norm=0.5"}},
	{"bf16", true, []string{"optimizer=adalomo", "learning_rate=0.05"}},
	{"bf16", false, []string{"optimizer=adamw", "learning_rate=0.1", "adamw.eps=0.1", "adamw.master=f32"}},
}

func TestTrain(t *testing.T) {
	for _, c := range methods {
		t.Run(strings.NewReplacer("=", " ", "_", " ").Replace(fmt.Sprintf("%s tied %v %s", c.dtype, c.tied, strings.Join(c.set, " "))), func(t *testing.T) {
			b := newBed(t, c.dtype, c.tied, c.set...)
			card := b.train(t, one)
			if card.report.Traffic.In == nil || card.report.Traffic.In[0] == 0 {
				t.Errorf("nothing was copied to the card: %+v", card.report)
			}
			near(t, b, card, b.train(t, one, "device=cpu"), bound(c.dtype))
		})
	}
}

// TestTrainNotices has one update of the five left out, done twice, or turned round: the comparison must fail.
func TestTrainNotices(t *testing.T) {
	const lr = 0.05
	b := newBed(t, "f32", false, "optimizer=lomo", fmt.Sprint("learning_rate=", lr))
	host := b.train(t, one, "device=cpu")
	for name, f := range map[string]func(args []uint64) int{
		"left out": func([]uint64) int { return 0 },
		"twice":    func([]uint64) int { return 2 },
		"turned round": func(args []uint64) int {
			for i, a := range args {
				if uint32(a) == math.Float32bits(lr) {
					args[i] ^= 1 << 31
				}
			}
			return 1
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, updates := one, 0
			m.prepare = func(m *sim.Machine) {
				m.Tamper(func(_ int, kernel string, args []uint64) int {
					if strings.HasPrefix(kernel, "gemm_update") {
						if updates++; updates == 20 {
							return f(args)
						}
					}
					return 1
				})
			}
			card := b.train(t, m)
			if updates < 20 {
				t.Fatalf("%d products with an update ran", updates)
			}
			if _, movement, _ := apart(t, b, card, host); movement <= 5*bound("f32") {
				t.Errorf("movements are apart by %g only", movement)
			}
		})
	}
}

// eight is the machine of the box, with and without access between cards, its queued work in some order.
func eight(order uint64, peers bool) machine {
	return machine{Options: sim.Options{Order: order, Peers: peers}}
}

// TestEightCards trains on eight cards what one trains: the same step of eight sequences.
func TestEightCards(t *testing.T) {
	for _, c := range []struct {
		dtype string
		tied  bool
		order uint64
		peers bool
		set   []string
	}{
		{"f32", false, 0, false, []string{"optimizer=lomo", "learning_rate=0.05", "max_grad_norm=0.5"}},
		{"f32", true, 3, true, []string{"optimizer=adalomo", "learning_rate=0.01"}},
		{"bf16", false, 4, false, []string{"optimizer=lomo", "learning_rate=0.3", "reduce_dtype=f32"}},
		{"bf16", true, 4, false, []string{"optimizer=adalomo", "learning_rate=0.05"}},
	} {
		t.Run(fmt.Sprintf("%s order %d peers %v", strings.NewReplacer("=", " ", "_", " ").Replace(c.set[0]), c.order, c.peers), func(t *testing.T) {
			b := newBed(t, c.dtype, c.tied, append(c.set, "max_steps=3")...)
			cards := b.train(t, eight(c.order, c.peers), "devices=8", "sharding=zero3")
			near(t, b, cards, b.train(t, one, "gradient_accumulation_steps=8"), bound(c.dtype))
			for i := range 8 {
				if cards.report.Traffic.Sent(i) == 0 || cards.report.Traffic.Sent(i) != cards.report.Traffic.Sent(0) {
					t.Errorf("card %d sent %d bytes, card 0 %d", i, cards.report.Traffic.Sent(i), cards.report.Traffic.Sent(0))
				}
			}
		})
	}
}

// planned keeps what a run knows before it starts.
type planned struct {
	job.Reporter
	job.Summary
}

func (p *planned) Planned(s job.Summary) { p.Summary = s }
func (p *planned) Note(string, ...any)   {}
func (p *planned) Doing(train.Activity)  {}

// TestTraffic: the bytes that the driver moves between cards in a step are the plan's.
func TestTraffic(t *testing.T) {
	b := newBed(t, "bf16", true, "optimizer=adalomo", "learning_rate=0.01", "devices=8", "sharding=zero3", "reduce_dtype=bf16", "max_grad_norm=1")
	args := b.args(filepath.Join(t.TempDir(), "out"))
	var set []string
	for i, a := range args {
		if i > 0 && args[i-1] == "--set" {
			set = append(set, a)
		}
	}
	c, err := config.Load(config.Input{Need: []string{"model", "output_dir", "datasets"}, Set: set})
	if err != nil {
		t.Fatal(err)
	}
	p := &planned{}
	if err := job.Train(t.Context(), c, p, job.TrainOptions{DryRun: true, Cards: job.DefaultCards()}); err != nil {
		t.Fatal(err)
	}
	short, long := b.train(t, eight(0, false), "max_steps=2").report, b.train(t, eight(7, false), "max_steps=4").report
	for i := range 8 {
		got := (long.Traffic.Sent(i) - short.Traffic.Sent(i)) / 2
		if want := p.Memory.Sent; got != want || want == 0 {
			t.Errorf("card %d sends %d bytes a step, planned %d", i, got, want)
		}
	}
}

// TestResume stops after two of four steps and continues, on one card and on two: the same bits.
func TestResume(t *testing.T) {
	for _, n := range []int{1, 2} {
		m := machine{Options: sim.Options{Cards: n, Order: 6}}
		b := newBed(t, "bf16", true, "optimizer=adalomo", "learning_rate=0.05", "rounding=stochastic", "save_steps=2", fmt.Sprint("devices=", n))
		if n > 1 {
			b.set = append(b.set, "sharding=zero3")
		}
		whole := b.train(t, m, "max_steps=4")
		dir := filepath.Join(t.TempDir(), "out")
		for _, steps := range []string{"max_steps=2", "max_steps=4"} {
			if d := m.lomo(t, b.args(dir, steps, "save_final="+map[string]string{"max_steps=2": "false", "max_steps=4": "true"}[steps])...); d.code != 0 {
				t.Fatal(d.talk)
			}
		}
		same(t, b, trained{dir: dir, losses: losses(t, dir)}, whole)
	}
}

// TestOffload keeps weights and block inputs in pinned host memory: the same bits as in the card's.
func TestOffload(t *testing.T) {
	b := newBed(t, "bf16", false, "optimizer=lomo", "learning_rate=0.3", "max_steps=3", "gradient_accumulation_steps=2")
	resident := b.train(t, one)
	for order := range uint64(3) {
		m := machine{Options: sim.Options{Cards: 1, Order: order}}
		host := b.train(t, m, "offload=host", "activation_offload=host")
		same(t, b, host, resident)
		if in := host.report.Traffic.In[0]; in < 3*resident.report.Traffic.In[0] {
			t.Errorf("%d bytes went to the card, %d without offload", in, resident.report.Traffic.In[0])
		}
	}
}

// TestRefused is a card that is too small, one that others use, and a machine with too few.
func TestRefused(t *testing.T) {
	b := newBed(t, "bf16", false, "optimizer=lomo", "learning_rate=0.3", "max_steps=1")
	for _, c := range []struct {
		m    machine
		want string
	}{
		{machine{Options: sim.Options{Cards: 1, Memory: 450e6}}, "the plan needs 493 MiB on each card, which has 429 MiB"},
		{machine{Options: sim.Options{Cards: 1}, prepare: func(m *sim.Machine) { m.RefuseAlloc(0, 1) }}, "GPU 0 (simulated RTX 3090): out of memory at start"},
		{machine{Options: sim.Options{Cards: 1}}, "devices: 2: this machine has 1 usable GPU"},
	} {
		set := []string{}
		if strings.HasPrefix(c.want, "devices") {
			set = []string{"devices=2", "sharding=zero3"}
		}
		d := c.m.lomo(t, b.args(filepath.Join(t.TempDir(), "out"), set...)...)
		if d.code == 0 || !strings.Contains(d.talk, c.want) || strings.Contains(d.talk, "goroutine") {
			t.Errorf("exit code %d, want %q in\n%s", d.code, c.want, d.talk)
		}
	}
}

// TestLostCard has one of four cards fall off the bus in the third step: all ranks stop within seconds, with one message that names the
// rank, and the checkpoint of the second step can be used.
func TestLostCard(t *testing.T) {
	b := newBed(t, "f32", false, "optimizer=lomo", "learning_rate=0.05", "devices=4", "sharding=zero3", "save_steps=2", "max_steps=4")
	launches := 0
	count := machine{Options: sim.Options{Cards: 4}, prepare: func(m *sim.Machine) {
		m.Tamper(func(card int, _ string, _ []uint64) int {
			if card == 2 {
				launches++
			}
			return 1
		})
	}}
	whole := b.train(t, count)
	m := machine{Options: sim.Options{Cards: 4}, prepare: func(m *sim.Machine) { m.Lose(2, int64(launches*7/10)) }}
	dir := filepath.Join(t.TempDir(), "out")
	d := m.lomo(t, b.args(dir)...)
	if d.code != 1 || strings.Count(d.talk, "lomo: error: ") != 1 || !strings.Contains(d.talk, "rank 2") || !strings.Contains(d.talk, "fallen off the bus") && !strings.Contains(d.talk, "unknown error") {
		t.Errorf("exit code %d\n%s", d.code, d.talk)
	}
	if d.took > whole.took+20*time.Second {
		t.Errorf("it took %v to stop, the whole run %v", d.took, whole.took)
	}
	if _, err := os.Stat(filepath.Join(dir, "checkpoint-2")); err != nil {
		t.Fatal(err)
	}
	if d := count.lomo(t, b.args(dir)...); d.code != 0 {
		t.Fatalf("it does not continue: %s", d.talk)
	}
	same(t, b, trained{dir: dir, losses: losses(t, dir)}, whole)
}

// TestEval scores a model on eight cards, on one and on the host.
func TestEval(t *testing.T) {
	b := newBed(t, "f32", false)
	score := func(m machine, args ...string) string {
		d := m.lomo(t, append([]string{"eval", "--model", b.model, "--data", b.data, "--type", "tokenized", "--json"}, args...)...)
		if d.code != 0 {
			t.Fatal(d.talk)
		}
		lines := strings.Split(strings.TrimSpace(d.out), "\n")
		return lines[len(lines)-1]
	}
	host := score(one, "--device", "cpu")
	for _, args := range [][]string{{"--device", "cuda"}, {"--device", "cuda", "--devices", "8", "--sharding", "zero3"}} {
		if got := score(eight(2, false), args...); !nearScore(t, got, host) {
			t.Errorf("%v: %s, the host's score is %s", args, got, host)
		}
	}
}

// nearScore compares two results of eval to 1e-5; measured: 2e-7.
func nearScore(t *testing.T, a, b string) bool {
	t.Helper()
	var x, y struct {
		Loss   float64 `json:"loss"`
		Tokens int     `json:"tokens"`
	}
	decode(t, a, &x)
	decode(t, b, &y)
	return x.Tokens == y.Tokens && x.Tokens > 0 && math.Abs(x.Loss-y.Loss) <= 1e-5
}
