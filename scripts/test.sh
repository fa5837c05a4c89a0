#!/usr/bin/env bash
# All checks, the cheap ones first; the test runner comes last, so that its summary is the last line.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

step() {
  printf '\n== %s\n' "$*"
  "$@"
}

# The pages in Chromium, against a daemon of their own from the debug binary. The build of all targets has made it: one of
# the binary alone would resolve other features, and compile crates anew.
browser() {
  HMI_CHROMIUM=$(scripts/chromium.sh) HMI_DAEMON="$(cd "${CARGO_TARGET_DIR:-target}" && pwd)/debug/pas" \
    step npm --prefix ui run --silent test:browser
}

# Lints while it builds: a check of its own would compile every crate once more, without code.
RUSTC_WORKSPACE_WRAPPER=$(command -v clippy-driver)
export RUSTC_WORKSPACE_WRAPPER CLIPPY_ARGS=-D__CLIPPY_HACKERY__warnings

step cargo fmt --all --check
step npm --prefix ui run --silent check
step npm --prefix ui run --silent test
step npm --prefix ui run --silent size
step cargo build --locked --quiet --all-targets
# What fails in a browser is told again at the end, below the tests of all the rest.
browser && browser=passed || browser=failed
if cargo nextest --version >/dev/null 2>&1; then
  # nextest runs no examples in documentation: those come from cargo.
  step cargo test --locked --quiet --doc
  step cargo nextest run --locked --cargo-quiet
else
  step cargo test --locked --quiet
fi
if [ "$browser" = failed ]; then
  echo "make test: the browser tests failed (above; pictures in ui/test-results)" >&2
  exit 1
fi
