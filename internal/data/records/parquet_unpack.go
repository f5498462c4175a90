package records

import (
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
// damaged LZ4 block twice as much with each try, without an end.
func (p pageHeader) unpack(f io.ReaderAt, codec format.CompressionCodec) error {
	packed, want := p.packed-p.levels, p.unpacked-p.levels
	if p.raw || packed == 0 {
		codec = format.Uncompressed
	}
	in := io.NewSectionReader(f, p.at+p.levels, packed)
	var have int64
	var err error
	switch codec {
	case format.Gzip:
		var r *gzip.Reader
		if r, err = gzip.NewReader(in); err == nil {
			have, err = count(r, want)
		}
	case format.Brotli:
		have, err = count(brotli.NewReader(in), want)
	case format.Zstd:
		var r *zstd.Decoder
		if r, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow)); err == nil {
			have, err = count(r, want)
			r.Close()
		}
	case format.Snappy:
		var raw []byte
		if raw, err = io.ReadAll(io.NewSectionReader(f, p.at+p.levels, min(packed, 16))); err == nil { // its length stands first
			var n int
			n, err = snappy.DecodedLen(raw)
			have = int64(n)
		}
	case format.Lz4Raw:
		raw, out := make([]byte, packed), make([]byte, want)
		if _, err = io.ReadFull(in, raw); err == nil {
			var n int
			n, err = lz4.UncompressBlock(raw, out)
			have = int64(n)
		}
	default: // nothing to unpack, or refused by the reader
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
	return nil
}

// maxWindow bounds how far back a zstd page may refer, which is memory that the reader takes.
const maxWindow = 64 << 20

// count reads at most one byte more than are wanted.
func count(r io.Reader, want int64) (int64, error) {
	return io.Copy(io.Discard, io.LimitReader(r, want+1))
}
