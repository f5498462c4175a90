// Package checkpoint brings weights in and out of files: Hugging Face folders, Meta's parts and GGUF files in,
// safetensors out, and the checkpoints of a run, which survive a kill at any instant.
//
// Weights are read and written row range by row range through the caller's memory. No file is mapped and no tensor
// is held twice: what a load costs is the tensor itself and a buffer of less than 1 MiB.
package checkpoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"lomo/internal/fault"
	"lomo/internal/hub"
	"lomo/internal/tensor"
)

// Info names a tensor. Names are those of Hugging Face files, the shape of a matrix is [out, in]; tensors of a GGUF
// file that are quantised have dtype F32, which is what they decode to.
type Info struct {
	Name  string
	DType tensor.DType
	Shape []int
}

// Source is an open checkpoint. Its methods may be called from several goroutines at once.
type Source interface {
	// Config is config.json, made from the metadata when the file is a GGUF one; nil for OpenFile.
	Config() []byte
	// Tensors lists every tensor in the order it is stored.
	Tensors() []Info
	// ReadRows decodes the entries [r0, r1) of the first dimension into dst as dt (F32 or BF16, or the tensor's own
	// dtype, which is copied); a scalar has one entry. len(dst) is exactly their size. A value that is not finite
	// is an error that names tensor and row.
	ReadRows(name string, r0, r1 int, dst []byte, dt tensor.DType) error
	// AuxFiles maps the names of tokenizer and generation files to their paths.
	AuxFiles() map[string]string
	Path() string
	Close() error
}

// Open opens a Hugging Face folder (safetensors, or pytorch_model.bin), one in the hub's cache, a folder of Meta's (params.json
// and consolidated.*.pth) or a GGUF file and checks every header, shape and offset. No weight is read.
func Open(path string) (Source, error) {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("%s: no such file or folder", path)
	case err != nil:
		return nil, fmt.Errorf("model: %w", err)
	case st.IsDir():
		dir, err := hub.Resolve(path)
		if err != nil {
			return nil, err
		}
		return openFolder(dir)
	case strings.EqualFold(filepath.Ext(path), ".gguf"):
		return openGGUF(path)
	}
	if err := fault.InsteadOf(path); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	advice := "give a folder with config.json and *.safetensors or pytorch_model.bin, one with params.json and consolidated.*.pth, or a .gguf file"
	switch strings.ToLower(filepath.Ext(path)) {
	case ".safetensors", ".bin", ".json", ".pth", ".model":
		advice = "give its folder: " + filepath.Dir(path)
	}
	return nil, fault.Refuse(advice, "%s: a file that is no whole model", path)
}

// readSmall reads a file of at most limit bytes.
func readSmall(path string, limit int64) ([]byte, error) { return fault.Read(path, limit) }
