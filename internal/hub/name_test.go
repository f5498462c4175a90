package hub

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]ID{
		"owner/name":                        {Owner: "owner", Name: "name"},
		" owner/name ":                      {Owner: "owner", Name: "name"},
		"https://huggingface.co/owner/name": {Owner: "owner", Name: "name"},
		"http://www.huggingface.co/owner/name/?x=1#readme":         {Owner: "owner", Name: "name"},
		"https://huggingface.co/owner/name.git":                    {Owner: "owner", Name: "name"},
		"https://huggingface.co/owner/name/tree/main":              {Owner: "owner", Name: "name", Revision: "main"},
		"https://huggingface.co/owner/name/tree/v1/sub":            {Owner: "owner", Name: "name", Revision: "v1"},
		"https://huggingface.co/owner/name/blob/main/a/b.json":     {Owner: "owner", Name: "name", Revision: "main", File: "a/b.json"},
		"https://huggingface.co/owner/name/resolve/main/x%20.gguf": {Owner: "owner", Name: "name", Revision: "main", File: "x .gguf"},
		"hf.co/owner/name:Q4_K_M":                                  {Owner: "owner", Name: "name", Quant: "Q4_K_M"},
		"hf://owner/name":                                          {Owner: "owner", Name: "name"},
		"https://mirror.example:81/owner/name":                     {Owner: "owner", Name: "name"},
		"owner/name@v1.0":                                          {Owner: "owner", Name: "name", Revision: "v1.0"},
		"owner/name:q8_0":                                          {Owner: "owner", Name: "name", Quant: "q8_0"},
		"models/owner/name":                                        {Owner: "owner", Name: "name"},
		"models--owner--name":                                      {Owner: "owner", Name: "name"},
		"models/name":                                              {Owner: "models", Name: "name"},
		"01-ai/Yi-6B_v1.5":                                         {Owner: "01-ai", Name: "Yi-6B_v1.5"},
	} {
		if got, err := Parse(text, "mirror.example:81"); err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"name": "is no name of a model", "": "is no name", "/": "is no name", "owner/": "is no name", "owner/name/more": "more than two parts",
		"https://huggingface.co/owner": "is no name", "https://example.com/owner/name": "is no address on the hub", "https://github.com/o/n": "is no address on the hub",
		"https://huggingface.co/datasets/owner/name": "names one of the hub's datasets", "datasets/owner/name": "names one of the hub's datasets",
		"https://huggingface.co/spaces/owner/name": "names one of the hub's spaces", "https://huggingface.co/owner/name/discussions/3": "more than two parts",
		"../name": "characters that no name has", "owner/..": "characters", "owner/na me": "characters", "owner/-name": "characters", "owner/a--b": "characters",
		"owner/name:": "nothing behind the colon", "own\x1ber/name": "characters", "owner/" + strings.Repeat("n", 200): "characters", "C:\\models\\x/y": "characters",
	} {
		if got, err := Parse(text, ""); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q: %+v, %v, want %q", text, got, err, want)
		}
	}
}

func TestQuantOf(t *testing.T) {
	for name, want := range map[string]string{
		"SmolLM2-135M-Instruct-Q4_K_M.gguf": "Q4_K_M", "model.Q8_0.gguf": "Q8_0", "m-f16.gguf": "F16", "m-fp16.gguf": "FP16", "m-BF16-00001-of-00003.gguf": "BF16", "llama-7b.gguf": "",
		"m-IQ3_XXS.gguf": "IQ3_XXS", "m-UD-Q4_K_XL.gguf": "UD-Q4_K_XL", "Qwen-Q4_0_4_4.gguf": "Q4_0_4_4", "a/b-q6_k.gguf": "Q6_K", "q4_0.gguf": "Q4_0", "m-MXFP4.gguf": "MXFP4", "gpt2.Q2_K.gguf": "Q2_K",
	} {
		if got := QuantOf(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestCacheFolder(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"HOME": "/h"}, "/h/.cache/huggingface/hub"},
		{map[string]string{"HOME": "/h", "XDG_CACHE_HOME": "/x"}, "/x/huggingface/hub"},
		{map[string]string{"HOME": "/h", "HF_HOME": "/f"}, "/f/hub"},
		{map[string]string{"HOME": "/h", "HF_HOME": "~/f"}, "/h/f/hub"},
		{map[string]string{"HF_HOME": "/f", "HUGGINGFACE_HUB_CACHE": "/old"}, "/old"},
		{map[string]string{"HF_HOME": "/f", "HF_HUB_CACHE": "/c", "HUGGINGFACE_HUB_CACHE": "/old"}, "/c"},
	} {
		if got := Cache(func(n string) string { return c.env[n] }); got != c.want {
			t.Errorf("%v: %s, want %s", c.env, got, c.want)
		}
	}
}

