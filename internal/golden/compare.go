package golden

import (
	"fmt"
	"math"
	"testing"
)

// Close compares a result with the reference. The bound is relToMax times the reference's largest magnitude, the measure
// for gradients and logits, whose small elements are sums that cancel. It logs the measured error, so that a bound can be
// judged (at most five times the error), and returns it in the same unit. NaN is never close.
func Close(tb testing.TB, name string, got, want []float32, relToMax float64) float64 {
	tb.Helper()
	d, err := compare(got, want)
	if err != nil {
		tb.Errorf("%s: %v", name, err)
		return math.Inf(1)
	}
	if !(d.rel <= relToMax) {
		tb.Errorf("%s: %v, bound %.2g", name, d, relToMax)
	} else {
		tb.Logf("%s: %v, bound %.2g", name, d, relToMax)
	}
	return d.rel
}

// distance is the worst element of a comparison.
type distance struct {
	rel       float64 // |got-want| / largest |want|
	at        int
	got, want float32
}

func (d distance) String() string {
	return fmt.Sprintf("error %.2g of the largest (element %d: %.9g, want %.9g)", d.rel, d.at, d.got, d.want)
}

func compare(got, want []float32) (distance, error) {
	if len(got) != len(want) {
		return distance{}, fmt.Errorf("%d elements, want %d", len(got), len(want))
	}
	if len(want) == 0 {
		return distance{}, fmt.Errorf("nothing to compare")
	}
	largest := 0.0
	for _, w := range want {
		largest = max(largest, math.Abs(float64(w)))
	}
	if largest == 0 {
		largest = 1 // a reference of zeros: the error itself
	}
	d := distance{got: got[0], want: want[0]}
	for i, w := range want {
		rel := math.Abs(float64(got[i])-float64(w)) / largest
		if math.IsNaN(rel) {
			return distance{math.Inf(1), i, got[i], w}, nil
		}
		if rel > d.rel {
			d = distance{rel, i, got[i], w}
		}
	}
	return d, nil
}
