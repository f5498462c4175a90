package main

// The rows of package cpukern: the table of their functions by level, and what hands the assembly whole vectors and the rest of a row to its twin. A
// row kernel is a function xGeneric with the directive
//
//	//kernel:row       it writes rows
//	//kernel:row sum   it gives a sum, to which that of the rest is added
//	//kernel:row max   it gives a maximum
//
// and, where there is assembly, xVec for 256 bits and xVec512 for 512. Assembly takes a pointer for each slice, their length, which is the first's and
// a multiple of what its comment says, and the scalars: arguments of xGeneric or fields of structs that it is given.

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// row is one kernel.
type row struct {
	name, join  string // join: "", "sum" or "max"
	signature   string
	args        []arg
	vec, vec512 *assembly // nil: none
}

// assembly is a function of the stubs.
type assembly struct {
	name     string
	multiple int // a power of two
	args     []arg
}

// source is what the package's files say.
type source struct {
	rows    []*row
	stubs   map[string]*assembly
	structs map[string][]string // names of fields
}

// rowFiles are the table and the wrappers.
func rowFiles(dir string) ([2]string, error) {
	s, err := read(dir)
	if err == nil {
		err = s.match()
	}
	if err != nil {
		return [2]string{}, err
	}
	wrappers, err := s.wrappers()
	return [2]string{s.table(), wrappers}, err
}

func read(dir string) (*source, error) {
	s := &source{stubs: map[string]*assembly{}, structs: map[string][]string{}}
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(filepath.Base(name), "rowkernels") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, d := range f.Decls {
			if err := s.decl(d); err != nil {
				return nil, fmt.Errorf("%s: %w", filepath.Base(name), err)
			}
		}
	}
	slices.SortFunc(s.rows, func(a, b *row) int { return strings.Compare(a.name, b.name) })
	return s, nil
}

var multiple = regexp.MustCompile(`a multiple of (\d+)`)

func (s *source) decl(d ast.Decl) error {
	switch d := d.(type) {
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if t, ok := spec.(*ast.TypeSpec); ok {
				if st, ok := t.Type.(*ast.StructType); ok {
					for _, a := range args(st.Fields) {
						s.structs[t.Name.Name] = append(s.structs[t.Name.Name], a.name)
					}
				}
			}
		}
	case *ast.FuncDecl:
		if d.Recv == nil && d.Body == nil {
			a := &assembly{name: d.Name.Name, args: args(d.Type.Params)}
			if m := multiple.FindStringSubmatch(d.Doc.Text()); m != nil {
				a.multiple, _ = strconv.Atoi(m[1]) // digits
			}
			s.stubs[a.name] = a
		}
		join, ok := directive(d.Doc, "kernel:row")
		if !ok {
			return nil
		}
		name, ok := strings.CutSuffix(d.Name.Name, "Generic")
		if !ok || !slices.Contains([]string{"", "sum", "max"}, join) {
			return fmt.Errorf("%s: a row kernel is called xGeneric, and //kernel:row takes sum, max or nothing", d.Name.Name)
		}
		s.rows = append(s.rows, &row{name: name, join: join, args: args(d.Type.Params), signature: strings.TrimPrefix(types.ExprString(d.Type), "func")})
	}
	return nil
}

func (s *source) match() error {
	for _, r := range s.rows {
		r.vec, r.vec512 = s.stubs[r.name+"Vec"], s.stubs[r.name+"Vec512"]
		for _, a := range []*assembly{r.vec, r.vec512} {
			if a != nil && (a.multiple == 0 || a.multiple&(a.multiple-1) != 0) {
				return fmt.Errorf("the comment of %s does not say of which power of two n is a multiple", a.name)
			}
		}
		if r.vec512 != nil && r.vec == nil {
			return fmt.Errorf("%s has no %sVec for what it leaves over", r.vec512.name, r.name)
		}
	}
	return nil
}

