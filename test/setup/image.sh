#!/usr/bin/env bash
# Builds the image from the Dockerfile with buildah, as a docker-archive, and what it is made of beside it: image.sh OUT.tar [REFERENCE]
# The base image is made here, from Debian's packages and the npm packages of Node and npm, because no registry is asked. Both are
# cached outside the checkout: the base by what goes into it, the archive by the content of its sources.
set -euo pipefail
out=$(realpath -m "${1:?usage: image.sh OUT.tar [REFERENCE]}")
reference=${2:-bootfarm.local/bootfarm:dev}
cd "$(dirname "$0")/../.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/bootfarm/image
node_version=$(sed -n 's/^    "node": "\([0-9.]*\)",*$/\1/p' package.json)
npm_version=11.19.1
suite=bookworm
base=localhost/bootfarm-base:$suite-node$node_version-npm$npm_version
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=overlay
storage=(--root "$cache/storage" --runroot "$cache/run")
mkdir -p "$cache"

sources=$(cat Dockerfile LICENSE NOTICE target/Makefile target/src/pieces.[ch] test/setup/sbom.ts package.json package-lock.json tsconfig.json tsconfig.build.json; find src -type f ! -name '*.test.ts' -print0 | sort -z | xargs -0 cat)
key=$(printf '%s %s %s' "$base" "$reference" "$sources" | sha256sum | cut -c1-16)
# give: the archive, and its bill of materials.
give() {
  local end
  for end in tar cdx.json; do
    ln -f "$cache/$key.$end" "${out%.tar}.$end" 2>/dev/null || cp "$cache/$key.$end" "${out%.tar}.$end"
  done
}
if [ -e "$cache/$key.tar" ]; then
  give
  echo "image: $reference unchanged"
  exit
fi

work=$(mktemp -d)
# Whatever its root is, buildah as root remembers digests of layers in /var/lib/containers: where that was not before, it goes again.
containers=/var/lib/containers
[ -e "$containers" ] && containers=
leave_as_found() {
  rm -rf "$work"
  [ -z "$containers" ] || { rm -f "$containers/cache/blob-info-cache-v1.boltdb"; rmdir "$containers/cache" "$containers" 2>/dev/null || true; }
}
trap leave_as_found EXIT
if ! buildah "${storage[@]}" inspect --type image "$base" >/dev/null 2>&1; then
  echo "image: making the base of Debian $suite, Node $node_version, npm $npm_version"
  mmdebstrap --quiet --variant=minbase --include=ca-certificates "$suite" "$work/root.tar"
  mkdir -p "$work/node/usr/local/bin"
  npm install --silent --global --no-audit --no-fund --prefix "$work/node/usr/local" "npm@$npm_version" >/dev/null
  cp node_modules/node/bin/node "$work/node/usr/local/bin/node"
  container=$(buildah "${storage[@]}" from scratch)
  buildah "${storage[@]}" add --quiet "$container" "$work/root.tar" / >/dev/null
  buildah "${storage[@]}" add --quiet "$container" "$work/node" / >/dev/null
  buildah "${storage[@]}" config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
  buildah "${storage[@]}" commit --quiet --rm "$container" "$base" >/dev/null
fi

echo "image: building $reference"
# The host's trust store, so that npm inside trusts what it trusts outside.
buildah "${storage[@]}" bud --quiet --layers --build-arg "BASE=$base" --tag "$reference" \
  --volume /etc/ssl/certs:/run/host-certs:ro --build-arg NODE_EXTRA_CA_CERTS=/run/host-certs/ca-certificates.crt . >"$work/log" || { cat "$work/log"; exit 1; }
buildah "${storage[@]}" push --quiet "$reference" "docker-archive:$work/image.tar:$reference"
container=$(buildah "${storage[@]}" from "$reference")
cp "$(buildah "${storage[@]}" mount "$container")/usr/share/bootfarm/sbom.cdx.json" "$cache/$key.cdx.json"
buildah "${storage[@]}" rm "$container" >/dev/null
find "$cache" -maxdepth 1 \( -name '*.tar' -o -name '*.cdx.json' \) -mmin +1440 -delete
mv "$work/image.tar" "$cache/$key.tar"
give
echo "image: $reference built, $(du -h "$out" | cut -f1)"
