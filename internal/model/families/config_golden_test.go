package families

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"lomo/internal/golden"
)

// configCase is a config.json and what transformers makes of it (scripts/golden/configs.py).
type configCase struct {
	Name       string          `json:"name"`
	Config     json.RawMessage `json:"config"`
	Error      string          `json:"error"`
	ModelType  string          `json:"model_type"`
	InvFreq    []float64       `json:"inv_freq"`
	Factor     float64         `json:"attention_factor"`
	PaddingIdx *int            `json:"padding_idx"`
}

// refusedHere are the cases that transformers computes and lomo refuses by name: transformers' llama ignores the key in silence.
var refusedHere = map[string]string{"partial, default": "partial_rotary_factor"}

// noted are the words that the notes of a case hold; every other case has no notes.
var noted = map[string][]string{
	"two thetas":                          {"30000", "50000"},
	"theta within scaling":                {"30000", "50000"},
	"linear, both types":                  {"linear", "dynamic"},
	"scaling and parameters":              {`"factor":8`, `"factor":4`},
	"scaling and parameters, theta":       {`"factor":8`, "50000", "30000"},
	"default in scaling hides parameters": {"default", `"factor":4`},
	"llama3, two originals":               {"64", "128"},
	"yarn, two originals":                 {"32", "64"},
	"yarn, keys of others":                {"low_freq_factor is 1.0", "short_factor is [1.0]"},
	"linear, keys of yarn":                {"beta_fast is 16 and means nothing"},
	"longrope, original on top, long":     {"20", "32"},
	"pad -1":                              {"pad_token_id -1", "row 71"},
	"pad -72":                             {"pad_token_id -72", "row 0"},
}

// TestConfigsOfTransformers: frequencies, padding row and refusals are transformers', for every spelling.
func TestConfigsOfTransformers(t *testing.T) {
	var file struct{ Cases []configCase }
	golden.LoadJSON(t, "testdata/golden/configs.json", &file)
	if len(file.Cases) < 50 {
		t.Fatalf("%d cases", len(file.Cases))
	}
	for _, k := range file.Cases {
		t.Run(k.Name, func(t *testing.T) { k.check(t) })
	}
}

func (k configCase) check(t *testing.T) {
	c, err := Parse(k.Config)
	if key := refusedHere[k.Name]; key != "" {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("error %v, want one that names %s", err, key)
		}
		return
	}
	if k.Error != "" {
		if err == nil {
			t.Errorf("accepted; transformers refuses it with %s", k.Error)
		}
		return
	}
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	pad := -1
	if k.PaddingIdx != nil {
		pad = *k.PaddingIdx
	}
	if c.PaddingRow != pad || c.ModelType != k.ModelType {
		t.Errorf("%s, padding row %d, want %s and %d", c.ModelType, c.PaddingRow, k.ModelType, pad)
	}
	length := 12 // of scripts/golden/configs.py's batches
	if strings.HasSuffix(k.Name, "long") {
		length = 40
	}
	inv := c.InvFreq(length)
	if len(inv) != len(k.InvFreq) {
		t.Fatalf("%d frequencies, want %d", len(inv), len(k.InvFreq))
	}
	worst := 0.0
	for i, want := range k.InvFreq {
		if inv[i] != want { // 0 where a pair stands still
			worst = max(worst, math.Abs(inv[i]/want-1))
		}
	}
	factor := 1.0
	if s := c.RopeScaling; s != nil && s.AttentionFactor != 0 {
		factor = s.AttentionFactor
	}
	if math.Abs(factor/k.Factor-1) > 1e-12 {
		t.Errorf("attention factor %v, want %v", factor, k.Factor)
	}
	t.Logf("frequencies apart by %.1e", worst)
	if !(worst <= 1e-6) { // transformers computes them in float32; measured 2.0e-7
		t.Errorf("frequencies %v, want %v", inv, k.InvFreq)
	}
	notes := strings.Join(c.Notes, "\n")
	for _, word := range noted[k.Name] {
		if !strings.Contains(notes, word) {
			t.Errorf("notes %q do not say %s", notes, word)
		}
	}
	if len(noted[k.Name]) == 0 && notes != "" {
		t.Errorf("notes %q of a file without contradictions", notes)
	}
}
