package gguf

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// TestSparse: a file that is a hole of a TiB can say of every length in it what it likes. What is held stays far below that.
func TestSparse(t *testing.T) {
	le := binary.LittleEndian
	begin := func(tensors, keys uint64) []byte {
		return le.AppendUint64(le.AppendUint64(append([]byte("GGUF"), 3, 0, 0, 0), tensors), keys)
	}
	name := func(b []byte, s string) []byte { return append(le.AppendUint64(b, uint64(len(s))), s...) }
	array := func(typ uint32, n uint64) []byte {
		return le.AppendUint64(le.AppendUint32(le.AppendUint32(name(begin(0, 1), "a"), kvArray), typ), n)
	}
	cases := map[string][]byte{
		"strings":                    array(kvString, 1<<30),
		"strings that fit":           array(kvString, 7<<20),
		"many strings, just allowed": array(kvString, maxStrings),
		"numbers":                    array(kvFloat64, 1<<30),
		"numbers that fit":           array(kvUint8, 60<<20),
		"a long string":              le.AppendUint64(le.AppendUint32(name(begin(0, 1), "a"), kvString), 60<<20),
		"a long key":                 le.AppendUint64(begin(0, 1), 60<<20),
		"a string beyond":            le.AppendUint64(le.AppendUint32(name(begin(0, 1), "a"), kvString), 1<<40),
		"tensors":                    begin(1<<40, 0),
		"keys":                       begin(0, 1<<40),
		"tensors of no name":         begin(maxTensors, 0),
		"a long name of a tensor":    le.AppendUint64(begin(1, 0), 60<<20),
		"dimensions":                 le.AppendUint32(name(begin(1, 0), "t"), 1<<31),
	}
	for name, head := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "m.gguf")
			if err := os.WriteFile(path, head, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, 1<<40); err != nil {
				t.Skip(err)
			}
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			start := time.Now()
			f, err := Open(path)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if err == nil {
				f.Close()
			}
			if made := (after.TotalAlloc - before.TotalAlloc) >> 20; made > 64+8 || took > 10*time.Second {
				t.Errorf("%d MiB made in %v, %v", made, took, err)
			}
			if err != nil && len(err.Error()) > len(path)+300 {
				t.Errorf("%d bytes of error: %.500s", len(err.Error()), err)
			}
		})
	}
}
