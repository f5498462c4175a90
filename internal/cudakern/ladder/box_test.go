//go:build cuda && linux

package ladder

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestBox runs the scripts that a user leaves alone with the cards: preflight, training with restarts, resuming on another number of
// cards, evaluation.
func TestBox(t *testing.T) {
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	driver := filepath.Join(shared, "simdriver")
	if out, err := exec.Command("go", "build", "-o", driver, "lomo/scripts/simdriver").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b := newBed(t, "bf16", false)
	cmd := exec.Command("../../../scripts/box/selftest.sh", "cuda")
	cmd.Env = append(os.Environ(), "BOX_LOMO="+path, "BOX_LAUNCH="+driver+" -cards 8", "SELFTEST_MODEL="+b.model)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
