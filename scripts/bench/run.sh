#!/bin/sh
# Measures lomo and PyTorch with lomo-optim in turn on the real SmolLM2-135M, prints tokens/s, peak memory and loss of both, and
# writes them into benchmarks/. The machine must have nothing else to do. At most 15 minutes on two cores, and the first time some GB of
# libraries to fetch.
#
#   scripts/bench/run.sh [OPTION...]
#
#   OPTION           as compare.py has them: scripts/bench/run.sh --help
#   LOMO_BIN         the program to measure; built from this tree when not given
#   LOMO_PROOF_DIR   reference libraries and model, shared with scripts/proof; .proof in the repository when not given
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
. "$root/scripts/proof/setup.sh"
exec "$python" "$here/compare.py" "$@"
