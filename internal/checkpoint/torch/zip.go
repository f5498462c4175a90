package torch

import (
	"archive/zip"
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"path"
	"slices"

	"lomo/internal/fault"
)

// maxMembers bounds an archive, because some 300 bytes are held for each: a model has one a tensor.
var maxMembers = 100_000

// Records of a zip archive: signature and size without names (PKWARE's APPNOTE 4.3).
const (
	directorySig, directorySize = "PK\x01\x02", 46 // of one member, in the table
	endSig, endSize             = "PK\x05\x06", 22
	locatorSig, locatorSize     = "PK\x06\x07", 20 // of the zip64 end, before the end
	end64Sig, end64Size         = "PK\x06\x06", 56
)

// openArchive reads the table of an archive. Its members are counted before, for the reader holds all that come, whatever number the end says.
func openArchive(r io.ReaderAt, size int64) (*archive, error) {
	end, err := findEnd(r, size)
	if err != nil {
		return nil, err
	}
	if err := end.count(r); err != nil {
		return nil, err
	}
	v := &view{r, end.offset + end.size, end.bytes()}
	z, err := zip.NewReader(v, v.cut+int64(len(v.tail)))
	if err != nil || int64(len(z.File)) != end.members {
		return nil, fault.Damaged("the archive's table of %s cannot be read", fault.Count(int(end.members), "member"))
	}
	a := &archive{entries: make(map[string]*zip.File, len(z.File)), data: make(map[*zip.File]int64, len(z.File))}
	for _, e := range z.File {
		if a.entries[e.Name] != nil {
			return nil, fmt.Errorf("archive member %q occurs twice", fault.Line(e.Name))
		}
		a.entries[e.Name] = e
		if path.Base(e.Name) == "data.pkl" {
			a.top = path.Dir(e.Name)
		}
	}
	return a, a.apart(z.File, end.offset)
}

func noEnd(size int64) error {
	return fault.Damaged("the file ends at byte %d without the table of a zip archive, which torch.save writes last: its end is lost", size)
}

// directoryEnd is what the end of an archive says of its table.
type directoryEnd struct{ at, members, size, offset int64 }

// findEnd reads the end, and the zip64 end before it, which counts where the end has no room for a number: torch.save always writes both.
func findEnd(r io.ReaderAt, size int64) (directoryEnd, error) {
	tail := make([]byte, min(size, endSize+1<<16)) // a comment may follow
	if _, err := r.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return directoryEnd{}, err
	}
	i := bytes.LastIndex(tail[:max(0, len(tail)-endSize+len(endSig))], []byte(endSig))
	if i < 0 {
		return directoryEnd{}, noEnd(size)
	}
	b := tail[i:]
	end := directoryEnd{size - int64(len(b)), int64(binary.LittleEndian.Uint16(b[10:])), int64(binary.LittleEndian.Uint32(b[12:])), int64(binary.LittleEndian.Uint32(b[16:]))}
	if end.members == 0xffff || end.offset == 0xffffffff || end.size == 0xffffffff {
		var locator [locatorSize]byte
		var b [end64Size]byte
		if end.at < locatorSize {
			return end, noEnd(size)
		}
		if _, err := r.ReadAt(locator[:], end.at-locatorSize); err != nil {
			return end, err
		}
		if string(locator[:4]) == locatorSig {
			at := binary.LittleEndian.Uint64(locator[8:])
			if at > uint64(end.at) {
				return end, fault.Damaged("the archive's table ends at byte %d, the file at %d", at, size)
			}
			if _, err := r.ReadAt(b[:], int64(at)); err != nil || string(b[:4]) != end64Sig {
				return end, noEnd(size)
			}
			end = directoryEnd{int64(at), int64(binary.LittleEndian.Uint64(b[32:])), int64(binary.LittleEndian.Uint64(b[40:])), int64(binary.LittleEndian.Uint64(b[48:]))}
		}
	}
	if end.offset < 0 || end.size < 0 || end.offset > end.at || end.size > end.at-end.offset {
		return end, fault.Damaged("the archive's table would have %d bytes at byte %d, in a file of %d", uint64(end.size), uint64(end.offset), size)
	}
	if end.members < 0 || end.members > end.size/directorySize {
		return end, fault.Damaged("the archive's table would list %d members in %d bytes", uint64(end.members), end.size)
	}
	return end, nil
}

