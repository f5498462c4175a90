#!/usr/bin/env bash
# Checks a machine for a run before anything is loaded: driver, cards and who else uses them, PCIe width, free disk, host
# memory for pinned buffers. Needs jq.
#
#   scripts/box/preflight.sh CONFIG
#
# Exit codes: 0 ready, 2 the configuration is refused, 4 something is in the way (all of it is listed).
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "$0")/common.sh"
[ $# -eq 1 ] || die 2 "usage: preflight.sh CONFIG"
find_lomo
use_config "$1"
preflight || exit 4
