#!/bin/bash
# Builds an example function into a folder that `sluice image build` takes. usage: scripts/example.sh NAME FOLDER
set -euo pipefail

name="${1:?usage: scripts/example.sh NAME FOLDER}"
folder="$(realpath -m "${2:?usage: scripts/example.sh NAME FOLDER}")"
cd "$(dirname "$0")/.."

mkdir -p "$folder"
CGO_ENABLED=1 go build -o "$folder/$name" "./examples/$name"
if [[ -f "examples/$name/image.yaml" ]]; then
  cp "examples/$name/image.yaml" "$folder/"
fi
