// Frames a second of the tree at 50, 1,000 and 10,000 nodes while it is panned. A measurement: the snapshot is
// made here, in the daemon's shape, since no test machine runs ten thousand agents. Runs where HMI_BENCH is set.

import { expect, test } from "./fixtures";
import { open } from "./helpers";

const SECONDS = 3;

test.skip(!process.env["HMI_BENCH"], "a measurement; set HMI_BENCH");

for (const nodes of [50, 1000, 10_000]) {
  test(`tree of ${nodes}`, async ({ page }) => {
    const real = (await (await page.request.get("/api/live")).json()) as { tree: Record<string, unknown>[] };
    const like = real.tree.find((node) => node["kind"] === "worker") ?? {};
    const fan = Math.max(2, Math.round(Math.sqrt(nodes)));
    const tree = Array.from({ length: nodes }, (_, no) => ({
      ...like, no, name: `n${no}`, parent: no === 0 ? null : Math.floor((no - 1) / fan), handled: 0, status: ["ok", "running", "error", "done", "paused"][no % 5],
    }));
    let handled = 0;
    await page.route("**/api/live", async (route) => {
      handled += 7;
      await route.fulfill({ json: { ...real, at: new Date().toISOString(), tree: tree.map((node) => ({ ...node, handled })) } });
    });
    await open(page, "/tree");
    const box = await page.locator("main canvas").boundingBox();
    if (!box) throw new Error("no canvas");
    await page.mouse.move(box.x + 200, box.y + 200);
    await page.mouse.down();
    const frames = () => page.locator("main canvas").getAttribute("data-frames").then(Number);
    const [first, begin] = [await frames(), Date.now()];
    for (let step = 0; Date.now() - begin < SECONDS * 1000; step += 1) await page.mouse.move(box.x + 200 + (step % 80), box.y + 200);
    const rate = ((await frames()) - first) / ((Date.now() - begin) / 1000);
    await page.mouse.up();
    console.log(`tree of ${nodes}: ${rate.toFixed(1)} frames/s`);
    expect(rate).toBeGreaterThan(1);
  });
}
