package records

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

func gz(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write([]byte(text)) //nolint:errcheck // a buffer takes it
	w.Close()             //nolint:errcheck // a buffer takes it
	return out.String()
}

func zst(t *testing.T, text string, o ...zstd.EOption) string {
	t.Helper()
	w, err := zstd.NewWriter(nil, o...)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll([]byte(text), nil))
}

// wide is a text in UTF-16.
func wide(text string, big, mark bool) string {
	var out []byte
	units := utf16.Encode([]rune(text))
	if mark {
		units = append([]uint16{0xfeff}, units...)
	}
	for _, u := range units {
		if big {
			out = append(out, byte(u>>8), byte(u))
		} else {
			out = append(out, byte(u), byte(u>>8))
		}
	}
	return string(out)
}

// bz2 is {"a":"x"} and a line end, by bzip2.
const bz2 = "BZh91AY&SY\xe3\x9d\xde \x00\x00\x04Y\x80\x00\x10\x10\x00\x00\x10 \x00\x00J \x001\x0c\x01\x00~\xa8\xd7\x12\xaf\x17rE8P\x90\xe3\x9d\xde "

func TestEncodings(t *testing.T) {
	const lines = "{\"a\":\"x\"}\n{\"a\":\"ü\"}\n"
	both := []got{{1, "x"}, {2, "ü"}}
	mark := "\xef\xbb\xbf"
	for _, c := range []struct {
		name, file, text string
		want             []got
		err              string
	}{
		{"gzip", "d.jsonl.gz", gz(t, lines), both, ""},
		{"gzip, capital", "d.JSONL.GZ", gz(t, lines), both, ""},
		{"gzip in two parts", "d.jsonl.gz", gz(t, lines[:10]) + gz(t, lines[10:]), both, ""},
		{"zstd", "d.jsonl.zst", zst(t, lines), both, ""},
		{"zstd in two frames", "d.ndjson.zst", zst(t, lines[:10]) + zst(t, lines[10:]), both, ""},
		{"bzip2", "d.jsonl.bz2", bz2, both[:1], ""},
		{"bzip2 by another name", "d.jsonl", bz2, nil, "d.jsonl: the file is a bzip2 file"},
		{"csv in gzip", "d.csv.gz", gz(t, "a,b\r\nx,1\r\nü,2"), []got{{2, "x"}, {3, "ü"}}, ""},
		{"list in zstd", "d.json.zst", zst(t, "[{\"a\":\"x\"},\n{\"a\":\"ü\"}]"), both, ""},
		{"cut gzip", "d.jsonl.gz", gz(t, lines)[:20], nil, "d.jsonl.gz: the compressed file ends in the middle"},
		{"cut zstd", "d.jsonl.zst", zst(t, strings.Repeat(lines, 100))[:20], nil, "d.jsonl.zst: the compressed file ends in the middle"},
		{"no gzip", "d.jsonl.gz", lines, nil, "d.jsonl.gz: cannot be unpacked: it is not compressed in this way"},
		{"no zstd", "d.jsonl.zst", lines, nil, "d.jsonl.zst: it is not compressed in this way"},
		{"gzip by another name", "d.jsonl", gz(t, lines), nil, "d.jsonl: the file is a gzip file"},
		{"zstd by another name", "d.jsonl", zst(t, lines), nil, "d.jsonl: the file is a zstd file"},
		{"parquet by another name", "d.jsonl", "PAR1....PAR1", nil, "d.jsonl: the file is a parquet file"},
		{"zip", "d.json", "PK\x03\x04....", nil, "d.json: the file is a zip file"},
		{"Git LFS", "d.jsonl", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", nil, "d.jsonl: the file is a Git LFS pointer, not the data itself"},
		{"HTML", "d.json", "\n <!DOCTYPE html><html>", nil, "d.json: the file is an HTML page, not data"},
		{"bomb", "d.jsonl.gz", gz(t, strings.Repeat("\n", 12<<20)), nil, "the file unpacks to more than 100 times its size"},
		{"zstd bomb", "d.jsonl.zst", zst(t, strings.Repeat("\n", 12<<20)), nil, "the file unpacks to more than 100 times its size"},
		{"bomb of one line", "d.jsonl.gz", gz(t, `{"a":"`+strings.Repeat("a", 12<<20)+`"}`), nil, "the file unpacks to more than 100 times its size"},
		{"bomb of a table", "d.csv.gz", gz(t, "a\n\""+strings.Repeat("a", 12<<20)+"\""), nil, "the file unpacks to more than 100 times its size"},
		{"UTF-16", "d.jsonl", wide(lines, false, true), nil, "d.jsonl: the file is UTF-16"},
		{"UTF-16, big", "d.jsonl", wide(lines, true, true), nil, "d.jsonl: the file is UTF-16"},
		{"UTF-16 without mark", "d.jsonl", wide(lines, false, false), nil, "d.jsonl: the file is UTF-16LE"},
		{"UTF-16 without mark, big", "d.json", wide("[{\"a\":\"日本\"}]", true, false), nil, "d.json: the file is UTF-16BE"},
		{"UTF-16 table", "d.csv", wide("a,b\r\n1,2\r\n", false, false), nil, "d.csv: the file is UTF-16LE"},
		{"UTF-32", "d.jsonl", "{\x00\x00\x00\"\x00\x00\x00a\x00\x00\x00\"\x00\x00\x00", nil, "d.jsonl: the file is UTF-32LE"},
		{"mark before each file joined", "d.jsonl", mark + "{\"a\":\"x\"}\n" + mark + "{\"a\":\"ü\"}\n", both, ""},
		{"mark before a blank line", "d.jsonl", "{\"a\":\"x\"}\n" + mark + "\n", both[:1], ""},
		{"mark before a list", "d.json", mark + "[{\"a\":\"x\"}]", both[:1], ""},
		{"mark within a text stays", "d.jsonl", "{\"a\":\"" + mark + "x\"}", []got{{1, mark + "x"}}, ""},
		{"mark before a quoted name", "d.csv", mark + "\"a\",\"b\"\nx,1\nü,2\n", []got{{2, "x"}, {3, "ü"}}, ""},
		{"mark before a table with tabs", "d.tsv", mark + "b\ta\n1\tx\n", []got{{2, "x"}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			records, err := readAll(t, c.file, c.text)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want %s", err, c.err)
				}
				return
			}
			if diff := cmp.Diff(c.want, records); diff != "" || err != nil {
				t.Errorf("error %v, records (-want +got):\n%s", err, diff)
			}
		})
	}
}

