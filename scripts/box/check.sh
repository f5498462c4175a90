# shellcheck shell=bash disable=SC2154
# Sourced by common.sh, whose variables it reads: what must be there before a run.

# preflight lists what is in the way of the run of use_config; it fails when anything is.
preflight() {
	local found plan need_disk weights pinned peak free disk bad=0 i
	command -v jq >/dev/null || {
		say "preflight: jq is missing: apt install jq"
		return 1
	}
	# Exit 1 of doctor only says that it has problems to tell.
	found=$("${lomo[@]}" doctor --json 2>"$logs/doctor.err") || [ -n "$found" ] || {
		cat "$logs/doctor.err" >&2
		return 1
	}
	printf '%s\n' "$found" >"$logs/doctor.json"
	local code=0
	plan=$("${lomo[@]}" memprofile "${args[@]}" --json 2>"$logs/plan.err" | tail -n 1) || code=$?
	if [ "$code" -ne 0 ]; then
		cat "$logs/plan.err" >&2
		exit "$code"
	fi
	printf '%s\n' "$plan" >"$logs/plan.json"
	wrong() {
		say "preflight: $*"
		bad=1
	}
	peak=$(jq .peak_bytes <<<"$plan")
	pinned=$(jq '.pinned_bytes // 0' <<<"$plan")
	weights=$(jq '.owners.weights // 0' <<<"$plan")
	if [ "$device" = cuda ]; then
		if [ "$(jq .cuda.built <<<"$found")" != true ]; then
			wrong "this lomo has no CUDA: run \`make cuda\`"
		elif [ "$(jq -r .cuda.error <<<"$found")" != "" ]; then
			wrong "$(jq -r .cuda.error <<<"$found")"
		elif [ "$(jq '.cards | length' <<<"$found")" -lt "$devices" ]; then
			wrong "the run wants $devices cards, there are $(jq '.cards | length' <<<"$found") (CUDA_VISIBLE_DEVICES=${CUDA_VISIBLE_DEVICES:-all})"
		fi
		for ((i = 0; i < devices; i++)); do
			free=$(jq ".cards[$i].memory_free_bytes // 0" <<<"$found")
			if [ "$(jq ".cards | length" <<<"$found")" -gt "$i" ] && [ "$free" -lt "$peak" ]; then
				wrong "card $i has $free bytes free, the plan needs $peak"
			fi
		done
		if [ "$(jq .memory.available_bytes <<<"$found")" -lt $((pinned * devices)) ]; then
			wrong "$((pinned * devices)) bytes of pinned host memory are planned, $(jq .memory.available_bytes <<<"$found") are available"
		fi
		weights=$((weights * devices))
		if command -v nvidia-smi >/dev/null; then
			nvidia-smi --query-gpu=index,name,driver_version,pcie.link.gen.current,pcie.link.width.current,memory.used --format=csv >&2 || wrong "nvidia-smi fails"
			local users
			users=$(nvidia-smi --query-compute-apps=gpu_uuid,pid,process_name,used_memory --format=csv,noheader || true)
			[ -z "$users" ] || wrong "other programs use the cards:"$'\n'"$users"
		fi
	fi
	# What doctor finds in the way, but for cards the run does not use.
	while IFS= read -r line; do
		[[ $line =~ ^GPU\ ([0-9]+): ]] && [ "${BASH_REMATCH[1]}" -ge "$devices" ] && continue
		[[ $line != *"free: a checkpoint"* ]] || continue # the disk is looked at below, for this run
		[ "$device" = cuda ] || continue
		wrong "$line"
	done < <(jq -r '.problems[] | .what + ": " + .fix' <<<"$found")
	# The newest checkpoint, the one being written and the trained model.
	need_disk=$((3 * weights))
	mkdir -p "$(dirname "$output")"
	disk=$(($(df -Pk "$(dirname "$output")" | awk 'NR == 2 {print $4}') * 1024))
	[ "$disk" -ge "$need_disk" ] || wrong "$(dirname "$output") has $disk bytes free; checkpoints and the trained model take up to $need_disk"
	[ "$bad" -eq 0 ] || return 1
	say "preflight: ready: $devices x $device, $peak bytes each, $((pinned * devices)) bytes of pinned host memory, up to $need_disk bytes of disk"
}
