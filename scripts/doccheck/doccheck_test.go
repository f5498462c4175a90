// Package doccheck holds the pages that people read to the code: every path, every name of a package and every link in them exists.
package doccheck

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"lomo/internal/optim"
)

const root = "../.."

// folders of the repository: a path in a page that begins with one of them must be there.
var folders = []string{"internal", "cmd", "scripts", "configs", "docs", "examples", "benchmarks", "testdata", ".ci"}

var (
	pathIn = regexp.MustCompile(`(?:^|[^\w./-])((?:` + strings.ReplaceAll(strings.Join(folders, "|"), ".", `\.`) + `)/[\w./*-]+)`)
	span   = regexp.MustCompile("`[^`]+`")
	nameIn = regexp.MustCompile(`^([a-z]\w*)\.([A-Za-z]\w*)(?:\.([A-Za-z]\w*))?(?:\(\))?$`)
	link   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	// placeholder is what a page writes for the reader to fill in.
	placeholder = regexp.MustCompile(`[A-Z]{2,}|…|\*\*`)
)

// endings are what follows the dot of a file's name or of a tensor's: `train.jsonl` is no name of package train.
var endings = strings.Fields("bin csv gguf go html json jsonl log md model norm layers lm_head embed_tokens npz py safetensors sh txt yaml yml eps betas master group_size")

// pages are README.md, CONTRIBUTING.md, CHANGELOG.md and docs/*.md by their path from the root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	list, err := filepath.Glob(filepath.Join(root, "docs/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README.md", "CONTRIBUTING.md"} {
		list = append(list, filepath.Join(root, name))
	}
	for _, path := range list {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		rel, _ := filepath.Rel(root, path)
		out[filepath.ToSlash(rel)] = string(text)
	}
	if len(out) < 10 {
		t.Fatalf("only %d pages found", len(out))
	}
	return out
}

// lines calls f for each line of every page.
func lines(t *testing.T, f func(page string, number int, line string)) {
	t.Helper()
	for page, text := range pages(t) {
		for i, line := range strings.Split(text, "\n") {
			f(page, i+1, line)
		}
	}
}

func TestPathsExist(t *testing.T) {
	seen := 0
	lines(t, func(page string, n int, line string) {
		for _, path := range pathsIn(line) {
			seen++
			if !there(path) {
				t.Errorf("%s:%d: %s is not there", page, n, path)
			}
		}
	})
	if seen < 100 {
		t.Errorf("only %d paths found: the pattern no longer reads the pages right", seen)
	}
}

// pathsIn is the paths of the repository that a line names.
func pathsIn(line string) (out []string) {
	for _, m := range pathIn.FindAllStringSubmatch(line, -1) {
		path := strings.TrimRight(m[1], ".-/")
		if !placeholder.MatchString(path) {
			out = append(out, path)
		}
	}
	return out
}

func there(pattern string) bool {
	found, err := filepath.Glob(filepath.Join(root, pattern))
	return err == nil && len(found) > 0
}

func TestLinksResolve(t *testing.T) {
	seen := 0
	lines(t, func(page string, n int, line string) {
		for _, m := range link.FindAllStringSubmatch(span.ReplaceAllString(line, ""), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, ":") { // another site
				continue
			}
			seen++
			path := page
			if target != "" {
				path = filepath.ToSlash(filepath.Join(filepath.Dir(page), target))
			}
			text, err := os.ReadFile(filepath.Join(root, path))
			switch {
			case err != nil && !there(path):
				t.Errorf("%s:%d: the link to %s leads nowhere", page, n, m[1])
			case anchor != "" && !slices.Contains(anchors(string(text)), anchor):
				t.Errorf("%s:%d: %s has no heading #%s", page, n, path, anchor)
			}
		}
	})
	if seen < 8 {
		t.Errorf("only %d links found", seen)
	}
}

// anchors are the names that GitHub gives the headings of a page.
func anchors(text string) (out []string) {
	for _, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, "#") {
			continue
		}
		heading := strings.ToLower(strings.TrimSpace(strings.TrimLeft(line, "#")))
		out = append(out, strings.ReplaceAll(regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(heading, ""), " ", "-"))
	}
	return out
}

func TestNamesExist(t *testing.T) {
	have, seen := declared(t), 0
	lines(t, func(page string, n int, line string) {
		for _, s := range span.FindAllString(line, -1) {
			name, ok := nameOf(strings.Trim(s, "`"), have)
			if !ok {
				continue
			}
			seen++
			if !have[name] {
				t.Errorf("%s:%d: %s is declared nowhere", page, n, name)
			}
		}
	})
	if seen < 80 {
		t.Errorf("only %d names found: the pattern no longer reads the pages right", seen)
	}
}

// nameOf is the name of something in a package of ours that a span of code is; have tells the packages.
func nameOf(code string, have map[string]bool) (string, bool) {
	m := nameIn.FindStringSubmatch(code)
	if m == nil || !have[m[1]] || m[1] == "torch" || slices.Contains(endings, m[2]) { // torch.Tensor is PyTorch's
		return "", false
	}
	return strings.TrimSuffix(code, "()"), true
}

