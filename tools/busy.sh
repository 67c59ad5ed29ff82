#!/bin/sh
# Runs a command while so many processes do nothing but compute ($1), and ends them with it: is a test's limit a clock's?
set -u
count=$1
shift
pids=""
end() {
    # shellcheck disable=SC2086
    [ -z "$pids" ] || kill $pids 2>/dev/null
    pids=""
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
while [ "$count" -gt 0 ]; do
    (trap - EXIT INT TERM; while :; do :; done) &
    pids="$pids $!"
    count=$((count - 1))
done
"$@"
