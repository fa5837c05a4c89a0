#!/bin/sh
# Puts every scenario of scenarios.jsonl to a real Erlang/OTP supervisor and compares.
# Installs Erlang where it can. Exit code 1 when a scenario differs, 2 when there is no Erlang.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

if ! command -v escript >/dev/null 2>&1; then
    if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
        apt-get update -q && apt-get install -y -q --no-install-recommends erlang-base
    elif command -v apt-get >/dev/null 2>&1; then
        echo "Erlang is missing: sudo apt-get install --no-install-recommends erlang-base" >&2
        exit 2
    elif command -v brew >/dev/null 2>&1; then
        echo "Erlang is missing: brew install erlang" >&2
        exit 2
    else
        echo "Erlang/OTP 24 or later is missing: install it and make escript reachable" >&2
        exit 2
    fi
fi
exec escript "$here/otp_check.escript" "${1:-$here/scenarios.jsonl}"
