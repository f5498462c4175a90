#!/usr/bin/env bash
# Runs go with what the tag cuda needs: CUDA's headers (network the first time: pip), gcc, and the libcuda.a of our own to link with.
#   scripts/cuda/go.sh test -tags cuda ./internal/cudakern/...
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
"$root/scripts/cuda/fetch.sh" nvidia-cuda-runtime-cu11
trampoline=$("$root/internal/cudakern/trampoline/build.sh")
export CGO_ENABLED=1
export CGO_CFLAGS="-O2 -I$root/.cuda/nvidia-cuda-runtime-cu11/nvidia/cuda_runtime/include"
export CGO_LDFLAGS="-L$trampoline -ldl"
exec "${GO:-go}" "$@"
