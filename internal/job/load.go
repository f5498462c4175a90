package job

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"lomo/internal/checkpoint"
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
	Device      string // cpu, cuda or auto; "": cpu
	Devices     int    // ranks, over which the weights are spread; 0: 1
	DType       string // bf16 or f32; "": as the model is stored
	Offload     string // host: the weights in pinned memory; disk: in a working copy in the folder for temporary files
	Threads     int
	MemoryLimit string // of the process, or with cards of each card
	Shrink      string // flags that make what is computed smaller, for the refusal of a limit; "": --batch-size or --sequence-len
}

// Loaded is a model with its weights read, ready to be used.
type Loaded struct {
	*Model
	DType tensor.DType
	Ranks []*Rank

	group []comm.Comm
	limit int64  // of memory, 0 for none
	lower string // what makes it smaller
	temp  string // folder of the working copy, "" for none
	close func() // of the devices

	abandoned bool // a rank did not stop after a failure
}

// Rank is the model on one device; of several ranks each holds its rows of the weights.
type Rank struct {
	Device device.Device
	Net    *model.Network
	Sweep  *train.Sweep
	Number int

	store store.Store
}

// storedDType is the dtype asked for, or when none is the one the model's matrices are stored in.
func storedDType(name string, m *Model) (tensor.DType, error) {
	if name == "" {
		for _, t := range m.Source.Tensors() {
			if t.Name == m.Net.Embed.Name && (t.DType == tensor.BF16 || t.DType == tensor.F16) {
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
	l := &Loaded{Model: m, close: func() {}, lower: cmp.Or(r.Shrink, "--batch-size or --sequence-len")}
	if l.DType, err = storedDType(r.DType, m); err == nil {
		err = l.load(r, positions)
	}
	if err != nil {
		l.Close()
		return nil, l.explain(err)
	}
	return l, nil
}

func (l *Loaded) load(r Runtime, positions int) error {
	where := compute{Device: r.Device, Devices: max(r.Devices, 1), Threads: r.Threads}
	if where.Device == "" {
		where.Device = "cpu"
	}
	if err := where.settle(func(string, ...any) {}, r.Offload); err != nil {
		return err
	}
	arena, err := l.arena(&where, r)
	if err != nil {
		return err
	}
	devices, closeAll, err := where.openAll(arena)
	if err != nil {
		return err
	}
	l.close = closeAll
	if l.group, err = group(devices); err != nil {
		return err
	}
	for i, d := range devices {
		rank := &Rank{Device: d, Net: l.Net, Number: i}
		if i > 0 {
			rank.Net = model.NewNetwork(l.Config)
		}
		l.Ranks = append(l.Ranks, rank)
	}
	if err := l.checkTied(); err != nil {
		return err
	}
	return l.Each(func(rank *Rank) error { return l.loadRank(rank, r.Offload, positions) })
}

// arena is the bytes of each device's arena under memory_limit, 0 for as much as there is.
func (l *Loaded) arena(where *compute, r Runtime) (bytes int64, err error) {
	if l.limit, err = size("memory_limit", r.MemoryLimit); err != nil || l.limit == 0 {
		return 0, err
	}
	n := int64(where.Devices)
	beside := n*cpukern.WorkspaceBytes(rankThreads(r.Threads, where.Devices)) + runtimeBytes
	if where.Device == "cuda" {
		n, beside = 1, cardBeside()
	}
	if bytes = (l.limit - beside) / n; bytes <= 0 {
		return 0, &UsageError{hint("raise memory_limit", "memory_limit: %s, of which the program itself takes %s", checkpoint.FormatSize(l.limit), checkpoint.FormatSize(beside))}
	}
	return bytes, nil
}

// loadRank takes a rank's memory and reads its weights.
func (l *Loaded) loadRank(r *Rank, offload string, positions int) (err error) {
	c := l.group[r.Number]
	if r.store, err = l.openStore(r, c, offload); err != nil {
		return err
	}
	rope, err := model.NewRopes(r.Device, l.Config, positions)
	if err != nil {
		return err
	}
	r.Sweep = &train.Sweep{D: r.Device, Net: r.Net, Store: r.store, Ropes: rope, Act: l.DType, Recompute: true}
	if err := r.Sweep.Join(c); err != nil {
		return err
	}
	return r.store.Load(l.Source)
}

func (l *Loaded) openStore(r *Rank, c comm.Comm, offload string) (store.Store, error) {
	params := r.Net.Params()
	switch {
	case c.Size() > 1:
		return store.NewShard(r.Device, c, params, l.DType, store.ShardOptions{OnHost: offload == "host"})
	case offload == "none" || offload == "":
		return store.NewResident(r.Device, params, l.DType)
	case offload == "host":
		return store.NewHost(r.Device, params, l.DType)
	}
	var err error
	if l.temp, err = os.MkdirTemp("", "lomo-weights-"); err != nil {
		return nil, err
	}
	return store.NewDisk(r.Device, params, l.DType, filepath.Join(l.temp, "weights"))
}

// Each runs f for every rank, which all must make the same calls; the error is that of the rank that failed.
func (l *Loaded) Each(f func(r *Rank) error) error {
	if len(l.Ranks) == 1 {
		return f(l.Ranks[0])
	}
	err := train.OnRanks(l.group, func(i int) error { return f(l.Ranks[i]) })
	if left := (*train.AbandonedError)(nil); errors.As(err, &left) {
		l.abandoned = true
	}
	return err
}

// explain adds the way out: a model that does not fit into memory_limit is told from one that does not fit into the machine.
func (l *Loaded) explain(err error) error {
	if errors.Is(err, device.ErrNotFinite) {
		return advise("its numbers overflow: it was saved by a run that diverged, or the weights are damaged; take an earlier checkpoint, or fetch it again", fmt.Errorf("model %s: %w", l.Path, err))
	}
	if full := (*device.OutOfMemoryError)(nil); l.limit > 0 && errors.As(err, &full) {
		return &UsageError{hint("raise memory_limit, lower "+l.lower+", or use --offload disk", "memory_limit: %s: %w", checkpoint.FormatSize(l.limit), err)}
	}
	return err
}

// Close releases weights, devices and files.
func (l *Loaded) Close() error {
	if l.abandoned { // ranks still compute with all of it
		return nil
	}
	for _, r := range l.Ranks {
		if r.store != nil {
			r.store.Close()
		}
	}
	for _, c := range l.group {
		c.Close() //nolint:errcheck // what matters was reported by the ranks
	}
	if l.temp != "" {
		os.RemoveAll(l.temp)
	}
	l.close()
	return l.Model.Close()
}
