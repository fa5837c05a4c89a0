#!/usr/bin/env bash
# Sees to Erlang's escript for `make otp-check`. Quick and silent when it is there.
set -euo pipefail

command -v escript >/dev/null && exit 0

if ! command -v apt-get >/dev/null; then
  echo "make otp-check: Erlang is missing; install it (macOS: brew install erlang), then try again" >&2
  exit 1
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "make otp-check: installing Erlang needs root; run: apt-get install erlang-base" >&2
    exit 1
  fi
  as_root=(sudo)
fi

echo "make otp-check: installing Erlang (erlang-base) with apt-get"
export DEBIAN_FRONTEND=noninteractive
${as_root[@]+"${as_root[@]}"} apt-get update -qq </dev/null
${as_root[@]+"${as_root[@]}"} apt-get install -qq -y --no-install-recommends erlang-base </dev/null >/dev/null
