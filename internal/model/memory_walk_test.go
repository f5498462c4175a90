package model

import (
	"fmt"
	"slices"
	"testing"

	"lomo/internal/tensor"
)

// NewBlock is block i of a model.
func NewBlock(c *Config, i int) *Block {
	b, _ := newBlock(c, i)
	return b
}

// OwnBytes is the memory a row that a block's backward pass takes for gradients, where they may lie over and in activations.
func OwnBytes(b *Block, act tensor.DType) (out []int64) {
	_, own := b.places(act, true, true, false)
	for _, r := range own {
		out = append(out, r.bytes)
	}
	return out
}

// Walk goes through the backward pass and notes who wrote each byte of a row last: nothing may be overwritten before the layer that reads it.
func Walk(t *testing.T, b *Block, act tensor.DType, over, share, held bool) {
	at, own := b.places(act, over, share, held)
	type part struct {
		room     string
		off, end int64
	}
	width := func(s Slot) int64 { return int64(b.slots[s].width() * act.Size()) }
	activation := func(s Slot) part { return part{fmt.Sprint("activation ", s), 0, width(s)} }
	gradient := func(s Slot) part {
		n := int64(b.slots[s].width() * b.slots[s].gradient(act).Size())
		switch p := at[s]; p.kind {
		case apart:
			return part{fmt.Sprint("apart ", s), 0, n}
		case ofItsOwn:
			if n > own[p.room].bytes {
				t.Errorf("the gradient of %s takes %d bytes a row of %d", b.slots[s].name, n, own[p.room].bytes)
			}
			return part{fmt.Sprint("own ", p.room), 0, n}
		case within:
			if p.off+n > width(Slot(p.room)) || p.off%64 != 0 {
				t.Errorf("the gradient of %s lies at %d to %d of %s, which has %d", b.slots[s].name, p.off, p.off+n, b.slots[p.room].name, width(Slot(p.room)))
			}
			return part{fmt.Sprint("activation ", p.room), p.off, p.off + n}
		}
		if !over || !b.over[s] {
			t.Errorf("the gradient of %s has no place", b.slots[s].name)
		}
		return activation(s)
	}
	type mark struct {
		what string
		part
	}
	var memory []mark
	write := func(what string, p part) {
		memory = slices.DeleteFunc(memory, func(m mark) bool { return m.room == p.room && m.off < p.end && p.off < m.end })
		memory = append(memory, mark{what, p})
	}
	read := func(what string, p part) {
		if !slices.Contains(memory, mark{what, p}) {
			t.Errorf("%s is read and was overwritten", what)
		}
	}
	for _, s := range b.own() {
		if b.slots[s].numbers() {
			write("the activation "+b.slots[s].name, activation(s))
		}
	}
	for i := len(b.layers) - 1; i >= 0; i-- {
		w := b.layers[i].wires()
		for _, s := range w.reads {
			if s != 0 && b.slots[s].numbers() {
				read("the activation "+b.slots[s].name, activation(s))
			}
		}
		for _, s := range w.to {
			if !b.slots[s].residual {
				read("the gradient of "+b.slots[s].name, gradient(s))
			}
		}
		for _, s := range w.from {
			if !b.slots[s].residual {
				write("the gradient of "+b.slots[s].name, gradient(s))
			}
		}
		for _, s := range w.reads { // a layer may write while it reads, but for gradients over their activations
			if s != 0 && b.slots[s].numbers() && !(over && w.over && slices.Contains(w.from, s)) {
				read("the activation "+b.slots[s].name, activation(s))
			}
		}
		for _, s := range w.to {
			if !b.slots[s].residual {
				read("the gradient of "+b.slots[s].name, gradient(s))
			}
		}
	}
}
