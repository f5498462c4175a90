#!/usr/bin/env bash
# Scores a model, or a run's newest checkpoint, on BOX_EVAL_DATA with the devices of a configuration.
#
#   BOX_EVAL_DATA=held-out.jsonl scripts/box/evaluate.sh CONFIG [MODEL]   # the configuration's output_dir when none is given
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "$0")/common.sh"
[ $# -ge 1 ] && [ $# -le 2 ] || die 2 "usage: evaluate.sh CONFIG [MODEL]"
[ -n "${BOX_EVAL_DATA:-}" ] || die 2 "set BOX_EVAL_DATA to the data to score on"
find_lomo
use_config "$1"
evaluate "${2:-$(trained "$output")}"
