package tfevents

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestRecords: every record has the bytes that TensorBoard's library writes (scripts/golden/tfevents.py).
func TestRecords(t *testing.T) {
	raw, err := os.ReadFile("../../testdata/tfevents.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Script  string            `json:"script_sha256"`
		Made    map[string]string `json:"versions"`
		Seconds float64
		Cases   []struct {
			Kind, Record string
			Step         int
			Tags, Values []string
		}
	}
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("../../scripts/golden/tfevents.py")
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(script); hex.EncodeToString(sum[:]) != golden.Script {
		t.Error("testdata/tfevents.json is of another scripts/golden/tfevents.py")
	}
	now := time.UnixMilli(int64(golden.Seconds * 1000))
	if len(golden.Cases) < 8 {
		t.Fatalf("%d cases", len(golden.Cases))
	}
	for i, c := range golden.Cases {
		var event []byte
		switch c.Kind {
		case "version":
			event = version(now)
		case "restart":
			event = restart(now, c.Step)
		case "scalars":
			var values []Scalar
			for j, tag := range c.Tags {
				v, err := strconv.ParseFloat(c.Values[j], 64)
				if err != nil {
					t.Fatal(err)
				}
				values = append(values, Scalar{tag, v})
			}
			event = scalars(now, c.Step, values)
		}
		if got := hex.EncodeToString(record(event)); got != c.Record {
			t.Errorf("case %d, %s of step %d:\n%s, want\n%s", i, c.Kind, c.Step, got, c.Record)
		}
	}
}

// TestFiles: each process has a file of its own, which readers take in order; one that goes on begins with a mark.
func TestFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs")
	clock := time.Unix(1700000000, 0)
	now := func() time.Time { return clock }
	var paths []string
	for _, done := range []int{0, 0, 50} { // two in one second
		w, err := Open(dir, done, now)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Scalars(done+1, []Scalar{{"train/loss", 1}}); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, w.Path())
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if len(paths) == 2 {
			clock = clock.Add(time.Second)
		}
	}
	if !(paths[0] < paths[1] && paths[1] < paths[2]) || !strings.HasPrefix(filepath.Base(paths[0]), "events.out.tfevents.1700000000.") {
		t.Errorf("files %v", paths)
	}
	for i, p := range paths {
		raw, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if marked := bytes.Contains(raw, record(restart(clock, 51))); marked != (i == 2) {
			t.Errorf("%s: has a mark of going on: %v", p, marked)
		}
		if marked := bytes.Contains(raw, record(restart(clock.Add(-time.Second), 0))); marked != (i == 1) {
			t.Errorf("%s: has a mark of starting afresh: %v", p, marked)
		}
	}
}
