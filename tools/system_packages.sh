#!/bin/sh
# Makes sure that what the tests need from the system is there: looked for, and installed where it may be, before all else.
#   mosquitto: the broker, of which tests start their own on free ports. chromium: the tests of the page drive it.
#   postgresql: the server, of which tests start their own on free ports.
#   mtools, dosfstools, cloud-init, python3-venv: the tests of provisioned cards (a FAT image, cloud-init's own stages).
set -eu
has() { for place in "$@"; do command -v "$place" >/dev/null 2>&1 && return 0; done; return 1; }
needed="" cards=""
has mosquitto /usr/sbin/mosquitto /usr/local/sbin/mosquitto /opt/homebrew/sbin/mosquitto || needed="$needed mosquitto"
has initdb /usr/lib/postgresql/*/bin/initdb /usr/local/pgsql/bin/initdb || needed="$needed postgresql"
has chromium chromium-browser google-chrome google-chrome-stable || needed="$needed chromium"
has mcopy || cards="$cards mtools"
has /usr/sbin/mkfs.vfat || cards="$cards dosfstools"
has cloud-init || cards="$cards cloud-init"
/usr/bin/python3 -c 'import ensurepip' >/dev/null 2>&1 || cards="$cards python3-venv"
missing="$needed$cards"
[ -n "$missing" ] || exit 0
run=""
[ "$(id -u)" = 0 ] || { has sudo && sudo -n true 2>/dev/null && run="sudo -n"; } || run=refused
if [ "$run" != refused ] && has apt-get; then
    echo "cageclock: installing$missing from the system's packages ..." >&2
    log=$(mktemp)
    # shellcheck disable=SC2086
    if { $run apt-get update && DEBIAN_FRONTEND=noninteractive $run apt-get install -y --no-install-recommends $missing; } \
        >"$log" 2>&1; then
        rm -f "$log"
        exit 0
    fi
    tail -3 "$log" >&2
    rm -f "$log"
    echo "cageclock: the tests need$missing; as root: apt-get install$missing" >&2
    exit 2
fi
[ -z "$cards" ] || echo "cageclock: not installed:$cards; the tests of cards that need them are skipped" >&2
[ -z "$needed" ] || { echo "cageclock: the tests need$needed; as root: apt-get install$missing" >&2; exit 2; }
