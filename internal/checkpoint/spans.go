package checkpoint

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// spans is the set of rows written so far, as sorted disjoint ranges. A tensor written front to back is one range.
type spans struct {
	mu     sync.Mutex
	ranges [][2]int
}

// add joins [r0, r1) with the ranges it meets.
func (s *spans) add(r0, r1 int) {
	if r0 == r1 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i, _ := slices.BinarySearchFunc(s.ranges, r0, func(r [2]int, at int) int { return r[1] - at })
	j := i // ranges[i:j] touch the new one
	for j < len(s.ranges) && s.ranges[j][0] <= r1 {
		r0, r1 = min(r0, s.ranges[j][0]), max(r1, s.ranges[j][1])
		j++
	}
	s.ranges = slices.Replace(s.ranges, i, j, [2]int{r0, r1})
}

// covers reports whether every row of [0, n) was added.
func (s *spans) covers(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return n == 0 || len(s.ranges) == 1 && s.ranges[0] == [2]int{0, n}
}

func (s *spans) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	parts := make([]string, len(s.ranges))
	for i, r := range s.ranges {
		parts[i] = fmt.Sprintf("[%d, %d)", r[0], r[1])
	}
	return "{" + strings.Join(parts, " ") + "}"
}
