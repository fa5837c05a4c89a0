// The daemon is killed and started again: the page says so, goes on by itself, and misses no event.

import { PORTS } from "./daemon";
import { expect, test } from "./fixtures";
import { live, open } from "./helpers";

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
