package gguf

import "fmt"

// Type is the encoding of a tensor; the numbers are ggml's.
type Type uint32

const (
	F32  Type = 0
	F16  Type = 1
	Q4_0 Type = 2
	Q4_1 Type = 3
	Q5_0 Type = 6
	Q5_1 Type = 7
	Q8_0 Type = 8
	Q2_K Type = 10
	Q3_K Type = 11
	Q4_K Type = 12
	Q5_K Type = 13
	Q6_K Type = 14
	BF16 Type = 30

	IQ4_NL Type = 20
	IQ4_XS Type = 23
)

// format says how a type packs numbers: block of them in size bytes.
type format struct {
	name        string
	block, size int
	decode      func(dst []float32, src []byte) // one block; nil for the plain types
}

var formats = map[Type]format{
	F32:  {"F32", 1, 4, nil},
	F16:  {"F16", 1, 2, nil},
	BF16: {"BF16", 1, 2, nil},
	Q4_0: {"Q4_0", 32, 18, decodeQ4_0},
	Q4_1: {"Q4_1", 32, 20, decodeQ4_1},
	Q5_0: {"Q5_0", 32, 22, decodeQ5_0},
	Q5_1: {"Q5_1", 32, 24, decodeQ5_1},
	Q8_0: {"Q8_0", 32, 34, decodeQ8_0},
	Q2_K: {"Q2_K", 256, 84, decodeQ2_K},
	Q3_K: {"Q3_K", 256, 110, decodeQ3_K},
	Q4_K: {"Q4_K", 256, 144, decodeQ4_K},
	Q5_K: {"Q5_K", 256, 176, decodeQ5_K},
	Q6_K: {"Q6_K", 256, 210, decodeQ6_K},

	IQ4_NL: {"IQ4_NL", 32, 18, decodeIQ4_NL},
	IQ4_XS: {"IQ4_XS", 256, 136, decodeIQ4_XS},
}

// unsupported names the types that occur in files but are not read, for the error message.
var unsupported = map[Type]string{
	4: "Q4_2", 5: "Q4_3", 9: "Q8_1", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S",
	21: "IQ3_S", 22: "IQ2_S", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64",
	29: "IQ1_M", 31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8", 34: "TQ1_0", 35: "TQ2_0", 36: "IQ4_NL_4_4", 37: "IQ4_NL_4_8", 38: "IQ4_NL_8_8",
	39: "MXFP4", 40: "NVFP4", 41: "Q1_0",
}

// readable lists the types that are read, for the advice beside it.
const readable = "lomo reads F32, F16, BF16, Q8_0, Q6_K, Q5_K, Q5_0, Q5_1, Q4_K, Q4_0, Q4_1, IQ4_NL, IQ4_XS, Q3_K and Q2_K: take such a file of the model, best its F16 or BF16"

// String is ggml's name of the type.
func (t Type) String() string {
	if f, ok := formats[t]; ok {
		return f.name
	}
	if name, ok := unsupported[t]; ok {
		return name
	}
	return fmt.Sprintf("number %d", uint32(t))
}

// Quantized reports whether the numbers are packed in blocks with a scale.
func (t Type) Quantized() bool { return formats[t].decode != nil }

// Block is the number of elements packed together, and their encoded size in bytes.
func (t Type) Block() (elements, bytes int) { return formats[t].block, formats[t].size }
