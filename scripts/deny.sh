#!/usr/bin/env bash
# Checks all dependencies by the rules of deny.toml.
#
# The advisories are RustSec's database, which cargo-deny downloads. Where it cannot be had, the other
# checks still run, and the end says that this one did not; in CI that is a failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! cargo deny --version >/dev/null 2>&1; then
  echo "make deny: installing cargo-deny (some minutes, once)"
  cargo install --locked cargo-deny
fi

cargo deny --locked --log-level error check licenses bans sources

if cargo deny --locked fetch db >/dev/null 2>&1; then
  cargo deny --locked --log-level error check --disable-fetch advisories
elif [ -n "${CI:-}" ]; then
  echo "make deny: the advisory database cannot be downloaded" >&2
  exit 1
else
  echo "make deny: advisories NOT checked, as their database cannot be downloaded; try again with a network"
fi
