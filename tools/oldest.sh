#!/bin/sh
# Makes .venv-oldest: the oldest numpy that the metadata promises, and tflite-runtime, where this Python has wheels for them.
# Their tests run in it and are skipped, with the reason, where it cannot be had.
set -eu
cd "$(dirname "$0")/.."
[ -f .venv-oldest/.ready ] && [ .venv-oldest/.ready -nt tools/oldest.sh ] && exit 0
if ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then
    echo "cageclock: tflite-runtime and numpy 1.24 have no wheels for this Python; their tests will be skipped" >&2
    exit 0
fi
rm -rf .venv-oldest
.venv/bin/python -m venv .venv-oldest
.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check \
    numpy==1.24.4 tflite-runtime==2.14.0 ai-edge-litert pillow==9.4.0 msgspec==0.18.6 pyyaml==6.0.1 paho-mqtt==2.0.0 \
    cryptography==38.0.4 pytest pytest-timeout || {
    echo "cageclock: the environment with the oldest versions could not be made; its tests will be skipped" >&2
    rm -rf .venv-oldest
    exit 0
}
touch .venv-oldest/.ready
