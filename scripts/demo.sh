#!/bin/bash
# Shows the whole path at work on this machine: a daemon with its own containerd in a temporary folder, two functions in
# containers without any accelerator or driver, and requests that a leased slice of the pool's device answers. Ends with 0
# only if all of it held. Called by `make demo`, which installs and builds what it needs.
set -euo pipefail
cd "$(dirname "$0")/.."

sluice=build/bin/sluice
folder="$(mktemp -d /tmp/sluice-demo-XXXXXX)"
state="$folder/state"
daemon=""
sandbox=containerd
export SLUICE_STATE="$state"

title() { printf '\n== %s\n' "$*"; }
fail() {
  echo "demo: $*" >&2
  exit 1
}

finish() {
  local code=$?
  trap - EXIT
  if [[ $code != 0 && -f "$folder/daemon.log" ]]; then
    echo "demo: failed; the daemon's log ends:" >&2
    tail -n 40 "$folder/daemon.log" >&2
  fi
  if [[ -n "$daemon" ]] && kill -0 "$daemon" 2>/dev/null; then
    "$sluice" remove simple >/dev/null 2>&1 || true
    "$sluice" remove digits >/dev/null 2>&1 || true
    "$sluice" drain 2>/dev/null || kill -INT "$daemon" 2>/dev/null || true
    wait "$daemon" 2>/dev/null || true
  fi
  if [[ $sandbox == containerd ]]; then
    scripts/containerd.sh stop "$folder/containerd" || true
  fi
  rm -rf "$folder" || true
  exit $code
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

free_port() {
  local port
  while :; do
    port=$((10240 + RANDOM % 22528))
    if ! (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return
    fi
  done
}

# metric NAME [LABEL] prints the sum of a metric's samples, those with the label if one is given.
metric() {
  exec 3<>"/dev/tcp/127.0.0.1/$metrics_port"
  printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3
  awk -v name="$1" -v label="${2:-}" \
    '($1 == name || index($1, name "{") == 1) && index($0, label) { sum += $NF } END { printf "%.3f\n", sum }' <&3
  exec 3>&-
}

# pid_of FUNCTION prints the process of its first instance.
pid_of() { "$sluice" instances "$1" | awk 'NR == 2 { print $5 }'; }

# wait_for SECONDS COMMAND... polls until the command succeeds.
wait_for() {
  local seconds=$1 deadline
  shift
  deadline=$((SECONDS + seconds))
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.2
  done
}

no_instances() { [[ "$("$sluice" instances "$1" | wc -l)" == 1 ]]; }
daemon_answers() {
  kill -0 "$daemon" 2>/dev/null || fail "the daemon ended"
  "$sluice" devices >/dev/null 2>&1
}

start_daemon() {
  local arguments=(--listen "127.0.0.1:$port" --http-listen "" --metrics-listen "127.0.0.1:$metrics_port" --sandbox "$sandbox")
  if [[ $sandbox == containerd ]]; then
    arguments+=(--containerd-address "$(scripts/containerd.sh start "$folder/containerd")")
  fi
  "$sluice" serve "${arguments[@]}" >"$folder/daemon.log" 2>&1 &
  daemon=$!
  wait_for 60 daemon_answers || fail "the daemon did not answer within 60 s"
}

# deploy FUNCTION builds its program and image, and deploys it with a short idle time.
deploy() {
  local name=$1 program="$folder/programs/$1" yaml="$folder/$1.yaml"
  scripts/example.sh "$name" "$program"
  sed -E 's/idle_s: [0-9]+/idle_s: 10/' "examples/$name/function.yaml" >"$yaml"
  if [[ $sandbox == containerd ]]; then
    "$sluice" image build "$program" -t "$name:latest"
  else
    sed -i -E -e '/^image:/d' -e "s|^command:.*||" -e "\$acommand: [\"$program/$name\"]" "$yaml"
  fi
  "$sluice" deploy -f "$yaml"
}

# Fails unless the function's process is as far from a driver as promised, and a worker has one.
prove() {
  local pid worker nodes
  pid="$(pid_of digits)"
  [[ -n "$pid" && -r "/proc/$pid/maps" ]] || fail "digits has no process"
  if grep -Ei 'pocl|llvm' "/proc/$pid/maps"; then
    fail "the function's process has a driver mapped"
  fi
  echo "process $pid of digits maps no OpenCL driver; of OpenCL it maps:"
  awk '$6 ~ /OpenCL|opencl/ { print "  " $6 }' "/proc/$pid/maps" | sort -u
  if [[ $sandbox == containerd ]]; then
    echo "its /dev holds: $(ls -m "/proc/$pid/root/dev")"
    nodes="$(find "/proc/$pid/root/dev/" -xdev \( -type b -o -type c \) -printf '%P\n' |
      grep -vxE 'null|zero|full|random|urandom|tty|console|ptmx' || true)"
    [[ -z "$nodes" ]] || fail "the container sees devices: $nodes"
  fi
  worker="$(worker_with_driver)" || fail "no worker has the driver mapped"
  echo "worker $worker maps it:"
  awk '$6 ~ /libpocl/ { print "  " $6 }' "/proc/$worker/maps" | sort -u
}

worker_with_driver() {
  local process
  for process in /proc/[0-9]*; do
    if [[ "$(readlink "$process/exe" 2>/dev/null)" == "$PWD/build/bin/sluice-worker" ]] &&
      grep -q libpocl "$process/maps" 2>/dev/null; then
      basename "$process"
      return
    fi
  done
  return 1
}

if [[ "$(id -u)" != 0 ]]; then
  sandbox=process
  echo "demo: not root, so functions run as plain processes: NOTHING ISOLATES THEM. As root they run in containers."
fi
port="$(free_port)"
metrics_port="$(free_port)"
go build -o build/bin/classify ./examples/digits/classify
start_daemon

title "The pool"
"$sluice" devices

title "Two functions"
deploy simple
deploy digits
"$sluice" functions

title "Handwritten digits, classified over gRPC"
build/bin/classify -address "127.0.0.1:$port" | tee "$folder/classify.out"
grep -q '^accuracy: ' "$folder/classify.out" || fail "no accuracy was printed"

title "Sums and differences"
"$sluice" invoke simple --address "127.0.0.1:$port" '{"inputs": [
  {"name": "INPUT0", "datatype": "INT32", "shape": [1, 16], "data": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]},
  {"name": "INPUT1", "datatype": "INT32", "shape": [1, 16], "data": [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]}]}'

