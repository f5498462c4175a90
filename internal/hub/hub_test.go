package hub

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	one = "0123456789012345678901234567890123456789"
	two = "abcdefabcdefabcdefabcdefabcdefabcdefabcd"
)

// cache makes a cached model of files, each given as name and content; a name that ends in a slash is a folder.
func cache(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "models--owner--name")
	for name, text := range files {
		at := filepath.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(at, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestResolve(t *testing.T) {
	for name, c := range map[string]struct {
		files     map[string]string
		below     string // the path given, in the cache
		want, err string
	}{
		"plain":         {map[string]string{"config.json": "{}"}, "", "", ""},
		"with a clone":  {map[string]string{"config.json": "{}", "snapshots/" + one + "/": ""}, "", "", ""},
		"main":          {map[string]string{"refs/main": two, "snapshots/" + one + "/": "", "snapshots/" + two + "/": ""}, "", "snapshots/" + two, ""},
		"main, line":    {map[string]string{"refs/main": two + "\n", "snapshots/" + two + "/": ""}, "", "snapshots/" + two, ""},
		"only one":      {map[string]string{"snapshots/" + one + "/": ""}, "", "snapshots/" + one, ""},
		"snapshots":     {map[string]string{"refs/main": one, "snapshots/" + one + "/": ""}, "snapshots", "snapshots/" + one, ""},
		"a snapshot":    {map[string]string{"refs/main": one, "snapshots/" + two + "/config.json": "{}"}, "snapshots/" + two, "snapshots/" + two, ""},
		"two, no main":  {map[string]string{"snapshots/" + one + "/": "", "snapshots/" + two + "/": ""}, "", "", "2 snapshots, first " + one},
		"main is gone":  {map[string]string{"refs/main": two, "snapshots/" + one + "/": ""}, "", "", "refs/main names the snapshot " + two + ", which is not in the cache; there is " + one},
		"none":          {map[string]string{"refs/main": "x", "snapshots/": ""}, "", "", "a cached model without a snapshot"},
		"ref leads out": {map[string]string{"refs/main": "../../..", "snapshots/" + one + "/": ""}, "", "snapshots/" + one, ""},
	} {
		dir := cache(t, c.files)
		got, err := Resolve(filepath.Join(dir, c.below))
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want %q", name, err, c.err)
			}
			continue
		}
		if want := filepath.Join(dir, c.want); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, want)
		}
	}
	dir := cache(t, map[string]string{"snapshots/": ""})
	if _, err := Resolve(filepath.Dir(dir)); err == nil || !strings.Contains(err.Error(), "a cache of model models--owner--name, not a model") {
		t.Error(err)
	}
}

func TestInside(t *testing.T) {
	dir := cache(t, map[string]string{"blobs/b": "x", "snapshots/" + one + "/own": "x", "plain/own": "x"})
	secret := filepath.Join(filepath.Dir(dir), "secret")
	if err := os.WriteFile(secret, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	snapshot, plain := filepath.Join(dir, "snapshots", one), filepath.Join(dir, "plain")
	for from, to := range map[string]string{
		filepath.Join(snapshot, "blob"): "../../blobs/b", filepath.Join(snapshot, "out"): secret, filepath.Join(snapshot, "up"): "../../../secret",
		filepath.Join(plain, "blob"): "../blobs/b", filepath.Join(plain, "self"): "own", filepath.Join(plain, "gone"): "nothing",
	} {
		if err := os.Symlink(to, from); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]bool{"own": true, "blob": true, "out": false, "up": false} {
		if Inside(snapshot, filepath.Join(snapshot, path)) != want {
			t.Errorf("snapshot, %s: %v", path, !want)
		}
	}
	for path, want := range map[string]bool{"own": true, "self": true, "blob": false, "gone": false} {
		if Inside(plain, filepath.Join(plain, path)) != want {
			t.Errorf("folder, %s: %v", path, !want)
		}
	}
}
