package checkpoint_test

import (
	"bytes"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"lomo/internal/checkpoint"
	"lomo/internal/checkpoint/safetensors"
	"lomo/internal/model"
	"lomo/internal/model/families"
	"lomo/internal/tensor"
)

// TestGGUFOfConverter: a GGUF file that llama.cpp's converter made of a Hugging Face folder is that folder: the same tensors, bit for bit, and a
// config.json that means the same (scripts/golden/gguf_families.py).
func TestGGUFOfConverter(t *testing.T) {
	paths, err := filepath.Glob("testdata/families/*.gguf")
	if err != nil || len(paths) < 9 {
		t.Fatalf("%d files, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".gguf"), func(t *testing.T) {
			got, err := checkpoint.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer got.Close()
			name, _, _ := strings.Cut(strings.TrimSuffix(path, ".gguf"), "-0") // any part of a split file opens the whole
			folder := name + ".safetensors"
			want, err := checkpoint.OpenFile(folder)
			if err != nil {
				t.Fatal(err)
			}
			defer want.Close()
			if len(got.Tensors()) != len(want.Tensors()) {
				t.Errorf("%d tensors, want %d", len(got.Tensors()), len(want.Tensors()))
			}
			for _, info := range want.Tensors() {
				if g, w := bytesOf(t, got, info), bytesOf(t, want, info); !bytes.Equal(g, w) {
					t.Errorf("%s differs", info.Name)
				}
			}
			meta, err := safetensors.Open(folder)
			if err != nil {
				t.Fatal(err)
			}
			defer meta.Close()
			sameConfig(t, got.Config(), []byte(meta.Metadata["config"]))
		})
	}
}

func bytesOf(t *testing.T, src checkpoint.Source, info checkpoint.Info) []byte {
	t.Helper()
	rows, cols := info.Shape[0], 1
	for _, d := range info.Shape[1:] {
		cols *= d
	}
	out := make([]byte, 4*rows*cols)
	if err := src.ReadRows(info.Name, 0, rows, out, tensor.F32); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(out); i += 4 {
		if bytes.Equal(out[i:i+4], []byte{0, 0, 0, 0x80}) {
			out[i+3] = 0 // taking one away makes no −0
		}
	}
	return out
}

// sameConfig compares all that the models are computed by.
func sameConfig(t *testing.T, got, want []byte) {
	t.Helper()
	var parsed [2]*model.Config
	for i, data := range [][]byte{got, want} {
		c, err := families.Parse(data)
		if err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
		if c.ModelType == "mistral" && c.Windows == nil { // which is what a llama is
			c.ModelType = "llama"
		}
		c.Raw, c.Notes, c.Layers, c.DType = nil, nil, nil, ""
		parsed[i] = c
	}
	if !reflect.DeepEqual(parsed[0], parsed[1]) {
		t.Errorf("config.json means\n%+v\nwant\n%+v\nof\n%s", *parsed[0], *parsed[1], got)
	}
}
