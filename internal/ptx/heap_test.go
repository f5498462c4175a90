package ptx

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"testing"
)

// heap is a Memory of allocations with gaps between.
type heap struct {
	base []uint64
	data [][]byte
}

func (h *heap) alloc(n int) uint64 {
	at := uint64(0x7000_0000)
	if k := len(h.base); k > 0 {
		at = (h.base[k-1] + uint64(len(h.data[k-1])) + 1023) &^ 511
	}
	h.base, h.data = append(h.base, at), append(h.data, make([]byte, n))
	return at
}

func (h *heap) Range(addr uint64, n int, _ bool) ([]byte, error) {
	if base, data := h.Whole(addr); data != nil && addr-base+uint64(n) <= uint64(len(data)) {
		return data[addr-base:][:n], nil
	}
	return nil, fmt.Errorf("no allocation holds %d bytes at %#x", n, addr)
}

func (h *heap) Whole(addr uint64) (uint64, []byte) {
	for i, b := range h.base {
		if addr >= b && addr < b+uint64(len(h.data[i])) {
			return b, h.data[i]
		}
	}
	return 0, nil
}

// upload allocates and fills memory with values of a fixed size.
func upload[T any](h *heap, v []T) uint64 {
	at := h.alloc(binary.Size(v))
	if _, err := binary.Encode(h.data[len(h.data)-1], binary.LittleEndian, v); err != nil {
		panic(err)
	}
	return at
}

// read is n values at an address.
func read[T any](h *heap, addr uint64, n int) []T {
	v := make([]T, n)
	b, err := h.Range(addr, binary.Size(v), false)
	if err != nil {
		panic(err)
	}
	if _, err := binary.Decode(b, binary.LittleEndian, v); err != nil {
		panic(err)
	}
	return v
}

func parseFile(t testing.TB, name string) *Module {
	t.Helper()
	src, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(string(src))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func run(t testing.TB, m *Module, kernel string, h *heap, grid, block, shared int, args ...uint64) {
	t.Helper()
	if err := try(m, kernel, h, grid, block, shared, args...); err != nil {
		t.Fatal(err)
	}
}

func try(m *Module, kernel string, h *heap, grid, block, shared int, args ...uint64) error {
	_, err := m.Kernel(kernel).Run(h, Launch{Grid: [3]int{grid, 1, 1}, Block: [3]int{block, 1, 1}, Shared: shared, Args: args}, Options{})
	return err
}

func fbits(f float32) uint64 { return uint64(math.Float32bits(f)) }
