package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	tempPrefix     = ".tmp-"      // a folder being filled, or being removed
	replacedPrefix = ".replaced-" // the complete folder that a new one is about to follow
)

// SaveDir makes the folder parent/name in one step: fill writes into a temporary folder beside it, whose files, names
// and manifest are made durable before it is renamed. A kill at any instant leaves either the folder that was there
// before, or the new one; never a part of it. If fill or the disk fails, the temporary folder is removed.
func SaveDir(parent, name string, fill func(tmpDir string) error) error {
	return saveDir(parent, name, func(temp string) error { return fillDir(temp, fill, true) })
}

// saveDir is SaveDir with a make that makes the complete folder.
func saveDir(parent, name string, make func(temp string) error) error {
	if name != filepath.Base(name) || !filepath.IsLocal(name) || name == "." {
		return fmt.Errorf("folder name %q is not a plain name", name)
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	temp := TempDir(parent, name)
	if err := os.RemoveAll(temp); err != nil { // of a save that was killed
		return err
	}
	err := make(temp)
	if err == nil {
		err = install(temp, parent, name)
	}
	if err != nil { // not deferred: a panic is to leave things as a kill does
		os.RemoveAll(temp)
		return err
	}
	if err := syncDir(parent); err != nil {
		return err
	}
	return os.RemoveAll(temp) // what exchange has put there
}

// TempDir is the folder that SaveDir fills, for those who help to.
func TempDir(parent, name string) string { return filepath.Join(parent, tempPrefix+name) }

// fillDir makes a complete folder at temp, with a manifest or without.
func fillDir(temp string, fill func(string) error, manifest bool) error {
	if err := failpoint("create"); err != nil {
		return writeError(temp, 0, err)
	}
	if err := os.Mkdir(temp, 0o755); err != nil {
		return writeError(temp, 0, err)
	}
	if err := fill(temp); err != nil {
		return err
	}
	m, err := syncTree(temp)
	if err != nil || !manifest {
		return err
	}
	return m.write(temp)
}

// syncTree makes every file and folder below dir durable and lists the files, with checksums of what the system gives back.
func syncTree(dir string) (*manifest, error) {
	m := &manifest{Version: manifestVersion}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := syncFile(path); err != nil {
			return err
		}
		if d.IsDir() {
			return nil
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		if !st.Mode().IsRegular() {
			return fmt.Errorf("%s is not a regular file", path)
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		sum, err := checksum(path)
		m.Files = append(m.Files, manifestFile{filepath.ToSlash(rel), st.Size(), sum})
		return err
	})
	return m, err
}

// install gives temp its name. A folder that has the name already is replaced: by an exchange in one step where the
// system can, else it stands aside, where Latest finds it until the new one is there.
func install(temp, parent, name string) error {
	final := filepath.Join(parent, name)
	_, err := os.Lstat(final)
	if errors.Is(err, os.ErrNotExist) {
		return rename(temp, final)
	}
	if err != nil {
		return err
	}
	if err := failpoint("exchange"); err != nil {
		return err
	}
	if done, err := exchangeDirs(temp, final); done || err != nil {
		return err
	}
	aside := filepath.Join(parent, replacedPrefix+name)
	if err := os.RemoveAll(aside); err != nil {
		return err
	}
	if err := rename(final, aside); err != nil {
		return err
	}
	if err := rename(temp, final); err != nil {
		return errors.Join(err, os.Rename(aside, final))
	}
	if err := failpoint("remove"); err != nil {
		return err
	}
	return os.RemoveAll(aside)
}

// exchangeDirs is exchange; tests replace it to take the way of systems that have none.
var exchangeDirs = exchange

// SaveFolder is SaveDir for a folder that is no checkpoint: it has no manifest.
func SaveFolder(parent, name string, fill func(tmpDir string) error) error {
	return saveDir(parent, name, func(temp string) error { return fillDir(temp, fill, false) })
}