// count wants as many entries in the table as its end says, and nothing else.
func (end directoryEnd) count(r io.ReaderAt) error {
	if end.members > int64(maxMembers) {
		return fault.Refuse("a file of torch.save is wanted, which has a member a tensor", "the archive has %d members; at most %d are read", end.members, maxMembers)
	}
	in := bufio.NewReader(io.NewSectionReader(r, end.offset, end.size))
	var b [directorySize]byte
	left, n := end.size, int64(0)
	for ; left >= directorySize && n <= end.members; n++ {
		if _, err := io.ReadFull(in, b[:]); err != nil {
			return err
		}
		behind := int(binary.LittleEndian.Uint16(b[28:])) + int(binary.LittleEndian.Uint16(b[30:])) + int(binary.LittleEndian.Uint16(b[32:])) // name, extra, comment
		if left -= int64(directorySize + behind); string(b[:4]) != directorySig || left < 0 {
			return fault.Damaged("member %d of the archive's table is none", n)
		}
		if _, err := in.Discard(behind); err != nil {
			return err
		}
	}
	if n != end.members || left != 0 {
		return fault.Damaged("the archive's table of %d bytes does not have the %s that its end says", end.size, fault.Count(int(end.members), "member"))
	}
	return nil
}

// bytes is an end of the archive, in zip64, that says just this: ends can be read in several ways, and the reader is to find the table that was counted.
func (end directoryEnd) bytes() []byte {
	le := binary.LittleEndian
	b := append(make([]byte, 0, end64Size+locatorSize+endSize), end64Sig...)
	b = append(le.AppendUint64(b, end64Size-12), make([]byte, 12)...)
	for _, v := range []int64{end.members, end.members, end.size, end.offset} {
		b = le.AppendUint64(b, uint64(v))
	}
	b = le.AppendUint32(append(b, locatorSig...), 0)
	b = le.AppendUint32(le.AppendUint64(b, uint64(end.offset+end.size)), 1)
	b = append(append(b, endSig...), 0, 0, 0, 0)
	return append(append(b, bytes.Repeat([]byte{0xff}, 12)...), 0, 0)
}

// view is a file up to a place, and other bytes behind it.
type view struct {
	r    io.ReaderAt
	cut  int64
	tail []byte
}

func (v *view) ReadAt(p []byte, off int64) (n int, err error) {
	if off < v.cut {
		n = int(min(int64(len(p)), v.cut-off))
		if n, err = v.r.ReadAt(p[:n], off); err != nil || n == len(p) {
			return n, err
		}
	}
	m := copy(p[n:], v.tail[min(int64(len(v.tail)), off+int64(n)-v.cut):])
	if n += m; n < len(p) {
		err = io.EOF
	}
	return n, err
}

// apart finds where the bytes of all members lie, and wants each within the file, before the table, and none in another.
func (a *archive) apart(files []*zip.File, table int64) error {
	sorted := slices.Clone(files)
	for _, e := range files {
		at, err := e.DataOffset()
		if err != nil {
			return fault.Damaged("archive member %q: nothing of it stands where the table says", fault.Line(e.Name))
		}
		if e.Method == zip.Store && e.CompressedSize64 != e.UncompressedSize64 {
			return fault.Damaged("archive member %q: %d bytes, stored in %d", fault.Line(e.Name), e.UncompressedSize64, e.CompressedSize64)
		}
		if at > table || e.CompressedSize64 > uint64(table-at) {
			return fault.Damaged("archive member %q: %d bytes from byte %d, where %d are left before the table", fault.Line(e.Name), e.CompressedSize64, at, max(0, table-at))
		}
		a.data[e] = at
	}
	slices.SortFunc(sorted, func(x, y *zip.File) int {
		return cmp.Or(cmp.Compare(a.data[x], a.data[y]), cmp.Compare(x.CompressedSize64, y.CompressedSize64))
	})
	for i := 1; i < len(sorted); i++ {
		before, e := sorted[i-1], sorted[i]
		if a.data[before]+int64(before.CompressedSize64) > a.data[e] || a.data[before] == a.data[e] {
			return fault.Damaged("archive members %q and %q overlap", fault.Line(before.Name), fault.Line(e.Name))
		}
	}
	return nil
}

// archive is the zip archive's members; all lie in one folder of any name.
type archive struct {
	entries map[string]*zip.File
	data    map[*zip.File]int64 // where their bytes begin
	top     string
}
