#!/bin/sh
# Trains the digits network anew and writes its weights and held-out images into
# the given folder (default: examples/digits, that is, over the committed files).
# Downloads the packages of requirements.txt from PyPI into build/train.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
output=${1:-$here/..}
environment=$root/build/train
[ -x "$environment/bin/python" ] || /usr/bin/python3 -m venv "$environment"
"$environment/bin/pip" install --quiet --requirement "$here/requirements.txt"
"$environment/bin/python" "$here/train.py" "$output"
