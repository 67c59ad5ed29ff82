#!/bin/sh
# Tries to install what the tests of provisioned cards use (a FAT image, cloud-init's own stages); without it those tests say
# that they were not run, and why.
set -eu
missing=""
command -v mcopy >/dev/null 2>&1 || missing="$missing mtools"
[ -x /usr/sbin/mkfs.vfat ] || missing="$missing dosfstools"
command -v cloud-init >/dev/null 2>&1 || missing="$missing cloud-init"
/usr/bin/python3 -c 'import ensurepip' >/dev/null 2>&1 || missing="$missing python3-venv"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "cageclock: installing$missing from the system's packages ..." >&2
    # shellcheck disable=SC2086
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; } >/dev/null 2>&1 &&
        exit 0
fi
echo "cageclock: not installed:$missing; the tests of provisioned cards that need them are skipped" >&2
