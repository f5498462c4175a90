//go:build linux

package cli

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestPlanIsTheProcess: what is planned before a run is what its process holds at its peak, within 5 % or 32 MiB, with samples of any length of which
// any part is learned, evaluations and the last steps of epochs.
func TestPlanIsTheProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("trains 16 million weights six times")
	}
	l := newLab(t)
	l.run("new", "tiny", "small")
	l.widen(6, 512, 1024)
	rnd := rand.New(rand.NewPCG(3, 4))
	var lines strings.Builder
	for range 10 {
		n := 2 + rnd.IntN(120)
		ids, labels := make([]int, n), make([]int, n)
		learned := rnd.IntN(n)
		for i := range ids {
			ids[i], labels[i] = rnd.IntN(250), -100
			if i >= learned {
				labels[i] = ids[i]
			}
		}
		raw, err := json.Marshal(map[string]any{"input_ids": ids, "labels": labels})
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(raw, '\n'))
	}
	l.write("mixed.jsonl", lines.String())
	l.write("run.yaml", "model: tiny\noutput_dir: out\ndatasets: [{path: mixed.jsonl, type: tokenized}]\nval_set_size: 2\nlearning_rate: 1.0e-5\nsequence_len: 64\n"+
		"micro_batch_size: 2\nmax_steps: 2\neval_steps: 1\nsave_final: false\nthreads: 2\n")
	for i, set := range []string{
		"optimizer=lomo",
		"optimizer=adalomo max_grad_norm=1 gradient_accumulation_steps=2",
		"optimizer=adamw gradient_checkpointing=false",
		"optimizer=sgd packing=false",
		"optimizer=adalomo offload=disk activation_offload=disk",
		"optimizer=adalomo devices=2 sharding=zero3 micro_batch_size=1",
		"model=small devices=2 sharding=zero3 micro_batch_size=1", // whose products touch little of each rank's workspace
	} {
		args := []string{"--config", "run.yaml"}
		for s := range strings.FieldsSeq(set) {
			args = append(args, "--set", s)
		}
		var plan struct {
			Peak int64 `json:"peak_bytes"`
		}
		out := strings.TrimSpace(l.run(append([]string{"memprofile", "--json"}, args...)...))
		if err := json.Unmarshal([]byte(out[strings.LastIndex(out, "\n")+1:]), &plan); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		dir := fmt.Sprintf("out%d", i)
		l.run(append([]string{"train", "--set", "output_dir=" + dir}, args...)...)
		measured := int64(0)
		for line := range strings.Lines(string(l.read(dir + "/metrics.jsonl"))) {
			var m struct {
				Peak int64 `json:"peak_bytes"`
			}
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatal(err)
			}
			measured = max(measured, m.Peak)
		}
		t.Logf("%s: planned %d, measured %d", set, plan.Peak, measured)
		if d, bound := max(measured-plan.Peak, plan.Peak-measured), max(plan.Peak/20, 32<<20); d > bound {
			t.Errorf("%s: planned %d bytes, the process held %d", set, plan.Peak, measured)
		}
	}
}
