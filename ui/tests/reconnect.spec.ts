// The connection is lost and comes back: the page says so, goes on by itself, and misses no event.
// Where HMI_RESTART names a command that restarts the daemon, it is a real restart; else the network is cut.

import { execSync } from "node:child_process";
import { expect, test } from "@playwright/test";
import { live, open } from "./helpers";

test("no event is missed", async ({ page, context }) => {
  await open(page, "/");
  const connection = page.getByTestId("connection");
  const before = Number(await connection.getAttribute("data-connects"));
  const restart = process.env["HMI_RESTART"];
  if (restart) {
    execSync(restart, { stdio: "inherit", timeout: 50_000 });
  } else {
    const port = (await live(page)).ports["event-stream"];
    await context.setOffline(true);
    await page.evaluate(() => dispatchEvent(new Event("offline")));
    await page.reload().catch(() => undefined);
    await page.request.post(`http://127.0.0.1:${port}/broadcast`, { data: { event_type: "alert", data: { message: "told meanwhile" } } });
    await context.setOffline(false);
    await page.goto("/");
  }
  await expect(connection).toHaveAttribute("data-state", "live", { timeout: 20_000 });
  if (restart) expect(Number(await connection.getAttribute("data-connects"))).toBeGreaterThan(before);
  await expect(connection).toHaveAttribute("data-missed", "0");
  const { seq } = await live(page);
  await expect.poll(async () => Number(await connection.getAttribute("data-seq"))).toBeGreaterThanOrEqual(seq);
});
