#!/usr/bin/env bash
# release-file.sh FILE [IMAGE]: everything of deploy/base in one file, for `kubectl apply --server-side -f`, with the image that it shall run.
set -euo pipefail
file=$1 image=${2:-}
cd "$(dirname "$0")/../.."
version=$(sed -n 's/^\tk8s.io\/kubernetes \(v.*\)$/\1/p' test/cluster/go.mod)
kubectl=${XDG_CACHE_HOME:-$HOME/.cache}/bootfarm/bin/$version/kubectl
[ -x "$kubectl" ] || kubectl=kubectl
mkdir -p "$(dirname "$file")"
default=$(sed -n 's/^ *image: //p' deploy/base/deployment.yaml)
"$kubectl" kustomize deploy/base | sed "s|$default|${image:-$default}|" >"$file"
echo "$file: kubectl apply --server-side -f $file"
