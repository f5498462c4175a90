package checkpoint

import (
	"os"
	"path/filepath"
	"testing"
)

func TestOpenFolderErrors(t *testing.T) {
	const index = `{"metadata":{},"weight_map":`
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"empty":          {nil, []string{configName}},
		"no weights":     {map[string]string{configName: "{}"}, []string{"no weights", singleName}},
		"config":         {map[string]string{configName: "[1]"}, []string{configName, "list found, want object"}},
		"cut config":     {map[string]string{configName: `{"a":`}, []string{configName, "damaged: the JSON ends in the middle, at byte 5"}},
		"gguf":           {map[string]string{configName: "{}", "m.gguf": ""}, []string{"GGUF", "m.gguf"}},
		"torch":          {map[string]string{configName: "{}", "pytorch_model.bin": ""}, []string{"pytorch_model.bin", "empty (0 bytes)"}},
		"meta":           {map[string]string{configName: "{}", "consolidated.00.pth": ""}, []string{"params.json"}},
		"weights":        {map[string]string{configName: "{}", singleName: "short"}, []string{singleName, "too few"}},
		"index":          {map[string]string{configName: "{}", indexName: "{"}, []string{indexName, "JSON"}},
		"empty index":    {map[string]string{configName: "{}", indexName: "{}"}, []string{indexName, "weight_map"}},
		"path in index":  {map[string]string{configName: "{}", indexName: index + `{"a":"../x.safetensors"}}`}, []string{`"a"`, "../x.safetensors"}},
		"absolute":       {map[string]string{configName: "{}", indexName: index + `{"a":"/x.safetensors"}}`}, []string{"/x.safetensors"}},
		"other suffix":   {map[string]string{configName: "{}", indexName: index + `{"a":"x.bin"}}`}, []string{"x.bin"}},
		"missing shard":  {map[string]string{configName: "{}", indexName: index + `{"a":"x.safetensors"}}`}, []string{"1 of 1 shards missing, first x.safetensors"}},
		"corrupt shard":  {map[string]string{configName: "{}", "x.safetensors": "<html>404</html>", indexName: index + `{"a":"x.safetensors"}}`}, []string{"shard 1 of 1", "a web page"}},
		"missing tensor": {map[string]string{configName: "{}", "x.safetensors": oneByte("b"), indexName: index + `{"b":"x.safetensors","a":"x.safetensors"}}`}, []string{`tensor "a" missing, which`, indexName}},
		"extra tensor":   {map[string]string{configName: "{}", "x.safetensors": oneByte("b"), indexName: index + `{"a":"x.safetensors"}}`}, []string{`"b" is not listed`}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			writeFiles(t, dir, c.files)
			_, err := Open(dir)
			wantError(t, err, append(c.want, dir)...)
		})
	}
}

// oneByte is a safetensors file with one U8 tensor of one element; the name has one letter.
func oneByte(name string) string {
	const table = `{"%":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`
	return string([]byte{byte(len(table)), 0, 0, 0, 0, 0, 0, 0}) + table[:2] + name + table[3:] + "\x2a"
}

func TestOpenPathErrors(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(filepath.Join(dir, "nowhere"))
	wantError(t, err, "nowhere", "no such file or folder")
	writeFiles(t, dir, map[string]string{"m.bin": "", "m.gguf": "GGUF"})
	_, err = Open(filepath.Join(dir, "m.bin"))
	wantError(t, err, "m.bin", "empty (0 bytes)")
	_, err = Open(filepath.Join(dir, "m.gguf"))
	wantError(t, err, "m.gguf", "within its header")
	_, err = OpenFile(filepath.Join(dir, "m.bin"))
	wantError(t, err, "m.bin", "empty (0 bytes)")
}

// The tokenizer's files are found, also behind the symbolic links of the hub's cache, and nothing else is.
func TestAuxFiles(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{configName: "{}", singleName: oneByte("a"), "tokenizer.json": "{}", "README.md": "", "blob": "x"})
	if err := os.Symlink(filepath.Join(dir, "blob"), filepath.Join(dir, "tokenizer.model")); err != nil {
		t.Fatal(err)
	}
	odd := filepath.Join(dir, "merges.txt")
	for name, make := range map[string]func() error{
		"not a regular file": func() error { return os.Mkdir(odd, 0o755) },
		"a link to nowhere":  func() error { return os.Symlink("nowhere", odd) },
		"a link to merges":   func() error { return os.Symlink("merges.txt", odd) },
	} {
		if err := make(); err != nil {
			t.Fatal(err)
		}
		_, err := Open(dir)
		wantError(t, err, "merges.txt", name)
		if err := os.Remove(odd); err != nil {
			t.Fatal(err)
		}
	}
	src, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	aux := src.AuxFiles()
	if len(aux) != 2 || aux["tokenizer.json"] != filepath.Join(dir, "tokenizer.json") || aux["tokenizer.model"] == "" {
		t.Errorf("AuxFiles is %v", aux)
	}
	if string(src.Config()) != "{}" || src.Path() != dir {
		t.Errorf("Config %q, Path %q", src.Config(), src.Path())
	}
}

func FuzzParseIndex(f *testing.F) {
	f.Add([]byte(`{"metadata":{"total_size":1},"weight_map":{"a":"x.safetensors","b":"y.safetensors"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		shards, err := parseIndex(raw, ".safetensors")
		if err != nil {
			return
		}
		for file := range shards {
			if filepath.Dir(filepath.Join("dir", file)) != "dir" {
				t.Errorf("%q leads out of the folder", file)
			}
		}
	})
}
