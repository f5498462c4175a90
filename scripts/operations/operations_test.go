package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFilesAreUpToDate(t *testing.T) {
	want, err := files("../..")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range want {
		got, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, text) {
			t.Errorf("%s is not what its sources give: run make generate", name)
		}
	}
}

// TestRows: what the assembly is handed, and what is refused.
func TestRows(t *testing.T) {
	const stub = "\n\n// %Vec is for n > 0, a multiple of 16.\nfunc %Vec(y *float32, x *uint16, n int, keep, a float32) float32\n"
	for _, c := range []struct{ name, twin, stub, want, fault string }{
		{"sum of whole vectors and a rest", "//kernel:row sum\nfunc tryGeneric(y []float32, x []uint16, s *consts, a float32) float32 { return 0 }", stub,
			"total += tryVec(&y[0], &x[0], n, s.keep, a)", ""},
		{"the rest", "//kernel:row sum\nfunc tryGeneric(y []float32, x []uint16, s *consts, a float32) float32 { return 0 }", stub, "total := tryGeneric(y[n:], x[n:], s, a)", ""},
		{"the width", "//kernel:row max\nfunc tryGeneric(y []float32, x []uint16, s *consts, a float32) float32 { return 0 }", stub, "n := len(y) &^ 15", ""},
		{"no assembly", "//kernel:row\nfunc tryGeneric(y []float32) {}", "", "k := genericRows()\n\treturn k", ""},
		{"another type", "//kernel:row\nfunc tryGeneric(y []float32, x []float32, s *consts, a float32) {}", stub, "", "argument 2 is not *float32"},
		{"a scalar that is not there", "//kernel:row\nfunc tryGeneric(y []float32, x []uint16, a float32) {}", stub, "", "argument keep is none of the twin's (a)"},
		{"too few pointers", "//kernel:row\nfunc tryGeneric(y []float32, s *consts, a float32) {}", stub, "", "argument x is none"},
		{"no width", "//kernel:row\nfunc tryGeneric(y []float32) {}", "\n// tryVec goes fast.\nfunc tryVec(y *float32, n int)\n", "", "power of two"},
		{"512 bits alone", "//kernel:row\nfunc tryGeneric(y []float32) {}", "\n// tryVec512 is for n > 0, a multiple of 16.\nfunc tryVec512(y *float32, n int)\n", "", "has no tryVec"},
		{"a name", "//kernel:row\nfunc try(y []float32) {}", "", "", "is called xGeneric"},
		{"a kind of joining", "//kernel:row product\nfunc tryGeneric(y []float32) float32 { return 0 }", "", "", "takes sum, max or nothing"},
	} {
		dir := t.TempDir()
		text := "package p\n\ntype consts struct{ keep float32 }\n\n" + c.twin + strings.ReplaceAll(c.stub, "%", "try")
		if err := os.WriteFile(filepath.Join(dir, "p.go"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := rowFiles(dir)
		switch {
		case c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)):
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.fault)
		case c.fault == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.fault == "" && !strings.Contains(strings.Join(strings.Fields(out[1]), " "), strings.Join(strings.Fields(c.want), " ")):
			t.Errorf("%s: no %q in\n%s", c.name, c.want, out[1])
		}
	}
}

func TestWork(t *testing.T) {
	for _, c := range []struct{ name, method, want, fault string }{
		{"each as often as it is named", "//counts:elements y x y\nF(y, x tensor.Tensor, s Step)", "func (d *Device) F(y tensor.Tensor, x tensor.Tensor, _ device.Step) {\nd.elements(\"F\", y, x, y)\n}", ""},
		{"row gradients", "//counts:updates r\nF(w tensor.Tensor, r Rows)", "d.updates(\"F\", r.D)", ""},
		{"nothing", "//counts:elements\nF(w tensor.Tensor)", "func (d *Device) F(_ tensor.Tensor) {\n\n}", ""},
		{"no directive", "F(w tensor.Tensor)", "", ""},
		{"a number", "//counts:elements a\nF(a float32)", "", "counts \"a\", which is no tensor"},
		{"what is not there", "//counts:updates z\nF(a tensor.Tensor)", "", "counts \"z\""},
	} {
		name := filepath.Join(t.TempDir(), "device.go")
		if err := os.WriteFile(name, []byte("package device\n\ntype Device interface {\n"+c.method+"\n}\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := workFile(name)
		switch {
		case c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)):
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.fault)
		case c.fault == "" && (err != nil || !strings.Contains(out, c.want)):
			t.Errorf("%s: %v, no %q in\n%s", c.name, err, c.want, out)
		case c.name == "no directive" && strings.Contains(out, "func"):
			t.Errorf("%s: %s", c.name, out)
		}
	}
}
