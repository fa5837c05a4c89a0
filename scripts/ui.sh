#!/usr/bin/env bash
# Builds the HMI's pages (ui/dist), which the binary embeds. Quick and silent when nothing has changed.
# Where Node or its packages cannot be had, `make run` goes on without pages and says so; with
# --strict (make test) that is an error. Pages that do not build are always one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../ui"
strict=${1:-}

# Ends this script: the pages are left as they are.
without_pages() {
  printf '%s\n' "$1" >&2
  if [ "$strict" = --strict ]; then exit 1; fi
  if [ -e dist/index.html ]; then
    echo "  The HMI's pages stay as they were built before." >&2
  else
    echo "  All else works; the HMI (port 6101) is built without its pages." >&2
  fi
  exit 0
}

# As package.json has it in `engines`: Vite's own need.
has_node() {
  command -v npm >/dev/null && node -e '
    const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit((major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major > 22 ? 0 : 1);
  ' 2>/dev/null
}

if ! has_node; then
  found=$(node --version 2>/dev/null || echo none)
  without_pages "The HMI's pages need Node 20.19, 22.12 or later with npm (found: $found). Install it (Debian 13: sudo
  apt-get install nodejs npm; macOS: brew install node; else https://nodejs.org), then run make again."
fi

packages=$(cat package.json package-lock.json | cksum)
if [ "$(cat node_modules/.made-from 2>/dev/null)" != "$packages" ]; then
  echo "make: installing the packages of the HMI's pages"
  # None of them needs a script of its own to be installed.
  npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null ||
    without_pages "npm could not install what the HMI's pages are built with (above)."
  echo "$packages" >node_modules/.made-from
fi

# By content, not by time: a checkout of another commit touches what it changes only.
sources=$({ echo "$packages"; find index.html public src svelte.config.js tsconfig.json vite.config.ts -type f |
  LC_ALL=C sort | while read -r file; do echo "$file"; cat "$file"; done; } | cksum)
if [ ! -e dist/index.html ] || [ "$(cat node_modules/.built-from 2>/dev/null)" != "$sources" ]; then
  echo "make: building the HMI's pages"
  npm run --silent build -- --logLevel warn
  echo "$sources" >node_modules/.built-from
fi
