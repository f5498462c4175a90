#!/usr/bin/env bash
# Goes on with a run from its newest checkpoint, on as many cards as BOX_DEVICES says: a checkpoint of eight resumes on one, two
# or four, with the same sequences a step.
#
#   BOX_DEVICES=4 scripts/box/resume.sh CONFIG
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(dirname "$0")/common.sh"
[ $# -eq 1 ] || die 2 "usage: resume.sh CONFIG"
if [ -n "${BOX_DEVICES:-}" ]; then
	BOX_SET="${BOX_SET:-} devices=$BOX_DEVICES"
	[ "$BOX_DEVICES" -gt 1 ] || BOX_SET+=" sharding=none"
fi
train_and_evaluate "$1"
