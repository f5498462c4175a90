package data

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"lomo/internal/data/records"
	"lomo/internal/tokenizer"
)

// longText is n bytes of lines with blank lines and accents.
func longText(n int) string {
	var out strings.Builder
	for i := 0; out.Len() < n; i++ {
		out.WriteString(strings.Repeat("wörd ", i%13))
		out.WriteString([]string{"end\n", "\n\n", "é\n", "x\n  y"}[i%4])
	}
	return out.String()
}

// A text read in pieces has the tokens of the whole text, cut into samples of sequence_len.
func TestLongDocument(t *testing.T) {
	for _, c := range []struct {
		name string
		tok  fake
		text string
	}{
		{"lines", fake{bos: true, mark: true, pairs: true}, longText(3 * pieceSize)},
		{"lines without marks", fake{}, longText(2 * pieceSize)},
		{"words of one line", fake{bos: true, mark: true, pairs: true}, strings.Repeat("some words é é 1 2, ", pieceMax/10)},
		{"words of one line without marks", fake{pairs: true}, strings.Repeat("some words é é 1 2, ", pieceMax/10)},
		{"one place to cut", fake{bos: true, mark: true, pairs: true}, strings.Repeat("é", pieceMax/2-100) + "a b" + strings.Repeat("1 ", 100)},
		{"no place to cut", fake{bos: true}, strings.Repeat("é", pieceMax/2+pieceSize)},
		{"odd", fake{bos: true}, "x" + strings.Repeat("é", pieceMax/2+3)},
	} {
		t.Run(c.name, func(t *testing.T) {
			ids, _, err := c.tok.EncodeOffsets(c.text, true)
			if err != nil {
				t.Fatal(err)
			}
			want := append(ids, 2)
			d, err := Load([]Source{{Path: write(t, "d.txt", c.text), Type: "text"}}, c.tok, Options{SequenceLen: 1000})
			if err != nil {
				t.Fatal(err)
			}
			var got []int32
			for i, e := range d.Examples() {
				if i < d.Len()-1 && len(e.IDs) != 1000 || e.Labels[0] != ignored || slices.Contains(e.Labels[1:], ignored) {
					t.Fatalf("sample %d of %d: %d tokens", i, d.Len(), len(e.IDs))
				}
				got = append(got, e.IDs...)
			}
			if len(want)%1000 == 1 {
				want = want[:len(want)-1] // a last sample of one token predicts nothing
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d tokens, want %d, first difference at %d", len(got), len(want), firstDifference(got, want))
			}
		})
	}
}

// TestCutInALine: a text that must be cut anywhere is said; one with spaces is cut there, in pieces of the usual size.
func TestCutInALine(t *testing.T) {
	for _, c := range []struct {
		name, text string
		pieces     int
		blind      bool
	}{
		{"words", strings.Repeat("words and ", pieceMax/10), 4, false},
		{"capitals", strings.Repeat("A B ", pieceMax/4), 4, false},
		{"one letter", strings.Repeat("x", pieceMax+9), 2, true},
		{"no letters", strings.Repeat("1 2 ", pieceMax/4+2), 2, true},
		{"not ASCII", strings.Repeat("é è ", pieceMax/6+2), 2, true},
		{"short", strings.Repeat("x", pieceMax/2), 1, false},
	} {
		n := 0
		err := pieces(records.Record{Path: "f", Line: 1}, strings.NewReader(c.text), func(p string, _, _ int, _ bool) error {
			n++
			if len(p) > pieceMax || !c.blind && len(p) > pieceSize && c.pieces > 1 {
				t.Errorf("%s: a piece of %d bytes", c.name, len(p))
			}
			return nil
		})
		if err != nil || n < c.pieces || n > c.pieces+1 {
			t.Errorf("%s: %d pieces, want %d; %v", c.name, n, c.pieces, err)
		}
		d, err := Load([]Source{{Path: write(t, "d.txt", c.text), Type: "text"}}, fake{}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if said := slices.ContainsFunc(d.Notes(), func(n Note) bool { return n.What == cutInLine && strings.HasSuffix(n.First, "d.txt:1") }); said != c.blind {
			t.Errorf("%s: said %v, want %v", c.name, said, c.blind)
		}
	}
}

// picky refuses what begins with #, as a tokenizer does with a word that is too long.
type picky struct{ fake }

func (p picky) EncodeOffsets(text string, special bool) ([]int32, [][2]int, error) {
	if i := strings.IndexByte(text, '#'); i >= 0 {
		return nil, nil, fmt.Errorf("tokenize: %w", &tokenizer.LongWord{At: i, Bytes: 1 << 20})
	}
	return p.fake.EncodeOffsets(text, special)
}

// TestLineOfALongWord: a word that is too long is told with its line, and of records with theirs.
func TestLineOfALongWord(t *testing.T) {
	const line = "a line of text\n"
	for _, c := range []struct {
		file, typ, text string
		line            int
	}{
		{"d.txt", "text", "#", 1},
		{"d.txt", "text", line + line + "#" + line, 3},
		{"d.txt", "text", strings.Repeat(line, 3*pieceSize/len(line)) + "\n\nx#", 3*pieceSize/len(line) + 3},
		{"d.jsonl", "text", `{"text":"a"}` + "\n" + `{"text":"a\n\n#"}`, 2},
		{"d.jsonl", "prompt_completion", `{"prompt":"a","completion":"\n#"}`, 1},
	} {
		_, err := Load([]Source{{Path: write(t, c.file, c.text), Type: c.typ}}, picky{}, Options{})
		var hint interface{ Hint() string }
		if want := fmt.Sprintf("%s:%d: tokenize: 1048576 bytes", c.file, c.line); err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, &hint) || hint.Hint() == "" {
			t.Errorf("%v, want %q and a hint", err, want)
		}
	}
}

