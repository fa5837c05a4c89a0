// The README's pictures, from a real run. Runs where HMI_DOCS is set, and writes docs/images.

import { expect, test } from "./fixtures";
import { open, useTheme } from "./helpers";

const IMAGES = new URL("../../docs/images/", import.meta.url).pathname;

test.skip(!process.env["HMI_DOCS"], "takes the README's pictures; set HMI_DOCS");
test.use({ viewport: { width: 1280, height: 760 } });

test.beforeEach(async ({ page }) => useTheme(page, "dark"));

test("dashboard", async ({ page }) => {
  await open(page, "/");
  // Long enough for the charts to have a line.
  await page.waitForTimeout(20_000);
  await page.screenshot({ path: `${IMAGES}dashboard.png` });
});

test("tree", async ({ page }) => {
  await page.setViewportSize({ width: 1640, height: 900 });
  await open(page, "/tree?agent=director-data");
  await page.waitForTimeout(4_000);
  await page.screenshot({ path: `${IMAGES}tree.png` });
});

test("sequencer", async ({ page }) => {
  await open(page, "/sequencer");
  await page.waitForTimeout(3_000);
  await page.screenshot({ path: `${IMAGES}sequencer.png` });
});

test("traces", async ({ page, daemon }) => {
  const job = await daemon.ingest();
  await daemon.until(job, "done");
  const { trace_id } = await daemon.get(6100, `/jobs/${job}`);
  await open(page, `/traces/${String(trace_id)}`);
  await expect(page.locator("main")).toContainText("critical path");
  await page.screenshot({ path: `${IMAGES}traces.png` });
});
