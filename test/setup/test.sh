#!/usr/bin/env bash
# Every test, one kind after the other; the next kind runs though one failed, so that one run shows all. Says where the time went.
set -uo pipefail
cd "$(dirname "$0")/../.."
failed=0 times=()

run() {
  local name=$1 start=$SECONDS
  shift
  echo "== $name"
  "$@" || failed=1
  times+=("$name $((SECONDS - start)) s")
}

jest() {
  npm run --silent test -- --selectProjects "$@"
}

run check npm run --silent check
run unit jest unit
run integration jest integration --runInBand
run e2e jest e2e --runInBand --passWithNoTests

echo "== where the time went: $(IFS=,; echo "${times[*]}" | sed 's/,/, /g')"
exit "$failed"
