package gguf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"

	"lomo/internal/fault"
)

// The keys of a model that is split into several files: number of this one, from 0, of the files, and of all tensors.
const (
	splitNumber  = "split.no"
	splitCount   = "split.count"
	splitTensors = "split.tensors.count"
)

// PartOf are the keys by which a part is known to belong to the first.
var PartOf = []string{"general.architecture", "general.name", "general.file_type"}

var partName = regexp.MustCompile(`^(.*)-(\d{5})-of-(\d{5})\.gguf$`)

// join opens the count files of a split model, of which f is the one at path, as one. The first has the metadata.
func (f *File) join(path string, count int) (_ *File, err error) {
	m := partName.FindStringSubmatch(filepath.Base(path))
	if m == nil || m[3] != fmt.Sprintf("%05d", count) {
		f.Close()
		no, _ := f.Int(splitNumber)
		return nil, fault.Refuse(fmt.Sprintf("give the files their names back: NAME-00001-of-%05d.gguf and so on", count),
			"%s: part %d of %d of a split model, which its name does not say", path, no+1, count)
	}
	f.Close()
	whole := &File{}
	defer func() {
		if err != nil {
			whole.Close()
		}
	}()
	part := func(i int) string {
		return filepath.Join(filepath.Dir(path), fmt.Sprintf("%s-%05d-of-%s.gguf", m[1], i+1, m[3]))
	}
	if err := missing(part, count); err != nil {
		return nil, err
	}
	for i := range count {
		p, err := openOne(part(i))
		if err != nil {
			return nil, fmt.Errorf("part %d of %d: %w", i+1, count, err)
		}
		whole.parts = append(whole.parts, p.parts...)
		if err := whole.take(p, i, count); err != nil {
			return nil, fmt.Errorf("%s: %w", part(i), err)
		}
	}
	if n, ok := whole.Int(splitTensors); ok && n != len(whole.Tensors) {
		return nil, fmt.Errorf("%s: %w", part(0), fault.Damaged("the %d parts hold %d tensors, %s says %d", count, len(whole.Tensors), splitTensors, n))
	}
	return whole, nil
}

// missing names the parts that are not there.
func missing(part func(int) string, count int) error {
	n, first := 0, ""
	for i := range count {
		if _, err := os.Stat(part(i)); errors.Is(err, fs.ErrNotExist) {
			if n++; n == 1 {
				first = part(i)
			}
		}
	}
	if n == 0 {
		return nil
	}
	return fault.Refuse("download all parts into one folder", "%d of %d parts of the split model are missing, first %s", n, count, first)
}

// take adds part i.
func (f *File) take(p *File, i, count int) error {
	no, ok := p.Int(splitNumber)
	if n, _ := p.Int(splitCount); !ok || no != i || n != count {
		return fault.Damaged("it says to be part %d of %d, its name says %d of %d", no+1, n, i+1, count)
	}
	if i == 0 {
		parts := f.parts
		*f = *p
		f.parts = parts
		return nil
	}
	if mine, ok := p.Int(splitTensors); ok {
		if first, _ := f.Int(splitTensors); mine != first {
			return fault.Damaged("it is a part of another model: %s is %d, the first part's is %d", splitTensors, mine, first)
		}
	}
	for _, key := range PartOf { // that later parts of other programs seldom have
		if mine, ok := p.KV[key]; ok && !reflect.DeepEqual(mine, f.KV[key]) {
			return fault.Damaged("it is a part of another model: %s is %s, the first part's is %s", key, fault.Line(fmt.Sprint(mine)), fault.Line(fmt.Sprint(f.KV[key])))
		}
	}
	for _, t := range p.Tensors {
		if _, twice := f.index[t.Name]; twice {
			return fault.Damaged("tensor %q is in an earlier part too", t.Name)
		}
		f.index[t.Name] = len(f.Tensors)
		f.Tensors = append(f.Tensors, t)
	}
	f.unread = append(f.unread, p.unread...)
	return nil
}