// declared is every package's name, and what is declared in it: package.Name, package.Type.Method and package.Type.Field, also of tests.
func declared(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	err := filepath.WalkDir(filepath.Join(root, "internal"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.Contains(path, "/_gen/") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		pkg := strings.TrimSuffix(file.Name.Name, "_test")
		out[pkg] = true
		for _, decl := range file.Decls {
			declare(out, pkg, decl)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func declare(out map[string]bool, pkg string, decl ast.Decl) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		name := d.Name.Name
		if d.Recv != nil {
			name = receiver(d.Recv.List[0].Type) + "." + name
		}
		out[pkg+"."+name] = true
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.ValueSpec:
				for _, id := range s.Names {
					out[pkg+"."+id.Name] = true
				}
			case *ast.TypeSpec:
				out[pkg+"."+s.Name.Name] = true
				for _, member := range members(s.Type) {
					out[pkg+"."+s.Name.Name+"."+member] = true
				}
			}
		}
	}
}

func receiver(e ast.Expr) string {
	switch x := e.(type) {
	case *ast.StarExpr:
		return receiver(x.X)
	case *ast.IndexExpr:
		return receiver(x.X)
	case *ast.IndexListExpr:
		return receiver(x.X)
	case *ast.Ident:
		return x.Name
	}
	return ""
}

// members are the fields of a struct and the methods of an interface.
func members(e ast.Expr) (out []string) {
	var list *ast.FieldList
	switch x := e.(type) {
	case *ast.StructType:
		list = x.Fields
	case *ast.InterfaceType:
		list = x.Methods
	default:
		return nil
	}
	for _, f := range list.List {
		for _, id := range f.Names {
			out = append(out, id.Name)
		}
	}
	return out
}

// TestRates holds the table of docs/schedules.md to the schedules: a run of 100 steps at rate 1.
func TestRates(t *testing.T) {
	_, rest, _ := strings.Cut(pages(t)["docs/schedules.md"], "<!-- rates:")
	table, _, _ := strings.Cut(rest, "<!-- end of rates -->")
	seen := map[string]int{}
	for _, line := range strings.Split(table, "\n") {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) != 7 || !strings.HasPrefix(cells[0], "`") || cells[0] == "`lr_scheduler`" {
			continue
		}
		kind := strings.Trim(cells[0], "`")
		warmup, err := strconv.Atoi(cells[1])
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		seen[kind]++
		s := optim.Schedule{Kind: kind, LR: 1, Warmup: warmup, Total: 100}
		for i, done := range []int{0, 25, 50, 75, 99} {
			if want := fmt.Sprintf("%.4g", s.At(done)); cells[2+i] != want {
				t.Errorf("%s with %d steps of warm-up after %d steps: the page says %s, it is %s", kind, warmup, done, cells[2+i], want)
			}
		}
	}
	for _, kind := range optim.Schedules {
		if seen[kind] != 2 {
			t.Errorf("%s stands in the table %d times, want 2", kind, seen[kind])
		}
	}
}

// TestMessagesExist: the messages that docs/troubleshooting.md explains are messages of the program: each part between the places for names and
// numbers stands in the source. A few come from the system.
func TestMessagesExist(t *testing.T) {
	source, seen := sources(t), 0
	ofSystem := []string{"no such file or directory", "no space left on device", "Killed"}
	for _, line := range strings.Split(pages(t)["docs/troubleshooting.md"], "\n") {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		seen++
		message := strings.Trim(span.FindString(line), "`")
		for _, part := range strings.Split(message, "…") {
			part = strings.TrimSpace(part)
			system := slices.ContainsFunc(ofSystem, func(m string) bool { return strings.Contains(part, m) })
			if len(part) > 2 && !system && !strings.Contains(source, part) && !strings.Contains(source, strings.ReplaceAll(part, `"`, `\"`)) {
				t.Errorf("%q: no message of the program has %q", message, part)
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d messages found", seen)
	}
}

// sources is all Go files of the program, without tests.
func sources(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(filepath.Join(root, "internal"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		raw, err := os.ReadFile(path)
		b.Write(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestWouldNotice: the three checks see what is wrong.
func TestWouldNotice(t *testing.T) {
	have := declared(t)
	for code, want := range map[string]bool{
		"train.Trainer.Step": true, "device.Device.MatMul": true, "grad.Outer": true, "train.TestGoldenLosses": true, "optim.base.step": true,
		"train.Trainer.Stepp": false, "grad.Outr": false, "train.Pass.Backwards": false, "optim.Lomo.consume": false,
	} {
		if name, ok := nameOf(code, have); !ok || have[name] != want {
			t.Errorf("%s: declared %v (taken for a name: %v), want %v", code, have[name], ok, want)
		}
	}
	for _, code := range []string{"train.jsonl", "config.yaml", "model.layers.7.mlp.down_proj.weight", "model.norm.weight", "torch.Tensor", "lomo train"} {
		if name, ok := nameOf(code, have); ok {
			t.Errorf("%s is taken for the name %s", code, name)
		}
	}
	for line, want := range map[string][]string{
		"see `internal/train/run.go`, and docs/data.md.":             {"internal/train/run.go", "docs/data.md"},
		"a file `checkpoint-N/config.json` or out/configs/x":         nil,
		"`configs/llama-*3090.yaml` and `scripts/box/`":              {"configs/llama-*3090.yaml", "scripts/box"},
		"`scripts/golden/YOURS.py`, and ([notes](internal/no/file))": {"internal/no/file"},
	} {
		if got := pathsIn(line); !slices.Equal(got, want) {
			t.Errorf("%q: paths %q, want %q", line, got, want)
		}
	}
	if there("internal/no/file") || there("docs/tours.md") || !there("configs/llama-*3090.yaml") {
		t.Error("a path that is missing counts as there, or one that is there does not")
	}
	if got := anchors("# A tour of the code\n## What `all` it is, once\n"); !slices.Equal(got, []string{"a-tour-of-the-code", "what-all-it-is-once"}) {
		t.Errorf("anchors %q", got)
	}
}
