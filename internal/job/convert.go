package job

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lomo/internal/checkpoint"
	"lomo/internal/export"
	"lomo/internal/suggest"
	"lomo/internal/tensor"
	"lomo/internal/tokenizer"
)

// ConvertOptions is what `lomo convert` is asked.
type ConvertOptions struct {
	In, Out      string
	To           string // safetensors or gguf; "": by the name of Out
	DType        string // "": as the weights are stored
	MaxShardSize string
	Force        bool // what is at Out may be replaced

	Note Note
	// Begin is told before anything is written of how many bytes the weights will be, Written of each piece of them; an error ends the work.
	Begin   func(what string, bytes int64)
	Written func(bytes int64) error
}

// Converted is what was written.
type Converted struct {
	Out       string         `json:"out"`
	Files     []string       `json:"files,omitempty"` // the parts of a GGUF file
	Format    string         `json:"format"`
	DType     string         `json:"dtype"`
	Bytes     int64          `json:"bytes"`             // of the weights
	Tensors   map[string]int `json:"tensors,omitempty"` // of a GGUF file, by type
	Modelfile string         `json:"modelfile,omitempty"`
	Remarks   []string       `json:"remarks,omitempty"` // what the file cannot say
}

// The formats that a model is written in.
const (
	toSafetensors = "safetensors"
	toGGUF        = "gguf"
)

// singleFiles end the names of files that a folder is no one's wish for.
var singleFiles = []string{".safetensors", ".bin", ".pt", ".pth", ".ggml"}

// Convert writes a model that is there in another format or another type. What it began is gone when it fails.
func Convert(o ConvertOptions) (*Converted, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	shard, err := size("max-shard-size", o.MaxShardSize)
	if err != nil {
		return nil, err
	}
	m, err := OpenModel(o.In)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	if err := o.apart(m); err != nil {
		return nil, err
	}
	m.note(o.Note)
	if o.To == toGGUF {
		return m.toGGUF(o, shard)
	}
	return m.toFolder(o, shard)
}

