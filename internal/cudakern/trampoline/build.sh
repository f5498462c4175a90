#!/usr/bin/env bash
# Builds libcuda.a from this folder into .cuda/trampoline-HASH and prints that folder. HASH is of the sources, so that Go, which does not
# look into libraries, links anew when they have changed.
set -euo pipefail
cd "$(dirname "$0")"
sources=(symbols.txt trampoline.S trampoline.c trampoline.h)
out=$(git rev-parse --show-toplevel 2>/dev/null || (cd ../../.. && pwd))/.cuda/trampoline-$(cat "${sources[@]}" build.sh | sha256sum | cut -c1-12)
if [ ! -e "$out/libcuda.a" ]; then
	mkdir -p "$out"
	sed 's/.*/SYMBOL(&)/' symbols.txt > "$out/symbols.h"
	${CC:-gcc} -O2 -Wall -Wextra -fPIC -I"$out" -c trampoline.c -o "$out/trampoline.o"
	${CC:-gcc} -fPIC -I"$out" -c trampoline.S -o "$out/jumps.o"
	rm -f "$out/libcuda.part"
	ar rcs "$out/libcuda.part" "$out/trampoline.o" "$out/jumps.o"
	mv "$out/libcuda.part" "$out/libcuda.a"
fi
echo "$out"
