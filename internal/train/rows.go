package train

import (
	"encoding/binary"
	"math"
	"sort"
)

// groupByID lists the distinct ids in ascending order, and for id u the rows index[offs[u]:offs[u+1]] that carry it,
// in their order in the step. The id padding, whose lookups have no gradient, is listed with no rows: those that carry it
// stand behind all others, under no id. So a list is as long as it would be without padding, and never empty.
func groupByID(ids []int32, padding int32) (uniq, offs, index []int32) {
	index = make([]int32, len(ids))
	for i := range index {
		index[i] = int32(i)
	}
	sort.SliceStable(index, func(i, j int) bool { return ids[index[i]] < ids[index[j]] })
	var idle []int32 // rows of padding
	kept := index[:0]
	for i, r := range index {
		id := ids[r]
		if i == 0 || id != uniq[len(uniq)-1] {
			uniq = append(uniq, id)
			offs = append(offs, int32(len(kept)))
		}
		if id == padding {
			idle = append(idle, r)
		} else {
			kept = append(kept, r)
		}
	}
	offs = append(offs, int32(len(kept)))
	return uniq, offs, append(kept, idle...)
}

func bytesOf(v []int32) []byte {
	out := make([]byte, 4*len(v))
	for i, x := range v {
		binary.LittleEndian.PutUint32(out[4*i:], uint32(x))
	}
	return out
}

func floatsOf(b []byte) []float32 {
	out := make([]float32, len(b)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return out
}
