package train

import (
	"encoding/json"
	"math"
	"testing"

	"lomo/internal/golden"
	"lomo/internal/model/families"
	"lomo/internal/optim"
)

// TestGoldenConfigs: under every spelling of a config.json that both accept, the loss is transformers', also at the last position that
// a window or dynamic scaling leaves exact and beyond those that the model knows.
func TestGoldenConfigs(t *testing.T) {
	var file struct {
		IDs   []int32
		Long  []int32 `json:"long_ids"`
		Cases []struct {
			Name, Error string
			Config      json.RawMessage
			Loss        float64
		}
	}
	golden.LoadJSON(t, "testdata/golden/configs.json", &file)
	g := openGolden(t, "gqa_untied")
	worst, n := 0.0, 0
	for _, c := range file.Cases {
		cfg, err := families.Parse(c.Config)
		if err != nil { // model.TestConfigsOfTransformers says which
			continue
		}
		ids := file.IDs
		if len(c.Name) > 4 && c.Name[len(c.Name)-4:] == "long" {
			ids = file.Long
		}
		g.cfg = cfg
		tr := g.trainer(Options{Optimizer: optim.Config{Name: "lomo"}, Scheduler: "constant", SequenceLen: len(ids)})
		m := &tiny{net: tr.net, sweep: tr.sweep}
		got := m.loss(t, labelled(1, len(ids), ids, ids, nil, nil))
		if d := math.Abs(got/c.Loss - 1); d > 8e-7 { // measured 1.7e-7
			t.Errorf("%s: loss %.7f, want %.7f", c.Name, got, c.Loss)
		} else {
			worst, n = max(worst, d), n+1
		}
	}
	t.Logf("%d configurations, losses apart by at most %.1e of themselves", n, worst)
	if n < 40 {
		t.Errorf("only %d configurations are accepted", n)
	}
}
