package meta

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

const folder = "../testdata/meta2" // scripts/golden/torch_files.py; its values are checked in package checkpoint

// TestReadAnywhere: any bytes of a joined tensor are those of the whole, wherever rows and parts end.
func TestReadAnywhere(t *testing.T) {
	m, err := Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	dropped := func(*os.File, int64, int64) {}
	defer func(n int64) { chunk = n }(chunk)
	normal := chunk
	for _, x := range m.Tensors {
		chunk = normal
		n := int64(x.DType.Size())
		for _, d := range x.Shape {
			n *= int64(d)
		}
		whole := make([]byte, n)
		if err := x.Read(0, whole, dropped); err != nil {
			t.Fatal(err)
		}
		chunk = 0
		for _, p := range x.parts {
			chunk = max(chunk, 3*p.rowBytes()) // three rows at a time of the widest part
		}
		for off := int64(0); off < n; off += 6 {
			for _, k := range []int64{2, 30, 34, 200, n} {
				got := make([]byte, min(k, n-off))
				if err := x.Read(off, got, dropped); err != nil {
					t.Fatalf("%s: %v", x.Name, err)
				}
				if !bytes.Equal(got, whole[off:off+int64(len(got))]) {
					t.Fatalf("%s: bytes %d to %d differ", x.Name, off, off+int64(len(got)))
				}
			}
		}
		if err := x.Read(n-2, make([]byte, 4), dropped); err == nil {
			t.Errorf("%s: bytes beyond the end were read", x.Name)
		}
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"rope.freqs", "layers.0.attention.inner_attention.rope.freqs"} {
		if hf, _, err := hfName(name); hf != "" || err != nil {
			t.Errorf("%s: %q, %v", name, hf, err)
		}
	}
	for _, name := range []string{"norm", "norm.bias", "layers.0.norm.weight", "layers.x.attention.wq.weight", "layers.00.attention.wq.weight", "attention.wq.weight", "layers.0.feed_forward.w4.weight"} {
		if hf, _, err := hfName(name); err == nil {
			t.Errorf("%s: %q", name, hf)
		}
	}
}

// TestGenerations: what params.json does not say is told from what it does.
func TestGenerations(t *testing.T) {
	m, err := Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for raw, want := range map[string]string{
		`{"dim":16,"n_layers":2,"n_heads":4,"norm_eps":1e-6}`:                                                                                   `"max_position_embeddings": 2048`,
		`{"dim":16,"n_layers":2,"n_heads":4,"norm_eps":1e-5,"rope_theta":1e6}`:                                                                  `"max_position_embeddings": 8192`,
		`{"model":{"dim":16,"n_layers":2,"n_heads":4,"norm_eps":1e-5,"n_kv_heads":2}}`:                                                          `"num_key_value_heads": 2`,
		`{"dim":16,"n_layers":2,"n_heads":4,"norm_eps":1e-5,"rope_theta":5e5,"use_scaled_rope":true,"rope_scaling_factor":32,"max_seq_len":77}`: `"factor": 32`,
	} {
		p, err := parseParams([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		c, err := p.configJSON(m)
		if err != nil || !strings.Contains(string(c), want) {
			t.Errorf("%s: %v, want %s in\n%s", raw, err, want, c)
		}
	}
	if _, err := parseParams([]byte(`{"dim":16,"n_heads":3}`)); err == nil {
		t.Error("16 over 3 heads")
	}
}

// FuzzParseParams: whatever the text, there are a model's numbers or an error.
func FuzzParseParams(f *testing.F) {
	f.Add([]byte(`{"dim":16,"n_layers":2,"n_heads":4,"norm_eps":1e-5}`))
	f.Add([]byte(`{"model":{"dim":-1}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if p, err := parseParams(raw); err == nil && (p.Dim <= 0 || p.Heads <= 0) {
			t.Errorf("%+v", p)
		}
	})
}
