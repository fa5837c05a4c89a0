#!/usr/bin/env bash
# All checks, the cheap ones first; the test runner comes last, so that its summary is the last line.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

step() {
  printf '\n== %s\n' "$*"
  "$@"
}

step cargo fmt --check
step cargo clippy --locked --quiet --all-targets -- -D warnings
if cargo nextest --version >/dev/null 2>&1; then
  # nextest runs no examples in documentation: those come from cargo.
  step cargo test --locked --quiet --doc
  step cargo nextest run --locked --cargo-quiet
else
  step cargo test --locked --quiet
fi
