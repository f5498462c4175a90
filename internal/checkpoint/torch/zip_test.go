package torch

import (
	"bytes"
	"encoding/binary"
	"os"
	"runtime"
	"strings"
	"testing"
)

var le = binary.LittleEndian

// table makes an archive of n empty members, all of them one, whose end says what is given: in zip64 where that does not fit.
func table(n, says int, zip64 bool) []byte {
	raw := append([]byte("PK\x03\x04"), make([]byte, 27)...)
	raw[26] = 1 // of the name
	at := len(raw)
	entry := make([]byte, directorySize+1)
	copy(entry, directorySig)
	entry[28] = 1
	raw = append(raw, bytes.Repeat(entry, n)...)
	size := len(raw) - at
	end := append([]byte(endSig), make([]byte, 18)...)
	if zip64 {
		here := directoryEnd{members: int64(says), size: int64(size), offset: int64(at)}
		return append(raw, here.bytes()...)
	}
	le.PutUint16(end[10:], uint16(says))
	le.PutUint32(end[12:], uint32(size))
	le.PutUint32(end[16:], uint32(at))
	return append(raw, end...)
}

// TestMembersAreCounted: the reader of archives holds all the members that a table has; they are counted before.
func TestMembersAreCounted(t *testing.T) {
	for name, c := range map[string]struct {
		raw  []byte
		want string
	}{
		"300000":                  {table(300000, 300000, true), "has 300000 members; at most 100000 are read"},
		"300000, of 65536 more":   {table(300000, 300000, false), "does not have the 37856 members"},
		"65536, said to be none":  {table(65536, 65536, false), "does not have the 0 members"},
		"few, said to be many":    {table(10, 60000, false), "60000 members in 470 bytes"},
		"few, said to be 2^40":    {table(10, 1<<40, true), "members in 470 bytes"},
		"few, said to be 2^63":    {table(10, -1<<63, true), "9223372036854775808 members"},
		"one more than said":      {table(10, 9, true), "does not have the 9 members"},
		"one less than said":      {table(10, 11, true), "11 members in 470 bytes"},
		"one after another":       {table(2, 2, true), `"" occurs twice`},
		"none":                    {table(0, 0, true), "missing"},
		"an end in front of them": {append([]byte("PK\x03\x04"), table(0, 0, false)[:20]...), "without the table"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := New(bytes.NewReader(c.raw), int64(len(c.raw)))
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if made := after.TotalAlloc - before.TotalAlloc; made > 1<<20 {
			t.Errorf("%s: %d bytes made", name, made)
		}
	}
}

// TestMembersLieApart: a table that gives bytes to two members, or more than there are, is refused by the member's name.
func TestMembersLieApart(t *testing.T) {
	whole, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	end, err := findEnd(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	var entries []int // where they begin
	for at := int(end.offset); at < int(end.offset+end.size); {
		entries = append(entries, at)
		at += directorySize + int(le.Uint16(whole[at+28:])) + int(le.Uint16(whole[at+30:])) + int(le.Uint16(whole[at+32:]))
	}
	last := len(entries) - 1
	type edit = func(raw []byte, entry func(i, field int) []byte)
	size := func(i int, n uint32) edit {
		return func(_ []byte, entry func(i, field int) []byte) {
			le.PutUint32(entry(i, 20), n)
			le.PutUint32(entry(i, 24), n)
		}
	}
	for name, c := range map[string]struct {
		edit edit
		want string
	}{
		"as it is":              {func([]byte, func(int, int) []byte) {}, ""},
		"a place for two":       {func(_ []byte, e func(int, int) []byte) { copy(e(3, 42)[:4], e(2, 42)) }, "overlap"},
		"one in the one before": {func(_ []byte, e func(int, int) []byte) { le.PutUint32(e(3, 42), le.Uint32(e(2, 42))) }, "overlap"},
		"one in the next":       {size(1, 600), "overlap"},
		"one over all":          {size(1, uint32(end.offset)-2000), "overlap"},
		"into the table":        {size(last, 5000), "before the table"},
		"beyond the end":        {size(2, 1<<31), "before the table"},
		"unpacks to more":       {func(_ []byte, e func(int, int) []byte) { le.PutUint32(e(2, 24), 1<<20) }, "stored in"},
		"unpacks to less":       {func(_ []byte, e func(int, int) []byte) { le.PutUint32(e(2, 24), 1) }, "stored in"},
		"stored in none":        {func(_ []byte, e func(int, int) []byte) { le.PutUint32(e(2, 20), 0) }, "stored in 0"},
		"where nothing is":      {func(_ []byte, e func(int, int) []byte) { le.PutUint32(e(2, 42), 17) }, "nothing of it"},
		"behind the file":       {func(_ []byte, e func(int, int) []byte) { le.PutUint32(e(2, 42), 1<<31) }, "nothing of it"},
		"a longer name":         {func(_ []byte, e func(int, int) []byte) { le.PutUint16(e(2, 28), 60000) }, "table is none"},
		"no entry":              {func(_ []byte, e func(int, int) []byte) { copy(e(2, 0), "PK\x07\x08") }, "member 2 of the archive's table"},
		"a table elsewhere":     {func(raw []byte, _ func(int, int) []byte) { le.PutUint32(raw[len(raw)-6:], 64) }, "table is none"},
		"a table behind":        {func(raw []byte, _ func(int, int) []byte) { le.PutUint32(raw[len(raw)-6:], 1<<30) }, "at byte 1073741824"},
		"a longer table":        {func(raw []byte, _ func(int, int) []byte) { le.PutUint32(raw[len(raw)-10:], uint32(end.size)+50) }, "table"},
	} {
		raw := bytes.Clone(whole)
		c.edit(raw, func(i, field int) []byte { return raw[entries[i]+field:] })
		f, err := New(bytes.NewReader(raw), int64(len(raw)))
		switch {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		case err == nil && len(f.Tensors) == 0:
			t.Errorf("%s: no tensors", name)
		}
	}
}
