// Every page, in both themes and at a phone's size: it works, axe finds nothing, nothing leaves the machine.

import AxeBuilder from "@axe-core/playwright";
import { expect, test } from "./fixtures";
import { open, PATHS, SHOTS, useTheme, watch, type Theme } from "./helpers";

const nameOf = (path: string) => path.slice(1) || "dashboard";

for (const theme of ["dark", "light"] as Theme[]) {
  for (const path of PATHS) {
    test(`${nameOf(path)}, ${theme}: works and is accessible`, async ({ page }) => {
      const complaints = watch(page);
      await useTheme(page, theme);
      await open(page, path);
      await page.waitForTimeout(700); // Charts and canvases draw once figures are there.
      await page.screenshot({ path: `${SHOTS}/${nameOf(path)}-${theme}.png` });
      const { violations } = await new AxeBuilder({ page })
        .withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"])
        // Tagged as experimental, and so off by itself: what is read aloud begins with what is seen.
        .options({ rules: { "label-content-name-mismatch": { enabled: true } } })
        .analyze();
      expect(
        violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.target.join(" ")).join("; ")}`),
      ).toEqual([]);
      expect(complaints).toEqual([]);
      await expect(page.getByTestId("connection"), "one connection is enough").toHaveAttribute(
        "data-connects",
        "1",
      );
    });
  }
}

for (const path of PATHS) {
  test(`${nameOf(path)} fits a phone`, async ({ page }) => {
    await page.setViewportSize({ width: 390, height: 844 });
    await open(page, path);
    await page.waitForTimeout(500);
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(
      0,
    );
    await page.screenshot({ path: `${SHOTS}/${nameOf(path)}-phone.png` });
  });
}

test("an address that names no page says so", async ({ page }) => {
  await page.goto("/tree");
  await page.evaluate(() => history.pushState(null, "", "/nowhere"));
  await page.evaluate(() => dispatchEvent(new PopStateEvent("popstate")));
  await expect(page.getByText("There is no such page")).toBeVisible();
});

test("a page keeps its filters while one looks at another", async ({ page }) => {
  await open(page, "/jobs?state=failed");
  const pages = page.getByRole("navigation", { name: "Pages" });
  await pages.getByRole("link", { name: "Costs" }).click();
  await expect(page).toHaveURL(/\/costs$/);
  await pages.getByRole("link", { name: "Jobs" }).click();
  await expect(page).toHaveURL(/\/jobs\?state=failed$/);
  await pages.getByRole("link", { name: "Dashboard" }).click();
  await expect(page.locator("time").first()).toHaveAttribute("datetime", /^\d{4}-\d\d-\d\dT.*Z$/);
});
