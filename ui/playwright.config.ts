// Browser tests against a real daemon that they start themselves (tests/daemon.ts): the binary in HMI_DAEMON,
// else the debug build. (The daemon refuses settings it does not know, so these names do not begin with PAS_.)
// They use the machine's own Chromium (HMI_CHROMIUM, else Debian's place for it), and one worker: it is one swarm.
import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: "tests",
  outputDir: "test-results",
  workers: 1,
  timeout: 60_000,
  expect: { timeout: 10_000 },
  forbidOnly: true,
  reporter: [["list"]],
  use: {
    viewport: { width: 1440, height: 860 },
    launchOptions: {
      executablePath: process.env["HMI_CHROMIUM"] ?? "/usr/bin/chromium",
      args: ["--no-sandbox"],
    },
    screenshot: "only-on-failure",
  },
});
