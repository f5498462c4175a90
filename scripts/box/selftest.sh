#!/usr/bin/env bash
# Runs every script of this folder on tiny models: whole runs, a restart after a failure, an interruption and what is refused.
#
#   scripts/box/selftest.sh [cpu|cuda]
#
# BOX_LOMO is the program and BOX_LAUNCH what comes before it, as for the scripts: with cuda on a machine without cards
# `go run ./scripts/simdriver` in front makes simulated ones. SELFTEST_RUNS are the whole runs to make, 7b 13b 30b 65b when not
# given, and SELFTEST_MODEL a model of at least 64 tokens' vocabulary to use.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
device=${1:-cpu}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export BOX_WAIT=0 BOX_MODEL=$work/model BOX_DATA=$work/train.jsonl BOX_DATA_TYPE=tokenized
export BOX_EVAL_DATA=$BOX_DATA BOX_EVAL_TYPE=tokenized BOX_EVAL_ARGS="--sequence-len 16"
unset BOX_OUT BOX_DEVICES BOX_EVAL_TASK BOX_LOGS BOX_TRIES
tiny="device=$device sequence_len=16 micro_batch_size=1 max_steps=2 num_epochs=0 save_steps=1 packing=false learning_rate=0.001 warmup_ratio=0"
export BOX_SET=$tiny
read -r -a launch <<<"${BOX_LAUNCH:-}"
: "${BOX_LOMO:?}"

fail() {
	echo "selftest: $*" >&2
	[ ! -f "$work/log" ] || tail -n 40 "$work/log" >&2
	exit 1
}

# want CODE COMMAND… runs a script and wants its exit code.
want() {
	local code=0 expected=$1
	shift
	"$@" >"$work/log" 2>&1 || code=$?
	[ "$code" -eq "$expected" ] || fail "$* ended with $code, want $expected"
}

# said TEXT: the last command said so.
said() { grep -q -- "$1" "$work/log" || fail "nobody said: $1"; }

if [ -n "${SELFTEST_MODEL:-}" ]; then
	BOX_MODEL=$SELFTEST_MODEL
else
	"$BOX_LOMO" new tiny "$work/model" --seed 1 >"$work/log" 2>&1 || fail "lomo new"
fi
for i in $(seq 1 24); do
	printf '{"input_ids": [%s]}\n' "$(seq -s, "$i" "$((i + 11))")"
done >"$work/train.jsonl"

for script in ${SELFTEST_RUNS:-7b 13b 30b 65b}; do
	export BOX_OUT=$work/$script
	want 0 "$here/$script.sh"
	said "preflight: ready"
	said "^step 2/2 "
	said '^{"loss":'
	[ -f "$BOX_OUT/model.safetensors" ] && [ -f "$BOX_OUT-logs/plan.json" ] && [ -f "$BOX_OUT-logs/train.log" ] || fail "$script: files are missing"
	[ "$script" = 7b ] || grep -q "step 2/2 " "$BOX_OUT/logs/rank-1.log" || fail "$script: rank 1 has no log"
	echo "selftest: $script.sh passed"
done

# What a run leaves is scored by itself, and a checkpoint goes on with another number of devices.
export BOX_OUT=$work/13b
want 0 "$here/evaluate.sh" "$here/../../configs/llama-13b-2x3090.yaml"
said '^{"loss":'
export BOX_OUT=$work/half
BOX_SET="$tiny save_final=false max_steps=1" want 0 "$here/13b.sh" # there is no model to score: the checkpoint is
said '^{"loss":'
BOX_DEVICES=1 want 0 "$here/resume.sh" "$here/../../configs/llama-13b-2x3090.yaml"
said "continuing from $work/half/checkpoint-1"
said "^step 2/2 "
echo "selftest: resume.sh and evaluate.sh passed"

# A program that fails once is started again; one that always fails is not for ever.
cat >"$work/flaky" <<'END'
#!/usr/bin/env bash
case " $* " in
*" --resume auto "*)
	n=$(cat "$FLAKY" 2>/dev/null || echo 0)
	echo $((n + 1)) >"$FLAKY"
	[ "$n" -ge "$FLAKY_TIMES" ] || { echo "failing on purpose" >&2; exit 1; }
	;;
esac
exec "$@"
END
chmod +x "$work/flaky"
export BOX_OUT=$work/flaky-run FLAKY=$work/flaky-count FLAKY_TIMES=1
BOX_LAUNCH="$work/flaky ${launch[*]}" want 0 "$here/7b.sh"
said "failed with code 1; the next try"
said "^step 2/2 "
rm -f "$FLAKY"
export BOX_OUT=$work/never FLAKY_TIMES=9
BOX_TRIES=2 BOX_LAUNCH="$work/flaky ${launch[*]}" want 1 "$here/7b.sh"
said "failed 2 times"
rm -f "$FLAKY"
echo "selftest: restarts passed"

# What another try cannot change ends at once; what does not fit is found before.
export BOX_OUT=$work/refused
BOX_SET="$tiny learning_rate=x" want 2 "$here/7b.sh"
BOX_SET="$tiny memory_limit=1MB" want 2 "$here/7b.sh"
said "memory_limit\|the plan needs"
BOX_MODEL=$work/nowhere want 1 "$here/7b.sh"
said "nowhere"
[ ! -e "$BOX_OUT/checkpoint-1" ] || fail "a refused run trained"
want 2 "$here/resume.sh"

# An interruption saves and says so; the same script goes on.
export BOX_OUT=$work/stopped
slow="$tiny max_steps=100000 save_steps=0"
BOX_SET=$slow "$here/7b.sh" >"$work/log" 2>&1 &
script=$!
for _ in $(seq 1 600); do
	! grep -q '^step 1/' "$work/log" || break
	sleep 0.1
done
kill -TERM "$script"
for _ in $(seq 1 600); do
	kill -0 "$script" 2>/dev/null || break
	sleep 0.1
done
! kill -0 "$script" 2>/dev/null || fail "an interrupted script goes on"
code=0
wait "$script" || code=$?
[ "$code" -eq 130 ] || fail "an interrupted script ended with $code, want 130"
said "interrupted, with a checkpoint saved"
echo "selftest: passed on $device"
