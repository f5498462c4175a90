#!/bin/sh
# Compares lomo with PyTorch, transformers, lomo-optim and gguf on the real SmolLM2-135M. Long (an hour on two cores the first
# time; PyTorch's figures are kept) and by hand.
#
#   LOMO_DATA=DIR scripts/proof/run.sh [PROOF...]
#
#   PROOF            losses rounding logits gguf_weights gguf_out opened multiple_choice perplexity memory data_memory gsm8k memprofile ranks templates tokenizers events mutants; all when none is named
#   LOMO_DATA        folder with tinyshakespeare.txt, gsm8k/{train,test}.jsonl and superglue/RTE/val.jsonl
#   LOMO_BIN         the program to prove; built from this tree when not given
#   LOMO_PROOF_DIR   reference libraries, model and kept figures, several GB; .proof in the repository when not given
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
: "${LOMO_DATA:?set it to the folder with tinyshakespeare.txt, gsm8k and superglue}"
LOMO_DATA=$(cd "$LOMO_DATA" && pwd)
export LOMO_DATA
. "$here/setup.sh"

failed=
for proof in ${*:-losses rounding logits gguf_weights gguf_out opened multiple_choice perplexity memory data_memory gsm8k memprofile ranks templates tokenizers events mutants}; do
	echo "== $proof"
	if [ "$proof" = mutants ]; then # 500 broken files of each format
		(cd "$root" && LOMO_MUTANTS=500 go test ./internal/cli -run '^TestMutants$' -count 1 -v) || failed="$failed $proof"
		continue
	fi
	"$python" "$here/$proof.py" || failed="$failed $proof"
done
if [ -n "$failed" ]; then
	echo "proof: FAILED:$failed"
	exit 1
fi
echo "proof: all passed"
