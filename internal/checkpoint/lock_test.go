package checkpoint

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

const lockChild = "LOMO_TEST_LOCK_DIR" // set in the process that TestLockDirOfKilledProcess starts

func TestLockDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	unlock, err := LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = LockDir(dir)
	if !errors.Is(err, ErrLocked) {
		t.Fatalf("the second lock: %v, want ErrLocked", err)
	}
	wantError(t, err, "process "+strconv.Itoa(os.Getpid()))
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	unlock, err = LockDir(dir)
	if err != nil {
		t.Fatalf("after unlock: %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
}

// The lock of a process that ended without unlocking is free.
func TestLockDirOfKilledProcess(t *testing.T) {
	if dir := os.Getenv(lockChild); dir != "" {
		if _, err := LockDir(dir); err != nil {
			t.Fatal(err)
		}
		os.Exit(0)
	}
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestLockDirOfKilledProcess$")
	child.Env = append(os.Environ(), lockChild+"="+dir)
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !exists(filepath.Join(dir, lockName)) {
		t.Fatal("the other process took no lock")
	}
	unlock, err := LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

// Whatever stands in the lock file, the message is one line of our own.
func TestLockHolder(t *testing.T) {
	for text, want := range map[string]string{"12\n": " (process 12)", "": "", "\x1b[31m": "", "1 2": ""} {
		path := filepath.Join(t.TempDir(), lockName)
		writeFiles(t, filepath.Dir(path), map[string]string{lockName: text})
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := holder(f); got != want {
			t.Errorf("%q gives %q, want %q", text, got, want)
		}
		f.Close()
	}
}
