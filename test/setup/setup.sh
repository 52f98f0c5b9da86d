#!/usr/bin/env bash
# All set-up of a fresh Debian 12 as root with make, Node (20 or newer) and Go (1.24 or newer). Idempotent; under 2 s when all is there.
# What is built is cached in ${XDG_CACHE_HOME:-$HOME/.cache}/bootfarm, keyed by version. CLUSTER=existing skips the cluster's binaries.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=.build
mkdir -p "$build"

# step NAME COMMAND…: runs it and says how long it took, if that was worth saying.
step() {
  local name=$1 start=$EPOCHREALTIME seconds
  shift
  "$@"
  seconds=$(((${EPOCHREALTIME/./} - ${start/./}) / 1000000))
  [ "$seconds" -lt 2 ] || echo "set-up: $name took $seconds s"
}

packages() {
  local missing
  missing=$(sort -u test/setup/packages.txt | while read -r name; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || echo "$name"
  done)
  [ -n "$missing" ] || return 0
  [ "$(id -u)" = 0 ] || { echo "set-up: these Debian packages are missing and only root can install them:" $missing; exit 1; }
  echo "set-up: installing Debian packages:" $missing
  # Packages must not start their services: the tests start their own.
  local policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    trap "rm -f $policy" EXIT
  fi
  apt-get update -qq
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >"$build/apt.log" 2>&1 ||
    { tail -20 "$build/apt.log"; exit 1; }
}

# stamped STAMP SOURCES… -- COMMAND…: runs the command when the sources are not those of the last run.
stamped() {
  local stamp=$build/$1 sources=() key
  shift
  while [ "$1" != -- ]; do
    sources+=("$1")
    shift
  done
  shift
  key=$(find "${sources[@]}" -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)
  if [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$key" ]; then return 0; fi
  "$@"
  echo "$key" >"$stamp"
}

npm_packages() {
  [ -x node_modules/.bin/node ] || rm -f "$build/npm.stamp"
  stamped npm.stamp package.json package-lock.json -- npm ci --no-audit --no-fund --loglevel=error
}

compile() {
  [ -d dist/console ] || rm -f "$build/tsc.stamp"
  stamped tsc.stamp src package.json tsconfig.json tsconfig.build.json -- npm run --silent build
}

client() {
  [ -e target/Makefile ] || return 0
  make --silent -C target
}

nas() {
  [ -x "$build/nas/csi" ] || rm -f "$build/nas.stamp"
  stamped nas.stamp test/cluster/nas.sh test/cluster/nfs test/cluster/csi test/cluster/go.mod -- test/cluster/nas.sh
}

gitops() {
  [ -x "$build/gitops/judge" ] || rm -f "$build/gitops.stamp"
  stamped gitops.stamp test/gitops/build.sh test/gitops/judge test/gitops/*/go.mod -- test/gitops/build.sh judge
}

grafana() {
  [ -x "$build/grafana" ] || rm -f "$build/grafana.stamp"
  stamped grafana.stamp test/grafana -- env CGO_ENABLED=0 go build -C test/grafana -trimpath -ldflags '-s -w' -o "$PWD/$build/grafana" .
}

step 'Debian packages' packages
step 'npm packages' npm_packages
step 'build' compile
step 'C client' client
step 'client of a NAS' nas
if [ "${CLUSTER:-}" != existing ]; then
  step 'cluster binaries' test/cluster/build.sh
  step 'judges of GitOps' gitops
  step 'reader of dashboards' grafana
fi