title "Who has a driver"
prove

title "What it took"
printf 'calls forwarded to devices: %.0f\n' "$(metric sluice_forwarded_calls_total)"
printf 'bytes forwarded: %.0f to devices, %.0f from them\n' \
  "$(metric sluice_forwarded_bytes_to_device_total)" "$(metric sluice_forwarded_bytes_from_device_total)"
digits='function="digits"'
rows="$(metric sluice_batch_rows_sum "$digits")"
batches="$(metric sluice_batch_rows_count "$digits")"
awk -v rows="$rows" -v batches="$batches" \
  'BEGIN { printf "digits: %d images in %d batches, mean batch size %.1f\n", rows, batches, rows / batches }'
echo "cold start of digits, in seconds:"
for phase in lease create start ready total; do
  printf '  %-7s %s\n' "$phase" "$(metric sluice_cold_start_seconds_sum "$digits,phase=\"$phase\"")"
done
"$sluice" leases
"$sluice" instances

title "Down to zero, and back"
wait_for 60 no_instances simple || fail "simple still has an instance"
wait_for 60 no_instances digits || fail "digits still has an instance"
echo "no instances, no leases held:"
"$sluice" leases
build/bin/classify -address "127.0.0.1:$port" >"$folder/again.out"
grep '^accuracy: ' "$folder/again.out"
"$sluice" instances digits

title "Done"
