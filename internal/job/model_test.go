package job

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lomo/internal/checkpoint"
	"lomo/internal/tensor"
)

// withHead copies a tied model and stores a head beside its embedding: its copy, with one element changed in row when
// row is not negative.
func withHead(t *testing.T, from string, row int) string {
	t.Helper()
	m, err := OpenModel(from)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), m.Source.Config(), 0o644); err != nil {
		t.Fatal(err)
	}
	specs := append([]checkpoint.Spec{{Name: "lm_head.weight", DType: tensor.BF16, Shape: m.Net.Embed.Shape}}, m.Source.Tensors()...)
	w, err := checkpoint.NewWriter(dir, specs, checkpoint.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range specs {
		name, cols := s.Name, 1
		if i == 0 {
			name = m.Net.Embed.Name
		}
		if len(s.Shape) > 1 {
			cols = s.Shape[1]
		}
		buf := make([]byte, s.Shape[0]*cols*2)
		if err := m.Source.ReadRows(name, 0, s.Shape[0], buf, tensor.BF16); err != nil {
			t.Fatal(err)
		}
		if i == 0 && row >= 0 {
			buf[row*cols*2] ^= 1
		}
		if err := w.WriteRows(s.Name, 0, buf); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestTiedHeadIsCopy: a head stored in a tied model is ignored when it is the embedding's copy, and refused when training
// would silently replace it.
func TestTiedHeadIsCopy(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	if _, err := New(NewOptions{Preset: "tiny", Dir: dir, DType: "bf16", Seed: 3}); err != nil {
		t.Fatal(err)
	}
	defer func(n int) { tiedChunk = n }(tiedChunk)
	for _, c := range []struct {
		row   int
		want  string
		chunk int // elements compared at a time
	}{{-1, "", tiedChunk}, {0, "differs", tiedChunk}, {319, "differs", tiedChunk}, {-1, "", 1000}, {0, "differs", 1000}, {100, "differs", 1000}, {319, "differs", 1000}} {
		tiedChunk = c.chunk
		m, err := OpenModel(withHead(t, dir, c.row))
		if err != nil {
			t.Fatal(err)
		}
		err = m.checkTied()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("changed row %d: %v, want %q", c.row, err, c.want)
		}
		m.Close()
	}
}

// TestExportInPieces: tensors that are converted some rows at a time, the last piece a shorter one, are those converted at once.
func TestExportInPieces(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	if _, err := New(NewOptions{Preset: "tiny", Dir: dir, DType: "bf16", Seed: 3}); err != nil {
		t.Fatal(err)
	}
	defer func(n int) { convertChunk = n }(convertChunk)
	var files [2][]byte
	for i, chunk := range []int{convertChunk, 1000} {
		convertChunk = chunk
		out := filepath.Join(t.TempDir(), "out")
		if err := Export(ExportOptions{Model: dir, Out: out, DType: "f32"}); err != nil {
			t.Fatal(err)
		}
		var err error
		if files[i], err = os.ReadFile(filepath.Join(out, "model.safetensors")); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("the file depends on how many rows are converted at a time")
	}
}

// TestNewRemovesWhatItBegan: a `new` that fails leaves nothing behind, neither in a folder that was there nor of those it made; what it writes is told beforehand.
func TestNewRemovesWhatItBegan(t *testing.T) {
	stop := errors.New("stop")
	for _, there := range []bool{false, true} {
		root := t.TempDir()
		dir := filepath.Join(root, "a", "b", "m")
		if there {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		var want, told int64
		o := NewOptions{Preset: "tiny", Dir: dir, DType: "bf16", MaxShardSize: "100KB",
			Begin: func(weights, bytes int64) {
				if want = bytes; bytes != 2*weights {
					t.Errorf("%d weights of %d bytes", weights, bytes)
				}
			},
			Written: func(n int64) error {
				if told += n; told > want/2 {
					return stop
				}
				return nil
			}}
		if _, err := New(o); !errors.Is(err, stop) {
			t.Fatal(err)
		}
		left := dir
		if !there {
			left = root
		}
		if entries, err := os.ReadDir(left); err != nil || len(entries) > 0 {
			t.Errorf("there %v: %v, %v", there, entries, err)
		}
		told, o.Written = 0, func(n int64) error { told += n; return nil }
		if _, err := New(o); err != nil || told != want {
			t.Errorf("%d bytes told, %d announced: %v", told, want, err)
		}
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), "is not empty: it holds ") {
			t.Errorf("again: %v", err)
		}
	}
	if err := enough(t.TempDir(), 1<<60); err == nil || !strings.Contains(err.Error(), "are free there") {
		t.Errorf("more than any disk has: %v", err)
	}
}

// TestOpenMeta: a folder as Meta publishes them is a model like any other, its configuration and shapes agree.
func TestOpenMeta(t *testing.T) {
	for _, dir := range []string{"meta2", "meta3"} {
		m, err := OpenModel("../checkpoint/testdata/" + dir)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if m.Config.VocabSize != 14 || m.Config.TieWordEmbeddings {
			t.Errorf("%s: vocab_size %d, tied %v", dir, m.Config.VocabSize, m.Config.TieWordEmbeddings)
		}
	}
}

// TestRoundingIsSaid: weights that lose bits as they are read are told, others not; without a dtype nothing of f32 is lost.
func TestRoundingIsSaid(t *testing.T) {
	for _, k := range []struct {
		stored    string
		to        tensor.DType
		want      string
		unasked   tensor.DType
		wantAlone string
	}{
		{"f32", tensor.BF16, "rounded from F32 to BF16 as they are read; dtype: f32", tensor.F32, ""},
		{"f16", tensor.BF16, "rounded from F16 to BF16 as they are read; dtype: f32", tensor.BF16, "rounded from F16 to BF16"},
		{"bf16", tensor.BF16, "", tensor.BF16, ""},
		{"f16", tensor.F32, "", tensor.BF16, "rounded from F16 to BF16"},
		{"bf16", tensor.F32, "", tensor.BF16, ""},
	} {
		dir := filepath.Join(t.TempDir(), "m")
		if _, err := New(NewOptions{Preset: "tiny", Dir: dir, DType: k.stored, Seed: 1}); err != nil {
			t.Fatal(err)
		}
		m, err := OpenModel(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		said := func(to tensor.DType) (s string) {
			m.noteRounding(to, func(format string, args ...any) { s += fmt.Sprintf(format, args...) })
			return s
		}
		if got := said(k.to); !strings.Contains(got, k.want) || k.want == "" && got != "" {
			t.Errorf("%s as %v: %q", k.stored, k.to, got)
		}
		dt, err := storedDType("", m)
		if err != nil || dt != k.unasked {
			t.Errorf("%s unasked: %v, %v", k.stored, dt, err)
		}
		if got := said(dt); !strings.Contains(got, k.wantAlone) || k.wantAlone == "" && got != "" {
			t.Errorf("%s unasked: %q", k.stored, got)
		}
	}
}
