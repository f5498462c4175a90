package model

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// Rope is the rotary table: cosines and sines of position·inv_freq, both (rows, pairs that turn) float32. Of a model that turns long texts
// otherwise (RopeRow) the rows of short texts come first.
type Rope struct{ Cos, Sin tensor.Tensor }

// RopeScaling stretches the rotary frequencies: "linear", "llama3", "yarn", "longrope", "proportional", or "dynamic", which changes nothing within
// max_position_embeddings.
type RopeScaling struct {
	Type             string
	Factor           float64
	LowFreqFactor    float64 // of llama3
	HighFreqFactor   float64
	OriginalPosition float64 // of llama3, yarn and longrope: the positions that the model knew before

	BetaFast, BetaSlow float64 // of yarn: rotations within OriginalPosition from which on frequencies stay, and up to which they are divided by Factor
	Truncate           bool    // of yarn: the pairs between are counted in whole ones

	Short, Long []float64 // of longrope: what frequencies are divided by in texts of at most OriginalPosition tokens, and in longer ones

	Proportion      float64 // of proportional: the part of the pairs that turns
	AttentionFactor float64 // what cosines and sines are multiplied by; 0: 1
}

// InvFreq is the inverse frequencies of the pairs of a head that turn, in a text of so many tokens, scaled as rope_scaling says (formats.md 1).
func (c *Config) InvFreq(length int) []float64 {
	dim := cmp.Or(c.RotaryDim, c.HeadDim)
	inv := make([]float64, (dim+1)/2)
	for i := range inv {
		inv[i] = math.Pow(c.RopeTheta, -2*float64(i)/float64(dim))
	}
	if s := c.RopeScaling; s != nil {
		s.scale(inv, c.RopeTheta, float64(dim), c.isLong(length))
	}
	return inv
}

// scale changes the frequencies of a head of which dim values turn.
func (s *RopeScaling) scale(inv []float64, theta, dim float64, long bool) {
	keep := func(int, float64) float64 { return 0 } // how much of a frequency is not divided by Factor
	switch s.Type {
	case "dynamic": // the default within the positions that the model knows, beyond which nothing is computed (Config.Exact)
		return
	case "longrope":
		by := s.Short
		if long {
			by = s.Long
		}
		for i := range inv {
			inv[i] /= by[i]
		}
		return
	case "proportional": // the other pairs stand still
		clear(inv[min(len(inv), int(math.Floor(s.Proportion*dim/2))):])
	case "llama3":
		keep = func(_ int, f float64) float64 {
			turns := s.OriginalPosition / (2 * math.Pi / f)
			return min(max((turns-s.LowFreqFactor)/(s.HighFreqFactor-s.LowFreqFactor), 0), 1)
		}
	case "yarn":
		low, high := s.between(theta, dim)
		keep = func(i int, _ float64) float64 { return 1 - min(max((float64(i)-low)/(high-low), 0), 1) }
	}
	for i, f := range inv {
		k := keep(i, f)
		inv[i] = (1-k)*f/s.Factor + k*f
	}
}

