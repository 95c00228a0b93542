#!/bin/bash
# A containerd of one's own, next to any other on the machine: root, state, configuration and socket in one folder.
#   scripts/containerd.sh start FOLDER   starts it, waits until it answers, prints its socket's path
#   scripts/containerd.sh stop FOLDER    deletes what runs in it first (a stopped containerd would leave it running), then stops it
set -euo pipefail

folder="$(realpath -m "${2:?usage: scripts/containerd.sh start|stop FOLDER}")"
address="$folder/containerd.sock"

client() { ctr --address "$address" "$@"; }

start() {
  mkdir -p "$folder"
  cat >"$folder/config.toml" <<END
version = 2
root = "$folder/root"
state = "$folder/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "$address"
END
  containerd --config "$folder/config.toml" >"$folder/containerd.log" 2>&1 &
  echo $! >"$folder/containerd.pid"
  for _ in $(seq 100); do
    if client version >/dev/null 2>&1; then
      echo "$address"
      return
    fi
    if ! kill -0 "$(<"$folder/containerd.pid")" 2>/dev/null; then
      break
    fi
    sleep 0.1
  done
  echo "containerd did not start:" >&2
  tail -n 20 "$folder/containerd.log" >&2
  exit 1
}

stop() {
  [[ -f "$folder/containerd.pid" ]] || return 0
  local pid namespace task container
  pid="$(<"$folder/containerd.pid")"
  for namespace in $(client namespaces list -q 2>/dev/null || true); do
    for task in $(client -n "$namespace" tasks list -q); do
      client -n "$namespace" tasks delete --force "$task" >/dev/null 2>&1 || true
    done
    for container in $(client -n "$namespace" containers list -q); do
      client -n "$namespace" containers delete "$container" >/dev/null 2>&1 || true
    done
  done
  kill "$pid" 2>/dev/null || true
  while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
  rm -f "$folder/containerd.pid"
}

case "$1" in
start) start ;;
stop) stop ;;
*)
  echo "usage: scripts/containerd.sh start|stop FOLDER" >&2
  exit 2
  ;;
esac
