#!/usr/bin/env bash
# Says where this machine's Chromium is: HMI_CHROMIUM, else the usual places. Fails when there is none.
set -euo pipefail

if [ -n "${HMI_CHROMIUM:-}" ]; then
  command -v "$HMI_CHROMIUM" && exit
  echo "HMI_CHROMIUM names $HMI_CHROMIUM, which cannot be run" >&2
  exit 1
fi
for name in chromium chromium-browser google-chrome google-chrome-stable \
  "/Applications/Chromium.app/Contents/MacOS/Chromium" \
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; do
  command -v "$name" && exit
done
exit 1
