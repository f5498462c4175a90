package store

import (
	"fmt"

	"lomo/internal/grad"
)

// longestIdle is the buffer that holds the unit beginning with first already, or else the one of those not acquired that was used longest
// ago. use is what a buffer holds and when it was last used. It panics when all are acquired.
func longestIdle[B comparable](list []B, held map[*grad.Param]B, first *grad.Param, use func(B) (unit *grad.Param, turn int)) B {
	var oldest B
	found, since := false, 0
	for _, b := range list {
		unit, turn := use(b)
		if unit == first {
			return b
		}
		if unit != nil && held[unit] == b {
			continue
		}
		if !found || turn < since {
			oldest, found, since = b, true, turn
		}
	}
	if !found {
		panic(fmt.Sprintf("store: no buffer for %q: all are acquired", first.Name))
	}
	return oldest
}
