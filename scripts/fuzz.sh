#!/bin/bash
# Runs every fuzzer of the module for the given time each. usage: scripts/fuzz.sh 30s
set -euo pipefail
cd "$(dirname "$0")/.."

fuzz_time="${1:?usage: scripts/fuzz.sh DURATION}"
while IFS=: read -r file line; do
  name="$(sed -E 's/func (Fuzz[A-Za-z0-9_]+).*/\1/' <<<"$line")"
  echo "fuzz: $name in $(dirname "$file") for $fuzz_time"
  # An input that is new is made shorter for a minute unless told otherwise: the time is for finding more.
  go test "./$(dirname "$file")" -run '^$' -fuzz "^$name\$" -fuzztime "$fuzz_time" -fuzzminimizetime 20x
done < <(git grep -E '^func Fuzz[A-Za-z0-9_]+\(' -- '*_test.go')
