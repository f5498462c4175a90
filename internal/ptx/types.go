package ptx

import (
	"fmt"
	"slices"
	"strconv"
)

// typ is an instruction type: s32, f16x2, pred and so on. bits counts all lanes of a packed type.
type typ struct {
	kind   byte // s, u, b, f (IEEE), g (bfloat16), p (predicate)
	bits   int
	packed bool // two halves
}

func parseType(s string) (typ, error) {
	switch s {
	case "pred":
		return typ{kind: 'p', bits: 1}, nil
	case "f16x2":
		return typ{'f', 32, true}, nil
	case "bf16":
		return typ{kind: 'g', bits: 16}, nil
	case "bf16x2":
		return typ{'g', 32, true}, nil
	}
	if len(s) >= 2 && (s[0] == 's' || s[0] == 'u' || s[0] == 'b' || s[0] == 'f') {
		bits, err := strconv.Atoi(s[1:])
		if err == nil && slices.Contains([]int{8, 16, 32, 64}, bits) && (s[0] != 'f' || bits > 8) {
			return typ{kind: s[0], bits: bits}, nil
		}
	}
	return typ{}, fmt.Errorf("unknown type .%s", s)
}

func (t typ) signed() bool { return t.kind == 's' }
func (t typ) float() bool  { return t.kind == 'f' || t.kind == 'g' }

// signExtend widens the low bits of v to 64.
func signExtend(v uint64, bits int) int64 { return int64(v<<(64-bits)) >> (64 - bits) }
