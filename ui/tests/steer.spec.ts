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

test("a run that waits for a person is nowhere shown as running", async ({ page, daemon }) => {
  const id = await daemon.ingest({ approvals_required: ["read the folder"] });
  for (const path of ["/", "/jobs"]) {
    await open(page, path);
    const line = page.getByRole("link").filter({ hasText: id });
    await expect(line).toContainText("waits for a person");
    await expect(line.locator("svg.pulse")).toHaveCount(0);
  }
  await page.goto(`/jobs/${id}`);
  const card = page.getByRole("region", { name: `Job ${id}` });
  await expect(card).toContainText("waits for approval");
  await expect(card.getByRole("link", { name: "Decide" })).toBeVisible();
});

test("a run is cancelled with its blast radius before and its proof after", async ({ page, daemon }) => {
  const id = await daemon.ingest({ approvals_required: ["read the folder"] });
  await open(page, `/jobs/${id}`);
  await page.getByRole("button", { name: "Cancel" }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog.getByTestId("blast-radius")).toContainText("1 job");
  await expect(dialog.getByTestId("blast-radius")).toContainText("spent so far");
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await expect(dialog).toContainText(`cancelled \`${id}\``);
  await expect(dialog.getByTestId("proof")).toContainText("final receipt");
  await daemon.until(id, "cancelled");
  await dialog.getByRole("button", { name: "Close" }).click();
  // A retry is a run of its own, and the page goes there.
  await page.getByRole("button", { name: "Retry" }).click();
  await expect(page).not.toHaveURL(new RegExp(id));
  await expect(page).toHaveURL(/\/jobs\/ingest-/);
});

test("a card that cannot be is refused in the daemon's words", async ({ page }) => {
  await open(page, "/jobs?new=true");
  const form = page.getByRole("form", { name: "Submit a job" });
  await expect(form.locator("datalist option[value=ingest]")).toBeAttached();
  await form.getByLabel("Task").fill("ingset");
  await form.getByRole("button", { name: "Submit" }).click();
  await expect(form.getByRole("alert")).toContainText("ingest");
  await form.getByLabel("Task").fill("ingest");
  await form.getByLabel(/Folder/).fill("/no/such/folder");
  await form.getByRole("button", { name: "Submit" }).click();
  await expect(form.getByRole("alert")).toContainText("/no/such/folder");
});

test("a step is offered only to agents that can take it over", async ({ page, daemon }) => {
  const id = await daemon.ingest({ approvals_required: ["read the folder"] });
  const radius = await page.request.get(
    `${daemon.at(PORTS.hmi)}/api/blast-radius?action=reassign&target=${id}`,
  );
  const { takers } = (await radius.json()) as { takers: string[] };
  expect(takers).not.toContain("chunker-mgs");
});

test("services from outside are counted, listed by state, and led to by their alerts", async ({
  page,
  daemon,
}) => {
  await daemon.post(PORTS.registry, "/register", {
    service_id: "ocr-box",
    name: "ocr-box",
    type: "tool",
    role: "production",
    url: "http://127.0.0.1:9",
    caps: ["ocr"],
    labels: {},
    heartbeat_interval_s: 60,
    ttl_s: 600,
  });
  await daemon.post(PORTS.events, "/broadcast", {
    event_type: "alert",
    data: { alert_type: "service_down", service_name: "ocr-box", missed_beats: 2 },
  });
  await open(page, "/");
  await expect(page.getByRole("region", { name: "Health" })).toContainText("1 outside service");
  await page
    .getByRole("link", { name: /ocr-box is down/ })
    .first()
    .click();
  await expect(page).toHaveURL(/services\?q=ocr-box/);
  await expect(page.getByRole("region", { name: /Services that are/ })).toContainText("ocr-box");
});

test("the list of traces is filtered by the daemon, over all that it keeps", async ({ page, daemon }) => {
  await open(page, "/traces?kind=run_job");
  const found = await daemon.get<{ spans: { kind: string }[]; total: number }>(
    PORTS.orchestrator,
    "/trace?kind=route&limit=1",
  );
  expect(found.spans.every((span) => span.kind.includes("route"))).toBe(true);
  const unknown = await page.request.get(`${daemon.at(PORTS.orchestrator)}/trace?king=route`);
  expect(unknown.status()).toBe(422);
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
