// A run's page: when its steps worked, what it found, and its report as the page that it is.

import { expect, test } from "./fixtures";
import { open, SHOTS, useTheme, watch, type Theme } from "./helpers";

for (const theme of ["dark", "light"] as Theme[]) {
  test(`a run is told from its steps to its report, ${theme}`, async ({ page, daemon }) => {
    test.setTimeout(120_000);
    const run = await daemon.ingest();
    await daemon.until(run, "done");
    const complaints = watch(page);
    await useTheme(page, theme);
    await open(page, `/jobs/${run}?wide=true`);
    const panel = page.getByRole("region", { name: `Job ${run}` });
    await expect(panel.getByRole("region", { name: "Findings" }).getByRole("listitem").first()).toBeVisible();
    expect(await panel.locator(".axis .worked").count(), "every step has its time").toBeGreaterThan(10);
    await expect(panel.locator(".axis .critical").first()).toBeVisible();
    await page.screenshot({ path: `${SHOTS}/run-${theme}.png`, fullPage: true });
    // Before the report's frame, which refuses the scripts of this test too.
    expect(complaints).toEqual([]);

    await open(page, `/jobs/${run}?wide=true&file=report%2Freport.html`);
    const report = page.frameLocator("iframe");
    await expect(report.locator("h1")).toBeVisible();
    // Its own style sheet is in force, though the page allows no other.
    const padded = report.locator("body").evaluate((body) => getComputedStyle(body).fontFamily);
    expect(await padded).not.toMatch(/^"?Times/);
    await report.locator("nav a").first().click();
    await expect(report.locator("h1"), "a link within it stays within it").toBeAttached();
    await page.screenshot({ path: `${SHOTS}/report-${theme}.png` });
    await page.setViewportSize({ width: 390, height: 844 });
    await page.screenshot({ path: `${SHOTS}/run-${theme}-phone.png` });
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(
      0,
    );
  });
}

test("a run stands beside an earlier one of its kind, step by step", async ({ page, daemon }) => {
  test.setTimeout(120_000);
  const before = await daemon.ingest();
  await daemon.until(before, "done");
  const after = await daemon.ingest();
  await daemon.until(after, "done");
  await open(page, `/jobs/${after}?wide=true`);
  const choice = page.getByLabel("Beside an earlier run");
  await choice.focus();
  await expect(choice.locator(`option[value="${before}"]`)).toBeAttached();
  await choice.selectOption(before);
  const steps = page.getByRole("region", { name: "Differences by step" });
  await expect(steps.getByRole("row", { name: /whole run/ })).toContainText(/\d/);
  expect(await steps.getByRole("row").count(), "every step of both").toBeGreaterThan(10);
  await expect(page.getByText(/artifacts are equal to the byte/)).toBeVisible();
  await page.screenshot({ path: `${SHOTS}/run-diff.png`, fullPage: true });
  // The choice is in the address, so it can be shared.
  await page.reload();
  await expect(steps).toBeVisible();
});
