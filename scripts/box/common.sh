# shellcheck shell=bash
# Sourced by the scripts of this folder: settings, the way to call lomo, preflight, training with restarts, evaluation.
# README.md lists the BOX_ variables and the exit codes.

box_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$box_dir/../.." && pwd)

# shellcheck source-path=SCRIPTDIR source=check.sh
. "$box_dir/check.sh"

say() { printf '%s %s\n' "$(date '+%F %T')" "$*" >&2; }

# die CODE WORDS… ends the script.
die() {
	local code=$1
	shift
	say "box: $*"
	exit "$code"
}

# find_lomo sets lomo, the command with what BOX_LAUNCH puts before it.
find_lomo() {
	local program=${BOX_LOMO:-}
	if [ -z "$program" ]; then
		if [ -x "$root/bin/lomo" ]; then
			program=$root/bin/lomo
		else
			program=$(command -v lomo) || die 4 "no lomo: run \`make cuda\`, or set BOX_LOMO to the program"
		fi
	fi
	read -r -a launch <<<"${BOX_LAUNCH:-}"
	lomo=("${launch[@]}" "$program")
}

# use_config FILE takes a run's configuration with what the BOX_ variables change in it: sets args, and reads device, devices
# and output.
use_config() {
	[ -f "$1" ] || die 2 "no configuration $1"
	args=(--config "$1")
	[ -z "${BOX_MODEL:-}" ] || args+=(--set "model=$BOX_MODEL")
	[ -z "${BOX_OUT:-}" ] || args+=(--set "output_dir=$BOX_OUT")
	[ -z "${BOX_DATA:-}" ] || args+=(--set "datasets=[{path: $BOX_DATA, type: ${BOX_DATA_TYPE:-messages}}]")
	local pair
	for pair in ${BOX_SET:-}; do
		args+=(--set "$pair")
	done
	local resolved
	resolved=$("${lomo[@]}" train "${args[@]}" --print-config) || exit 2
	device=$(key device "$resolved")
	devices=$(key devices "$resolved")
	sharding=$(key sharding "$resolved")
	output=$(key output_dir "$resolved")
	logs=${BOX_LOGS:-$output-logs}
	mkdir -p "$logs"
}

# key NAME TREE is a setting of what --print-config prints.
key() { sed -n "s/^$1: \(.*\) # .*/\1/p" <<<"$2" | tr -d '"'; }

# run LOG COMMAND… runs a command with its output in a file and here, passes signals on, and returns its code.
run() {
	local log=$1 code=0 copy pipe
	shift
	pipe=$(mktemp -u "$logs/pipe.XXXXXX")
	mkfifo "$pipe"
	tee -a "$log" <"$pipe" >&2 &
	copy=$!
	"$@" >"$pipe" 2>&1 &
	child=$!
	trap 'kill -TERM "$child" 2>/dev/null' INT TERM
	wait "$child" || code=$?
	while kill -0 "$child" 2>/dev/null; do # a signal ended the wait and not the command
		code=0
		wait "$child" || code=$?
	done
	if [ "$code" -gt 128 ]; then # of the wait, perhaps, and not of the command
		code=0
		wait "$child" || code=$?
	fi
	trap - INT TERM
	wait "$copy" || true # the last lines are written
	rm -f "$pipe"
	return "$code"
}

# train runs the configuration until it is done, again from the newest checkpoint after a failure, at most BOX_TRIES times.
# What another try cannot change ends at once: a wrong configuration (2), a diverged run (3), an interruption (130).
train() {
	local tries=${BOX_TRIES:-5} try code
	for ((try = 1; ; try++)); do
		say "box: try $try of $tries: ${lomo[*]} train ${args[*]} --resume auto"
		code=0
		run "$logs/train.log" "${lomo[@]}" train "${args[@]}" --resume auto || code=$?
		case $code in
		0) return 0 ;;
		2) die 2 "the configuration is refused: see $logs/train.log" ;;
		3) die 3 "the run diverged: lower learning_rate, then start again from the last checkpoint (resume.sh)" ;;
		130) die 130 "interrupted, with a checkpoint saved: the same script goes on from it" ;;
		esac
		[ "$try" -lt "$tries" ] || die 1 "failed $tries times, the last with code $code: see $logs/train.log"
		say "box: failed with code $code; the next try in ${BOX_WAIT:-30} s"
		sleep "${BOX_WAIT:-30}"
	done
}

# evaluate MODEL scores a model on BOX_EVAL_DATA with the run's devices; without that it does nothing.
evaluate() {
	[ -n "${BOX_EVAL_DATA:-}" ] || {
		say "box: no BOX_EVAL_DATA: nothing to evaluate on"
		return 0
	}
	local code=0 how=(--type "${BOX_EVAL_TYPE:-messages}")
	[ -z "${BOX_EVAL_TASK:-}" ] || how=(--task "$BOX_EVAL_TASK")
	read -r -a more <<<"${BOX_EVAL_ARGS:-}"
	run "$logs/eval.log" "${lomo[@]}" eval --model "$1" --data "$BOX_EVAL_DATA" "${how[@]}" \
		--device "$device" --devices "$devices" --sharding "$sharding" --json "${more[@]}" || code=$?
	[ "$code" -eq 0 ] || die "$code" "the evaluation failed with code $code: see $logs/eval.log"
}

# trained DIR is the model a run has left: itself, or before its end its newest checkpoint.
trained() {
	local newest='' c
	for c in "$1"/checkpoint-*/lomo_state.json; do
		[ -f "$c" ] || continue
		c=${c%/lomo_state.json}
		[ -n "$newest" ] && [ "${c##*-}" -le "${newest##*-}" ] || newest=$c
	done
	if [ -f "$1/config.json" ] || [ -z "$newest" ]; then
		newest=$1
	fi
	echo "$newest"
}

# train_and_evaluate FILE is a whole run.
train_and_evaluate() {
	find_lomo
	use_config "$1"
	preflight || exit 4
	train
	evaluate "$(trained "$output")"
	say "box: done: $output"
}
