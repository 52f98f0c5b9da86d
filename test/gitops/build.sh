#!/usr/bin/env bash
# build.sh judge: what CI needs to judge health as Argo CD and Flux do, and their CRDs, into .build/gitops; half a minute beside a built cluster.
# build.sh controllers: Argo CD and Flux from their Go modules, for `make test-gitops`, once, into ${XDG_CACHE_HOME:-$HOME/.cache}/bootfarm/gitops;
# cold on 2 cores: about 25 minutes. Each has a go.mod of its own, which repeats the replaces that it has where it is developed.
set -euo pipefail
cd "$(dirname "$0")"
export CGO_ENABLED=0
flags=(-trimpath -ldflags "-s -w")

# version FOLDER MODULE: what its go.mod asks for.
version() { sed -n "s|^\(require \)\?\t\?$2 \(v[^ ]*\).*|\2|p" "$1/go.mod" | head -1; }

judge() {
  local out=$PWD/../../.build/gitops folder
  mkdir -p "$out/crds"
  (cd judge && go build "${flags[@]}" -o "$out/judge" .)
  crds() { # FOLDER MODULE FILES…
    folder=$(cd "$1" && go mod download -json "$2" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
    for file in "${@:3}"; do install -m 644 "$folder/$file" "$out/crds/"; done
  }
  crds argocd github.com/argoproj/argo-cd/v3 manifests/crds/{application,applicationset,appproject}-crd.yaml
  crds kustomize-controller github.com/fluxcd/kustomize-controller config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml
  crds helm-controller github.com/fluxcd/helm-controller config/crd/bases/helm.toolkit.fluxcd.io_helmreleases.yaml
  crds source-controller github.com/fluxcd/source-controller config/crd/bases/source.toolkit.fluxcd.io_{gitrepositories,ocirepositories,helmrepositories,helmcharts,buckets,externalartifacts}.yaml
}

# controller FOLDER MODULE PACKAGE
controller() {
  local out=${XDG_CACHE_HOME:-$HOME/.cache}/bootfarm/gitops file start=$SECONDS
  mkdir -p "$out"
  file=$out/$1-$(version "$1" "$2")
  [ ! -x "$file" ] || return 0
  (cd "$1" && go build "${flags[@]}" -o "$file.partial" "$3")
  mv "$file.partial" "$file"
  echo "gitops: $(basename "$file"), $((SECONDS - start)) s"
}

controllers() {
  controller argocd github.com/argoproj/argo-cd/v3 .
  local name
  for name in kustomize-controller helm-controller source-controller; do
    controller "$name" "github.com/fluxcd/$name" "github.com/fluxcd/$name"
  done
}

"$1"
