#!/usr/bin/env bash
# Trains a 30B model on four RTX 3090, unattended: preflight, training with restarts, evaluation (README.md).
#
#   scripts/box/30b.sh [CONFIG]          # configs/llama-30b-4x3090.yaml when none is given
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "$0")/common.sh"
train_and_evaluate "${1:-$root/configs/llama-30b-4x3090.yaml}"
