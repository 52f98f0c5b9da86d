#!/usr/bin/env bash
# Builds what the nodes of the test cluster mount a NAS with, into .build/nas: mount.nfs, and a CSI driver that uses it.
set -euo pipefail
cd "$(dirname "$0")"
out=$PWD/../../.build/nas
mkdir -p "$out"
export CGO_ENABLED=0
(cd nfs && go build -trimpath -ldflags "-s -w" -o "$out/mount.nfs" .)
go build -trimpath -ldflags "-s -w" -o "$out/csi" ./csi
