#!/usr/bin/env bash
# Installs the servers that the tests talk to, where Debian's or Ubuntu's apt-get can; else says how to.
# Tests start them on free ports of 127.0.0.1 and stop them.
set -eu
PATH="$PATH:/usr/sbin:/sbin" # nginx lives there

# program:package. Redis keeps the shared load, PostgreSQL a decision log, Prometheus checks boards and alerts, nginx stands before two gateways,
# Chromium looks at the page, Node runs OpenAI's other SDK.
wanted="redis-server:redis-server pg_ctlcluster:postgresql promtool:prometheus nginx:nginx-light chromium:chromium node:nodejs npm:npm"

missing=""
for each in $wanted; do
    command -v "${each%%:*}" >/dev/null || missing="$missing ${each##*:}"
done
if [ -z "$missing" ]; then
    exit 0
fi

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    as_root="sudo -n"
fi
if command -v apt-get >/dev/null && $as_root true 2>/dev/null; then
    echo "installing for the tests:$missing"
    $as_root apt-get update -qq
    # shellcheck disable=SC2086 # several words
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null
else
    echo "the tests talk to servers that are not installed here:$missing" >&2
    echo "on Debian or Ubuntu: sudo apt-get install$missing" >&2
    echo "elsewhere: put these programs on PATH: $(for each in $wanted; do printf '%s ' "${each%%:*}"; done)" >&2
fi
