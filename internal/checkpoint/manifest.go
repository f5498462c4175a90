package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrIncomplete says that a checkpoint folder lacks its manifest or a file of it, or that a file has another size.
var ErrIncomplete = errors.New("incomplete checkpoint")

const (
	manifestName    = "lomo_manifest.json"
	manifestVersion = 1
	maxManifest     = 16 << 20
)

// manifest lists the files of a checkpoint. It is written after they are durable, so that its presence proves them.
type manifest struct {
	Version int            `json:"version"`
	Files   []manifestFile `json:"files"`
}

type manifestFile struct {
	Name string `json:"name"` // relative to the folder, with slashes
	Size int64  `json:"size"`
}

func (m *manifest) write(dir string) error {
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := WriteFile(filepath.Join(dir, manifestName), append(raw, '\n')); err != nil {
		return err
	}
	return syncDir(dir)
}

func parseManifest(raw []byte) (*manifest, error) {
	m := &manifest{}
	if err := json.Unmarshal(raw, m); err != nil {
		return nil, fmt.Errorf("%s: %w", manifestName, err)
	}
	if m.Version != manifestVersion {
		return nil, fmt.Errorf("%s: version %d, want %d", manifestName, m.Version, manifestVersion)
	}
	for _, f := range m.Files {
		if !filepath.IsLocal(filepath.FromSlash(f.Name)) {
			return nil, fmt.Errorf("%s: file name %q leads out of the folder", manifestName, f.Name)
		}
	}
	return m, nil
}

// Complete checks that dir is a checkpoint that SaveDir has finished and that every file still has its size. Files
// added since do not matter. Errors wrap ErrIncomplete.
func Complete(dir string) error {
	raw, err := readSmall(filepath.Join(dir, manifestName), maxManifest)
	if err != nil {
		return incomplete(dir, err)
	}
	m, err := parseManifest(raw)
	if err != nil {
		return incomplete(dir, err)
	}
	for _, f := range m.Files {
		st, err := os.Stat(filepath.Join(dir, filepath.FromSlash(f.Name)))
		if err != nil {
			return incomplete(dir, err)
		}
		if st.Size() != f.Size {
			return incomplete(dir, fmt.Errorf("%s has %d bytes, want %d", f.Name, st.Size(), f.Size))
		}
	}
	return nil
}

func incomplete(dir string, err error) error {
	return fmt.Errorf("%w %s: %w", ErrIncomplete, dir, err)
}
