package ptx

import (
	"os"
	"testing"
)

// FuzzParse: no text makes the parser fail otherwise than by an error.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		".version 7.8\n.target sm_86\n.address_size 64\n.global .align 4 .b8 t[4] = {1, 2};\n.extern .shared .b8 d[];\n",
		".visible .entry k(.param .u64 a, .param .align 4 .b8 s[8])\n.maxntid 32, 1, 1\n{\n.reg .b32 %r<3>; .reg .pred p;\n@!p bra L;\nL: mov.b32 %r0, {%r1, _};\n" +
			"ld.param.v2.u32 {%r1, %r2}, [a+-4];\n@p ret;\n}\n",
		".func (.param .b32 r) f(.param .b32 x) { call.uni (r), f, (x); bar.sync 0; }",
		".entry k() { .reg .b32 %r<2>; mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%r0}, %r0, 3, 0f00000000; }",
	} {
		f.Add(text)
	}
	if src, err := os.ReadFile("testdata/kernels.ptx"); err == nil {
		f.Add(string(src[:4000]))
	}
	f.Fuzz(func(_ *testing.T, text string) {
		if len(text) < 1<<14 {
			_, _ = parse(text)
		}
	})
}
