package records

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// TestValuesAreCounted: a page with other values in it than its header says is refused before the reader makes room for them, and before it prints a line.
func TestValuesAreCounted(t *testing.T) {
	run := func(n int, value string) string { return string(binary.AppendUvarint(nil, uint64(n)<<1)) + value }
	groups := func(values string) string {
		return string(binary.AppendUvarint(nil, uint64(len(values))<<1|1)) + values
	}
	sized := func(s string) string { return string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s }
	delta := func(n uint64) string { return string(binary.AppendUvarint([]byte{128, 1, 4}, n)) + "\x00" }
	three := sized("a") + sized("") + sized("bcd")
	text, some, list := leaf{kind: parquet.ByteArray}, leaf{def: 1, kind: parquet.ByteArray}, leaf{rep: 1, def: 3, kind: parquet.ByteArray}
	one := func(n int64, e format.Encoding) pageHeader {
		return pageHeader{kind: format.DataPage, values: n, encoding: e, levelCodes: [2]format.Encoding{format.RLE, format.RLE}}
	}
	two := func(n, nulls int64, rep, def string) pageHeader {
		return pageHeader{kind: format.DataPageV2, values: n, nulls: nulls, levelBytes: [2]int64{int64(len(rep)), int64(len(def))}}
	}
	for name, c := range map[string]struct {
		p          pageHeader
		c          leaf
		levels, in string
		want       string
	}{
		"texts":                      {one(3, format.Plain), text, "", three, ""},
		"a text more":                {one(2, format.Plain), text, "", three, "more texts than the 2"},
		"a text less":                {one(4, format.Plain), text, "", three, "has 3 whole texts, its header says 4"},
		"a text cut":                 {one(3, format.Plain), text, "", three[:len(three)-1], "has 2 whole texts"},
		"a length cut":               {one(3, format.Plain), text, "", three[:6], "has 1 whole texts"},
		"a length of 4 GiB":          {one(3, format.Plain), text, "", "\xff\xff\xff\xff" + three, "has 0 whole texts"},
		"none":                       {one(0, format.Plain), text, "", "", ""},
		"some, in groups":            {one(8, format.Plain), some, "", sized(groups("\x07")) + three, ""},
		"some, in a run":             {one(5, format.Plain), some, "", sized(run(3, "\x01")+run(2, "\x00")) + three, ""},
		"more than there are":        {one(5, format.Plain), some, "", sized(run(4, "\x01")+run(1, "\x00")) + three, "3 whole texts, its header says 4"},
		"fewer than there are":       {one(5, format.Plain), some, "", sized(run(2, "\x01")+run(3, "\x00")) + three, "more texts than the 2"},
		"levels of too few":          {one(9, format.Plain), some, "", sized(groups("\x07")) + three, "levels of 8"},
		"levels of 2^30":             {one(5, format.Plain), some, "", sized(run(1<<30, "\x01")) + three, "a run of 1073741824"},
		"levels of 2^60 in groups":   {one(5, format.Plain), some, "", sized(string(binary.AppendUvarint(nil, 1<<60|1))) + three, "a run of"},
		"levels that end":            {one(5, format.Plain), some, "", sized("\x03"), "do not fit"},
		"levels no longer written":   {pageHeader{kind: format.DataPage, values: 5, levelCodes: [2]format.Encoding{4, 4}}, some, "", "\x07" + three, "no longer written"},
		"lists":                      {one(4, format.Plain), list, "", sized(run(4, "\x00")) + sized(run(3, "\x03")+run(1, "\x01")) + three, ""},
		"lists that repeat too much": {one(4, format.Plain), list, "", sized(run(1<<28, "\x00")) + sized(run(3, "\x03")+run(1, "\x01")) + three, "a run of"},
		"second version":             {two(4, 1, "", run(3, "\x01")+run(1, "\x00")), some, run(3, "\x01") + run(1, "\x00"), three, ""},
		"second version, nulls":      {two(4, 0, "", run(3, "\x01")+run(1, "\x00")), some, run(3, "\x01") + run(1, "\x00"), three, "has 3 that are there, its header says 4"},
		"second version, 2^30":       {two(4, 1, "", run(1<<30, "\x01")), some, run(1<<30, "\x01"), three, "a run of"},
		"second version, none said":  {two(4, 1, "", ""), text, "", three, "has 4 that are there, its header says 3"},
		"entries":                    {pageHeader{kind: format.DictionaryPage, entries: 3}, text, "", three, ""},
		"entries, fewer":             {pageHeader{kind: format.DictionaryPage, entries: 1 << 20}, text, "", three, "3 whole texts"},
		"indices":                    {one(6, format.RLEDictionary), text, "", "\x02" + run(6, "\x01"), ""},
		"indices of no bits":         {one(6, format.RLEDictionary), text, "", "\x00" + run(6, ""), ""},
		"indices, 2^30":              {one(6, format.RLEDictionary), text, "", "\x02" + run(1<<30, "\x01"), "a run of 1073741824"},
		"indices of 200 bits":        {one(6, format.PlainDictionary), text, "", "\xc8" + run(6, "\x01"), "do not fit"},
		"truth values, 2^30":         {one(6, format.RLE), leaf{kind: parquet.Boolean}, "", sized(run(1<<30, "\x01")), "a run of"},
		"differences":                {one(6, format.DeltaBinaryPacked), leaf{kind: parquet.Int64}, "", delta(6), ""},
		"differences, 2^40":          {one(6, format.DeltaBinaryPacked), leaf{kind: parquet.Int64}, "", delta(1 << 40), "packs 1099511627776"},
		"lengths, more":              {one(6, format.DeltaLengthByteArray), text, "", delta(7), "packs 7"},
		"lengths, fewer":             {one(6, format.DeltaByteArray), text, "", delta(5), "packs 5"},
		"lengths, none":              {one(6, format.DeltaByteArray), text, "", "\x80", "do not fit"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := c.p.counted(strings.NewReader(c.in), strings.NewReader(c.levels), c.c)
		runtime.ReadMemStats(&after)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if made := after.TotalAlloc - before.TotalAlloc; made > 1<<20 {
			t.Errorf("%s: %d bytes made", name, made)
		}
	}
}

// TestTextsOfAFile: a length changed in a file, so that a text becomes two, is refused; the reader would print a line and go on.
func TestTextsOfAFile(t *testing.T) {
	type row struct {
		Text string `parquet:"text,plain"`
	}
	path := filepath.Join(t.TempDir(), "a.parquet")
	var raw bytes.Buffer
	if err := parquet.Write(&raw, []row{{"first"}, {"abc\x01\x00\x00\x00z"}, {"last"}}, parquet.DataPageStatistics(false)); err != nil {
		t.Fatal(err)
	}
	try := func(raw []byte) (n int, err error) {
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
		return n, Each(path, func(Record) error { n++; return nil })
	}
	if n, err := try(raw.Bytes()); err != nil {
		t.Fatalf("%d rows, %v", n, err)
	}
	at := bytes.Index(raw.Bytes(), []byte("\x08\x00\x00\x00abc"))
	for length, want := range map[byte]string{3: "more texts than the 3", 0: "texts", 200: "has 1 whole texts", 9: "texts"} {
		edited := bytes.Clone(raw.Bytes())
		edited[at] = length
		if n, err := try(edited); err == nil || !strings.Contains(err.Error(), want) || n > 0 {
			t.Errorf("a length of %d: %d rows, %v", length, n, err)
		}
	}
}

// TestLZ4: the reader loses pages that LZ4 has packed to more than a third; they are refused, others are read.
func TestLZ4(t *testing.T) {
	type row struct {
		Text string `parquet:"text,lz4"`
	}
	noise := rand.New(rand.NewPCG(1, 2))
	for name, text := range map[string]func(i int) string{
		"well packed": func(i int) string { return strings.Repeat("a text, ", 100) },
		"noise":       func(int) string { return fmt.Sprint(noise.Uint64()) },
		"numbers":     func(i int) string { return fmt.Sprint(i * i) },
		"letters":     func(i int) string { return strings.Repeat(fmt.Sprint(noise.Uint32()), 2) },
	} {
		rows := make([]row, 2000)
		for i := range rows {
			rows[i].Text = text(i)
		}
		path := filepath.Join(t.TempDir(), "a.parquet")
		var raw bytes.Buffer
		if err := parquet.Write(&raw, rows); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, raw.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		n := 0
		err := Each(path, func(r Record) error {
			if s, err := r.String("text"); err != nil || s != rows[n].Text {
				t.Fatalf("%s: row %d is %q, want %q, %v", name, n, s, rows[n].Text, err)
			}
			n++
			return nil
		})
		if n != len(rows) && (err == nil || !strings.Contains(err.Error(), "zstd or snappy")) {
			t.Errorf("%s: %d rows, %v", name, n, err)
		}
	}
}

// TestLargeRows: one value, or a list of one value over and over, may unpack to more than a line of JSON may have.
func TestLargeRows(t *testing.T) {
	type list struct {
		Text []string `parquet:"text,dict,snappy"`
	}
	type plain struct {
		Text string `parquet:"text,snappy"`
	}
	type message struct {
		Role    string `parquet:"role,dict"`
		Content string `parquet:"content,dict"`
	}
	type chat struct {
		Messages []message `parquet:"messages,list"`
	}
	maxValue = 1 << 18
	defer func() { maxValue = MaxRecord }()
	long := strings.Repeat("a", 10000)
	try := func(name, want string, write func(*bytes.Buffer) error) {
		t.Helper()
		var raw bytes.Buffer
		if err := write(&raw); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "a.parquet")
		if err := os.WriteFile(path, raw.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := Each(path, func(Record) error { return nil })
		runtime.ReadMemStats(&after)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "a.parquet")) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
		if hint := (interface{ Hint() string })(nil); strings.HasPrefix(want, "more") && (!errors.As(err, &hint) || !strings.Contains(hint.Hint(), "several rows")) {
			t.Errorf("%s: no way out: %v", name, err)
		}
		if made := after.TotalAlloc - before.TotalAlloc; made > 96<<20 {
			t.Errorf("%s: %d MiB made", name, made>>20)
		}
	}
	lists := func(n int, value string) func(*bytes.Buffer) error {
		return func(w *bytes.Buffer) error {
			return parquet.Write(w, []list{{make([]string, n)}, {repeat(value, n)}}, parquet.DataPageStatistics(false))
		}
	}
	try("a list", "", lists(20, long))
	try("a list of long texts", "more than 262144 bytes in one row", lists(200, long))
	try("a text of control characters", "more than 262144 bytes in one row", lists(1, strings.Repeat("\x01", 200000)))
	try("a text of signs", "more than 262144 bytes in one row", lists(1, strings.Repeat("<", 200000)))
	try("one long text", "more than 262144 bytes in one row", func(w *bytes.Buffer) error { return parquet.Write(w, []plain{{strings.Repeat("a", 1<<20)}}) })
	try("a chat", "more than 262144 bytes in one row", func(w *bytes.Buffer) error { return parquet.Write(w, []chat{{repeat(message{"user", long}, 200)}}) })
	try("a million of none", "lists of 1000001 values", func(w *bytes.Buffer) error { return parquet.Write(w, []list{{make([]string, 1000000)}, {nil}}) })
}

func repeat[T any](v T, n int) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = v
	}
	return out
}
