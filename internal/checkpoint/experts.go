package checkpoint

import (
	"encoding/json"
	"fmt"
	"strings"

	"lomo/internal/fault"
)

// expertNames are how the experts of a family lie in files: apart, as on the hub, or, as transformers may save them, those of a layer in two tensors:
// gate_up_proj (experts, 2·F, C), gate first, and down_proj (experts, C, F).
type expertNames struct {
	fused, apart   string // the module's names in both
	gate, up, down string // of an expert
}

var expertsOf = map[string]expertNames{
	"mixtral":   {fused: "mlp.", apart: "block_sparse_moe.", gate: "w1", up: "w3", down: "w2"},
	"qwen3_moe": {fused: "mlp.", apart: "mlp.", gate: "gate_proj", up: "up_proj", down: "down_proj"},
}

// splitExperts names the matrices of experts that are stored in one tensor as if each lay apart. Nothing is read.
func (f *folder) splitExperts() error {
	var c struct {
		Kind string `json:"model_type"`
	}
	if json.Unmarshal(f.config, &c) != nil {
		return nil // whoever reads the configuration says so
	}
	names, ok := expertsOf[c.Kind]
	if !ok {
		return nil
	}
	order := f.order
	f.order = nil
	for _, t := range order {
		s := f.tensors[t.Name]
		layer, of, fused := strings.Cut(t.Name, "."+names.fused)
		if !fused || len(t.Shape) != 3 && of != "gate.weight" {
			f.order = append(f.order, t)
			continue
		}
		delete(f.tensors, t.Name)
		module := layer + "." + names.apart
		var parts []*stored
		switch {
		case of == "gate.weight": // the router
			whole := *s
			whole.info.Name = module + of
			parts = []*stored{&whole}
		case of == "experts.gate_up_proj" && t.Shape[1]%2 == 0:
			parts = s.matrices(module, names.gate, names.up)
		case of == "experts.down_proj":
			parts = s.matrices(module, names.down)
		default:
			return fault.Refuse("download the model again", "%s: tensor %q of shape %v is none of a model_type %s", f.path, fault.Line(t.Name), t.Shape, c.Kind)
		}
		for _, p := range parts {
			if f.tensors[p.info.Name] != nil {
				return fault.Refuse("remove the files of one of the two saves", "%s: tensor %q is there twice, apart and within %q", f.path, fault.Line(p.info.Name), fault.Line(t.Name))
			}
			f.add(p)
		}
	}
	return nil
}

// matrices is a tensor of a matrix for each expert as several of them: the rows of each are those of the names, one after the other.
func (s *stored) matrices(module string, names ...string) (all []*stored) {
	experts, rows, cols := s.info.Shape[0], s.info.Shape[1]/len(names), s.info.Shape[2]
	bytes := int64(rows) * int64(cols) / int64(s.block) * int64(s.size)
	for e := range experts {
		for i, name := range names {
			p, begin := *s, int64(e*len(names)+i)*bytes
			p.info = Info{fmt.Sprintf("%sexperts.%d.%s.weight", module, e, name), s.info.DType, []int{rows, cols}}
			p.rows, p.cols = rows, cols
			p.read = func(off int64, dst []byte) error { return s.read(begin+off, dst) }
			p.position += begin
			all = append(all, &p)
		}
	}
	return all
}