func TestLocate(t *testing.T) {
	home := t.TempDir()
	env := func(n string) string { return map[string]string{"HF_HOME": home}[n] }
	write := func(path string) {
		t.Helper()
		at := filepath.Join(home, "hub", path)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		text := "{}"
		if strings.Contains(path, "/refs/") {
			text = one
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	plain := "models--o--plain/snapshots/" + one
	for _, f := range []string{"models--o--plain/refs/main", plain + "/config.json", "models--o--gguf/refs/main", "models--o--gguf/snapshots/" + one + "/m-Q8_0.gguf",
		"models--o--two/refs/main", "models--o--two/snapshots/" + one + "/m-Q8_0.gguf", "models--o--two/snapshots/" + one + "/m-Q4_0.gguf", "models--o--two/snapshots/" + one + "/mmproj-Q8_0.gguf",
		"models--o--rev/refs/v1", "models--o--rev/snapshots/" + one + "/config.json", "models--o--begun/blobs/x.incomplete"} {
		write(f)
	}
	t.Chdir(t.TempDir())
	if err := os.MkdirAll("here/model", 0o755); err != nil {
		t.Fatal(err)
	}
	in := filepath.Join(home, "hub")
	for path, want := range map[string]string{
		"o/plain": filepath.Join(in, plain), "o/gguf": filepath.Join(in, "models--o--gguf/snapshots", one, "m-Q8_0.gguf"),
		"o/two:q4_0": filepath.Join(in, "models--o--two/snapshots", one, "m-Q4_0.gguf"), "o/two:Q8_0": filepath.Join(in, "models--o--two/snapshots", one, "m-Q8_0.gguf"),
		"here/model": "here/model", "./o/plain": "./o/plain", "o/plain/more": "o/plain/more", "nothing": "nothing", "/o/plain": "/o/plain",
	} {
		if got, _, err := Locate(path, env); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", path, got, err, want)
		}
	}
	for path, want := range map[string]string{ // no folder of that name yet, and a path all the same
		"models/SmolLM2": "`lomo pull OWNER/SmolLM2 --to models/SmolLM2` downloads it", "checkpoints/a": "lomo pull OWNER/a --to", "out/run": "output_dir of its run", "outputs/x": "output_dir",
		"here/other": "lomo pull OWNER/other --to here/other", "o/none": "`lomo pull o/none` downloads it",
	} {
		_, _, err := Locate(path, env)
		if h := (interface{ Hint() string })(nil); !errors.As(err, &h) || !strings.Contains(h.Hint(), want) {
			t.Errorf("%s: %v, want the hint %q", path, err, want)
		}
	}
	for path, want := range map[string]string{
		"o/none": "there is no such folder, and the hub's cache", "o/two": "2 GGUF files, first m-Q4_0.gguf", "o/two:Q6_K": "not Q6_K of it", "o/rev": "another revision of it, not main",
		"o/begun": "does not have it", "here/other": "there is no such folder or file", "https://huggingface.co/o/none": "does not have it",
	} {
		if got, _, err := Locate(path, env); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %s, %v, want %q", path, got, err, want)
		}
	}
	if err := os.MkdirAll("o/plain", 0o755); err != nil {
		t.Fatal(err)
	}
	if got, cached, err := Locate("o/plain", env); got != "o/plain" || cached || err != nil {
		t.Errorf("a folder of that name wins: %s, %v, %v", got, cached, err)
	}
}
