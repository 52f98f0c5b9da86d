#!/usr/bin/env bash
# Every test, one kind after the other; the next kind runs though one failed, so that one run shows all. Says where the time went, and as
# the last line how many tests passed and failed.
set -uo pipefail
cd "$(dirname "$0")/../.."
build=.build
mkdir -p "$build"
failed=0 times=() logs=()
waits='test/e2e/badinput.test.ts'

run() {
  local name=$1 start=$SECONDS
  shift
  echo "== $name"
  "$@" || failed=1
  times+=("$name $((SECONDS - start)) s")
}

# jest NAME PROJECT …
jest() {
  local log=$build/test-$1.log
  logs+=("$log")
  shift
  npm run --silent test -- --selectProjects "$@" 2>&1 | tee "$log"
}

# Below a virtual machine memory in pieces is slow to reach: what reads a hundred files took 13.7 s of CPU, and 2.0 after this. It takes half a second each time.
tidy() {
  local never
  exec {never}<> <(:)
  while :; do
    read -rt 30 -u "$never"
    echo 1 >/proc/sys/vm/compact_memory
  done
}
if [ -w /proc/sys/vm/compact_memory ]; then
  tidy &
  # shellcheck disable=SC2064
  trap "kill $!" EXIT
fi

# What waits for clocks more than it computes, and what computes on one core, goes beside others: start NAME COMMAND …, and later settle NAME.
declare -A started
start() {
  local name=$1
  shift
  "$@" >"$build/beside-$name.txt" 2>&1 &
  started[$name]=$!
}
settle() {
  wait "${started[$1]}"
  local code=$?
  cat "$build/beside-$1.txt"
  return "$code"
}

# count WORD: the sum of it in jest's closing lines, such as "Tests:       2 failed, 833 passed, 835 total".
count() {
  sed 's/\x1b\[[0-9;]*m//g' "${logs[@]}" | grep '^Tests: ' | grep -o "[0-9]* $1" | awk '{sum += $1} END {print sum + 0}'
}

logs+=("$build/test-bad-input.log")
start bad-input jest bad-input e2e --runInBand --testPathPatterns "$waits"
run check npm run --silent check
# Threads that come and go in a process of jest that has run a hundred suites before ended it by SIGSEGV, twice in the runs of a day, and in none of a dozen where it
# had run few: V8 keeps account of compiled code for all threads of a process, and has races there (nodejs/node issues 62393, 64500; the Makefile has the other half).
threads='src/(stream/native/native|store/hasher).test.ts'
run unit jest unit unit --maxWorkers=2 --testPathIgnorePatterns "$threads"
run threads jest threads unit --maxWorkers=2 --testPathPatterns "$threads"
run 'bad input, beside these' settle bad-input
start C make --silent -C target test
# Suites that wait for processes and clocks: three at once took 543 s, two 625 when there were fewer of them.
run integration jest integration integration --maxWorkers=3
run 'C unit tests, beside it' settle C
run e2e jest e2e e2e --runInBand --verbose --testPathIgnorePatterns "$waits"

echo "== where the time went: $(IFS=,; echo "${times[*]}" | sed 's/,/, /g')"
broken=$(count failed)
[ "$failed" = 0 ] || [ "$broken" != 0 ] || broken=1 # a check, a C test or a suite that did not run at all
echo "$(count passed) passed, $broken failed"
exit "$failed"