// apart refuses an OUT that is the model itself, or a folder in which it lies and which would be replaced.
func (o *ConvertOptions) apart(m *Model) error {
	if sameFile(m.Path, o.Out) {
		return hint("choose another name for OUT", "%s is the model itself", o.Out)
	}
	if o.To == toGGUF {
		return nil
	}
	at, err := filepath.Abs(m.Path)
	if err != nil {
		return nil
	}
	for dir := filepath.Dir(at); ; dir = filepath.Dir(dir) {
		if sameFile(dir, o.Out) {
			return hint("choose another folder", "%s is the folder in which the model %s lies, and would be replaced with all that is in it", o.Out, m.Path)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// check settles the format and finds what cannot be asked for.
func (o *ConvertOptions) check() error {
	ext := strings.ToLower(filepath.Ext(filepath.Clean(o.Out)))
	isGGUF := ext == ".gguf"
	formats := []string{toSafetensors, toGGUF}
	if o.To == "" {
		if o.To = toSafetensors; isGGUF {
			o.To = toGGUF
		}
	}
	switch {
	case !slices.Contains(formats, o.To):
		way := ""
		if near := suggest.Nearest(strings.ToLower(o.To), formats); near != "" {
			way = "did you mean " + near + "?"
		}
		return &UsageError{hint(way, "to %q is not one of %s", o.To, strings.Join(formats, ", "))}
	case o.To == toGGUF && !isGGUF:
		return &UsageError{hint("e.g. "+filepath.Join(o.Out, "model.gguf"), "OUT is %s: the name of a GGUF file ends in .gguf", o.Out)}
	case o.To == toGGUF && os.IsPathSeparator(o.Out[len(o.Out)-1]):
		return &UsageError{hint("take "+filepath.Clean(o.Out)+", or another name for a folder", "OUT is %s: a folder by its end, a GGUF file by its name", o.Out)}
	case o.To == toSafetensors && slices.Contains(singleFiles, ext):
		return &UsageError{hint("take a folder's name, e.g. "+strings.TrimSuffix(filepath.Clean(o.Out), ext), "OUT is %s, and safetensors are written into a folder", o.Out)}
	case o.To == toSafetensors && isGGUF:
		return &UsageError{hint("take a folder's name, or --to gguf", "OUT is %s, and safetensors are written into a folder", o.Out)}
	}
	if o.DType != "" {
		d, err := export.ParseDType(o.DType)
		if err != nil {
			return &UsageError{err}
		}
		if o.To == toSafetensors && d.Quantized() {
			return &UsageError{hint("a folder takes f32, bf16 or f16; name OUT with .gguf for a GGUF file", "dtype %s is a type of GGUF files, and OUT is the folder %s", d.Name, o.Out)}
		}
		o.DType = d.Name
	}
	return nil
}

// convertDType is the type that was asked for, else the one that the matrices are stored in; of quantised ones bf16, which is said.
func (m *Model) convertDType(o *ConvertOptions) string {
	if o.DType != "" {
		return o.DType
	}
	embed := m.Net.Embed
	if f, ok := m.Source.(interface {
		FileBytes(name string, r0, r1 int) int64
	}); ok && f.FileBytes(embed.Name, 0, embed.Shape[0]) < 2*int64(embed.Len()) {
		o.Note("%s: its weights are quantised and are written as bf16; --dtype f32 keeps every bit of them", m.Path)
		return "bf16"
	}
	for _, t := range m.Source.Tensors() {
		if t.Name == embed.Name && (t.DType == tensor.BF16 || t.DType == tensor.F16) {
			return strings.ToLower(t.DType.String())
		}
	}
	return "f32"
}

// toFolder writes a Hugging Face folder.
func (m *Model) toFolder(o ConvertOptions, shard int64) (*Converted, error) {
	if err := o.freeFolder(); err != nil {
		return nil, err
	}
	if err := m.checkTied(); err != nil {
		return nil, err
	}
	name := m.convertDType(&o)
	dt, err := tensor.ParseDType(name)
	if err != nil {
		return nil, &UsageError{err}
	}
	tok, err := m.Tokenizer()
	if err != nil {
		if tokenizerFiles(m) {
			return nil, err
		}
		o.Note("%s: it has no tokenizer, so the folder has none", m.Path)
		tok = nil
	}
	if tok != nil {
		for _, n := range tok.Notes() {
			o.Note("lomo: warning: tokenizer: %s", n)
		}
	}
	need := m.Net.NumParams() * int64(dt.Size())
	if err := roomFor(o.Out, need); err != nil {
		return nil, err
	}
	o.Begin(name, need)
	dir := filepath.Clean(o.Out)
	made := missing(filepath.Dir(dir))
	err = checkpoint.SaveFolder(filepath.Dir(dir), filepath.Base(dir), func(temp string) error { return m.fillFolder(temp, dt, tok, shard, &o) })
	if err != nil {
		for _, d := range made {
			os.Remove(d)
		}
		return nil, err
	}
	return &Converted{Out: o.Out, Format: toSafetensors, DType: name, Bytes: need}, nil
}

// tokenizerFiles reports whether the model came with files of a tokenizer.
func tokenizerFiles(m *Model) bool {
	files := m.Source.AuxFiles()
	return files == nil || files["tokenizer.json"] != "" || files["tokenizer.model"] != "" || files["tekken.json"] != ""
}

func (m *Model) fillFolder(dir string, dt tensor.DType, tok *tokenizer.Tokenizer, shard int64, o *ConvertOptions) error {
	cfg, err := m.Config.JSON(dt.HFName())
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), cfg, 0o644); err != nil {
		return err
	}
	if err := sideFiles(m, tok, dir, o.Note); err != nil {
		return err
	}
	return m.copyWeights(dir, dt, shard, o.Written)
}

// freeFolder refuses a folder that holds something, or with Force something else than a model.
func (o *ConvertOptions) freeFolder() error {
	entries, err := os.ReadDir(o.Out)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return hint("choose a folder's name for OUT", "%s: %w", o.Out, plain(err))
	case len(entries) == 0:
		return nil
	case !o.Force:
		return hint("choose a new folder, or --force to replace it", "%s is not empty: it holds %s", o.Out, entries[0].Name())
	}
	if _, err := os.Stat(filepath.Join(o.Out, "config.json")); err != nil {
		return hint("choose a new folder", "%s is no model that could be replaced: it holds %s", o.Out, entries[0].Name())
	}
	if _, err := os.Stat(filepath.Join(o.Out, configFile)); err == nil {
		return hint("choose a new folder", "%s is the folder of a run, which is not replaced", o.Out)
	}
	return nil
}

// roomFor refuses what the disk has no space for.
func roomFor(path string, need int64) error {
	if free := freeDisk(filepath.Dir(path)); free >= 0 && need+sideBytes > free {
		return hint("free some space, choose a place on another disk or a smaller --dtype", "%s: the model takes %s, and %s are free there", path, checkpoint.FormatSize(need), checkpoint.FormatSize(free))
	}
	return nil
}

