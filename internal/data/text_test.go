package data

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"lomo/internal/data/records"
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
		err := pieces(records.Record{Path: "f", Line: 1}, strings.NewReader(text), func(p string, overlap int) error {
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