// TestStrictRecords: what a JSON reader could read in more than one way is an error in its line.
func TestStrictRecords(t *testing.T) {
	for _, c := range []struct{ text, want, hint string }{
		{`{"a":"x","b":1,"a":"y"}`, `"a" stands twice in an object`, "keep the one that is meant"},
		{`{"a":"x","b":[{"c":1,"c":2}]}`, `b[0]: "c" stands twice in an object`, "keep the one that is meant"},
		{`{"a":"\ud83d"}`, `a: \ud83d is half of a character: the other half of the surrogate pair is missing`, "cut within a character"},
		{`{"a":"\udca9 x"}`, `a: \udca9 is half of a character: the other half of the surrogate pair is missing`, "cut within a character"},
		{`{"a":"\ud83d\u0041"}`, `a: \ud83d is half of a character: the other half of the surrogate pair is missing`, "cut within a character"},
		{`{"id":["\udfff"],"a":"x"}`, `id[0]: \udfff is half of a character: the other half of the surrogate pair is missing`, "cut within a character"},
		{`{"a":NaN}`, `a: NaN is no JSON number`, "write null"},
		{`{"a":"x","score":Infinity}`, `score: Infinity is no JSON number`, "write null"},
		{`{"a":"x","score":[-Infinity]}`, `score[0]: -Infinity is no JSON number`, "write null"},
		{`{'a':'x'}`, `'\'' found, want a name in double quotes`, "a JSON library"},
		{`{"a":True}`, `a: True found, JSON writes true`, "a JSON library"},
		{"{\"a\":\"x\x00\"}", `a: a zero byte in a string, JSON writes \u0000`, "a JSON library"},
		{"{\"a\":\"x\ty\"}", `a: a tabulator in a string, JSON writes \u0009`, "a JSON library"},
		{`{"a":"x"},`, `',' behind the end of the value`, "whole JSON object"},
		{`{"a":"x"`, `the end of the text found in an object, want a comma or its end`, "whole JSON object"},
	} {
		for file, text := range map[string]string{"d.jsonl": "{\"a\":\"ok\"}\n" + c.text + "\n", "d.json": "[{\"a\":\"ok\"},\n" + c.text + "\n]"} {
			if file == "d.json" && (strings.HasSuffix(c.text, ",") || strings.HasSuffix(c.text, `"x"`)) {
				continue // a list goes on there
			}
			path := filepath.Join(t.TempDir(), file)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			err := Each(path, func(Record) error { return nil })
			want := path + ":2: not a JSON object: " + c.want
			if err == nil || err.Error() != want {
				t.Errorf("%s: error %v\nwant %s", c.text, err, want)
			} else if h := err.(*Error).Hint(); !strings.Contains(h, c.hint) {
				t.Errorf("%s: hint %q lacks %q", c.text, h, c.hint)
			}
		}
	}
}

