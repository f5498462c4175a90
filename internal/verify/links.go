package verify

import (
	"bytes"
	"encoding/binary"
	"math"
	"time"

	"lomo/internal/comm"
	"lomo/internal/cudakern"
	"lomo/internal/tensor"
)

// Link is a way bytes take.
type Link struct {
	From   string  `json:"from"`
	To     string  `json:"to"`
	Rate   float64 `json:"bytes_s"`
	Direct bool    `json:"direct"` // between cards: not through host memory
}

// Group is a collective over all cards.
type Group struct {
	Name  string  `json:"name"`
	Cards int     `json:"cards"`
	Bytes int64   `json:"bytes"`   // of the whole tensor
	Time  float64 `json:"time_s"`  // of one
	Sent  float64 `json:"bytes_s"` // by each card
	Right bool    `json:"right"`
	By    string  `json:"by,omitempty"` // what moved the bytes; "": copies of our own
}

func (o Options) copied() int64 {
	if o.Quick {
		return 64 << 10
	}
	return 256 << 20
}

// links measures every way between host and cards and between two cards.
func (r *Report) links(o Options, cards []*cudakern.Device) {
	for _, d := range cards {
		o.Note("measuring the ways of GPU %d", d.Info().Index)
		in, out, err := d.HostBandwidth(o.copied())
		if err != nil {
			r.problem("copies between host and GPU %d: %v", d.Info().Index, err)
			continue
		}
		r.Links = append(r.Links, Link{From: "host", To: gpu(d), Rate: in}, Link{From: gpu(d), To: "host", Rate: out})
		for _, to := range cards {
			if to == d {
				continue
			}
			rate, direct, err := d.PeerBandwidth(to, o.copied())
			if err != nil {
				r.problem("copies from GPU %d to GPU %d: %v", d.Info().Index, to.Info().Index, err)
				continue
			}
			r.Links = append(r.Links, Link{From: gpu(d), To: gpu(to), Rate: rate, Direct: direct})
		}
	}
}

func gpu(d *cudakern.Device) string { return "gpu " + string(rune('0'+d.Info().Index%10)) }

// collectives runs the three that training needs over all cards, and looks at the results.
func (r *Report) collectives(o Options, cards []*cudakern.Device) {
	if len(cards) < 2 {
		return
	}
	o.Note("collectives over %d cards", len(cards))
	group, err := cudakern.NewComm(cards)
	if err != nil {
		r.problem("collectives: %v", err)
		return
	}
	by, refused := cudakern.Collectives(group[0])
	if refused != nil {
		r.problem("NCCL is not used: %v", refused)
	}
	results := make([][]Group, len(cards))
	errs := make([]error, len(cards))
	done := make(chan int)
	for i := range cards {
		go func() {
			results[i], errs[i] = collect(cards[i], group[i], int(o.copied()/64))
			if errs[i] != nil {
				group[i].Abort(errs[i])
			}
			done <- i
		}()
	}
	for range cards {
		<-done
	}
	for i, err := range errs {
		if err != nil {
			r.problem("collectives on GPU %d: %v", i, err)
			return
		}
	}
	r.Groups = results[0]
	for k := range r.Groups {
		r.Groups[k].By = by
	}
	for i := range cards {
		for k, g := range results[i] {
			if !g.Right {
				r.problem("%s over %d cards: wrong on GPU %d", g.Name, g.Cards, i)
				r.Groups[k].Right = false
			}
		}
	}
}

// collect is one card's part: a tensor of n rows of 16 floats, card i's elements being i+1.
func collect(d *cudakern.Device, c comm.Comm, n int) ([]Group, error) {
	defer d.Memory().Release(d.Memory().Mark())
	defer c.Close() //nolint:errcheck // a failure has shown before
	size, each := c.Size(), comm.Each(n, c.Size())
	full, err := d.Alloc("measurement", "full", tensor.F32, each*size, 16)
	if err != nil {
		return nil, err
	}
	part, err := d.Alloc("measurement", "part", tensor.F32, each, 16)
	if err != nil {
		return nil, err
	}
	ch, err := c.Open("verify")
	if err != nil {
		return nil, err
	}
	own := float32(c.Rank() + 1)
	var all float32
	for i := range size {
		all += float32(i + 1)
	}
	var out []Group
	for _, k := range []struct {
		name  string
		run   func()
		reset func()
		right func() bool
		sends int64
	}{
		{"gather", func() { d.Wait(ch.Gather(full, part, d.Record())) }, func() { fill(d, part, own) },
			func() bool { return rowsAre(d, full, func(row int) float32 { return float32(row/each + 1) }) }, comm.GatherSends(part.Bytes(), size)},
		{"reduce-scatter", func() { d.Wait(ch.ReduceScatter(part, full, tensor.F32, d.Record())) }, func() { fill(d, full, own) },
			func() bool { return rowsAre(d, part, func(int) float32 { return all }) }, comm.ReduceSends(int64(part.Len()), tensor.F32, size)},
		{"all-reduce", func() { d.Wait(ch.AllReduce(part, d.Record())) }, func() { fill(d, part, own) },
			func() bool { return rowsAre(d, part, func(int) float32 { return all }) }, comm.AllReduceSends(part.Bytes(), size)},
	} {
		k.reset()
		k.run()
		g := Group{Name: k.name, Cards: size, Bytes: full.Bytes(), Right: k.right()}
		k.reset()
		if err := d.Sync(); err != nil {
			return nil, err
		}
		began := time.Now()
		k.run()
		if err := d.Sync(); err != nil {
			return nil, err
		}
		g.Time = max(time.Since(began), 1).Seconds()
		g.Sent = float64(k.sends) / g.Time
		out = append(out, g)
	}
	return out, nil
}

func fill(d *cudakern.Device, t tensor.Tensor, v float32) {
	one := binary.LittleEndian.AppendUint32(nil, math.Float32bits(v))
	d.CopyIn(t, bytes.Repeat(one, t.Len()))
}

func rowsAre(d *cudakern.Device, t tensor.Tensor, want func(row int) float32) bool {
	raw := make([]byte, t.Bytes())
	d.CopyOut(raw, t)
	for i := range t.Len() {
		if math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:])) != want(i/t.Cols()) {
			return false
		}
	}
	return d.Sync() == nil
}
