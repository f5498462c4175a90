package records

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// The reader of parquet files believes the lengths that it reads. They are looked at before: those of the footer, and those of the headers of all pages.
const (
	maxFooter     = 16 << 20
	signature     = 28       // bytes that may stand behind a footer
	maxPageHeader = 16 << 20 // some writers put the smallest and the largest text into it, each of them twice
	maxPageValues = 1 << 24  // a writer's page has some 20,000
	pageFree      = 16 << 20 // bytes that any page may unpack to
	valueSize     = 24       // what a value of a row takes while the row is read
	rowSize       = 64       // what a row takes beside its text, about
	structSize    = 512      // what an element of the footer's lists takes, about
)

var (
	errThrift = errors.New("its lengths do not fit into the file")
	errMore   = errors.New("more bytes are wanted")
)

// checkFooter looks at the end of a file of size bytes.
func checkFooter(f io.ReaderAt, size int64) error {
	var end [8]byte
	if size < 12 {
		return errors.New("the file is too short")
	}
	if _, err := f.ReadAt(end[:], size-8); err != nil {
		return err
	}
	n := int64(binary.LittleEndian.Uint32(end[:]))
	if magic := string(end[4:]); magic != "PAR1" && magic != "PARE" {
		return nil // the reader says what it is
	}
	if n > size-12 || n > maxFooter {
		return fmt.Errorf("its footer would have %d bytes, in a file of %d; at most %d are read", n, size, maxFooter)
	}
	if string(end[4:]) == "PARE" {
		return errors.New("it is encrypted")
	}
	raw := make([]byte, n)
	if _, err := f.ReadAt(raw, size-8-n); err != nil {
		return err
	}
	w := walker{b: raw}
	if err := w.structure(0, nil); err != nil || w.at != len(raw) && w.at != len(raw)-signature {
		return errThrift
	}
	if w.structs*structSize > 64<<20+16*len(raw) {
		return fmt.Errorf("its footer lists %d parts in %d bytes", w.structs, len(raw))
	}
	return nil
}

// checkPages looks at the headers of all pages.
func checkPages(f io.ReaderAt, size int64, in *parquet.File) error {
	columns := leaves(in.Root(), 0, 0)
	for _, group := range in.Metadata().RowGroups {
		if group.NumRows == 0 {
			continue
		}
		for i, c := range group.Columns {
			if i >= len(columns) {
				return errThrift
			}
			if n := c.MetaData.NumValues; columns[i].rep > 0 && n > (pageFree+growth*size)/valueSize { // one row may have all
				return fmt.Errorf("lists of %d values in a file of %d bytes", n, size)
			}
			at := c.MetaData.DataPageOffset
			if d := c.MetaData.DictionaryPageOffset; d > 0 && d < at {
				at = d
			}
			end := at + c.MetaData.TotalCompressedSize
			if at < 0 || end < at || end > size {
				return errThrift
			}
			for seen := int64(0); at < end && seen < c.MetaData.NumValues; {
				p, err := checkPage(f, at, end)
				if err == nil {
					err = p.unpack(f, c.MetaData.Codec, func(r io.Reader) error { return p.counted(r, f, columns[i]) })
				}
				if err != nil {
					return err
				}
				at, seen = p.next, seen+p.values
			}
		}
	}
	return nil
}

// pageHeader is what the header of a page says.
type pageHeader struct {
	at, next         int64 // of what is packed, and of the next page
	values           int64
	packed, unpacked int64 // bytes
	levels           int64 // bytes before those that are packed
	raw              bool  // nothing is packed, whatever the codec

	kind       format.PageType
	encoding   format.Encoding
	entries    int64              // of a dictionary
	nulls      int64              // in the second version
	levelCodes [2]format.Encoding // of repetition and definition, in the first version
	levelBytes [2]int64           // likewise, in the second
}

