#!/bin/bash
# trixie.sh quick|whole|TESTS... - the suite as somebody with today's Debian types it: a bare tree of Debian 13 (Python 3.13, mosquitto
# 2.0.21), a clean clone of the last commit, an ordinary user.
#
#   quick   what depends on the interpreter or the broker: contract, settings, TLS, access list, delivery (no TensorFlow)
#   whole   `make test`
#   TESTS   these files or folders of tests only
#
# Needs root. Ends with 75, and a line `not run: ...`, where the tree or the packages cannot be had; the tree, the virtual
# environment and pip's cache are kept in $RIG (see build.sh) for the next run.
set -euo pipefail
RIG=${RIG:-$HOME/.cache/cageclock-rig}
HERE=$(cd "$(dirname "$0")" && pwd)
TREE=$(cd "$HERE/../.." && pwd)
ROOT=$RIG/trixie
CLONE=/home/tester/cageclock
QUICK="tests/edge/contract tests/edge/config tests/edge/contract/service/test_tls.py tests/edge/doctor tests/station/store/test_store.py
	tests/firmware_config tests/edge/publish/test_tls.py tests/edge/publish/test_blackhole.py"
BUT="not hears_nothing"   # a minute, and any mosquitto shows it
not_run() { echo "not run: $*" >&2; exit 75; }

as_tester() {   # as_tester COMMAND: in the tree, as the ordinary user, with pip's settings of this machine and nothing else
	local name passed=()
	for name in $(compgen -e | grep -iE '^(PIP_|NPM_CONFIG_|NODE_EXTRA_CA_CERTS$|.*_proxy$|PYTEST_ADDOPTS$)' | grep -v FIND_LINKS); do
		passed+=("$name=${!name}")
	done
	# Its own process namespace: whatever a test left running ends with it.
	unshare --mount --pid --fork --kill-child bash -euc '
		mount -t proc proc "$0/proc"
		mount -t tmpfs tmpfs "$0/dev/shm" || true
		# Terminals, and the folder that systemd makes when it boots: its programs ask for it.
		mkdir -p "$0/dev/pts" "$0/run/systemd"
		mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$0/dev/pts"
		mount --bind "$0/dev/pts/ptmx" "$0/dev/ptmx"
		cd /
		exec chroot --userspec=tester:tester "$@"' "$ROOT" \
		"$ROOT" env -i HOME=/home/tester USER=tester PATH=/usr/local/bin:/usr/bin:/bin LC_ALL=C.UTF-8 "${passed[@]}" \
		sh -c "cd $CLONE && $1"
}

clone() {   # a clean clone of the last commit; the virtual environment of the run before is kept
	local kept=$ROOT/home/tester/kept
	rm -rf "$kept"; mkdir -p "$kept"
	for name in .venv .venv-oldest; do
		[ ! -d "$ROOT$CLONE/$name" ] || mv "$ROOT$CLONE/$name" "$kept/"
	done
	rm -rf "${ROOT:?}$CLONE"
	git clone -q --no-local "$TREE" "$ROOT$CLONE"
	find "$kept" -mindepth 1 -maxdepth 1 -exec mv {} "$ROOT$CLONE/" \;
	chroot "$ROOT" chown -R tester:tester /home/tester
}

what=${1:-quick}
[ "$(id -u)" = 0 ] && [ "$(uname)" = Linux ] || not_run "a bare tree needs root on Linux"
bash "$HERE/build.sh" trixie || not_run "the tree of Debian 13 could not be built; the logs lie in $RIG"
cp -L /etc/resolv.conf "$ROOT/etc/resolv.conf"
clone
as_tester "python3 -m venv /tmp/probe && /tmp/probe/bin/pip -q --disable-pip-version-check download --no-deps -d /tmp/probe/got \
	iniconfig" || not_run "the Python packages cannot be reached from the tree"
case $what in
quick)
	as_tester "sh tools/prepare.sh quick && .venv/bin/python -m pytest -q $(echo $QUICK) -k '$BUT'"
	;;
whole)
	# What `make test` asks an ordinary user to have installed as root.
	chroot "$ROOT" sh -c "cd $CLONE && sh tools/system_packages.sh" || not_run "the system's packages cannot be had in the tree"
	as_tester "make test"
	;;
tests*)
	chroot "$ROOT" sh -c "cd $CLONE && sh tools/system_packages.sh" || not_run "the system's packages cannot be had in the tree"
	as_tester "sh tools/prepare.sh dev && .venv/bin/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $*"
	;;
*) sed -n '2,12p' "$0"; exit 2 ;;
esac
