#!/usr/bin/env bash
# The first hour of a new user: every command of README.md and docs/quickstart.md, as it stands there and in the order of the
# pages, in one fresh copy of the repository. Run it after `make demo`, whose model a small hub of our own serves.
#
#   scripts/firsthour.sh [PAGE...]
#
# Settings in the environment make the training short (scripts/firsthour/run.py says which); no command is changed. It exits 1 at
# the first that fails, with what it printed.
set -euo pipefail
cd "$(dirname "$0")/.."

[ -x bin/lomo ] || { echo "firsthour: bin/lomo is missing: run make demo first" >&2; exit 1; }
[ -e demo/tuned/config.json ] || { echo "firsthour: demo/tuned is missing: run make demo first" >&2; exit 1; }

work=$(mktemp -d)
hub=
trap 'if [ -n "$hub" ]; then kill "$hub"; fi; rm -rf "$work"' EXIT

# The copy is what a clone of this state would be: files that git knows, as they lie here.
mkdir "$work/lomo"
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' f; do if [ -e "$f" ]; then printf '%s\0' "$f"; fi; done |
	tar -c --null -T - | tar -x -C "$work/lomo"
mkdir "$work/lomo/bin"
cp bin/lomo "$work/lomo/bin/lomo"

# The hub: the demo's trained model under the name that the pages pull.
go build -trimpath -o "$work/hub" ./scripts/hub
mkdir "$work/model"
for f in demo/tuned/*.json demo/tuned/*.safetensors demo/tuned/tokenizer* demo/tuned/*.jinja; do
	case $(basename "$f") in finished.json | metrics.jsonl) continue ;; esac
	if [ -e "$f" ]; then ln -sf "$PWD/$f" "$work/model/"; fi
done
"$work/hub" HuggingFaceTB/SmolLM2-135M-Instruct="$work/model" >"$work/address" &
hub=$!
for _ in $(seq 300); do [ -s "$work/address" ] && break; sleep 0.1; done
[ -s "$work/address" ] || { echo "firsthour: the hub did not start" >&2; exit 1; }

# The model that the demo makes without network has a token a byte, and is quick.
length=48
[ "$(wc -c <demo/tuned/model.safetensors)" -gt 100000000 ] || length=512

python3 scripts/firsthour/run.py --copy "$work/lomo" --endpoint "$(cat "$work/address")" --sequence-len "$length" "$@"
