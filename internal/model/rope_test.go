package model

import (
	"slices"
	"testing"
)

// TestRopeRows: each document of a batch is turned by its own length, whatever lies beside it.
func TestRopeRows(t *testing.T) {
	c := &Config{HeadDim: 4, RopeTheta: 1e4, RopeScaling: &RopeScaling{Type: "longrope", OriginalPosition: 3, Short: []float64{1, 1}, Long: []float64{2, 2}}}
	for _, k := range []struct {
		t                int
		pos, start, want []int32
	}{
		{4, []int32{0, 1, 2, 3}, []int32{0, 0, 0, 0}, []int32{3, 4, 5, 6}},
		{3, []int32{0, 1, 2}, []int32{0, 0, 0}, []int32{0, 1, 2}},
		{9, []int32{0, 1, 2, 3, 0, 1, 2, 0, 0}, []int32{0, 0, 0, 0, 4, 4, 4, 7, 8}, []int32{3, 4, 5, 6, 0, 1, 2, 0, 0}},
		{2, []int32{0, 1, 0, 1, 0, 0}, []int32{0, 0, 0, 0, 0, 1}, []int32{0, 1, 0, 1, 0, 0}}, // sequences beside each other are no document
		{4, []int32{5, 6, 7, 8, 0, 1, 2, 0}, []int32{0, 0, 0, 0, 0, 0, 0, 3}, []int32{8, 9, 10, 11, 0, 1, 2, 0}},
	} {
		if got := c.RopeRows(k.t, k.pos, k.start); !slices.Equal(got, k.want) {
			t.Errorf("%v of documents at %v: rows %v, want %v", k.pos, k.start, got, k.want)
		}
	}
	if pos := []int32{0, 1, 2, 3}; !slices.Equal((&Config{HeadDim: 4}).RopeRows(4, pos, pos), pos) {
		t.Error("rows of a model that turns all texts alike are not the positions")
	}
}
