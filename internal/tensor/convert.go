package tensor

import (
	"fmt"
	"math"
)

// BF16ToF32 widens a bfloat16 bit pattern. It is exact.
func BF16ToF32(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }

// F32ToBF16 rounds to nearest even; a NaN stays a NaN (made quiet).
func F32ToBF16(f float32) uint16 {
	u := math.Float32bits(f)
	if u&0x7fffffff > 0x7f800000 {
		return uint16(u>>16) | 0x40
	}
	return uint16((u + 0x7fff + (u>>16)&1) >> 16)
}

// F32ToBF16Stochastic rounds the magnitude up with the probability of the part cut off, r uniform
// in [0, 2¹⁶). Infinities and NaN are not rounded, and a finite value never becomes infinite
// (algorithms.md 13).
func F32ToBF16Stochastic(f float32, r uint16) uint16 {
	u := math.Float32bits(f)
	if u&0x7f800000 == 0x7f800000 {
		return F32ToBF16(f)
	}
	v := u + uint32(r)
	if v&0x7f800000 == 0x7f800000 {
		return uint16(u >> 16)
	}
	return uint16(v >> 16)
}

// F16ToF32 widens an IEEE half bit pattern. It is exact.
func F16ToF32(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exp := uint32(h>>10) & 31
	man := uint32(h & 0x3ff)
	switch {
	case exp == 31:
		return math.Float32frombits(sign | 0x7f800000 | man<<13)
	case exp != 0:
		return math.Float32frombits(sign | (exp+112)<<23 | man<<13)
	case man == 0:
		return math.Float32frombits(sign)
	}
	f := float32(man) * (1.0 / (1 << 24)) // subnormal: man·2⁻²⁴, exact in float32
	if sign != 0 {
		f = -f
	}
	return f
}

// F32ToF16 rounds to nearest even, with overflow to infinity and gradual underflow.
func F32ToF16(f float32) uint16 {
	u := math.Float32bits(f)
	sign := uint16(u>>16) & 0x8000
	u &= 0x7fffffff
	switch {
	case u > 0x7f800000: // NaN
		return sign | 0x7e00 | uint16(u>>13)&0x3ff
	case u >= 0x47800000: // 65536 and above, infinity
		return sign | 0x7c00
	case u < 0x38800000: // below 2⁻¹⁴: subnormal or zero
		// Adding 0.5 puts 2⁻²⁴ at the last bit of the float32, so the addition rounds.
		r := math.Float32bits(math.Float32frombits(u) + 0.5)
		return sign | uint16(r-0x3f000000)
	}
	u += 0xfff + (u>>13)&1
	return sign | uint16((u-0x38000000)>>13)
}

// Float32s widens the float elements of src (BF16, F16, F32, F64; little-endian bytes) into dst.
// len(src) must be len(dst)·size(dt).
func Float32s(dst []float32, src []byte, dt DType) error {
	if len(src) != len(dst)*dt.Size() {
		return fmt.Errorf("%d bytes of %v for %d elements", len(src), dt, len(dst))
	}
	switch dt {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(le32(src[4*i:]))
		}
	case BF16:
		for i := range dst {
			dst[i] = BF16ToF32(le16(src[2*i:]))
		}
	case F16:
		for i := range dst {
			dst[i] = F16ToF32(le16(src[2*i:]))
		}
	case F64:
		for i := range dst {
			dst[i] = float32(math.Float64frombits(uint64(le32(src[8*i:])) | uint64(le32(src[8*i+4:]))<<32))
		}
	default:
		return fmt.Errorf("dtype %v is not a float type", dt)
	}
	return nil
}

// PutFloat32s narrows src (round to nearest even) into the little-endian bytes dst of dtype dt
// (F32, BF16 or F16).
func PutFloat32s(dst []byte, src []float32, dt DType) error {
	if len(dst) != len(src)*dt.Size() {
		return fmt.Errorf("%d bytes of %v for %d elements", len(dst), dt, len(src))
	}
	switch dt {
	case F32:
		for i, f := range src {
			u := math.Float32bits(f)
			dst[4*i], dst[4*i+1], dst[4*i+2], dst[4*i+3] = byte(u), byte(u>>8), byte(u>>16), byte(u>>24)
		}
	case BF16:
		for i, f := range src {
			u := F32ToBF16(f)
			dst[2*i], dst[2*i+1] = byte(u), byte(u>>8)
		}
	case F16:
		for i, f := range src {
			u := F32ToF16(f)
			dst[2*i], dst[2*i+1] = byte(u), byte(u>>8)
		}
	default:
		return fmt.Errorf("dtype %v: cannot store float32 in it", dt)
	}
	return nil
}

func le16(b []byte) uint16 { return uint16(b[0]) | uint16(b[1])<<8 }
func le32(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}
