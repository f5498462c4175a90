package records

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// got is a record as the tests compare it: its line and field "a".
type got struct {
	Line int
	A    string
}

func readAll(t *testing.T, name, text string) ([]got, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out []got
	err := Each(path, func(r Record) error {
		a, err := r.String("a")
		out = append(out, got{r.Line, a})
		return err
	})
	if err != nil {
		err = errors.New(strings.ReplaceAll(err.Error(), path, name)) // the folder is another one each time
	}
	return out, err
}

func TestEach(t *testing.T) {
	for _, c := range []struct {
		name, file, text string
		want             []got
	}{
		{"lines", "d.jsonl", "{\"a\":\"x\"}\n{\"a\":\"y\"}\n", []got{{1, "x"}, {2, "y"}}},
		{"last line without end", "d.jsonl", "{\"a\":\"x\"}\n{\"a\":\"y\"}", []got{{1, "x"}, {2, "y"}}},
		{"blank lines and CRLF", "d.jsonl", "\r\n{\"a\":\"x\"}\r\n\r\n  {\"a\":\"y\"}\r\n", []got{{2, "x"}, {4, "y"}}},
		{"byte order mark", "d.jsonl", "\xef\xbb\xbf{\"a\":\"x\"}\n", []got{{1, "x"}}},
		{"lines in .json", "d.json", "{\"a\":\"x\"}\n{\"a\":\"y\"}\n", []got{{1, "x"}, {2, "y"}}},
		{"list in .jsonl", "d.jsonl", "[{\"a\":\"x\"},{\"a\":\"y\"}]", []got{{1, "x"}, {1, "y"}}},
		{"list over lines", "d.json", "\n[\n {\n  \"a\":\"x\"\n },\n\n {\"a\":\"y\"}\n]\n", []got{{3, "x"}, {7, "y"}}},
		{"empty list", "d.json", "[]", nil},
		{"empty file", "d.json", "", nil},
		{"table", "d.csv", "\ufeffa,b\nx,1\n\"y\nz\",2\nw,\n", []got{{2, "x"}, {3, "y\nz"}, {5, "w"}}},
		{"only a head", "d.csv", "a,b\n", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			records, err := readAll(t, c.file, c.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, records); diff != "" {
				t.Errorf("records differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEachErrors(t *testing.T) {
	for _, c := range []struct{ name, file, text, want string }{
		{"not JSON", "d.jsonl", "{\"a\":\"x\"}\nhello\n", `d.jsonl:2: not a JSON object: 'h' found, want a value`},
		{"cut line", "d.jsonl", "{\"a\":\"x\"}\n{\"a\":", `d.jsonl:2: not a JSON object: a: the text ends where a value is wanted`},
		{"list on a line", "d.jsonl", "{\"a\":\"x\"}\n[1]\n", `d.jsonl:2: not a JSON object: list found, want object`},
		{"null", "d.jsonl", "{\"a\":\"x\"}\nnull\n", `d.jsonl:2: not a JSON object: null found, want object`},
		{"two objects on a line", "d.jsonl", "{\"a\":\"x\"} {\"a\":\"y\"}\n", `d.jsonl:1: not a JSON object: '{' behind the end of the value`},
		{"field missing", "d.jsonl", "{\"b\":1,\"c\":2}", `d.jsonl:1: field "a" is missing; the record has "b", "c"`},
		{"field null", "d.jsonl", "{\"a\":null}", `d.jsonl:1: field "a" is null`},
		{"field of another type", "d.jsonl", "{\"a\":[1]}", `d.jsonl:1: field "a": list found, want string`},
		{"other case", "d.jsonl", "{\"A\":\"x\"}", `d.jsonl:1: field "a" is missing; the record has "A"`},
		{"not UTF-8", "d.jsonl", "{\"a\":\"x\"}\n{\"a\":\"\xe9\"}", `d.jsonl:2: the text is not UTF-8`},
		{"open list", "d.json", "[{\"a\":\"x\"},\n", `d.json:2: not a JSON list: the file ends in the middle of the list`},
		{"open element", "d.json", "[{\"a\":\"x\"},\n{\"a\":", `d.json:2: not a JSON list: the file ends in the middle of the list`},
		{"no comma", "d.json", "[{\"a\":\"x\"}\n{\"a\":\"y\"}]", `d.json:2: not a JSON object: '{' behind the end of the value`},
		{"bad element", "d.json", "[\n{\"a\":\"x\"},\n{\"a\" \"y\"}\n]", `d.json:3: not a JSON object: '"' found behind a name, want a colon`},
		{"number in a list", "d.json", "[\n1]", `d.json:2: not a JSON object: number found, want object`},
		{"text behind a list", "d.json", "[]\n[]", `d.json:1: text behind the end of the list`},
		{"short row", "d.csv", "a,b\nx\n", `d.csv:2: not a table: the row has 1 fields, the first line names 2`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := readAll(t, c.file, c.text)
			if err == nil || err.Error() != c.want {
				t.Errorf("error %v\nwant  %s", err, c.want)
			}
		})
	}
}

func TestLineTooLong(t *testing.T) {
	if testing.Short() {
		t.Skip("reads more than 64 MiB")
	}
	for name, c := range map[string]struct{ begin, want string }{
		"line":    {`{"a":"`, "d:1: the line is longer than 64 MiB"},
		"element": {`[{"a":"`, "d:1: not a JSON list: the record is longer than 64 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			err := ReadJSON("d", &endless{begin: c.begin}, func(Record) error { return nil })
			if err == nil || err.Error() != c.want {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}

// endless is a text that goes on with x for ever.
type endless struct{ begin string }

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.begin)
	e.begin = e.begin[n:]
	for i := n; i < len(p); i++ {
		p[i] = 'x'
	}
	return len(p), nil
}

// FuzzReadJSON: any bytes give records in rising lines or an error with a place, never a panic.
func FuzzReadJSON(f *testing.F) {
	for _, s := range []string{"", "[]", "[{}]", "{\"a\":1}\n{}", "[{\"a\":[{}]},", "\xef\xbb\xbf{}", "[\n1", "{\"a\":\"\xff\"}", "[{}]]", "  \n\t{"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		last, lines := 0, 1+strings.Count(string(in), "\n")
		err := ReadJSON("f", strings.NewReader(string(in)), func(r Record) error {
			if r.Line < last || r.Line < 1 || r.Line > lines || r.Fields == nil {
				t.Fatalf("record in line %d after line %d of %d: %v", r.Line, last, lines, r.Fields)
			}
			last = r.Line
			return nil
		})
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("error without a place: %v", err)
		}
	})
}

// FuzzCSV is FuzzReadJSON for tables.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{"", "a", "a,b\n1,2\n", "\"a\n", "a\n\"\"\"x\n\"\n", "\xef\xbb\xbfa\nb"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		err := readTable("f", strings.NewReader(string(in)), ',', func(r Record) error {
			for name := range r.Fields {
				if _, err := r.String(name); err != nil {
					t.Fatal(err)
				}
			}
			return nil
		})
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("error without a place: %v", err)
		}
	})
}
