//go:build linux && amd64

package main

import "fmt"

type operation int

const (
	configure operation = iota // LDTILECFG
	release                    // TILERELEASE
	zero                       // TILEZERO
	load                       // TILELOADD and TILELOADDT1
	store                      // TILESTORED
	product                    // TDPBF16PS
)

func (o operation) String() string {
	return [...]string{"ldtilecfg", "tilerelease", "tilezero", "tileloadd", "tilestored", "tdpbf16ps"}[o]
}

// instruction is one of AMX: tile (+)= a·b, or tile and memory at base + index·scale + disp.
type instruction struct {
	op         operation
	tile, a, b int

	base, index, scale, disp int // index −1: none

	length int // bytes
}

func (in instruction) String() string {
	return fmt.Sprintf("%v tmm%d (a tmm%d, b tmm%d)", in.op, in.tile, in.a, in.b)
}

// decode reads an instruction of the form VEX.128.pp.0F38.W0 (Intel's manual, volume 2, 2.3 and the pages of each); false for all others.
func decode(code []byte) (in instruction, ok bool) {
	if len(code) < 11 || code[0] != 0xc4 || code[1]&0x1f != 2 || code[2]&0x84 != 0 { // 0F38; W and L are 0
		return in, false
	}
	extend := func(bit uint) int { return int(^code[1]>>bit&1) << 3 }
	r, x, b := extend(7), extend(6), extend(5)
	v, pp, opcode, modrm := int(^code[2]>>3&15), code[2]&3, code[3], code[4]
	mod, reg, rm := modrm>>6, int(modrm>>3&7), int(modrm&7)
	in = instruction{tile: reg, a: rm, b: v, index: -1, length: 5}
	const none, p66, pF3, pF2 = 0, 1, 2, 3
	registers := mod == 3 && r == 0 && b == 0
	switch {
	case opcode == 0x49 && pp == none && v == 0 && mod == 3 && modrm == 0xc0:
		in.op = release
		return in, true
	case opcode == 0x49 && pp == none && v == 0 && mod != 3 && reg == 0:
		in.op = configure
	case opcode == 0x49 && pp == pF2 && v == 0 && registers && rm == 0:
		in.op = zero
		return in, true
	case opcode == 0x4b && pp == pF3 && v == 0 && r == 0 && mod != 3 && rm == 4:
		in.op = store
	case opcode == 0x4b && (pp == pF2 || pp == p66) && v == 0 && r == 0 && mod != 3 && rm == 4:
		in.op = load
	case opcode == 0x5c && pp == pF3 && registers && v < 8:
		in.op = product
		return in, in.tile != in.a && in.tile != in.b && in.a != in.b // the same tile twice is #UD
	default:
		return in, false
	}
	return in, in.address(code[5:], int(mod), rm, x, b)
}

// address reads what follows ModRM; false for addresses relative to the instruction or an absolute base, which nobody here uses.
func (in *instruction) address(rest []byte, mod, rm, x, b int) bool {
	in.base = rm | b
	if rm == 4 {
		sib := rest[0]
		rest = rest[1:]
		in.length++
		in.base, in.index, in.scale = int(sib&7)|b, int(sib>>3&7)|x, 1<<(sib>>6)
		if in.index == 4 {
			in.index = -1
		}
	}
	switch mod {
	case 0:
		return in.base&7 != 5
	case 1:
		in.disp = int(int8(rest[0]))
		in.length++
	default:
		in.disp = int(int32(uint32(rest[0]) | uint32(rest[1])<<8 | uint32(rest[2])<<16 | uint32(rest[3])<<24))
		in.length += 4
	}
	return true
}
