#!/usr/bin/env bash
# Sees to what `make test` needs beyond cargo. Quick and silent when all is there.
set -euo pipefail

if ! command -v cargo >/dev/null; then
  echo "make test: cargo is missing; install Rust as https://rustup.rs says, then try again" >&2
  exit 1
fi

# Without rustup (a distribution's Rust) the two come as packages of their own.
component() {
  cargo "$1" --version >/dev/null 2>&1 && return
  if ! command -v rustup >/dev/null; then
    echo "make test: cargo $1 is missing; install your system's package for it (often named $2)" >&2
    exit 1
  fi
  echo "make test: adding the Rust component $2"
  rustup component add "$2"
}

component fmt rustfmt
component clippy clippy
