// A tour without a mouse.

import { expect, test } from "./fixtures";
import { open } from "./helpers";

test("pages by keys and by the palette", async ({ page }) => {
  await open(page, "/");
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to the page" })).toBeFocused();
  await page.keyboard.press("g");
  await page.keyboard.press("t");
  await expect(page).toHaveURL(/\/tree$/);
  await page.keyboard.press("Control+k");
  await expect(page.getByRole("combobox", { name: "Command" })).toBeFocused();
  await page.keyboard.type("sett");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/settings$/);
  await page.keyboard.press("Control+k");
  await page.keyboard.press("Escape");
  await expect(page.getByRole("combobox", { name: "Command" })).toBeHidden();
});

test("the tree by arrows: move, close, open, show the card, act", async ({ page }) => {
  await open(page, "/tree");
  const tree = page.getByRole("tree", { name: "Agents" });
  await tree.focus();
  const cursor = async () => (await tree.getAttribute("aria-activedescendant"))?.replace("row-", "");
  await page.keyboard.press("Home");
  expect(await cursor()).toBe("pas");
  const all = await page.getByRole("treeitem").count();
  await page.keyboard.press("ArrowLeft");
  await expect(page.getByRole("treeitem")).toHaveCount(1);
  await page.keyboard.press("ArrowRight");
  await expect(page.getByRole("treeitem")).toHaveCount(all);
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  const name = await cursor();
  await expect(page).toHaveURL(new RegExp(`agent=${name}`));
  const pause = page.getByRole("complementary").getByRole("button", { name: "Restart" });
  await pause.focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("dialog")).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toBeHidden();
});
