package cli

import (
	"bytes"
	"context"
	"os"
	"runtime/debug"
	"strings"
	"testing"

	"lomo/internal/checkpoint"
	"lomo/internal/job"
)

// runIn is a run of a tiny model in the folder out, as one process may make several.
func runIn(set ...string) (int, string) {
	args := []string{"train"}
	for _, s := range append([]string{"model=m", "output_dir=out", "datasets=[{path: d.jsonl, type: tokenized}]", "device=cpu", "packing=false", "shuffle=false", "sequence_len=16",
		"micro_batch_size=1", "save_steps=1", "sample_prompts=0", "lr_scheduler=constant"}, set...) {
		args = append(args, "--set", s)
	}
	talk := &bytes.Buffer{}
	code := Run(context.Background(), &Streams{Out: &bytes.Buffer{}, Err: talk}, args)
	return code, talk.String()
}

// startTiny makes the model and the data of runIn.
func startTiny(t *testing.T, data string) {
	t.Helper()
	t.Chdir(t.TempDir())
	if _, err := job.New(job.NewOptions{Preset: "tiny", Dir: "m", DType: "f32", MaxShardSize: "1GB"}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("d.jsonl", []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestStartAgain: after a start that is refused once the folder was locked, or an end with an error, the next start works at once.
func TestStartAgain(t *testing.T) {
	startTiny(t, strings.Repeat(`{"input_ids":[5,6,7,8]}`+"\n", 4))
	for _, set := range []string{"learning_rate=0", "warmup_steps=1", "resume=nowhere", "resume=out/checkpoint-7"} {
		if code, talk := runIn("max_steps=1", set); code == 0 {
			t.Errorf("%s: exit code 0\n%s", set, talk)
		} else if strings.Contains(talk, "process") {
			t.Errorf("%s: a run that was refused before holds the folder\n%s", set, talk)
		}
	}
	if code, talk := runIn("max_steps=1"); code != 0 {
		t.Fatalf("exit code %d\n%s", code, talk)
	}
	for _, set := range [][]string{{"max_steps=2", "learning_rate=0.1"}, {"max_steps=2", "resume=none"}, {"max_steps=2", "micro_batch_size=3"}} {
		if code, talk := runIn(set...); code != 1 {
			t.Errorf("%s: exit code %d\n%s", set, code, talk)
		}
	}
	if code, talk := runIn("max_steps=2"); code != 0 || !strings.Contains(talk, "continuing from out/checkpoint-1") {
		t.Errorf("exit code %d\n%s", code, talk)
	}

	// A run that trains and then ends with an error. Its lock would be given back when the garbage is next collected, which must not be what frees the folder.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	code, talk := runIn("max_steps=9", "output_dir=diverged", "learning_rate=1e30", "save_steps=20")
	if used := checkpoint.InUse("diverged"); code != 3 || used {
		t.Errorf("a run that diverges: exit code %d, and its folder is held afterwards: %v\n%s", code, used, talk)
	}
}

// TestOtherDataIsRefused: a run goes on with the data it began with, and the labels are part of it.
func TestOtherDataIsRefused(t *testing.T) {
	const data = `{"input_ids":[5,6,7,8],"labels":[-100,6,7,8]}` + "\n" + `{"input_ids":[9,10,11],"labels":[-100,10,11]}` + "\n"
	startTiny(t, data)
	if code, talk := runIn("max_steps=1"); code != 0 {
		t.Fatalf("exit code %d\n%s", code, talk)
	}
	for name, change := range map[string][2]string{
		"a label left out":   {"[-100,6,7,8]", "[-100,-100,7,8]"},
		"a label of another": {"[-100,6,7,8]", "[-100,6,7,9]"},
		"a token":            {"[5,6,7,8]", "[4,6,7,8]"},
		"a sample more":      {"\n", "\n" + `{"input_ids":[9,10,11],"labels":[-100,10,11]}` + "\n"},
	} {
		if err := os.WriteFile("d.jsonl", []byte(strings.Replace(data, change[0], change[1], 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		if code, talk := runIn("max_steps=2"); code != 1 || !strings.Contains(talk, "the data set has changed") {
			t.Errorf("%s: exit code %d\n%s", name, code, talk)
		}
	}
	if err := os.WriteFile("d.jsonl", []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, talk := runIn("max_steps=2"); code != 0 {
		t.Errorf("the data as it was: exit code %d\n%s", code, talk)
	}
}