// between is the pairs up to which yarn keeps frequencies, and from which on it divides them.
func (s *RopeScaling) between(theta, dim float64) (low, high float64) {
	pair := func(turns float64) float64 {
		return dim * math.Log(s.OriginalPosition/(turns*2*math.Pi)) / (2 * math.Log(theta))
	}
	low, high = pair(s.BetaFast), pair(s.BetaSlow)
	if s.Truncate {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = max(low, 0), min(high, dim-1)
	if low == high {
		high += 0.001
	}
	return low, high
}

// LongFrom is the length of the longest text that is turned as short ones are; 0: all are.
func (c *Config) LongFrom() int {
	if s := c.RopeScaling; s != nil && s.Type == "longrope" {
		return int(s.OriginalPosition)
	}
	return 0
}

func (c *Config) isLong(length int) bool { return c.LongFrom() > 0 && length > c.LongFrom() }

// RopeRow is the row of the rotary tables of a position in a text of so many tokens.
func (c *Config) RopeRow(pos, length int) int {
	if c.isLong(length) {
		return c.LongFrom() + pos
	}
	return pos
}

// RopeRows is those of tokens at pos, of sequences of t tokens; a document begins at start within its sequence. Each document is turned by its own length,
// as it would be alone.
func (c *Config) RopeRows(t int, pos, start []int32) []int32 {
	if c.LongFrom() == 0 {
		return pos
	}
	rows := make([]int32, len(pos))
	for i, j := 0, 0; i < len(pos); i = j {
		length := 0
		for j = i; j < len(pos) && start[j] == start[i] && j/t == i/t; j++ {
			length = max(length, int(pos[j])+1)
		}
		for k := i; k < j; k++ {
			rows[k] = int32(c.RopeRow(int(pos[k]), length))
		}
	}
	return rows
}

// Ropes is the rotary tables of a model's layers.
type Ropes []*Rope

// tables is the tables that layer i turns queries and keys by. Scores of another scale are made by a table for queries that stretches them.
func (c *Config) tables(i int) (q, k int) {
	kinds := 1
	if c.LocalTheta > 0 {
		kinds = 2
		if c.Window(i) > 0 {
			k = 1
		}
	}
	if c.ScoreScale == 0 {
		return k, k
	}
	return k + kinds, k
}

// NewRopes makes the tables for texts of at most so many tokens: one for keys, or two where layers with a window have their own, and behind them
// as many for queries where scores have a scale of their own.
func NewRopes(d device.Device, c *Config, positions int) (Ropes, error) {
	kinds := []*Config{c}
	if c.LocalTheta > 0 {
		kinds = append(kinds, &Config{HeadDim: c.HeadDim, RotaryDim: c.RotaryDim, RopeTheta: c.LocalTheta})
	}
	scales := []float64{1}
	if c.ScoreScale > 0 {
		scales = append(scales, c.ScoreScale*math.Sqrt(float64(c.HeadDim)))
	}
	var all Ropes
	for _, scale := range scales {
		for _, kind := range kinds {
			parts, scale := []part{{positions, kind.InvFreq(0)}}, scale
			if c.isLong(positions) { // rows are where c has them
				parts = []part{{c.LongFrom(), kind.InvFreq(0)}, {positions, kind.InvFreq(positions)}}
			}
			if s := kind.RopeScaling; s != nil && s.AttentionFactor != 0 {
				scale *= s.AttentionFactor
			}
			r, err := newRope(d, parts, scale)
			if err != nil {
				return nil, err
			}
			all = append(all, r)
		}
	}
	return all, nil
}

// part is the rows of a table from position 0 on that turn by the same frequencies.
type part struct {
	positions int
	inv       []float64
}

func newRope(d device.Device, parts []part, scale float64) (*Rope, error) {
	half, rows := len(parts[0].inv), 0
	for _, p := range parts {
		rows += p.positions
	}
	var r Rope
	var err error
	if r.Cos, err = d.Scratch("rope", "rope.cos", tensor.F32, rows, half); err != nil {
		return nil, fmt.Errorf("rotary table: %w", err)
	}
	if r.Sin, err = d.Scratch("rope", "rope.sin", tensor.F32, rows, half); err != nil {
		return nil, fmt.Errorf("rotary table: %w", err)
	}
	row := make([]byte, 4*half)
	fill := func(t tensor.Tensor, f func(float64) float64) {
		at := 0
		for _, part := range parts {
			for p := range part.positions {
				for i, inv := range part.inv {
					// transformers forms position·inv_freq in float32: at long positions the angle's
					// rounding shows, so it is rounded the same way here.
					angle := float32(p) * float32(inv)
					binary.LittleEndian.PutUint32(row[4*i:], math.Float32bits(float32(scale*f(float64(angle)))))
				}
				d.CopyIn(t.Slice(at, at+1), row)
				at++
			}
		}
	}
	fill(r.Cos, math.Cos)
	fill(r.Sin, math.Sin)
	return &r, nil
}