// checkPage looks at the header of the page at a place.
func checkPage(f io.ReaderAt, at, end int64) (pageHeader, error) {
	var w walker
	var packed, unpacked, entries, values, levels int64
	var p pageHeader
	none := false
	field := func(path [2]int, v int64) {
		switch path {
		case [2]int{0, 2}:
			unpacked = v
		case [2]int{0, 3}:
			packed = v
		case [2]int{5, 1}, [2]int{8, 1}:
			values = v
		case [2]int{0, 1}:
			p.kind = format.PageType(v)
		case [2]int{5, 2}, [2]int{8, 4}:
			p.encoding = format.Encoding(v)
		case [2]int{5, 3}:
			p.levelCodes[1] = format.Encoding(v)
		case [2]int{5, 4}:
			p.levelCodes[0] = format.Encoding(v)
		case [2]int{8, 2}:
			p.nulls = v
		case [2]int{7, 1}: // of a dictionary
			entries = v
		case [2]int{8, 5}, [2]int{8, 6}:
			p.levelBytes[path[1]&1] = v // 5: definition, 6: repetition
			if levels += v; v < 0 {
				levels = -1 << 40
			}
		case [2]int{8, 7}:
			none = v == 0
		}
	}
	for window := int64(4096); ; window = min(16*window, maxPageHeader) {
		raw := make([]byte, min(window, end-at))
		if _, err := f.ReadAt(raw, at); err != nil {
			return pageHeader{}, err
		}
		w, levels = walker{b: raw}, 0
		err := w.structure(0, field)
		if errors.Is(err, errMore) && window < maxPageHeader && int64(len(raw)) < end-at {
			continue
		}
		if err != nil {
			return pageHeader{}, errThrift
		}
		break
	}
	at += int64(w.at)
	next := at + packed
	switch {
	case packed < 0 || unpacked < 0 || values < 0 || entries < 0 || next > end || levels < 0 || levels > min(packed, unpacked):
		return pageHeader{}, errThrift
	case max(values, entries) > maxPageValues:
		return pageHeader{}, fmt.Errorf("a page of %d values; at most %d are read", max(values, entries), maxPageValues)
	case unpacked > pageFree+growth*packed:
		return pageHeader{}, fmt.Errorf("a page of %d bytes unpacks to %d", packed, unpacked)
	}
	p.at, p.next, p.values, p.packed, p.unpacked, p.levels, p.raw, p.entries = at, next, values, packed, unpacked, levels, none, entries
	return p, nil
}

// walker goes through Thrift's compact protocol without keeping anything.
type walker struct {
	b       []byte
	at      int
	structs int // elements of lists that are structures
}

const (
	thriftTrue = iota + 1
	thriftFalse
	thriftByte
	thriftI16
	thriftI32
	thriftI64
	thriftDouble
	thriftBinary
	thriftList
	thriftSet
	thriftMap
	thriftStruct

	maxThrift = 16 // structures within each other
)

func (w *walker) byte() (byte, error) {
	if w.at >= len(w.b) {
		return 0, errMore
	}
	w.at++
	return w.b[w.at-1], nil
}

func (w *walker) varint() (uint64, error) {
	n, size := binary.Uvarint(w.b[w.at:])
	if size == 0 {
		return 0, errMore
	}
	if size < 0 {
		return 0, errThrift
	}
	w.at += size
	return n, nil
}

func (w *walker) skip(n uint64) error {
	if n > uint64(len(w.b)-w.at) {
		return errMore
	}
	w.at += int(n)
	return nil
}

// structure goes through one; field hears the integers of it and of the structures directly in it, by the number of the outer field (0: none) and their own.
func (w *walker) structure(depth int, field func(path [2]int, v int64)) error {
	return w.fields(depth, 0, field)
}

func (w *walker) fields(depth, outer int, field func([2]int, int64)) error {
	if depth > maxThrift {
		return errThrift
	}
	for id := 0; ; {
		head, err := w.byte()
		if err != nil || head == 0 {
			return err
		}
		if delta := int(head >> 4); delta > 0 {
			id += delta
		} else {
			v, err := w.varint()
			if err != nil {
				return err
			}
			id = int(int16(v>>1) ^ -int16(v&1))
		}
		if err := w.value(head&15, depth, outer, id, field); err != nil {
			return err
		}
	}
}

func (w *walker) value(typ byte, depth, outer, id int, field func([2]int, int64)) error {
	switch typ {
	case thriftTrue, thriftFalse:
		if field != nil {
			field([2]int{outer, id}, int64(thriftFalse-typ))
		}
		return nil
	case thriftByte:
		return w.skip(1)
	case thriftI16, thriftI32, thriftI64:
		v, err := w.varint()
		if err == nil && field != nil {
			field([2]int{outer, id}, int64(v>>1)^-int64(v&1))
		}
		return err
	case thriftDouble:
		return w.skip(8)
	case thriftBinary:
		n, err := w.varint()
		if err != nil {
			return err
		}
		return w.skip(n)
	case thriftList, thriftSet:
		return w.list(depth)
	case thriftMap:
		n, err := w.varint()
		if err == nil && n > 0 { // parquet's own structures have none
			err = errThrift
		}
		return err
	case thriftStruct:
		if outer != 0 || depth > 0 {
			field = nil
		}
		return w.fields(depth+1, id, field)
	}
	return errThrift
}

func (w *walker) list(depth int) error {
	head, err := w.byte()
	if err != nil {
		return err
	}
	n := uint64(head >> 4)
	if n == 15 {
		if n, err = w.varint(); err != nil {
			return err
		}
	}
	typ := head & 15
	if n > uint64(len(w.b)-w.at) { // each takes a byte
		return errMore
	}
	for range n {
		switch typ {
		case thriftTrue, thriftFalse:
			err = w.skip(1)
		case thriftStruct:
			w.structs++
			fallthrough
		default:
			err = w.value(typ, depth+1, -1, 0, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
