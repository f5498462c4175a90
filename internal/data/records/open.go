package records

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"

	"lomo/internal/fault"
)

// Compressed text is a few times smaller than itself. What grows beyond growth times its size was made to fill memory.
const (
	growth     = 100
	growthFree = 4 << 20 // bytes that any file may have
	zstdWindow = 256 << 20
)

// packers are the endings of compressed files.
var packers = map[string]func(io.Reader) (io.ReadCloser, error){
	".gz": func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) },
	".zst": func(r io.Reader) (io.ReadCloser, error) {
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow), zstd.WithDecoderMaxMemory(2*zstdWindow))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	},
	".bz2": func(r io.Reader) (io.ReadCloser, error) { return io.NopCloser(bzip2.NewReader(r)), nil },
}

// Ext is the ending of a file's name in small letters, without that of a compression: ".jsonl" of d.jsonl.gz.
func Ext(path string) string {
	ext := strings.ToLower(filepath.Ext(path))
	if packers[ext] != nil {
		return strings.ToLower(filepath.Ext(strings.TrimSuffix(path, filepath.Ext(path))))
	}
	return ext
}

// Open opens a text file, unpacked if its name says that it is compressed, without a byte order mark. What is no UTF-8 text at
// first sight is an error.
func Open(path string) (io.ReadCloser, error) {
	f, err := fault.OpenInput(path)
	if err != nil {
		bad := &Error{Path: path, Err: fault.Bare(err, path)}
		if errors.Is(err, fs.ErrPermission) {
			bad.Advice = denied
		}
		return nil, bad
	}
	in := &file{closers: []io.Closer{f}}
	from := io.Reader(f)
	if pack := packers[strings.ToLower(filepath.Ext(path))]; pack != nil {
		unpacked, err := pack(bufio.NewReaderSize(f, 1<<16))
		if err != nil {
			f.Close()
			return nil, &Error{Path: path, Msg: "cannot be unpacked", Err: unpackError(err), Advice: "its ending says that it is compressed; fetch it again, or name it by what it is"}
		}
		from, in.closers = &bounded{r: unpacked, room: growthFree + growth*f.Size}, []io.Closer{unpacked, f}
	}
	if in.Reader, err = text(path, from); err != nil {
		in.Close()
		return nil, err
	}
	return in, nil
}

// file is an open text file.
type file struct {
	*bufio.Reader
	closers []io.Closer
}

func (f *file) Close() error {
	for _, c := range f.closers {
		c.Close() //nolint:errcheck // it was only read
	}
	return nil
}

// bounded is unpacked text, of which room bytes may come.
type bounded struct {
	r    io.Reader
	room int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.room -= int64(n); b.room < 0 {
		return n, fmt.Errorf("the file unpacks to more than %d times its size: if that is right, unpack it first", growth)
	}
	if err != nil && err != io.EOF {
		err = unpackError(err)
	}
	return n, err
}

// unpackError is err in plain words.
func unpackError(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errors.New("the compressed file ends in the middle")
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, zstd.ErrMagicMismatch):
		return errors.New("it is not compressed in this way")
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return fmt.Errorf("it was compressed with a window above %d MiB", zstdWindow>>20)
	}
	return err
}

// signs are the beginnings of files that are something else than text.
var signs = []struct{ begin, what, advice string }{
	{"\xff\xfe\x00\x00", "UTF-32", "convert the file: iconv -f utf-32 -t utf-8"},
	{"\xff\xfe", "UTF-16", "convert the file: iconv -f utf-16 -t utf-8"},
	{"\xfe\xff", "UTF-16", "convert the file: iconv -f utf-16 -t utf-8"},
	{"\x1f\x8b", "a gzip file", "give it the ending .gz behind that of its content, as in train.jsonl.gz"},
	{"\x28\xb5\x2f\xfd", "a zstd file", "give it the ending .zst behind that of its content, as in train.jsonl.zst"},
	{"BZh", "a bzip2 file", "give it the ending .bz2 behind that of its content, as in train.jsonl.bz2"},
	{"\xfd7zXZ", "an xz file", "unpack it: xz -d"},
	{"PK\x03\x04", "a zip file", "unpack it"},
	{"PAR1", "a parquet file", "give it the ending .parquet"},
	{"ARROW1", "an arrow file", arrowAdvice},
	{"version https://git-lfs.github.com/spec/", "a Git LFS pointer, not the data itself", "fetch the data: git lfs pull"},
	{"<!DOCTYPE html", "an HTML page, not data", "fetch the file itself, not the page that shows it"},
	{"<!doctype html", "an HTML page, not data", "fetch the file itself, not the page that shows it"},
	{"<html", "an HTML page, not data", "fetch the file itself, not the page that shows it"},
}

// text looks at the beginning of a file, and goes on behind a byte order mark.
func text(path string, in io.Reader) (*bufio.Reader, error) {
	r := bufio.NewReaderSize(in, 1<<16)
	head, err := r.Peek(512)
	if err != nil && err != io.EOF {
		return nil, &Error{Path: path, Err: err}
	}
	begin := bytes.TrimLeft(head, " \t\r\n")
	for _, s := range signs {
		if bytes.HasPrefix(head, []byte(s.begin)) || s.begin[0] == '<' && bytes.HasPrefix(begin, []byte(s.begin)) {
			if s.begin == "BZh" && (len(head) < 10 || !bytes.Equal(head[4:10], []byte("1AY&SY"))) {
				continue
			}
			return nil, &Error{Path: path, Msg: "the file is " + s.what, Advice: s.advice}
		}
	}
	if name := wideText(head); name != "" {
		return nil, &Error{Path: path, Msg: "the file is " + strings.ToUpper(name), Advice: "convert the file: iconv -f " + name + " -t utf-8"}
	}
	if bytes.HasPrefix(head, bom) {
		r.Discard(len(bom)) //nolint:errcheck // it was peeked
	}
	return r, nil
}

var bom = []byte("\xef\xbb\xbf")

// wideText names the encoding of a text whose characters take two or four bytes, "" if it looks like none: most of its characters
// have zero bytes in the same places.
func wideText(head []byte) string {
	if len(head) < 4 {
		return ""
	}
	var zeros [4]int
	for i, c := range head {
		if c == 0 {
			zeros[i%4]++
		}
	}
	quarter := (len(head) + 3) / 4
	most := func(n int) bool { return n > quarter/2 }
	none := func(n int) bool { return n <= quarter/8 }
	switch {
	case most(zeros[1]) && most(zeros[2]) && most(zeros[3]) && none(zeros[0]):
		return "utf-32le"
	case most(zeros[0]) && most(zeros[1]) && most(zeros[2]) && none(zeros[3]):
		return "utf-32be"
	case most(zeros[1]) && most(zeros[3]) && none(zeros[0]) && none(zeros[2]):
		return "utf-16le"
	case most(zeros[0]) && most(zeros[2]) && none(zeros[1]) && none(zeros[3]):
		return "utf-16be"
	}
	return ""
}
