package records

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
)

// TestPageBombs: a page that unpacks to other bytes than its header says is refused before the reader takes memory for it.
func TestPageBombs(t *testing.T) {
	text := []byte(strings.Repeat("a text that repeats, ", 3000))
	bomb := make([]byte, 128<<20)
	for name, codec := range map[string]compress.Codec{"gzip": &parquet.Gzip, "zstd": &parquet.Zstd, "snappy": &parquet.Snappy, "brotli": &parquet.Brotli, "lz4": &parquet.Lz4Raw} {
		pack := func(raw []byte) []byte {
			b, err := codec.Encode(nil, raw)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		whole, huge := pack(text), pack(bomb)
		broken := bytes.Clone(whole)
		for i := len(broken) / 3; i < len(broken); i++ {
			broken[i] ^= 0xff
		}
		for _, c := range []struct {
			what   string
			packed []byte
			says   int
			want   string
		}{
			{"whole", whole, len(text), ""},
			{"a byte too many", whole, len(text) - 1, "a page "},
			{"a byte too few", whole, len(text) + 1, "a page "},
			{"a bomb that says little", huge, 1000, "a page "},
			{"a bomb that says nothing", huge, 0, "a page "},
			{"cut", whole[:len(whole)/2], len(text), "a page "},
			{"another thing", []byte(strings.Repeat("\xff", 1000)), len(text), "a page "},
			{"broken", broken, len(text), "a page "},
		} {
			if name == "snappy" && (c.what == "cut" || c.what == "broken") {
				continue // its length stands first, and the reader holds it to that
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			p := pageHeader{packed: int64(len(c.packed)), unpacked: int64(c.says)}
			err := p.unpack(bytes.NewReader(c.packed), codec.CompressionCodec(), func(io.Reader) error { return nil })
			runtime.ReadMemStats(&after)
			if made := after.TotalAlloc - before.TotalAlloc; made > 32<<20 {
				t.Errorf("%s, %s: %d MiB made", name, c.what, made>>20)
			}
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%s, %s: %v", name, c.what, err)
			}
		}
	}
}

// TestRowsThatMultiply: one value of a dictionary may stand in all rows, and a null takes no byte at all.
func TestRowsThatMultiply(t *testing.T) {
	type long struct {
		Text string `parquet:"text,dict,zstd"`
	}
	type empty struct {
		Text *string `parquet:"text,optional,zstd"`
	}
	type list struct {
		Text []string `parquet:"text,dict,zstd"`
	}
	dir := t.TempDir()
	value := strings.Repeat("a", 10000)
	try := func(name string, rows int, write func(f *os.File, n int) error) {
		path := filepath.Join(dir, name+".parquet")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := write(f, rows); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		n := 0
		err = Each(path, func(Record) error { n++; return nil })
		if few := rows <= 100; few && (err != nil || n != rows) || !few && (err == nil || !strings.Contains(err.Error(), "unpacks to more than 100 times its size") || n == rows) {
			t.Errorf("%s: %d rows of %d, %v", name, n, rows, err)
		}
	}
	for _, rows := range []int{100, 400000} {
		try("null", rows, func(f *os.File, n int) error { return parquet.Write(f, make([]empty, n)) })
	}
	for _, rows := range []int{100, 5000} {
		try("dictionary", rows, func(f *os.File, n int) error {
			all := make([]long, n)
			for i := range all {
				all[i].Text = value
			}
			return parquet.Write(f, all)
		})
		try("list", rows, func(f *os.File, n int) error {
			all := make([]list, n)
			for i := range all {
				all[i].Text = []string{value, value}
			}
			return parquet.Write(f, all)
		})
	}
}
