#!/usr/bin/env bash
# Runs every fuzz target of the module for a while, one after the other: scripts/fuzz.sh [TIME], default 10s.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-10s}

# A package and a function on each line.
targets=$(grep -rlE '^func Fuzz' --include='*_test.go' internal cmd 2>/dev/null | while read -r file; do
	grep -oE '^func Fuzz[A-Za-z0-9_]*' "$file" | sed "s|^func |./$(dirname "$file") |"
done | sort -u)
if [ -z "$targets" ]; then
	echo "fuzz: no targets" >&2
	exit 1
fi
while read -r package name; do
	echo "fuzz: $package $name for $time"
	go test "$package" -run '^$' -fuzz "^$name\$" -fuzztime "$time"
done <<<"$targets"
echo "fuzz: $(wc -l <<<"$targets") targets passed"
