// Package box tests the scripts of this folder on the CPU, with tiny models; make test-cuda runs them on simulated cards.
package box

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestScripts(t *testing.T) {
	for _, tool := range []string{"bash", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	if runtime.GOOS != "linux" {
		t.Skip("the box runs Linux")
	}
	program := filepath.Join(t.TempDir(), "lomo")
	if out, err := exec.Command("go", "build", "-o", program, "lomo/cmd/lomo").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.Command("./selftest.sh", "cpu")
	cmd.Env = append(cmd.Environ(), "BOX_LOMO="+program, "BOX_LAUNCH=", "SELFTEST_RUNS=7b 13b")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "selftest: passed on cpu\n") {
		t.Errorf("%v:\n%s", err, out)
	}
}
