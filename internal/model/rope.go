package model

import (
	"encoding/binary"
	"fmt"
	"math"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

// Rope is the rotary table: cosines and sines of position·inv_freq, both (P, Hd/2) float32.
type Rope struct{ Cos, Sin tensor.Tensor }

// InvFreq is the Hd/2 inverse frequencies, scaled as rope_scaling says (formats.md 1).
func (c *Config) InvFreq() []float64 {
	inv := make([]float64, c.HeadDim/2)
	for i := range inv {
		f := math.Pow(c.RopeTheta, -2*float64(i)/float64(c.HeadDim))
		if s := c.RopeScaling; s != nil {
			f = s.scale(f)
		}
		inv[i] = f
	}
	return inv
}

func (s *RopeScaling) scale(f float64) float64 {
	switch s.Type {
	case "linear":
		return f / s.Factor
	case "dynamic": // the default within the positions that the model knows, beyond which nothing is computed (Config.Exact)
		return f
	}
	wavelength := 2 * math.Pi / f
	switch {
	case wavelength < s.OriginalPosition/s.HighFreqFactor:
		return f
	case wavelength > s.OriginalPosition/s.LowFreqFactor:
		return f / s.Factor
	}
	smooth := (s.OriginalPosition/wavelength - s.LowFreqFactor) / (s.HighFreqFactor - s.LowFreqFactor)
	return (1-smooth)*f/s.Factor + smooth*f
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

// NewRopes makes the tables for the given number of positions: one for keys, or two where layers with a window have their own, and behind them
// as many for queries where scores have a scale of their own.
func NewRopes(d device.Device, c *Config, positions int) (Ropes, error) {
	kinds := [][]float64{c.InvFreq()}
	if c.LocalTheta > 0 {
		local := &Config{HeadDim: c.HeadDim, RopeTheta: c.LocalTheta}
		kinds = append(kinds, local.InvFreq())
	}
	scales := []float64{1}
	if c.ScoreScale > 0 {
		scales = append(scales, c.ScoreScale*math.Sqrt(float64(c.HeadDim)))
	}
	var all Ropes
	for _, scale := range scales {
		for _, inv := range kinds {
			r, err := newRope(d, inv, scale, positions)
			if err != nil {
				return nil, err
			}
			all = append(all, r)
		}
	}
	return all, nil
}

func newRope(d device.Device, inv []float64, scale float64, positions int) (*Rope, error) {
	half := len(inv)
	var r Rope
	var err error
	if r.Cos, err = d.Scratch("rope", "rope.cos", tensor.F32, positions, half); err != nil {
		return nil, fmt.Errorf("rotary table: %w", err)
	}
	if r.Sin, err = d.Scratch("rope", "rope.sin", tensor.F32, positions, half); err != nil {
		return nil, fmt.Errorf("rotary table: %w", err)
	}
	row := make([]byte, 4*half)
	fill := func(t tensor.Tensor, f func(float64) float64) {
		for p := 0; p < positions; p++ {
			for i := range inv {
				// transformers forms position·inv_freq in float32: at long positions the angle's
				// rounding shows, so it is rounded the same way here.
				angle := float32(p) * float32(inv[i])
				binary.LittleEndian.PutUint32(row[4*i:], math.Float32bits(float32(scale*f(float64(angle)))))
			}
			d.CopyIn(t.Slice(p, p+1), row)
		}
	}
	fill(r.Cos, math.Cos)
	fill(r.Sin, math.Sin)
	return &r, nil
}
