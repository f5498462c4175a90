package tokenizer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var piecesModel = filepath.Join("..", "..", "testdata", "tokenizer", "pieces.model")

// TestSentencePiece: a tokenizer.model encodes and decodes as the sentencepiece library does, in a folder of its own too, and as the
// tokenizer.json that is written of it.
func TestSentencePiece(t *testing.T) {
	var g struct {
		Size               int
		BOS, EOS, PAD, UNK int32
		Tests              []struct {
			Text, Decoded string
			IDs           []int32
		}
	}
	golden(t, "pieces.json", &g)
	raw, err := os.ReadFile(piecesModel)
	if err != nil {
		t.Fatal(err)
	}
	meta, written := t.TempDir(), t.TempDir()
	write(t, meta, "tokenizer.model", string(raw))
	alone, err := Open(piecesModel)
	if err != nil {
		t.Fatal(err)
	}
	folder, err := Open(meta)
	if err != nil {
		t.Fatal(err)
	}
	if err := folder.WriteFiles(written); err != nil {
		t.Fatal(err)
	}
	again, err := Open(written)
	if err != nil {
		t.Fatal(err)
	}
	for name, tok := range map[string]*Tokenizer{"alone": alone, "folder": folder, "written": again} {
		if tok.VocabSize() != g.Size || tok.BOS() != g.BOS || tok.EOS() != g.EOS || tok.PAD() != g.PAD || tok.UNK() != g.UNK {
			t.Errorf("%s: %d tokens, roles %+v; want %d tokens, %d %d %d %d", name, tok.VocabSize(), tok.names, g.Size, g.BOS, g.EOS, g.PAD, g.UNK)
		}
		for _, c := range g.Tests {
			ids, err := tok.Encode(c.Text, true)
			if err != nil || !slices.Equal(ids, append([]int32{g.BOS}, c.IDs...)) {
				t.Errorf("%s: %q is %v (%v), want %d and %v", name, c.Text, ids, err, g.BOS, c.IDs)
			}
			if got := tok.Decode(c.IDs, false); got != c.Decoded {
				t.Errorf("%s: %v decodes to %q, want %q", name, c.IDs, got, c.Decoded)
			}
		}
	}
}

// TestSentencePieceRoles: names and ids beside a tokenizer.model win over its own.
func TestSentencePieceRoles(t *testing.T) {
	raw, err := os.ReadFile(piecesModel)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, "tokenizer.model", string(raw))
	write(t, dir, "tokenizer_config.json", `{"pad_token":"<unk>","eos_token":"<turn>"}`)
	tok, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	turn, _ := tok.ID("<turn>")
	if tok.PAD() != 0 || tok.BOS() != 1 || tok.EOS() != turn || !slices.Contains(tok.EOSIDs(), turn) {
		t.Errorf("roles %+v, <turn> is %d", tok.names, turn)
	}
}

// message is a field of protocol buffers that has a length.
func message(number int, body string) string {
	return string(rune(number<<3|2)) + string(rune(len(body))) + body // both below 128
}

func TestSentencePieceRefused(t *testing.T) {
	piece := message(modelPieces, message(pieceText, "a"))
	bpe := message(modelTrainer, "\x18\x02")
	keep := message(modelNormalizer, "\x20\x00")
	for _, c := range []struct{ name, raw, want string }{
		{"empty", "", "the file is empty"},
		{"a text", "PIECES FOR NOTHING", "not a SentencePiece model"},
		{"cut", piece[:len(piece)-1], "ends behind"},
		{"cut inside", message(modelPieces, message(pieceText, "a")[:2]), "piece 0: field 1: it ends behind"},
		{"cut number", bpe + "\x10\xff", "a number without an end"},
		{"cut float", message(modelPieces, "\x15\x00\x00"), "2 bytes are left of 4"},
		{"no such type", "\x0b", "of type 3"},
		{"kind of words", piece + message(modelTrainer, "\x18\x03") + keep, "of kind 3"},
		{"charsmap", piece + bpe + message(modelNormalizer, "\x20\x00"+message(normalizerCharsmap, "x")), "precompiled_charsmap"},
		{"unk outside", piece + message(modelTrainer, "\x18\x01\xc0\x02\x07") + keep, "unk_id 7 is none"},
		{"suffix", piece + message(modelTrainer, "\x18\x02\xc0\x01\x01") + keep, "treat_whitespace_as_suffix"},
	} {
		dir := t.TempDir()
		write(t, dir, "tokenizer.model", c.raw)
		_, err := Open(dir)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// FuzzSentencePiece: no file makes the reader fail otherwise than by an error, and what it accepts encodes.
func FuzzSentencePiece(f *testing.F) {
	raw, err := os.ReadFile(piecesModel)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw[:600])
	f.Add([]byte(message(modelPieces, message(pieceText, "a")) + message(modelTrainer, "\x18\x02") + message(modelNormalizer, "\x20\x00")))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := filepath.Join(dir, "tokenizer.model")
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
		tok, err := Open(path)
		if err != nil {
			return
		}
		ids, err := tok.Encode("a b\nü", true)
		if err != nil {
			t.Fatal(err)
		}
		tok.Decode(ids, false)
	})
}
