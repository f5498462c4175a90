package records

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// What stands in a page is counted before the reader sees it. A run of a few bytes may say that it has billions of values, which the reader writes out, and
// of texts that are more or fewer than they should be it prints a line of its own.

// leaf is a column of values: how often it may repeat, and how many of the nodes on the way to it may be missing.
type leaf struct {
	rep, def int
	kind     parquet.Kind
}

// leaves lists the columns under a node in their order.
func leaves(n *parquet.Column, rep, def int) []leaf {
	if n.Optional() || n.Repeated() {
		def++
	}
	if n.Repeated() {
		rep++
	}
	if n.Leaf() {
		return []leaf{{rep, def, n.Type().Kind()}}
	}
	var out []leaf
	for _, f := range n.Columns() {
		out = append(out, leaves(f, rep, def)...)
	}
	return out
}

// slackValues is how many values more than it says a page may have: writers fill up to whole groups.
const slackValues = 512

// counted reads what is unpacked of a page, and wants as many values as its header says.
func (p pageHeader) counted(in io.Reader, f io.ReaderAt, c leaf) error {
	r := bufio.NewReaderSize(in, 32<<10)
	n := p.values
	var err error
	switch p.kind {
	case format.DictionaryPage:
		if c.kind == parquet.ByteArray {
			return texts(r, p.entries)
		}
		return nil
	case format.DataPage:
		if _, err = p.levelsV1(r, 0, c.rep, n); err == nil {
			n, err = p.levelsV1(r, 1, c.def, n)
		}
	case format.DataPageV2:
		if c.rep > 0 && p.levelBytes[0] > 0 {
			_, err = levels(bufio.NewReader(io.NewSectionReader(f, p.at, p.levelBytes[0])), c.rep, n)
		}
		if err == nil && c.def > 0 && p.levelBytes[1] > 0 {
			n, err = levels(bufio.NewReader(io.NewSectionReader(f, p.at+p.levelBytes[0], p.levelBytes[1])), c.def, n)
		}
		if err == nil && n != p.values-p.nulls {
			err = fmt.Errorf("a page of %d values has %d that are there, its header says %d", p.values, n, p.values-p.nulls)
		}
	default:
		return nil
	}
	if err != nil {
		return err
	}
	switch p.encoding {
	case format.Plain:
		if c.kind == parquet.ByteArray {
			return texts(r, n)
		}
	case format.PlainDictionary, format.RLEDictionary:
		width, err := r.ReadByte()
		if err == io.EOF {
			return nil
		}
		_, _, err = runs(r, int(width), -1, n)
		return err
	case format.RLE: // of truth values, behind a length
		if _, err := r.Discard(4); err == nil {
			_, _, err = runs(r, 1, -1, n)
			return err
		}
	case format.DeltaBinaryPacked, format.DeltaLengthByteArray, format.DeltaByteArray:
		var total uint64
		for range 3 { // the sizes of two kinds of blocks stand before it
			if total, err = binary.ReadUvarint(r); err != nil {
				return errThrift
			}
		}
		if total != uint64(n) {
			return fmt.Errorf("a page of %d values says that it packs %d", n, total)
		}
	}
	return nil
}

// levelsV1 reads the levels of a page of the first version, which stand behind their length, and counts those that are max.
func (p pageHeader) levelsV1(r *bufio.Reader, which, max int, n int64) (int64, error) {
	if max == 0 {
		return n, nil
	}
	if p.levelCodes[which] != format.RLE {
		return 0, errors.New("a page whose levels are packed in a way that is no longer written")
	}
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return 0, errThrift
	}
	in := bufio.NewReader(io.LimitReader(r, int64(binary.LittleEndian.Uint32(size[:]))))
	same, err := levels(in, max, n)
	if err == nil {
		_, err = io.Copy(io.Discard, in) // what writers fill up with
	}
	return same, err
}

// levels counts, of n levels up to max, those that are max.
func levels(r *bufio.Reader, max int, n int64) (int64, error) {
	seen, same, err := runs(r, bits.Len(uint(max)), max, n)
	if err == nil && seen < n {
		err = fmt.Errorf("a page of %d values has levels of %d", n, seen)
	}
	return same, err
}

// runs reads Parquet's runs of values of some bits each, and counts all and, of the first n, those that are what; −1 for a count of all only.
func runs(r *bufio.Reader, width, what int, n int64) (seen, same int64, err error) {
	if width > 32 {
		return 0, 0, errThrift
	}
	for {
		head, err := binary.ReadUvarint(r)
		if err == io.EOF {
			return seen, same, nil
		}
		if err != nil {
			return seen, same, errThrift
		}
		count := head >> 1
		if head&1 != 0 {
			count = min(count, 1<<40) * 8
		}
		if count > uint64(n-min(n, seen)+slackValues) {
			return seen, same, fmt.Errorf("a page of %d values has a run of %d", n, count)
		}
		switch {
		case head&1 == 0:
			value := 0
			for i := range (width + 7) / 8 {
				b, err := r.ReadByte()
				if err != nil {
					return seen, same, errThrift
				}
				value |= int(b) << (8 * i)
			}
			if value == what {
				same += min(int64(count), n-min(n, seen))
			}
		case what < 0:
			if _, err := r.Discard(int(count) / 8 * width); err != nil {
				return seen, same, errThrift
			}
		default: // levels: at most 8 bits each, 8 of them in as many bytes
			for group := range int64(count) / 8 {
				var packed uint64
				for i := range width {
					b, err := r.ReadByte()
					if err != nil {
						return seen, same, errThrift
					}
					packed |= uint64(b) << (8 * i)
				}
				for i := range int64(8) {
					if int(packed>>(int(i)*width))&(1<<width-1) == what && seen+8*group+i < n {
						same++
					}
				}
			}
		}
		seen += int64(count)
	}
}

// texts wants n texts, each behind its length, and nothing else.
func texts(r *bufio.Reader, n int64) error {
	var size [4]byte
	for have := int64(0); ; have++ {
		_, err := io.ReadFull(r, size[:])
		if err == io.EOF && have == n {
			return nil
		}
		if err == nil {
			if have == n {
				return fmt.Errorf("a page has more texts than the %d that its header says", n)
			}
			_, err = r.Discard(int(binary.LittleEndian.Uint32(size[:])))
		}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return fmt.Errorf("a page has %d whole texts, its header says %d", have, n)
		default:
			return err
		}
	}
}
