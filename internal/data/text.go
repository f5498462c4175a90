package data

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"lomo/internal/data/records"
	"lomo/internal/tokenizer"
)

const (
	pieceSize = 256 << 10 // bytes of text tokenised at a time
	pieceMax  = 1 << 20   // without a place to cut, at most
)

// cutInLine says of texts that were cut where a tokenizer may not cut them.
var cutInLine = "texts that have no line end and no space between two letters for 1 MiB: cut there all the same, where the whole text may have another token"

// document adds a text as samples of sequence_len tokens, the last one shorter: nothing is dropped, every token is
// learned but the first of each sample. bos stands before the first, eos behind the last. With Stride samples overlap, and what
// stands in two of them is learned in the first.
func (e *encoder) document(r records.Record, text io.Reader) error {
	pending := slices.Clone(e.begin) // tokens of the next sample
	first := true                    // the piece
	seen := 0                        // as many of them were in the one before
	err := pieces(r, text, func(piece string, overlap, line int, blind bool) error {
		ids, err := e.goOn(piece, overlap)
		here := r
		ofLines := r.Fields == nil // a file of text
		if ofLines {
			here.Line = line
		}
		if err != nil {
			if long := (*tokenizer.LongWord)(nil); ofLines && errors.As(err, &long) {
				here.Line += strings.Count(piece[overlap:max(overlap, long.At)], "\n")
			}
			return here.Errorf("%w", err)
		}
		if blind {
			e.notes.Add(cutInLine, here.Place(), "")
		}
		if first && e.begins(r, ids) {
			pending = pending[:0]
		}
		first = false
		pending = append(pending, ids...)
		rest, err := e.fullSamples(r, pending, &seen)
		pending = append(pending[:0], rest...)
		return err
	})
	if err != nil {
		return err
	}
	if !endsWith(pending, e.end) {
		pending = append(pending, e.end...)
	}
	if pending, err = e.fullSamples(r, pending, &seen); err != nil || len(pending) <= seen {
		return err
	}
	return e.put(r, "token", pending, unseen(pending, seen))
}

// fullSamples adds samples of sequence_len tokens while ids has as many, and returns what the next one begins with. seen counts
// the tokens of ids that were predicted before.
func (e *encoder) fullSamples(r records.Record, ids []int32, seen *int) ([]int32, error) {
	n, step := e.o.SequenceLen, e.o.SequenceLen
	if e.o.Stride > 0 {
		step = min(e.o.Stride, n)
	}
	for n > 0 && len(ids) >= n && len(ids) > *seen {
		if err := e.put(r, "token", ids[:n], unseen(ids[:n], *seen)); err != nil {
			return nil, err
		}
		ids, *seen = ids[step:], n-step
	}
	return ids, nil
}

// goOn is the ids of piece without its first overlap bytes, which the piece before ended with: a tokenizer that puts
// something before a text (SentencePiece's ▁) puts it before the overlap.
func (e *encoder) goOn(piece string, overlap int) ([]int32, error) {
	ids, offs, err := e.tok.EncodeOffsets(piece, false)
	if err != nil {
		return nil, err
	}
	first := 0
	for first < len(ids) && offs[first][1] <= overlap && overlap > 0 {
		first++
	}
	if first < len(ids) && offs[first][0] < overlap { // a token across the cut
		return e.goOn(piece[overlap:], 0)
	}
	return ids[first:], nil
}

// pieces cuts a text where tokenizers cut it anyway: behind a line end between two characters that are no white space.
// Where there is none, they are cut before a space between two letters, and if need be anywhere: blind says that of the end of a piece.
// Every piece but the first repeats the overlap bytes before it; line is that of the piece behind them. Text that is not UTF-8 is an error.
func pieces(r records.Record, text io.Reader, fn func(piece string, overlap, line int, blind bool) error) error {
	size := pieceSize
	if short, ok := text.(interface{ Len() int }); ok { // a record's text is mostly short
		size = min(size, short.Len()+1)
	}
	buf := make([]byte, 0, size)
	for line, overlap := r.Line, 0; ; {
		n, err := io.ReadFull(text, buf[len(buf):size])
		buf = buf[:len(buf)+n]
		last := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !last {
			if bad := (*records.Error)(nil); errors.As(err, &bad) {
				return err
			}
			return &records.Error{Path: r.Path, Err: err}
		}
		cut, blind := len(buf), false
		if !last {
			if cut = cmp.Or(safeCut(buf), wordCut(buf)); cut == 0 && size < pieceMax {
				size = min(2*size, pieceMax)
				buf = append(make([]byte, 0, size), buf...)
				continue
			} else if cut == 0 {
				cut, blind = wholeRunes(buf), true
			}
		}
		if bad := invalidUTF8(buf[:cut]); bad >= 0 {
			return &records.Error{Path: r.Path, Line: line + bytes.Count(buf[overlap:bad], []byte("\n")), Row: r.Row, Msg: "the text is not UTF-8",
				Advice: "convert the file, for example with iconv -t utf-8"}
		}
		if cut > overlap {
			if err := fn(string(buf[:cut]), overlap, line, blind); err != nil {
				return err
			}
		}
		if last {
			return nil
		}
		line += bytes.Count(buf[overlap:cut], []byte("\n"))
		if overlap = 1; blind { // the line end, or the letter before the space
			overlap = min(1, bytes.Count(buf[cut-1:cut], []byte("\n")))
		}
		buf = append(buf[:0], buf[cut-overlap:]...)
	}
}

// safeCut is the last place behind a line end with other characters than white space on both sides, 0 if there is none.
func safeCut(b []byte) int {
	for i := len(b) - 1; i > 1; i-- {
		if b[i-1] != '\n' {
			continue
		}
		before, _ := utf8.DecodeLastRune(b[:i-1])
		if after := b[i]; !unicode.IsSpace(before) && after < utf8.RuneSelf && !unicode.IsSpace(rune(after)) {
			return i
		}
	}
	return 0
}

// wordCut is the last space between two ASCII letters, 0 if there is none.
func wordCut(b []byte) int {
	letter := func(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
	for i := len(b) - 2; i > 1; i-- {
		if b[i] == ' ' && letter(b[i-1]) && letter(b[i+1]) {
			return i
		}
	}
	return 0
}

// wholeRunes is the length of b without a character that is cut at its end.
func wholeRunes(b []byte) int {
	for n := len(b); n > len(b)-utf8.UTFMax; n-- {
		if utf8.RuneStart(b[n-1]) {
			if utf8.FullRune(b[n-1:]) {
				return len(b)
			}
			return n - 1
		}
	}
	return len(b)
}

// invalidUTF8 is the place of the first byte that is not UTF-8, −1 if there is none.
func invalidUTF8(b []byte) int {
	if utf8.Valid(b) {
		return -1
	}
	for i := 0; i < len(b); {
		c, n := utf8.DecodeRune(b[i:])
		if c == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// textFile adds a plain text file as one document.
func (e *encoder) textFile(path string) error {
	f, err := records.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return e.document(records.Record{Path: path, Line: 1}, &textReader{r: f, path: path, line: 1})
}

// textReader refuses zero bytes: a file that has them is no text.
type textReader struct {
	r    io.Reader
	path string
	line int
}

func (t *textReader) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if zero := bytes.IndexByte(p[:n], 0); zero >= 0 {
		return 0, &records.Error{Path: t.path, Line: t.line + bytes.Count(p[:zero], []byte("\n")), Msg: "a zero byte in a text",
			Advice: "is it a text file, and UTF-8? iconv converts others"}
	}
	t.line += bytes.Count(p[:n], []byte("\n"))
	return n, err
}