// A tokenizer with tokens across line ends: where the text was cut one of them is missing, but none of the text.
func TestTokenAcrossCut(t *testing.T) {
	text := strings.Repeat("ab\ncd", pieceSize/2)
	d, err := Load([]Source{{Path: write(t, "d.txt", text), Type: "text"}}, fake{lines: true}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, id := range d.Example(0).IDs {
		switch {
		case id >= 300:
			got.WriteByte('\n')
			got.WriteByte(byte(id - 300))
		case id >= 10:
			got.WriteByte(byte(id - 10))
		}
	}
	if got.String() != text {
		t.Errorf("%d bytes of text, %d in the tokens", len(text), got.Len())
	}
}

// A byte that is no UTF-8 is told with its own line, in whichever piece of the text it stands.
func TestLineOfABadByte(t *testing.T) {
	const line = "a line of text\n"
	long := strings.Repeat("x", pieceMax) + "\n" // no place to cut
	for _, c := range []struct {
		name, before string
		bytes        int // of before, repeated
		after        string
	}{
		{"first line", line, 0, "\xff"},
		{"first piece", line, pieceSize / 2, "b\xff"},
		{"second piece", line, pieceSize + 40*len(line), "b\xff"},
		{"second piece, a line further", line, pieceSize + 40*len(line), "b\n\n\xff"},
		{"fourth piece", line, 3*pieceSize + 7*len(line), "\xff"},
		{"behind a line without a place to cut", long, len(long), "b\nc\xff"},
	} {
		before := strings.Repeat(c.before, c.bytes/len(c.before))
		bad := 1 + strings.Count(before+c.after, "\n")
		_, err := Load([]Source{{Path: write(t, "d.txt", before+c.after+"\nthe end\n"), Type: "text"}}, fake{}, Options{})
		if want := fmt.Sprintf("d.txt:%d: the text is not UTF-8", bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", c.name, err, want)
		}
	}
}

func firstDifference(a, b []int32) int {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	return i
}

func TestSafeCut(t *testing.T) {
	for text, want := range map[string]string{
		"ab\ncd":      "ab\n",
		"ab\ncd\nef":  "ab\ncd\n",
		"ab\ncd\n":    "ab\n", // what follows may be white space
		"ab\n\ncd":    "",
		"ab \ncd":     "",
		"ab\n cd":     "",
		"\ncd":        "",
		"é\nx":        "é\n",
		"a\u00a0\nxy": "",
		"":            "",
	} {
		if got := text[:safeCut([]byte(text))]; got != want {
			t.Errorf("%q is cut to %q, want %q", text, got, want)
		}
	}
}

// FuzzPieces: the pieces of a text without their overlaps are the text.
func FuzzPieces(f *testing.F) {
	f.Add("a\nb", 3)
	f.Add("é\r\n\nx", pieceSize)
	f.Add("\xff", 1)
	f.Fuzz(func(t *testing.T, unit string, times int) {
		if len(unit) == 0 || times < 1 || times > 3*pieceSize/len(unit) {
			return // a seed that is no input: the text would be empty or too long
		}
		text := strings.Repeat(unit, times)
		var got strings.Builder
		err := pieces(records.Record{Path: "f", Line: 1}, strings.NewReader(text), func(p string, overlap, _ int, _ bool) error {
			got.WriteString(p[overlap:])
			return nil
		})
		if err == nil && got.String() != text {
			t.Errorf("%d bytes came back as %d", len(text), got.Len())
		}
		if valid := strings.ToValidUTF8(text, "") == text; valid != (err == nil) {
			t.Errorf("UTF-8: %v, error %v", valid, err)
		}
	})
}