// toGGUF writes a GGUF file with its Modelfile.
func (m *Model) toGGUF(o ConvertOptions, shard int64) (*Converted, error) {
	if err := m.checkTied(); err != nil {
		return nil, err
	}
	d, err := export.ParseDType(m.convertDType(&o))
	if err != nil {
		return nil, &UsageError{err}
	}
	plan, tok, err := m.planGGUF(d)
	if err != nil {
		return nil, err
	}
	files := plan.Paths(o.Out, shard)
	if err := o.freeFiles(m, files); err != nil {
		return nil, err
	}
	beside := modelfileFor(files[0])
	if raw, err := os.ReadFile(beside); !errors.Is(err, fs.ErrNotExist) && (err != nil || !o.Force && !isModelfileOf(raw, files[0])) {
		return nil, hint("choose another name for OUT, or move it", "%s is there already, and is not of %s", beside, files[0])
	}
	recipe, said := export.Modelfile(files[0], tok, m.Config)
	if said != "" {
		plan.Notes = append(plan.Notes, said)
	}
	for _, n := range tok.Notes() {
		plan.Notes = append(plan.Notes, "tokenizer: "+n)
	}
	if err := roomFor(o.Out, plan.Bytes); err != nil {
		return nil, err
	}
	dir := filepath.Dir(o.Out)
	made := missing(dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, hint("choose another place for OUT", "%s cannot be made: %w", dir, plain(err))
	}
	for _, n := range plan.Notes {
		o.Note("lomo: warning: %s", n)
	}
	o.Begin(d.Name, plan.Bytes)
	c := &Converted{Out: o.Out, Format: toGGUF, DType: d.Name, Bytes: plan.Bytes, Tensors: plan.Types(), Remarks: plan.Notes}
	if len(files) > 1 {
		c.Files = files
	}
	if err := plan.Write(o.Out, shard, o.Written); err != nil {
		for _, d := range made {
			os.Remove(d)
		}
		return nil, err
	}
	c.Modelfile = beside
	if err := checkpoint.WriteFile(c.Modelfile, []byte(recipe)); err != nil {
		return nil, err
	}
	return c, nil
}

// modelfileFor is where the Modelfile of a GGUF file is written: beside it, under its own name where that is taken by another model's.
func modelfileFor(file string) string {
	path := filepath.Join(filepath.Dir(file), "Modelfile")
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && isModelfileOf(raw, file) {
		return path
	}
	return strings.TrimSuffix(file, filepath.Ext(file)) + ".Modelfile"
}

// isModelfileOf reports whether a Modelfile is one that was written for the file.
func isModelfileOf(raw []byte, file string) bool {
	return strings.HasPrefix(string(raw), "FROM ./"+filepath.Base(file)+"\n")
}

// planGGUF plans the GGUF file of a model, or refuses it.
func (m *Model) planGGUF(d export.DType) (*export.Plan, *tokenizer.Tokenizer, error) {
	tok, err := m.Tokenizer()
	if err != nil {
		if tokenizerFiles(m) {
			return nil, nil, err
		}
		tok = nil
	}
	plan, err := export.New(export.Model{Name: m.name(), Config: m.Config, Params: m.Net.Params(), Source: m.Source, Tokenizer: tok}, d)
	if err != nil {
		return nil, nil, advise("write a folder instead: --to safetensors", fmt.Errorf("model %s: %w", m.Path, err))
	}
	return plan, tok, nil
}

// name is what a model is called: what its GGUF file says, else its folder's or file's name.
func (m *Model) name() string {
	if f, ok := m.Source.(interface{ GGUFName() string }); ok && f.GGUFName() != "" {
		return f.GGUFName()
	}
	path := m.Path
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	if m.Given != m.Path && m.Given != "" {
		path = m.Given // its name on the hub
	}
	base := filepath.Base(path)
	if ext := filepath.Ext(base); strings.EqualFold(ext, ".gguf") {
		return cmp.Or(strings.TrimSuffix(base, ext), base)
	}
	return base
}

// freeFiles refuses files that are there, unless they may be replaced; never those that the model is read from.
func (o *ConvertOptions) freeFiles(m *Model, files []string) error {
	for _, f := range files {
		if src, ok := m.Source.(interface{ ReadFrom(path string) bool }); ok && src.ReadFrom(f) {
			return hint("choose another name for OUT", "%s is a part of the model itself", f)
		}
		info, err := os.Lstat(f)
		switch {
		case err != nil:
		case info.IsDir():
			return hint("choose a file's name for OUT", "%s is a folder", f)
		case !o.Force:
			return hint("choose another name, or --force to write over it", "%s is there already", f)
		}
	}
	return nil
}
