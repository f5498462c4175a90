// Package tensor holds DType, Shape and Tensor as plain values, and the conversions
// between float32 and the 16-bit formats. It imports the standard library only.
package tensor

import (
	"fmt"
	"strings"
)

// DType is an element type. The names are those of the safetensors format.
type DType uint8

const (
	Invalid DType = iota
	F32
	BF16
	F16
	F64
	I64
	I32
	I16
	I8
	U8
	Bool
)

var dtypeNames = [...]string{"INVALID", "F32", "BF16", "F16", "F64", "I64", "I32", "I16", "I8", "U8", "BOOL"}
var dtypeSizes = [...]int{0, 4, 2, 2, 8, 8, 4, 2, 1, 1, 1}

// String is the safetensors name: "F32", "BF16", …
func (d DType) String() string {
	if int(d) < len(dtypeNames) {
		return dtypeNames[d]
	}
	return fmt.Sprintf("DType(%d)", uint8(d))
}

// Size is the number of bytes of one element.
func (d DType) Size() int { return dtypeSizes[d] }

// IsFloat reports whether d is one of the floating-point types.
func (d DType) IsFloat() bool { return d == F32 || d == BF16 || d == F16 || d == F64 }

// ParseDType reads a safetensors name ("BF16"), a configuration name ("bf16") or the
// form of config.json ("bfloat16"). fp16 is an alias of f16.
func ParseDType(s string) (DType, error) {
	switch strings.ToLower(s) {
	case "f32", "float32", "fp32", "float":
		return F32, nil
	case "bf16", "bfloat16":
		return BF16, nil
	case "f16", "fp16", "float16", "half":
		return F16, nil
	}
	for i, n := range dtypeNames {
		if i > 0 && strings.EqualFold(n, s) {
			return DType(i), nil
		}
	}
	return Invalid, fmt.Errorf("unknown dtype %q", s)
}

// HFName is the spelling of config.json's dtype key: "float32", "bfloat16", "float16".
func (d DType) HFName() string {
	switch d {
	case F32:
		return "float32"
	case BF16:
		return "bfloat16"
	case F16:
		return "float16"
	}
	return strings.ToLower(d.String())
}
