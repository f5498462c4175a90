package tokenizer

import (
	"fmt"

	"lomo/internal/onig"
)

// allowance is what one text may cost. Normalizers that write more than they read can multiply a text
// without end, and patterns that backtrack can take exponential time: files in use need a tiny part
// of this, so that only hostile ones meet it.
type allowance struct {
	bytes int64       // that normalizers and pre-tokenizers may still add
	steps onig.Budget // that patterns may still take
}

// For each byte of a text and once. The most that Unicode's forms need is 11 bytes for one (U+FDFA).
const (
	growth, growthOnce = 64, 64 << 10
	steps, stepsOnce   = 1000, 10_000_000
)

func allow(size int) *allowance {
	n := int64(size)
	return &allowance{bytes: growth*n + growthOnce, steps: onig.Budget{Steps: steps*n + stepsOnce}}
}

// grow takes n bytes of it; whole is how long the text is with them.
func (a *allowance) grow(n, whole int) error {
	if a.bytes -= int64(n); a.bytes < 0 {
		return fmt.Errorf("the normalizer or pre_tokenizer makes the text more than %d times as long; check its Replace and Prepend entries", growth)
	}
	if whole > maxText {
		return fmt.Errorf("the normalized text has more than %d bytes; encode it in parts", maxText)
	}
	return nil
}
