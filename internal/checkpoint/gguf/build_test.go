package gguf

import (
	"bytes"
	"encoding/binary"
)

// builder writes GGUF headers, right and wrong ones.
type builder struct{ bytes.Buffer }

func (b *builder) put(values ...any) *builder {
	for _, v := range values {
		if s, ok := v.(string); ok {
			b.put(uint64(len(s)))
			b.WriteString(s)
			continue
		}
		binary.Write(&b.Buffer, binary.LittleEndian, v) // a bytes.Buffer takes everything
	}
	return b
}

// start is a header that announces tensors and keys.
func start(tensors, keys uint64) *builder {
	return new(builder).put(uint32(magic), uint32(3), tensors, keys)
}

// info appends an entry of the tensor table; dims has the fastest first.
func (b *builder) info(name string, typ Type, off uint64, dims ...uint64) *builder {
	return b.put(name, uint32(len(dims)), dims, uint32(typ), off)
}

// pad appends zeros up to a multiple of 32 and then n more.
func (b *builder) pad(n int) *builder {
	b.Write(make([]byte, (32-b.Len()%32)%32+n))
	return b
}
