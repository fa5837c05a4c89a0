// What an operator does: kill and see it come back, approve, submit, replay, follow a link.

import { PORTS } from "./daemon";
import { expect, test } from "./fixtures";
import { live, open } from "./helpers";

test("an agent killed from the tree is back within a second", async ({ page }) => {
  await open(page, "/tree?agent=chunker-mgs");
  const before = (await live(page)).tree.find((node) => node.name === "chunker-mgs")?.restarts ?? 0;
  await page.getByRole("complementary").getByRole("button", { name: "Kill" }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog.getByTestId("blast-radius")).toContainText("1 agent");
  await dialog.getByLabel(/Reason/).fill("browser test");
  const begin = Date.now();
  await dialog.getByRole("button", { name: "Kill" }).click();
  await expect(dialog.getByTestId("proof")).toContainText("chunker-mgs");
  await expect
    .poll(async () => (await live(page)).tree.find((node) => node.name === "chunker-mgs")?.restarts)
    .toBe(before + 1);
  expect(Date.now() - begin).toBeLessThan(3000);
  const shown = await dialog.getByTestId("proof").innerText();
  const back = /back after ([\d.]+) (µs|ms|s)/.exec(shown);
  expect(back, shown).not.toBeNull();
  expect(Number(back?.[1]) * (back?.[2] === "s" ? 1000 : 1)).toBeLessThan(1000);
  await dialog.getByRole("button", { name: "Close" }).click();
  await expect(page.getByRole("complementary")).toContainText(new RegExp(`${before + 1} restarts?`));
  // It is alive, and at work again if there is work; a supervisor may call it degraded for a while.
  await expect(page.getByRole("complementary")).toContainText(/idle|queued|running|done|degraded/);
  await page.goto("/alerts");
  await expect(page.getByRole("region", { name: "Audit", exact: true })).toContainText("browser test");
});

test("what waits for a person is approved with a reason", async ({ page, daemon }) => {
  const id = await daemon.ingest({ approvals_required: ["read the folder"] });
  await open(page, "/");
  const strip = page.getByRole("region", { name: "Waits for you" });
  await expect(strip).toBeVisible();
  await page.goto("/approvals");
  const card = page.getByRole("article").filter({ hasText: id });
  await expect(card).toContainText("read the folder");
  await expect(card.getByRole("button", { name: "Reject" })).toBeDisabled();
  await card.getByRole("textbox").fill("looked at it");
  await card.getByRole("button", { name: "Approve" }).click();
  await expect(card).toBeHidden();
  await expect(page.getByRole("region", { name: "Decided approvals" })).toContainText("looked at it");
  // What was approved goes on, and ends well.
  await daemon.until(id, "done");
});

test("the sequencer is scrubbed, and the tree follows", async ({ page }) => {
  await open(page, "/sequencer?tree=true");
  const playhead = page.getByRole("slider", { name: "Playhead" });
  await expect(playhead).toBeVisible();
  await page.getByRole("button", { name: "To the last start or end" }).click();
  await expect(page).toHaveURL(/at=\d/);
  const first = await playhead.inputValue();
  await page.getByRole("button", { name: "To the last start or end" }).click();
  await expect.poll(async () => Number(await playhead.inputValue())).toBeLessThan(Number(first));
  // Far enough from the end, from where Play would begin anew.
  const begin = await playhead.evaluate(
    (input: HTMLInputElement) => (Number(input.min) + Number(input.max)) / 2,
  );
  await playhead.fill(begin.toFixed(3));
  await page.getByLabel("Speed").selectOption("10");
  await page.getByRole("button", { name: "Play" }).click();
  await expect.poll(async () => Number(await playhead.inputValue())).toBeGreaterThan(begin);
  await page.getByRole("link", { name: "The tree at this moment" }).click();
  await expect(page.getByText(/Tasks under way at/)).toBeVisible();
});

test("a link shows the same state again", async ({ page, context }) => {
  await open(page, "/tree");
  await page.getByRole("searchbox").fill("data");
  await page.getByRole("treeitem", { name: /manager-data/ }).click();
  await expect(page).toHaveURL(/q=data.*agent=manager-data|agent=manager-data.*q=data/);
  const again = await context.newPage();
  await again.goto(page.url());
  await expect(again.getByRole("searchbox")).toHaveValue("data");
  await expect(again.getByRole("complementary")).toContainText("manager-data", { ignoreCase: true });
});

test("an event reaches the page within a second", async ({ page, daemon }) => {
  await open(page, "/");
  await page.waitForTimeout(300);
  const word = `hello ${Date.now()}`;
  const begin = Date.now();
  await daemon.post(PORTS.events, "/broadcast", { event_type: "alert", data: { message: word } });
  await expect(page.getByText(word).first()).toBeVisible({ timeout: 1000 });
  expect(Date.now() - begin).toBeLessThan(1500);
});
