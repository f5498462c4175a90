package records

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// number reads JSON with its numbers as they are written: 2.0 is not 2.
func number(t *testing.T, raw []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return v
}

// TestParquet: what pyarrow reads in files that it and datasets wrote; scripts/golden/data_files.py made both.
func TestParquet(t *testing.T) {
	raw, err := os.ReadFile("testdata/rows.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Files map[string][]map[string]json.RawMessage
	}
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Files) < 6 {
		t.Fatalf("%d files", len(golden.Files))
	}
	for name, want := range golden.Files {
		t.Run(name, func(t *testing.T) {
			rows := 0
			err := Each(filepath.Join("testdata", name), func(r Record) error {
				if rows++; r.Row != rows || r.Line != 0 || rows > len(want) {
					t.Fatalf("row %d of %d, line %d is number %d", r.Row, len(want), r.Line, rows)
				}
				for field, value := range want[rows-1] {
					got, ok := r.Fields[field]
					if !ok {
						t.Errorf("row %d lacks %s", rows, field)
						continue
					}
					a, b := number(t, value), number(t, got)
					if x, y := float(a), float(b); x != nil && y != nil && *x == *y && strings.ContainsAny(string(value), ".e") == strings.ContainsAny(string(got), ".e") {
						continue // 1e-20 may be written in other digits
					}
					if diff := cmp.Diff(a, b); diff != "" {
						t.Errorf("row %d, %s (-pyarrow +got):\n%s", rows, field, diff)
					}
				}
				return nil
			})
			if err != nil || rows != len(want) {
				t.Errorf("%d rows of %d, error %v", rows, len(want), err)
			}
		})
	}
}

func float(v any) *float64 {
	n, ok := v.(json.Number)
	if !ok {
		return nil
	}
	f, err := n.Float64()
	if err != nil {
		return nil
	}
	return &f
}

// TestParquetDamaged: a file that is cut or overwritten is an error that names it, whatever the library makes of it.
func TestParquetDamaged(t *testing.T) {
	raw, err := os.ReadFile("testdata/nested.parquet")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	try := func(name string, text []byte) error {
		path := filepath.Join(dir, name+".parquet")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return Each(path, func(Record) error { return nil })
	}
	for name, text := range map[string][]byte{"empty": nil, "cut": raw[:len(raw)/2], "head": []byte("PAR1"), "text": []byte(`{"a":1}` + "\n"), "no end": raw[:len(raw)-4]} {
		if err := try(name, text); err == nil || !strings.Contains(err.Error(), "not a parquet file, or a damaged one") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	for at := 4; at < len(raw); at += 41 {
		bad := bytes.Clone(raw)
		bad[at] ^= 0x55
		try("flipped", bad) //nolint:errcheck // no panic is all that is asked
	}
}

// TestParquetOwnPanic: a panic of the caller is not taken for a damaged file.
func TestParquetOwnPanic(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("the panic is lost")
		}
	}()
	Each("testdata/tokenized.parquet", func(Record) error { panic("own") }) //nolint:errcheck // it panics
}
