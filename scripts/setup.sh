#!/bin/bash
# Installs the Debian packages that building, testing and the demo need, and says which. What is there is left alone.
# Without root it installs nothing: it names what is missing and fails. With the word bench, also what make bench measures.
set -euo pipefail

packages=(
  # The accelerator: PoCL makes an OpenCL device of the CPU; ld links its kernels.
  pocl-opencl-icd ocl-icd-libopencl1 ocl-icd-opencl-dev opencl-headers binutils
  # What workers allocate with.
  libmimalloc2.0
  # A second driver, which is only listed where a test names its vendor file.
  oclgrind
  # Unmodified programs that the tests run on a leased slice.
  clinfo clpeak python3-pyopencl python3-venv
  # The sandbox.
  containerd runc
  # The store that nodes share.
  redis-server
  # Building and checking.
  gcc libc6-dev musl-tools clang clang-format clang-tidy protobuf-compiler libprotobuf-dev shellcheck make
)
if [[ "${1:-}" == bench ]]; then
  # Tuned kernels for products of matrices, and filters for pictures.
  packages+=(libclblast1 python3-opencv)
fi

missing=()
for package in "${packages[@]}"; do
  if [[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" != installed ]]; then
    missing+=("$package")
  fi
done

if [[ ${#missing[@]} -eq 0 ]]; then
  echo "setup: all ${#packages[@]} Debian packages are installed"
  exit 0
fi
if ! command -v apt-get >/dev/null; then
  echo "setup: no apt-get here; install what these Debian packages hold: ${missing[*]}" >&2
  exit 1
fi
if [[ "$(id -u)" != 0 ]]; then
  echo "setup: missing, and installing needs root. As root: apt-get install ${missing[*]}" >&2
  exit 1
fi
echo "setup: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
echo "setup: installed ${#missing[@]} Debian packages"
