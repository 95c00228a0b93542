#!/bin/sh
# Generates Go from every proto/<name>/*.proto into proto/gen/<name>/, with protoc from PATH and the plugins that
# tools/go.mod pins. Each file says `option go_package = "sluice/proto/gen/<name>";`.
set -eu
cd "$(dirname "$0")/.."

plugins=$(mktemp -d)
trap 'rm -rf "$plugins"' EXIT
go build -modfile=tools/go.mod -o "$plugins/" \
	google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc

for file in proto/*/*.proto; do
	PATH="$plugins:$PATH" protoc -I proto \
		--go_out=proto/gen --go_opt=module=sluice/proto/gen \
		--go-grpc_out=proto/gen --go-grpc_opt=module=sluice/proto/gen \
		"${file#proto/}"
done
