//go:build unix

package ptx

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// benchmark runs a kernel with and without checks and reports thread instructions a second and core.
func benchmark(b *testing.B, file, kernel string, l Launch, h *heap) {
	m := parseFile(b, file)
	for _, c := range []struct {
		name string
		o    Options
	}{{"checked", Options{Workers: 1}}, {"unchecked", Options{Workers: 1, Unchecked: true}}} {
		b.Run(kernel+"/"+c.name, func(b *testing.B) {
			var n int64
			cpu := cpuTime()
			for b.Loop() {
				s, err := m.Kernel(kernel).Run(h, l, c.o)
				if err != nil {
					b.Fatal(err)
				}
				n += s.Instructions
			}
			b.ReportMetric(float64(n)/(cpuTime()-cpu).Seconds()/1e6, "Minstr/cpu-s")
		})
	}
}

// cpuTime is what the process has used: with the machine shared, time on the clock says little.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkRun(b *testing.B) {
	h := &heap{}
	y, x, w := upload(h, make([]float32, 128*128)), upload(h, make([]uint16, 128*256)), upload(h, make([]uint16, 128*256))
	benchmark(b, "kernels.ptx", "product", Launch{Grid: [3]int{2, 2, 1}, Block: [3]int{128, 1, 1}, Args: []uint64{y, x, w, 128, 128, 256}}, h)
	out, in := upload(h, make([]float32, 32*1000)), upload(h, make([]float32, 32*1000))
	benchmark(b, "kernels.ptx", "softmax", Launch{Grid: [3]int{32, 1, 1}, Block: [3]int{128, 1, 1}, Shared: 4000, Args: []uint64{out, in, 1000, fbits(1)}}, h)
	bits := upload(h, make([]uint32, 4*4096))
	benchmark(b, "kernels.ptx", "draws", Launch{Grid: [3]int{8, 1, 1}, Block: [3]int{128, 1, 1}, Args: []uint64{bits, 7, 4096}}, h)
}

func BenchmarkParse(b *testing.B) {
	files, _ := filepath.Glob("../cudakern/ptx/*.ptx")
	size := 0
	for b.Loop() {
		size = 0
		for _, name := range files {
			src, err := os.ReadFile(name)
			if err != nil {
				b.Fatal(err)
			}
			size += len(src)
			if _, err := parse(string(src)); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(size)/1e6, "MB")
}
