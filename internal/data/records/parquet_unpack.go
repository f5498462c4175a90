package records

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

var errUnpack = errors.New("a page cannot be unpacked")

// unpack checks that what is packed in a page unpacks to just the bytes that its header says. The reader would take memory for all that comes, and for a
// damaged LZ4 block twice as much with each try, without an end. What is unpacked goes to look.
func (p pageHeader) unpack(f io.ReaderAt, codec format.CompressionCodec, look func(io.Reader) error) error {
	packed, want := p.packed-p.levels, p.unpacked-p.levels
	if p.raw || packed == 0 {
		codec = format.Uncompressed
	}
	in := io.NewSectionReader(f, p.at+p.levels, packed)
	var have int64
	var err, bad error
	count := func(r io.Reader) (int64, error) { // at most one byte more than are wanted
		in := &counter{r: io.LimitReader(r, want+1)}
		bad = look(in)
		if in.err == nil {
			_, in.err = io.Copy(io.Discard, in)
		}
		if in.err == io.EOF {
			in.err = nil
		}
		return in.n, in.err
	}
	switch codec {
	case format.Gzip:
		var r *gzip.Reader
		if r, err = gzip.NewReader(in); err == nil {
			have, err = count(r)
		}
	case format.Brotli:
		have, err = count(brotli.NewReader(in))
	case format.Zstd:
		var r *zstd.Decoder
		if r, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow)); err == nil {
			have, err = count(r)
			r.Close()
		}
	case format.Snappy:
		raw := make([]byte, packed)
		if _, err = io.ReadFull(in, raw); err == nil { // its length stands first
			var n int
			if n, err = snappy.DecodedLen(raw); err == nil && int64(n) == want {
				if raw, err = snappy.Decode(nil, raw); err == nil {
					_, err = count(bytes.NewReader(raw))
				}
			}
			have = int64(n)
		}
	case format.Lz4Raw:
		raw, out := make([]byte, packed), make([]byte, want)
		if _, err = io.ReadFull(in, raw); err == nil {
			var n int
			n, err = lz4.UncompressBlock(raw, out)
			if have = int64(n); err == nil && have == want {
				if 3*packed > want { // the reader unpacks such a page beside its buffer, and goes on with what lay in that before
					return errors.New("a page packed with LZ4 to more than a third, which cannot be read: write the file again with zstd or snappy")
				}
				_, err = count(bytes.NewReader(out))
			}
		}
	case format.Uncompressed:
		return look(in)
	default: // refused by the reader
		return nil
	}
	switch {
	case err != nil:
		return errUnpack
	case have > want:
		return fmt.Errorf("a page unpacks to more than the %d bytes that its header says", want)
	case have < want:
		return fmt.Errorf("a page unpacks to %d bytes, its header says %d", have, want)
	}
	return bad
}

// maxWindow bounds how far back a zstd page may refer, which is memory that the reader takes.
const maxWindow = 64 << 20

// counter counts what is read, and keeps the error that ended it.
type counter struct {
	r   io.Reader
	n   int64
	err error
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.n += int64(n); err != nil {
		c.err = err
	}
	return n, err
}
