#!/usr/bin/env bash
# Builds the image of app.py from Debian packages, without Docker and without root:
#
#     ./build-image.sh [OUT]        # default: target/flask-hello-world in the repository
#
# It writes an OCI layout, OUT/, whose image is flask-hello-world:1. apt works out which packages Flask needs and
# downloads them, as signed by Debian; each is unpacked, none of their scripts is run. Then folder becomes layer.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/../../target/flask-hello-world}
name=flask-hello-world:1
packages=(python3-flask dash)

for program in apt-get dpkg-deb jq tar gzip sha256sum; do
    command -v "$program" >/dev/null || { echo "$program is missing. Install it, or build with the Dockerfile." >&2; exit 1; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# An empty list of installed packages makes apt fetch everything, not only what this machine lacks.
echo "Downloading ${packages[*]} and what they need"
mkdir -p "$work/debs/partial" "$work/rootfs/usr"/{bin,sbin,lib,lib64} "$work/rootfs"/{app,etc,root,tmp}
touch "$work/status"
apt-get -qq -y -o Debug::NoLocking=1 -o Dir::State::status="$work/status" -o Dir::Cache::archives="$work/debs" \
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User= \
    --no-install-recommends --download-only install "${packages[@]}" >/dev/null ||
    { echo "apt could not download them; does \`apt-get update\` work here?" >&2; exit 1; }

# Debian's packages expect these links, which its base system brings along.
for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$work/rootfs/$folder"; done
for deb in "$work"/debs/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$work/rootfs" --keep-directory-symlink --no-same-owner
done
ln -sf dash "$work/rootfs/usr/bin/sh"
rm -rf "$work/rootfs"/usr/share/{doc,doc-base,info,lintian,locale,man,menu,bug} "$work/rootfs"/var/cache/*
echo 'root:x:0:0:root:/root:/bin/sh' >"$work/rootfs/etc/passwd"
echo 'root:x:0:' >"$work/rootfs/etc/group"
chmod 1777 "$work/rootfs/tmp"
cp "$here/app.py" "$work/rootfs/app/app.py"

echo "Packing"
mkdir -p "$work/layout/blobs/sha256"
# Fixed order, owner and time, so that the same packages give the same digest.
tar -c -C "$work/rootfs" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 --format=gnu . >"$work/layer.tar"
gzip -n <"$work/layer.tar" >"$work/layer"

# Moves a file among the blobs and prints its descriptor.
blob() {
    local digest size
    digest=$(sha256sum <"$2" | cut -d' ' -f1)
    size=$(stat -c %s "$2")
    mv "$2" "$work/layout/blobs/sha256/$digest"
    jq -cn --arg type "$1" --arg digest "sha256:$digest" --argjson size "$size" '{mediaType: $type, digest: $digest, size: $size}'
}

diff_id=sha256:$(sha256sum <"$work/layer.tar" | cut -d' ' -f1)
jq -cn --arg arch "$(dpkg --print-architecture)" --arg diff_id "$diff_id" '{
    created: "1970-01-01T00:00:00Z", architecture: $arch, os: "linux",
    config: {
        Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONUNBUFFERED=1", "LANG=C.UTF-8"],
        Cmd: ["python3", "app.py"], WorkingDir: "/app", ExposedPorts: {"5000/tcp": {}}
    },
    rootfs: {type: "layers", diff_ids: [$diff_id]},
    history: [{created: "1970-01-01T00:00:00Z", created_by: "build-image.sh"}]
}' >"$work/config"
config=$(blob application/vnd.oci.image.config.v1+json "$work/config")
layer=$(blob application/vnd.oci.image.layer.v1.tar+gzip "$work/layer")
manifest_type=application/vnd.oci.image.manifest.v1+json
jq -cn --arg type "$manifest_type" --argjson config "$config" --argjson layer "$layer" \
    '{schemaVersion: 2, mediaType: $type, config: $config, layers: [$layer]}' >"$work/manifest"
manifest=$(blob "$manifest_type" "$work/manifest")
jq -cn --arg name "$name" --argjson manifest "$manifest" '{
    schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [$manifest + {annotations: {"org.opencontainers.image.ref.name": $name}}]
}' >"$work/layout/index.json"
echo '{"imageLayoutVersion": "1.0.0"}' >"$work/layout/oci-layout"

mkdir -p "$(dirname "$out")"
rm -rf "$out"
mv "$work/layout" "$out"
echo "$name is in $(cd "$out" && pwd), $(du -sh "$out" | cut -f1)"
