package cudakern

import (
	"embed"
	"fmt"
	"io/fs"
	"math"
	"regexp"
	"sort"

	"lomo/internal/cudakern/driver"
	"lomo/internal/tensor"
)

//go:embed ptx
var ptxFiles embed.FS

// ptxSource holds a folder ptx with the kernels: what is embedded, but in tests that look at other PTX.
var ptxSource fs.FS = ptxFiles

// code is the kernels on one card, by name. All are loaded at start, so that none asks for memory in a step.
type code struct {
	functions map[string]driver.Function
	shared    map[string]int // bytes of dynamic shared memory allowed so far
}

// defaultShared is the dynamic shared memory a kernel may use without asking.
const defaultShared = 48 << 10

// kernelEntry finds the kernels of a PTX text.
var kernelEntry = regexp.MustCompile(`\.visible \.entry (\w+)\(`)

// ptxText is one embedded file and the names of its kernels.
type ptxText struct {
	file, text string
	kernels    []string
}

// ptxTexts is the embedded files in the order of their names.
func ptxTexts() []ptxText {
	names, err := fs.Glob(ptxSource, "ptx/*.ptx")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	sort.Strings(names)
	var all []ptxText
	for _, name := range names {
		raw, err := fs.ReadFile(ptxSource, name)
		if err != nil {
			panic(err) // embedded
		}
		p := ptxText{file: name, text: string(raw)}
		for _, m := range kernelEntry.FindAllStringSubmatch(p.text, -1) {
			p.kernels = append(p.kernels, m[1])
		}
		all = append(all, p)
	}
	return all
}

// Kernels is the names of all kernels, in order.
func Kernels() []string {
	var names []string
	for _, p := range ptxTexts() {
		names = append(names, p.kernels...)
	}
	sort.Strings(names)
	return names
}

func (c *code) load(card driver.Device) error {
	*c = code{functions: map[string]driver.Function{}, shared: map[string]int{}}
	for _, p := range ptxTexts() {
		m, err := card.Load(p.text)
		if err != nil {
			return fmt.Errorf("compile %s for this card: %w", p.file, err)
		}
		for _, name := range p.kernels {
			if c.functions[name], err = m.Function(name); err != nil {
				return fmt.Errorf("kernel %s of %s: %w", name, p.file, err)
			}
		}
	}
	return nil
}

// dim is the size of a grid or a block.
type dim = [3]int

// launch queues a kernel, named in messages after the operation op. The stop word is its first parameter, before args: addresses of tensors,
// uint64 for other addresses, and numbers.
func (d *Device) launch(op, kernel string, grid, block dim, shared int, args ...any) {
	if d.err != nil {
		return
	}
	if shared > defaultShared && d.code.shared[kernel] < shared {
		if err := d.code.function(op, kernel).SetShared(shared); err != nil {
			d.fail(fmt.Errorf("%s: kernel %s: %d bytes of shared memory: %w", op, kernel, shared, err))
			return
		}
		d.code.shared[kernel] = shared
	}
	if err := d.launchOn(d.stream, op, kernel, grid, block, shared, args...); err != nil {
		d.fail(err)
	}
}

// launchOn is launch on another stream than the device's own.
func (d *Device) launchOn(s *stream, op, kernel string, grid, block dim, shared int, args ...any) error {
	if grid[0] == 0 || grid[1] == 0 || grid[2] == 0 {
		return nil
	}
	f := d.code.function(op, kernel)
	if d.launched != nil {
		d.launched(kernel)
	}
	params := make([]uint64, 1, len(args)+1)
	params[0] = d.stop.addr
	for _, a := range args {
		params = append(params, param(a))
	}
	if err := s.Launch(f, grid, block, shared, params); err != nil {
		return fmt.Errorf("%s: kernel %s, grid %v of %v: %w", op, kernel, grid, block, err)
	}
	return nil
}

// function is a kernel by name.
func (c *code) function(op, kernel string) driver.Function {
	f, ok := c.functions[kernel]
	if !ok {
		panic(fmt.Sprintf("%s: no kernel %q in the embedded PTX", op, kernel))
	}
	return f
}

// param is one argument in its eight bytes.
func param(a any) uint64 {
	switch v := a.(type) {
	case tensor.Tensor:
		return v.Addr // 0 for the zero Tensor: not given
	case uint64:
		return v
	case int64:
		return uint64(v)
	case int:
		return uint64(v)
	case int32:
		return uint64(uint32(v))
	case uint32:
		return uint64(v)
	case float32:
		return uint64(math.Float32bits(v))
	case float64:
		return math.Float64bits(v)
	case bool:
		if v {
			return 1
		}
		return 0
	}
	panic(fmt.Sprintf("cudakern: a kernel's argument of type %T", a))
}
