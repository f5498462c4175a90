package records

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// page is the header of a page with these sizes, and what statistics it has, in Thrift's compact protocol.
func page(unpacked, packed, values int64, statistics string) string {
	n := func(v int64) string { return string(binary.AppendUvarint(nil, uint64(v<<1)^uint64(v>>63))) }
	return "\x15\x00\x15" + n(unpacked) + "\x15" + n(packed) + "\x2c" + "\x15" + n(values) + "\x15\x00\x15\x00\x15\x00" + statistics + "\x00\x00"
}

// TestPageHeaders: what the header of a page says is compared with the file before the page is read.
func TestPageHeaders(t *testing.T) {
	for name, c := range map[string]struct{ header, want string }{
		"whole":              {page(100, 50, 20, ""), ""},
		"negative":           {page(-1, 50, 20, ""), "do not fit"},
		"beyond the file":    {page(100, 5000, 20, ""), "do not fit"},
		"a bomb":             {page(1<<30, 50, 20, ""), "unpacks to 1073741824"},
		"many values":        {page(100, 50, 1<<31-1, ""), "2147483647 values"},
		"long statistics":    {page(100, 50, 20, "\x1c\x18\xff\xff\xff\xff\x07"), "do not fit"},
		"a list of millions": {page(100, 50, 20, "\x19\xfc\xff\xff\xff\x07"), "do not fit"},
		"deep":               {strings.Repeat("\x1c", 4000), "do not fit"},
		"cut":                {page(100, 50, 20, "")[:5], "do not fit"},
	} {
		raw := c.header + strings.Repeat("\x01", 50)
		p, err := checkPage(strings.NewReader(raw), 0, int64(len(raw)))
		if c.want == "" && (err != nil || p.next != int64(len(raw)) || p.values != 20) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

// TestFooters: no end of a file, of a TiB if it likes, makes the reader take much memory.
func TestFooters(t *testing.T) {
	whole, err := os.ReadFile("testdata/plain.parquet")
	if err != nil {
		t.Fatal(err)
	}
	end := func(footer string, n uint32) string {
		return footer + string(binary.LittleEndian.AppendUint32(nil, n)) + "PAR1"
	}
	for name, tail := range map[string]string{
		"long":      end("", 1<<32-1),
		"long hole": end("", 60<<20),
		"structs":   end("\x15\x02\x19\xfc\x80\x80\x80\x01"+strings.Repeat("\x00", 1<<21+1), 1<<21+9),
		"encrypted": "\xff\xff\xff\x0fPARE",
		"lists":     end("\x15\x02\x29\xfc\xff\xff\xff\x7f", 8),
	} {
		path := filepath.Join(t.TempDir(), "a.parquet")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(whole); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte(tail), 1<<40-int64(len(tail))); err != nil {
			t.Skip(err)
		}
		f.Close()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err = Each(path, func(Record) error { return nil })
		runtime.ReadMemStats(&after)
		if made := (after.TotalAlloc - before.TotalAlloc) >> 20; err == nil || made > 64 {
			t.Errorf("%s: %d MiB, %v", name, made, err)
		}
	}
	// A file that was read before still is.
	if err := checkFooter(bytes.NewReader(whole), int64(len(whole))); err != nil {
		t.Error(err)
	}
}
