package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
)

// What the counting device counts. An operation that passes over tensors element by element says in device.Device which, as often as each is read
// or written:
//
//	//counts:elements y y x
//	//counts:updates w w g
//
// updates is what optimizers do. Of row gradients (device.Rows) it is D. Without a name nothing is counted. Operations without the directive are written by hand in memdev.

// workFile is the operations that device.go says this of.
func workFile(device string) (string, error) {
	f, err := parser.ParseFile(token.NewFileSet(), device, nil, parser.ParseComments)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("package memdev\n\nimport (\n\"lomo/internal/device\"\n\"lomo/internal/tensor\"\n)\n")
	for _, m := range methods(f) {
		for _, kind := range []string{"elements", "updates"} {
			named, ok := directive(m.Doc, "counts:"+kind)
			if !ok {
				continue
			}
			text, err := counted(m, kind, strings.Fields(named))
			if err != nil {
				return "", fmt.Errorf("%s: %w", m.Names[0].Name, err)
			}
			b.WriteString(text)
		}
	}
	return b.String(), nil
}

// methods are the operations of device.Device.
func methods(f *ast.File) []*ast.Field {
	var all []*ast.Field
	ast.Inspect(f, func(n ast.Node) bool {
		if t, ok := n.(*ast.TypeSpec); ok && t.Name.Name == "Device" {
			if i, ok := t.Type.(*ast.InterfaceType); ok {
				all = i.Methods.List
			}
		}
		return true
	})
	return all
}

// counted is one operation.
func counted(m *ast.Field, kind string, named []string) (string, error) {
	var params, tensors []string
	types := map[string]string{}
	for _, a := range args(m.Type.(*ast.FuncType).Params) {
		name := a.name
		if !slices.Contains(named, name) {
			name = "_"
		}
		types[a.name] = a.typ
		typ := a.typ
		if ast.IsExported(typ) {
			typ = "device." + typ
		}
		params = append(params, name+" "+typ)
	}
	for _, n := range named {
		switch types[n] {
		case "tensor.Tensor":
			tensors = append(tensors, n)
		case "Rows":
			tensors = append(tensors, n+".D")
		default:
			return "", fmt.Errorf("counts %q, which is no tensor of it", n)
		}
	}
	call := ""
	if len(tensors) > 0 {
		call = fmt.Sprintf("d.%s(%q, %s)", kind, m.Names[0].Name, strings.Join(tensors, ", "))
	}
	return fmt.Sprintf("\nfunc (d *Device) %s(%s) {\n%s\n}\n", m.Names[0].Name, strings.Join(params, ", "), call), nil
}