func TestTables(t *testing.T) {
	for _, c := range []struct {
		name, file, text string
		want             []got
		err              string
	}{
		{"line ends within quotes", "d.csv", "a,b\r\n\"x\r\ny\r\",1\r\n\"\n\r\n\",2\r\n", []got{{2, "x\r\ny\r"}, {4, "\n\r\n"}}, ""},
		{"quotes", "d.csv", "a\n\"say \"\"hi\"\"\"\n\"\"\"\"\n\"\"\n", []got{{2, `say "hi"`}, {3, `"`}, {4, ""}}, ""},
		{"quote within a field", "d.csv", "a,b\n5\" disk,1\nx\"\"y,2\n", []got{{2, `5" disk`}, {3, `x""y`}}, ""},
		{"separators in quotes", "d.csv", "a,b\n\"1,2\",3\n", []got{{2, "1,2"}}, ""},
		{"tabulators", "d.tsv", "b\ta\n1,2\tx, \"y\"\n\t\"p\tq\"\n", []got{{2, `x, "y"`}, {3, "p\tq"}}, ""},
		{"no line end", "d.csv", "b,a\n1,x", []got{{2, "x"}}, ""},
		{"empty last field", "d.csv", "b,a\n1,", []got{{2, ""}}, ""},
		{"empty lines", "d.csv", "\n\r\na,b\n\n\nx,1\n\r\n", []got{{6, "x"}}, ""},
		{"no name of the rows' numbers", "d.csv", ",a\n0,x\n1,y\n", []got{{2, "x"}, {3, "y"}}, ""},
		{"spaces stay", "d.csv", "a,b\n x ,1\n", []got{{2, " x "}}, ""},
		{"open quote", "d.csv", "a\nx\n\"y\nz\n", nil, "d.csv:3: not a table: a quoted field has no end"},
		{"text behind a quote", "d.csv", "a,b\n\"x\"y,1\n", nil, "d.csv:2: not a table: text stands behind the end of a quoted field"},
		{"long row", "d.csv", "a,b\nx,1,2\n", nil, "d.csv:2: not a table: the row has 3 fields, the first line names 2"},
		{"semicolons", "d.csv", "a;b\nx;1\n", nil, `d.csv:1: not a table: the first line "a;b" has ';' between its fields`},
		{"tabulators in .csv", "d.csv", "a\tb\nx\t1\n", nil, `d.csv:1: not a table: the first line "a\tb" has '\t' between its fields`},
		{"many names", "d.csv", strings.Repeat(",", 20000), nil, "d.csv:1: not a table: a row of more than 10000 fields"},
		{"many fields", "d.csv", "a\nx" + strings.Repeat(",", 20000), nil, "d.csv:2: not a table: a row of more than 10000 fields"},
		{"name twice", "d.csv", "a,b,a\n1,2,3\n", nil, `d.csv:1: not a table: field "a" is named twice`},
		{"two tables", "d.csv", "a,b\nx,1\na,b\ny,2\n", nil, "d.csv:3: the row names the fields again: two tables in one file"},
		{"zero byte", "d.csv", "a,b\nx\x00y,1\n", nil, `d.csv:2: field "a" holds a zero byte`},
		{"not UTF-8", "d.csv", "a,b\nx,1\n\xe9,2\n", nil, "d.csv:3: the text is not UTF-8"},
		{"name not UTF-8", "d.csv", "\xe9,a\nx,1\n", nil, "d.csv:1: not a table: the text is not UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			records, err := readAll(t, c.file, c.text)
			if c.err != "" {
				if err == nil || err.Error() != c.err {
					t.Fatalf("error %v\nwant  %s", err, c.err)
				}
				return
			}
			if diff := cmp.Diff(c.want, records); diff != "" || err != nil {
				t.Errorf("error %v, records (-want +got):\n%s", err, diff)
			}
		})
	}
}
