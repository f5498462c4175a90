#!/usr/bin/env bash
# Installs parts of the CUDA toolkit 11.8, at the versions of requirements.txt, into .cuda/PACKAGE (ignored by git), each once:
#   scripts/cuda/fetch.sh nvidia-cuda-nvrtc-cu11   .cuda/nvidia-cuda-nvrtc-cu11/nvidia/cuda_nvrtc/lib/libnvrtc.so.11.2
#   scripts/cuda/fetch.sh nvidia-cuda-nvcc-cu11    .cuda/nvidia-cuda-nvcc-cu11/nvidia/cuda_nvcc/bin/ptxas, nvvm/libdevice
#   scripts/cuda/fetch.sh nvidia-cuda-runtime-cu11 .cuda/nvidia-cuda-runtime-cu11/nvidia/cuda_runtime/include/cuda.h
set -euo pipefail
cd "$(dirname "$0")/../.."
for package in "$@"; do
	dir=.cuda/$package
	[ -e "$dir" ] && continue
	pinned=$(grep "^$package==" scripts/cuda/requirements.txt) || { echo "fetch: $package has no line in scripts/cuda/requirements.txt" >&2; exit 2; }
	rm -rf "$dir.part"
	"${PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --no-deps --target "$dir.part" "$pinned" >&2
	if [ -d "$dir.part/nvidia/cuda_nvcc/bin" ]; then chmod +x "$dir.part"/nvidia/cuda_nvcc/bin/*; fi
	mv "$dir.part" "$dir"
done
