// Frames a second of tree and sequencer at 50, 1,000 and 10,000 agents: the tree while it is panned with its
// pulses running, the sequencer while it plays and is panned. A measurement: what is drawn is made here, in
// the daemon's shape, since no test machine runs ten thousand agents. Runs where HMI_BENCH is set; each line
// that begins with `frames:` is read by benches/ui.rs.

import { expect, test, type Page } from "./fixtures";
import { open } from "./helpers";

const SECONDS = 4;
const SIZES = [50, 1000, 10_000];
/** Tasks of each agent on the sequencer. */
const TASKS = 4;

test.skip(!process.env["HMI_BENCH"], "a measurement; set HMI_BENCH");

type Node = Record<string, unknown>;
interface Real {
  tree: Node[];
}

/** The page's snapshot with a tree of so many agents, all of which are at work. */
async function populate(page: Page, nodes: number): Promise<void> {
  const real = (await (await page.request.get("/api/live")).json()) as Real;
  const like = real.tree.find((node) => node["kind"] === "worker") ?? {};
  const fan = Math.max(2, Math.round(Math.sqrt(nodes)));
  const tree = Array.from({ length: nodes }, (_, no) => ({
    ...like,
    no,
    name: `n${no}`,
    parent: no === 0 ? null : Math.floor((no - 1) / fan),
    handled: 0,
    status: ["ok", "running", "error", "done", "paused"][no % 5],
  }));
  let handled = 0;
  await page.route("**/api/live", async (route) => {
    handled += 7;
    await route.fulfill({
      json: { ...real, at: new Date().toISOString(), tree: tree.map((node) => ({ ...node, handled })) },
    });
  });
  const [now, length] = [Date.now() / 1000, 600];
  const agents = tree.map(({ name }) => ({
    service_id: `agent-${name}`,
    name,
    tier: 1,
    level: "worker",
    status: "running",
    agent_role: "exec",
  }));
  const tasks = agents.flatMap(({ service_id }, no) =>
    Array.from({ length: TASKS }, (_, part) => {
      const start = now - length + (part * length) / TASKS + (no % 30);
      return {
        task_id: `${no}-${part}`,
        agent_id: service_id,
        name: "chunk",
        status: "done",
        progress: 1,
        progress_known: true,
        start_time: start,
        end_time: start + length / TASKS - 5,
      };
    }),
  );
  await page.route("**/api/sequencer*", (route) =>
    route.fulfill({ json: { timestamp: now, agents, tasks, marks: [] } }),
  );
}

/** Pans the canvas with the mouse down, a little on every frame; its frames a second meanwhile. */
async function panned(page: Page): Promise<number> {
  return page
    .locator("main canvas")
    .first()
    .evaluate(async (canvas, seconds) => {
      const { left, top } = canvas.getBoundingClientRect();
      const send = (type: string, target: EventTarget, x: number) => {
        const where = {
          clientX: left + 300 + x,
          clientY: top + 200,
          bubbles: true,
          cancelable: true,
          view: window,
          button: 0,
          buttons: 1,
          pointerId: 1,
        };
        target.dispatchEvent(
          type.startsWith("pointer") ? new PointerEvent(type, where) : new MouseEvent(type, where),
        );
      };
      // Events made here are no active pointer, which the browser would refuse to capture.
      canvas.setPointerCapture = () => undefined;
      send("pointerdown", canvas, 0);
      send("mousedown", canvas, 0);
      const frames = () => Number((canvas as HTMLElement).dataset["frames"]);
      const [first, begin] = [frames(), performance.now()];
      for (let step = 0; performance.now() - begin < seconds * 1000; step += 1) {
        // Between two frames, as a browser tells of a mouse; within one, the picture would never be the newest.
        await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
        send("pointermove", canvas, step % 80);
        send("mousemove", window, step % 80);
      }
      const rate = (frames() - first) / ((performance.now() - begin) / 1000);
      send("pointerup", canvas, 0);
      send("mouseup", window, 0);
      return rate;
    }, SECONDS);
}

for (const nodes of SIZES) {
  test(`tree of ${nodes}`, async ({ page }) => {
    await populate(page, nodes);
    await open(page, "/tree");
    const rate = await panned(page);
    console.log(`frames: tree ${nodes} ${rate.toFixed(1)}`);
    expect(rate).toBeGreaterThan(1);
  });

  test(`sequencer of ${nodes}`, async ({ page }) => {
    await populate(page, nodes);
    await open(page, "/sequencer");
    await page.getByRole("button", { name: "Fit" }).click();
    await page.getByRole("button", { name: "Play" }).click();
    const rate = await panned(page);
    console.log(`frames: sequencer ${nodes} ${rate.toFixed(1)}`);
    expect(rate).toBeGreaterThan(1);
  });
}
