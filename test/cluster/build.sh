#!/usr/bin/env bash
# Builds the control plane, the node's programs, kubectl, etcd, CoreDNS and Helm from their Go modules, once, into
# ${XDG_CACHE_HOME:-$HOME/.cache}/bootfarm/bin/<Kubernetes version>. Cold on 2 cores: 8 to 11 minutes; what is there is not built again.
# go.mod replaces the staging modules, which a consumer of k8s.io/kubernetes cannot use, by their published twins.
set -euo pipefail
cd "$(dirname "$0")"
version=$(sed -n 's/^\tk8s.io\/kubernetes \(v.*\)$/\1/p' go.mod)
helm_version=v4.3.1
out=${XDG_CACHE_HOME:-$HOME/.cache}/bootfarm/bin/$version
mkdir -p "$out"
stamp="-X k8s.io/component-base/version.gitVersion=$version -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=$(cut -d. -f2 <<<"$version")"
export CGO_ENABLED=0
names=(kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl etcd coredns helm)
todo=()
for name in "${names[@]}"; do [ -x "$out/$name" ] || todo+=("$name"); done

# build NAME COMMAND…: the command builds into the file that it gets as its last argument; a build that was interrupted leaves nothing.
build() {
  local name=$1 start=$SECONDS
  shift
  "$@" "$out/.$name.partial"
  mv "$out/.$name.partial" "$out/$name"
  done=$((done + 1))
  echo "cluster binaries: $done of ${#todo[@]}: $name, $((SECONDS - start)) s"
}

kubernetes() { go build -trimpath -ldflags "-s -w $stamp" -o "$2" "k8s.io/kubernetes/cmd/$1"; }
etcd() { go build -trimpath -ldflags "-s -w" -o "$1" go.etcd.io/etcd/server/v3; }
coredns() { (cd coredns && go build -trimpath -ldflags "-s -w" -o "$1" .); }
helm() {
  local folder
  folder=$(mktemp -d)
  GOBIN=$folder go install -trimpath -ldflags "-s -w" "helm.sh/helm/v4/cmd/helm@$helm_version"
  mv "$folder/helm" "$1"
  rmdir "$folder"
}

done=0
[ ${#todo[@]} -eq 0 ] || echo "cluster binaries: building ${#todo[@]} of Kubernetes $version into $out; the first is the longest, about 5 minutes"
for name in "${todo[@]}"; do
  case $name in
    etcd | coredns | helm) build "$name" "$name" ;;
    *) build "$name" kubernetes "$name" ;;
  esac
done
