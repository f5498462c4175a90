package cli

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestBenchOptions(t *testing.T) {
	for _, c := range []struct {
		args string
		want benchOptions
	}{
		{"", benchOptions{Models: []string{"135m", "llama-7b"}}},
		{"--model-shape 7b --threads 3 --quick --json", benchOptions{Models: []string{"7b"}, Threads: 3, Quick: true, JSON: true}},
	} {
		var got benchOptions
		run := func(_ *Streams, o *benchOptions) error { got = *o; return nil }
		_, _, err := command(func(s *Streams) *cobra.Command { return newBenchCmd(s, run) }, "", strings.Fields(c.args)...)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: options %+v, %v; want %+v", c.args, got, err, c.want)
		}
	}
}

// benchLines are a machine with two levels, a kernel of each kind, and one that has no bf16 form.
var benchLines = []benchLine{
	{Kind: "machine", Device: "cpu avx2+fma", CPU: "Some CPU", Threads: 2, Version: "v1"},
	{Kind: "peak", Level: "generic", DType: "bf16", GFLOPS: 6.54},
	{Kind: "peak", Level: "generic", DType: "f32", GFLOPS: 6.56},
	{Kind: "peak", Level: "avx2", DType: "bf16", GFLOPS: 250},
	{Kind: "peak", Level: "avx2", DType: "f32", GFLOPS: 252},
	{Kind: "bandwidth", Op: "copy", GBs: 20.5},
	{Kind: "kernel", Model: "135m", Tokens: 64, Kernel: "MatMul", Shape: "64x576x576", DType: "bf16", US: 200, GFLOPS: 212.3, PeakShare: 0.849},
	{Kind: "kernel", Model: "135m", Tokens: 64, Kernel: "MatMul", Shape: "64x576x576", DType: "f32", US: 200, GFLOPS: 212.3, PeakShare: 0.842},
	{Kind: "kernel", Model: "135m", Tokens: 64, Kernel: "SumSq", Shape: "1536x576", DType: "f32", US: 150, GBs: 23.6, BandwidthShare: 1.151},
}

func TestBenchTables(t *testing.T) {
	var out bytes.Buffer
	o := newBenchOutput(&Streams{Out: &out}, false)
	for _, l := range benchLines {
		o.add(l)
	}
	if out.Len() > 0 {
		t.Errorf("printed before the end: %q", out.String())
	}
	if err := o.close(); err != nil {
		t.Fatal(err)
	}
	want := `cpu avx2+fma, 2 threads, Some CPU, lomo v1

peak of level  bf16 GFLOP/s  f32 GFLOP/s
generic                 6.5          6.6
avx2                  250.0        252.0

memory: copy 20.5 GB/s

135m, 64 tokens  shape                bf16  bf16 share            f32  f32 share
MatMul           64x576x576  212.3 GFLOP/s         85%  212.3 GFLOP/s        84%
SumSq            1536x576                                   23.6 GB/s       115%
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

// full is a disk without room.
type full struct{}

var errFull = errors.New("no space left on device")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestBenchOutputFails(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		o := newBenchOutput(&Streams{Out: full{}}, asJSON)
		for _, l := range benchLines {
			o.add(l)
		}
		if err := o.close(); !errors.Is(err, errFull) {
			t.Errorf("json %v: got %v", asJSON, err)
		}
	}
}
