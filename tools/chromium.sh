#!/bin/sh
# Makes sure that a Chromium is installed; the tests of the page drive it.
set -eu
for place in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$place" >/dev/null 2>&1; then exit 0; fi
done
run=""
[ "$(id -u)" = 0 ] || { command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null && run="sudo -n"; } || run=refused
if [ "$run" != refused ] && command -v apt-get >/dev/null 2>&1; then
    echo "cageclock: installing chromium from the system's packages ..." >&2
    log=$(mktemp)
    if { $run apt-get update && DEBIAN_FRONTEND=noninteractive $run apt-get install -y --no-install-recommends chromium; } \
        >"$log" 2>&1; then
        rm -f "$log"
        exit 0
    fi
    tail -3 "$log" >&2
    rm -f "$log"
fi
echo "cageclock: the tests of the page need Chromium and it is not installed; as root: apt-get install chromium" >&2
exit 2
