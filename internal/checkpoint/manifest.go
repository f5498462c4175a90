package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lomo/internal/fault"
	"lomo/internal/strictjson"
)

// ErrIncomplete says that a checkpoint folder lacks its manifest or a file of it, or that a file has another size.
var ErrIncomplete = errors.New("incomplete checkpoint")

// ErrDamaged says that a file of a checkpoint has other bytes than were saved.
var ErrDamaged = errors.New("damaged checkpoint")

const (
	manifestName    = "lomo_manifest.json"
	manifestVersion = 2 // 1 had no checksums
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
	Sum  string `json:"crc32c,omitempty"` // CRC-32C of the bytes, 8 hexadecimal digits
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
	if err := strictjson.Unmarshal(raw, m); err != nil {
		return nil, fmt.Errorf("%s: %w", manifestName, err)
	}
	if m.Version < 1 || m.Version > manifestVersion {
		return nil, fmt.Errorf("%s: version %d, want at most %d", manifestName, m.Version, manifestVersion)
	}
	seen := map[string]bool{}
	for _, f := range m.Files {
		switch {
		case !filepath.IsLocal(filepath.FromSlash(f.Name)):
			return nil, fmt.Errorf("%s: file name %q leads out of the folder", manifestName, fault.Line(f.Name))
		case seen[f.Name]:
			return nil, fmt.Errorf("%s: file %q stands twice", manifestName, fault.Line(f.Name))
		case (f.Sum == "") != (m.Version == 1):
			return nil, fmt.Errorf("%s: version %d, and the checksum of %q is %q", manifestName, m.Version, fault.Line(f.Name), fault.Line(f.Sum))
		}
		seen[f.Name] = true
	}
	return m, nil
}

// Complete checks that dir is a checkpoint that SaveDir has finished and that every file still has its size. Files
// added since do not matter. Errors wrap ErrIncomplete, or fs.ErrPermission where that cannot be told.
func Complete(dir string) error {
	_, err := complete(dir)
	return err
}

func complete(dir string) (*manifest, error) {
	raw, err := readManifest(filepath.Join(dir, manifestName), maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, incomplete(dir, fmt.Errorf("%s is missing", manifestName))
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, closed(dir, manifestName)
	}
	if err != nil {
		return nil, incomplete(dir, err)
	}
	m, err := parseManifest(raw)
	if err != nil {
		return nil, incomplete(dir, err)
	}
	for _, f := range m.Files {
		st, err := os.Stat(filepath.Join(dir, filepath.FromSlash(f.Name)))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, incomplete(dir, fmt.Errorf("%s is missing", f.Name))
		}
		if err != nil {
			return nil, incomplete(dir, err)
		}
		if st.Size() != f.Size {
			return nil, incomplete(dir, fmt.Errorf("%s has %d bytes, want %d", f.Name, st.Size(), f.Size))
		}
	}
	return m, nil
}

// closed is a checkpoint of which this user may not read a file. Nothing is known of it: it is neither whole nor damaged.
func closed(dir, name string) error {
	return fault.Refuse("allow it with chmod, or rename the folder to do without it", "checkpoint %s: this user may not read %s: %w", dir, fault.Line(name), fs.ErrPermission)
}

func incomplete(dir string, err error) error {
	return fmt.Errorf("%w %s: %w", ErrIncomplete, dir, err)
}

// Intact checks that dir is complete and that every byte is the one that was saved. It reads all of the files. A checkpoint of a
// version that kept no checksums passes when it is complete. Errors wrap ErrIncomplete, ErrDamaged, or
// fs.ErrPermission where that cannot be told.
//
// A file of weights that was added since is damage too: a reader might take it in place of those that the run saved.
func Intact(dir string) error {
	m, err := complete(dir)
	if err != nil || m.Version == 1 {
		return err
	}
	for _, f := range m.Files {
		sum, err := checksum(filepath.Join(dir, filepath.FromSlash(f.Name)))
		if errors.Is(err, fs.ErrPermission) {
			return closed(dir, f.Name)
		}
		if err != nil {
			return fmt.Errorf("%w %s: %w", ErrDamaged, dir, err)
		}
		if sum != f.Sum {
			return fmt.Errorf("%w %s: %s has the checksum %s, %s was saved", ErrDamaged, dir, f.Name, sum, fault.Line(f.Sum))
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("%w %s: %w", ErrDamaged, dir, err)
	}
	for _, e := range entries {
		listed := slices.ContainsFunc(m.Files, func(f manifestFile) bool { return f.Name == e.Name() })
		if !listed && holdsWeights(e.Name()) {
			return fmt.Errorf("%w %s: %s was not saved with it", ErrDamaged, dir, fault.Line(e.Name()))
		}
	}
	return nil
}

// holdsWeights tells by its name a file that a reader may take for weights, or for the list of them.
func holdsWeights(name string) bool {
	for _, end := range []string{".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json", ".pth", ".gguf"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// Tests replace these to refuse a file, which root may always read.
var (
	readManifest = fault.Read
	openPart     = fault.Open
)

// checksum reads a file through and gives its CRC-32C.
func checksum(path string) (string, error) {
	f, _, err := openPart(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	if _, err := io.CopyBuffer(struct{ io.Writer }{h}, f, make([]byte, 1<<20)); err != nil {
		return "", err
	}
	return fmt.Sprintf("%08x", h.Sum32()), nil
}
