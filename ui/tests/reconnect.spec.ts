// The daemon is killed and started again: the page says so, goes on by itself, and misses no event.

import { PORTS } from "./daemon";
import { expect, test } from "./fixtures";
import { live, open, SHOTS } from "./helpers";

test("the time in which the daemon was down is drawn as such", async ({ page, daemon }) => {
  test.setTimeout(120_000);
  let since = 0;
  await daemon.restart(() => {
    since = Date.now() / 1000;
    return new Promise((resolve) => setTimeout(resolve, 3000));
  });
  const at = since + 1;
  await open(page, `/sequencer?at=${at}&from=${since - 20}&to=${since + 15}`);
  await expect(page.getByText("The daemon was down")).toBeVisible();
  await expect(page.getByText("0 tasks under way at the playhead")).toBeVisible();
  await page.screenshot({ path: `${SHOTS}/down-sequencer.png` });
  await page.getByRole("link", { name: "The tree at this moment" }).click();
  await expect(page.getByText(/The daemon was down at/)).toBeVisible();
  await page.screenshot({ path: `${SHOTS}/down-tree.png` });
});

test("no event is lost when the daemon is killed and comes back", async ({ page, daemon }) => {
  test.setTimeout(120_000);
  await open(page, "/");
  const connection = page.getByTestId("connection");
  const connects = Number(await connection.getAttribute("data-connects"));
  const tell = (message: string) =>
    daemon.post<{ seq: number }>(PORTS.events, "/broadcast", { event_type: "alert", data: { message } });
  await tell("told before");
  await expect(page.getByText("told before").first()).toBeVisible();
  await daemon.restart(async () => {
    await expect(connection).not.toHaveAttribute("data-state", "live");
    await expect(page.getByText("This picture is old.")).toBeVisible({ timeout: 20_000 });
  });
  const { seq } = await tell("told meanwhile");
  await expect(connection).toHaveAttribute("data-state", "live", { timeout: 30_000 });
  await expect(page.getByText("told meanwhile").first()).toBeVisible();
  expect(Number(await connection.getAttribute("data-connects"))).toBeGreaterThan(connects);
  await expect
    .poll(async () => Number(await connection.getAttribute("data-seq")))
    .toBeGreaterThanOrEqual(seq);
  await expect(connection).toHaveAttribute("data-missed", "0");
  expect((await live(page)).seq).toBeGreaterThanOrEqual(seq);
});
