package train

import (
	"encoding/binary"
	"math"
	"sort"
)

// groupByID lists the distinct ids in ascending order, and for id u the rows index[offs[u]:offs[u+1]] that carry it,
// in their order in the step.
func groupByID(ids []int32) (uniq, offs, index []int32) {
	index = make([]int32, len(ids))
	for i := range index {
		index[i] = int32(i)
	}
	sort.SliceStable(index, func(i, j int) bool { return ids[index[i]] < ids[index[j]] })
	for i, r := range index {
		if i == 0 || ids[r] != ids[index[i-1]] {
			uniq = append(uniq, ids[r])
			offs = append(offs, int32(i))
		}
	}
	return uniq, append(offs, int32(len(ids))), index
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
