package job

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"lomo/internal/comm"
	"lomo/internal/cpukern"
	"lomo/internal/device"
	"lomo/internal/model"
	"lomo/internal/store"
	"lomo/internal/tensor"
	"lomo/internal/train"
)

// Runtime says how a model that is not trained is computed with; the names are those of a run's keys.
type Runtime struct {
	DType       string // bf16 or f32; "": as the model is stored
	Offload     string // host: the weights in pinned memory; disk: in a working copy in the folder for temporary files
	Threads     int
	MemoryLimit string
}

// Loaded is a model on the host with its weights read, ready to be used.
type Loaded struct {
	*Model
	Device device.Device
	Sweep  *train.Sweep
	DType  tensor.DType

	limit int64 // of memory, 0 for none
	store store.Store
	temp  string // folder of the working copy, "" for none
}

// storedDType is the dtype asked for, or when none is the one the model's matrices are stored in.
func storedDType(name string, m *Model) (tensor.DType, error) {
	if name == "" {
		for _, t := range m.Source.Tensors() {
			if t.Name == m.Net.Embed.Name && t.DType != tensor.F32 {
				return tensor.BF16, nil
			}
		}
		return tensor.F32, nil
	}
	dt, err := tensor.ParseDType(name)
	if err != nil || dt != tensor.F32 && dt != tensor.BF16 {
		return dt, &UsageError{fmt.Errorf("dtype %q: want bf16 or f32", name)}
	}
	return dt, nil
}

// LoadModel opens a model and reads its weights; positions bounds the sequences it will be used on.
func LoadModel(path string, r Runtime, positions int) (*Loaded, error) {
	m, err := OpenModel(path)
	if err != nil {
		return nil, err
	}
	l := &Loaded{Model: m}
	if l.DType, err = storedDType(r.DType, m); err == nil {
		err = l.load(r, positions)
	}
	if err != nil {
		l.Close()
		return nil, l.overLimit(err)
	}
	return l, nil
}

func (l *Loaded) load(r Runtime, positions int) (err error) {
	if l.limit, err = size("memory_limit", r.MemoryLimit); err != nil {
		return err
	}
	arena := int64(0)
	if l.limit > 0 {
		beside := cpukern.WorkspaceBytes(rankThreads(r.Threads, 1)) + runtimeBytes
		if arena = l.limit - beside; arena <= 0 {
			return &UsageError{hint("raise memory_limit", "memory_limit %d: the program itself takes %d bytes", l.limit, beside)}
		}
	}
	if l.Device, err = openCPU(r.Threads, arena); err != nil {
		return err
	}
	if err := l.openStore(r.Offload); err != nil {
		return err
	}
	rope, err := model.NewRope(l.Device, l.Config, min(positions, l.Config.MaxPositions))
	if err != nil {
		return err
	}
	l.Sweep = &train.Sweep{D: l.Device, Net: l.Net, Store: l.store, Rope: rope, Act: l.DType, Recompute: true, Comm: comm.Single()}
	if err := l.checkTied(); err != nil {
		return err
	}
	return l.store.Load(l.Source)
}

func (l *Loaded) openStore(offload string) (err error) {
	switch offload {
	case "none", "":
		l.store, err = store.NewResident(l.Device, l.Net.Params(), l.DType)
		return err
	case "host":
		l.store, err = store.NewHost(l.Device, l.Net.Params(), l.DType)
		return err
	}
	if l.temp, err = os.MkdirTemp("", "lomo-weights-"); err != nil {
		return err
	}
	l.store, err = store.NewDisk(l.Device, l.Net.Params(), l.DType, filepath.Join(l.temp, "weights"))
	return err
}

// overLimit tells a model that does not fit into memory_limit from one that does not fit into the machine.
func (l *Loaded) overLimit(err error) error {
	if full := (*device.OutOfMemoryError)(nil); l.limit > 0 && errors.As(err, &full) {
		return &UsageError{hint("raise memory_limit, lower --batch-size or --sequence-len, or use --offload disk", "memory_limit %d: %w", l.limit, err)}
	}
	return err
}

// Close releases weights, device and files.
func (l *Loaded) Close() error {
	if l.store != nil {
		l.store.Close()
	}
	if l.temp != "" {
		os.RemoveAll(l.temp)
	}
	if l.Device != nil {
		l.Device.Close()
	}
	return l.Model.Close()
}