// table is the functions by level as they are without assembly.
func (s *source) table() string {
	var b strings.Builder
	b.WriteString("package cpukern\n\n// rowKernels are the kernels that go through rows, of one level: slices of one call have the length of the first, any length, any alignment.\n// What each does stands at its generic twin.\ntype rowKernels struct {\n")
	for _, r := range s.rows {
		fmt.Fprintf(&b, "%s func%s\n", r.name, r.signature)
	}
	b.WriteString("}\n\nfunc genericRows() rowKernels {\nreturn rowKernels{\n")
	for _, r := range s.rows {
		fmt.Fprintf(&b, "%s: %sGeneric,\n", r.name, r.name)
	}
	b.WriteString("}\n}\n")
	return b.String()
}

func (s *source) wrappers() (string, error) {
	var b strings.Builder
	b.WriteString("//go:build amd64 && !noasm\n\npackage cpukern\n\n// avx2Rows are the rows with assembly for vectors of 256 bits, which leaves what is no whole vector to the generic twin.\nfunc avx2Rows() rowKernels {\nk := genericRows()\n")
	var bodies strings.Builder
	if err := s.level(&b, &bodies, "AVX2", func(r *row) (*assembly, string) { return r.vec, "Generic" }); err != nil {
		return "", err
	}
	b.WriteString("return k\n}\n\n// avx512Rows are those for 512 bits, which leaves it to the one of 256.\nfunc avx512Rows() rowKernels {\nk := avx2Rows()\n")
	if err := s.level(&b, &bodies, "AVX512", func(r *row) (*assembly, string) { return r.vec512, "AVX2" }); err != nil {
		return "", err
	}
	return b.String() + "return k\n}\n" + bodies.String(), nil
}

func (s *source) level(table *strings.Builder, bodies *strings.Builder, level string, of func(r *row) (*assembly, string)) error {
	for _, r := range s.rows {
		a, below := of(r)
		if a == nil {
			continue
		}
		call, rest, err := s.calls(r, a)
		if err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
		fmt.Fprintf(table, "k.%s = %s%s\n", r.name, r.name, level)
		fmt.Fprintf(bodies, "\nfunc %s%s%s {\nn := len(%s) &^ %d\n", r.name, level, r.signature, r.args[0].name, a.multiple-1)
		rest = r.name + below + rest
		switch r.join {
		case "":
			fmt.Fprintf(bodies, "if n > 0 {\n%s\n}\nif n < len(%s) {\n%s\n}\n}\n", call, r.args[0].name, rest)
		case "sum":
			fmt.Fprintf(bodies, "total := %s\nif n > 0 {\ntotal += %s\n}\nreturn total\n}\n", rest, call)
		case "max":
			fmt.Fprintf(bodies, "most := %s\nif n > 0 {\nmost = max(most, %s)\n}\nreturn most\n}\n", rest, call)
		}
	}
	return nil
}

// calls are the assembly's for whole vectors, and the arguments of its twin's for the rest.
func (s *source) calls(r *row, a *assembly) (call, rest string, err error) {
	var whole, left []string
	scalars := map[string]string{} // what the assembly calls it: what the twin does
	pointers := 0
	for _, p := range r.args {
		if elem, ok := strings.CutPrefix(p.typ, "[]"); ok {
			if pointers == len(a.args) || a.args[pointers].typ != "*"+elem {
				return "", "", fmt.Errorf("its argument %d is not *%s, as the twin's %s asks", pointers+1, elem, p.name)
			}
			pointers++
			whole, left = append(whole, "&"+p.name+"[0]"), append(left, p.name+"[n:]")
			continue
		}
		left = append(left, p.name)
		scalars[p.name] = p.name
		if st, ok := strings.CutPrefix(p.typ, "*"); ok {
			for _, field := range s.structs[st] {
				scalars[field] = p.name + "." + field
			}
		}
	}
	for i, p := range a.args[pointers:] {
		switch known, ok := scalars[p.name]; {
		case i == 0 && p.name == "n":
			whole = append(whole, "n")
		case i == 0 || !ok:
			return "", "", fmt.Errorf("its argument %s is none of the twin's (%s)", p.name, strings.Join(slices.Sorted(maps.Keys(scalars)), ", "))
		default:
			whole = append(whole, known)
		}
	}
	return a.name + "(" + strings.Join(whole, ", ") + ")", "(" + strings.Join(left, ", ") + ")", nil
}
