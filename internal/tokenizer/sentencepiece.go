package tokenizer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"lomo/internal/checkpoint/gguf"
)

// maxPieceFile bounds a tokenizer.model: real ones have a few megabytes.
const maxPieceFile = 64 << 20

// openSentencePiece builds the tokenizer of a SentencePiece file, as Meta's LLaMA-1 and LLaMA-2 have them: tokenizer.model. Control pieces and
// user-defined ones are tokens wherever they stand in a text, as in Hugging Face's files of such models.
func openSentencePiece(path string) (*Tokenizer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxPieceFile+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxPieceFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxPieceFile)
	}
	kv, err := readPieces(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	t, err := fromGGUF(&gguf.File{KV: kv})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// The numbers of fields in SentencePiece's sentencepiece_model.proto.
const (
	modelPieces, modelTrainer, modelNormalizer                   = 1, 2, 3
	pieceText, pieceScore, pieceType                             = 1, 2, 3
	trainerKind, trainerSuffix                                   = 3, 24
	trainerUnk, trainerBOS, trainerEOS, trainerPad               = 40, 41, 42, 43
	normalizerCharsmap, normalizerPrefix, normalizerRemoveSpaces = 2, 3, 4
	kindUnigram, kindBPE                                         = 1, 2
)

// readPieces is what a SentencePiece model says, under the names that GGUF has for it.
func readPieces(raw []byte) (map[string]any, error) {
	var tokens []string
	var scores []float32
	var types []int32
	kind, suffix, charsmap, prefix, remove := uint64(kindUnigram), uint64(0), 0, true, true
	ids := map[string]int64{"unknown": 0, "bos": 1, "eos": 2, "padding": -1}
	err := fields(raw, func(number int, v uint64, body []byte) error {
		switch number {
		case modelPieces:
			text, score, typ := "", float32(0), uint64(typeNormal)
			err := fields(body, func(number int, v uint64, body []byte) error {
				switch number {
				case pieceText:
					text = string(body)
				case pieceScore:
					score = math.Float32frombits(uint32(v))
				case pieceType:
					typ = v
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("piece %d: %w", len(tokens), err)
			}
			if len(tokens) == maxTokens {
				return fmt.Errorf("more than %d pieces", maxTokens)
			}
			tokens, scores, types = append(tokens, text), append(scores, score), append(types, int32(typ))
		case modelTrainer:
			return fields(body, func(number int, v uint64, _ []byte) error {
				switch number {
				case trainerKind:
					kind = v
				case trainerSuffix:
					suffix = v
				case trainerUnk:
					ids["unknown"] = int64(int32(v))
				case trainerBOS:
					ids["bos"] = int64(int32(v))
				case trainerEOS:
					ids["eos"] = int64(int32(v))
				case trainerPad:
					ids["padding"] = int64(int32(v))
				}
				return nil
			})
		case modelNormalizer:
			return fields(body, func(number int, v uint64, body []byte) error {
				switch number {
				case normalizerCharsmap:
					charsmap = len(body)
				case normalizerPrefix:
					prefix = v != 0
				case normalizerRemoveSpaces:
					remove = v != 0
				}
				return nil
			})
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("not a SentencePiece model: %w", err)
	case len(tokens) == 0:
		return nil, errors.New("not a SentencePiece model: it has no pieces")
	case kind != kindBPE:
		return nil, fmt.Errorf("a SentencePiece model of kind %d: only BPE (%d), which LLaMA uses, is supported", kind, kindBPE)
	case charsmap > 0 || remove || suffix != 0:
		return nil, errors.New("a SentencePiece model that normalizes its text: only such as LLaMA's, which keep it, are supported")
	}
	kv := map[string]any{"tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.scores": scores,
		"tokenizer.ggml.token_type": types, "tokenizer.ggml.add_space_prefix": prefix}
	for role, id := range ids {
		if id >= 0 {
			kv["tokenizer.ggml."+role+"_token_id"] = uint32(id)
		}
	}
	return kv, nil
}

// fields calls f for each field of a message of protocol buffers: with its number, or with the bytes of what has a length.
func fields(b []byte, f func(number int, v uint64, body []byte) error) error {
	for len(b) > 0 {
		key, n := binary.Uvarint(b)
		if n <= 0 || key>>3 == 0 || key>>3 > 1<<29 {
			return errors.New("a field without a key")
		}
		b = b[n:]
		var v uint64
		var body []byte
		switch key & 7 {
		case 0:
			if v, n = binary.Uvarint(b); n <= 0 {
				return fmt.Errorf("field %d: a number without an end", key>>3)
			}
		case 1, 5:
			if n = 8; key&7 == 5 {
				n = 4
			}
			if len(b) < n {
				return fmt.Errorf("field %d: %d bytes are left of %d", key>>3, len(b), n)
			}
			for i := n - 1; i >= 0; i-- {
				v = v<<8 | uint64(b[i])
			}
		case 2:
			size, k := binary.Uvarint(b)
			if k <= 0 || size > uint64(len(b)-k) {
				return fmt.Errorf("field %d: it ends behind the message", key>>3)
			}
			body, n = b[k:k+int(size)], k+int(size)
		default:
			return fmt.Errorf("field %d: of type %d, which is none", key>>3, key&7)
		}
		if err := f(int(key>>3), v, body); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
