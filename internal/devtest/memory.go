package devtest

import (
	"errors"
	"math"

	"lomo/internal/device"
	"lomo/internal/tensor"
)

var _ = register([]testCase{
	{"AllocIsZero", allocIsZero},
	{"AllocOutOfMemory", allocOutOfMemory},
	{"ZeroAndCopy", zeroAndCopy},
	{"Queues", queues},
})

// allocIsZero: memory that was written and released comes back zeroed, also beyond what was written.
func allocIsZero(c *C) {
	mark := c.D.Memory().Mark()
	a, err := c.D.Alloc("devtest", "a", tensor.F32, 1001)
	if err != nil {
		c.Fatal(err)
	}
	ones := make([]byte, a.Bytes())
	encode(ones, tensor.F32, mapped(1001, func(int) float64 { return 1 }))
	c.D.CopyIn(a, ones)
	c.D.Memory().Release(mark)
	b, err := c.D.Alloc("devtest", "b", tensor.F32, 3, 701)
	if err != nil {
		c.Fatal(err)
	}
	c.equal(b, make([]float64, 3*701))
	c.D.Memory().Release(mark)
	s, err := c.D.Scratch("devtest", "s", tensor.BF16, 5, 3)
	if err != nil || s.Len() != 15 {
		c.Fatalf("scratch %v: %v", s, err)
	}
	if used := c.D.Memory().Used(); used != 64 {
		c.Fatalf("%d bytes in use after taking 30, want a multiple of 64 above it", used)
	}
}

func allocOutOfMemory(c *C) {
	capacity := c.D.Memory().Capacity()
	if capacity == 0 || capacity > 1<<48 {
		c.Log("this device has no limit to run into")
		return
	}
	_, err := c.D.Alloc("devtest", "huge", tensor.BF16, int(capacity)/2+1)
	var oom *device.OutOfMemoryError
	if !errors.As(err, &oom) || oom.Tensor != "huge" || oom.Owner != "devtest" {
		c.Fatalf("error %v, want an OutOfMemoryError for huge of devtest", err)
	}
	c.sync() // a refused tensor is the caller's to handle, not a failure of the device
	if _, err := c.D.Alloc("devtest", "small", tensor.F32, 1); err != nil {
		c.Fatalf("after a refusal: %v", err)
	}
}

func zeroAndCopy(c *C) {
	for _, n := range []int{1, 7, 8, 9, 100, pick(c, 70001, 9001)} {
		c.release(func() {
			x, xs := c.noise("x", tensor.F32, 1, n)
			xs[0], xs[n-1] = math.Inf(-1), math.NaN()
			x = c.new("x", tensor.F32, xs, n)
			h, back := c.like("h", tensor.BF16, n), c.like("back", tensor.F32, n)
			c.D.Copy(h, x)
			c.D.Copy(back, h)
			rounded := mapped(n, func(i int) float64 {
				return float64(tensor.BF16ToF32(tensor.F32ToBF16(float32(xs[i]))))
			})
			c.equal(h, rounded)
			c.equal(back, rounded)
			c.D.Zero(h)
			c.equal(h, make([]float64, n))
			c.sync()
		})
	}
}

// queues: a tensor goes out to pinned memory and back into another beside the device, ordered by events alone.
func queues(c *C) {
	const n = 5003
	x, xs := c.noise("x", tensor.F32, 1, n)
	y, z := c.like("y", tensor.F32, n), c.like("z", tensor.F32, n)
	host, err := c.D.Pinned("devtest", "host", x.Bytes())
	if err != nil || c.D.PinnedMemory().Owners()["devtest"] < x.Bytes() {
		c.Fatalf("pinned memory: %v, booked %v", err, c.D.PinnedMemory().Owners())
	}
	out, err := c.D.NewQueue("out")
	if err != nil {
		c.Fatal(err)
	}
	in, err := c.D.NewQueue("in")
	if err != nil {
		c.Fatal(err)
	}
	doubled := mapped(n, func(i int) float64 { return float64(float32(xs[i]) + float32(xs[i])) })
	c.D.Copy(y, x)
	c.D.RowsAdd(y.View(1, n), device.Rows{IDs: c.ints("ids", []int{0}, 1), Offs: c.ints("offs", []int{0, 1}, 2), Index: c.ints("index", []int{0}, 1), D: x.View(1, n)}, 0)
	out.Wait(c.D.Record()) // y is computed
	out.CopyOut(host, y)
	in.Wait(out.Record()) // and lies on the host
	in.CopyIn(z, host)
	in.Copy(y, z)
	c.D.Wait(in.Record())
	c.D.Copy(x, y)
	c.equal(x, doubled)
	c.equal(z, doubled)
	for _, q := range []device.Queue{out, in} {
		if err := q.Sync(); err != nil {
			c.Error(err)
		}
	}
}
