// A change, live: its transcript, a question, a message, its end. The daemon and all pages are real, but no model
// is called: the routes of one job are answered here, with rows as the daemon writes them.

import AxeBuilder from "@axe-core/playwright";
import type { Page, Route } from "@playwright/test";
import { BEGINNING, END, QUESTION } from "../src/lib/change/testing";
import type { LogRow } from "../src/lib/change/rows";
import { approvalOf, jobsOf, reviews, RUN, WRITER } from "./change-jobs";
import { expect, test } from "./fixtures";
import { open, SHOTS, useTheme, watch } from "./helpers";

/** What the intercepted routes answer just now, and what they were asked. */
class ChangeStage {
  rows: LogRow[] = [...BEGINNING];
  isAsked = false;
  isDone = false;
  since: number[] = [];
  sent: unknown[] = [];

  constructor(readonly page: Page) {}

  async set(): Promise<void> {
    await this.page.route(/\/jobs\/pas-change-/, (route) => this.#answer(route));
    await this.page.route("**/api/live", async (route) => {
      const response = await route.fetch();
      const live = (await response.json()) as { approvals: unknown[] };
      if (this.isAsked) live.approvals.push(approvalOf());
      await route.fulfill({ response, json: live });
    });
    await this.page.route("**/api/action", async (route) => {
      this.sent.push(route.request().postDataJSON());
      [this.isAsked, this.rows] = [false, [...this.rows, ...END.slice(0, 3)]];
      await route.fulfill({ json: { message: "Answered.", proof: null } });
    });
  }

  async #answer(route: Route): Promise<void> {
    const url = new URL(route.request().url());
    // The page itself has the same path on the daemon's other port.
    if (route.request().resourceType() === "document") return route.continue();
    const headers = {
      "access-control-allow-origin": "*",
      "access-control-allow-headers": "*",
    };
    if (route.request().method() === "OPTIONS") return route.fulfill({ status: 204, headers });
    if (url.pathname.endsWith("/say")) {
      this.sent.push(route.request().postDataJSON());
      return route.fulfill({ status: 202, headers, json: { job_id: WRITER, message: 2 } });
    }
    if (url.pathname.endsWith("/log")) {
      const since = Number(url.searchParams.get("since"));
      this.since.push(since);
      const rows = this.rows.filter((row) => row.seq > since);
      return route.fulfill({
        headers,
        json: { job_id: WRITER, rows, last_seq: rows.at(-1)?.seq ?? since },
      });
    }
    if (url.pathname.endsWith("review.json")) return route.fulfill({ headers, json: reviews() });
    if (url.pathname.endsWith("/artifacts"))
      return route.fulfill({ headers, json: { artifacts: jobsOf(this.isDone).artifacts } });
    return route.fulfill({ headers, json: jobsOf(this.isDone).root });
  }
}

async function staged(page: Page, path = `/jobs/${RUN}`): Promise<ChangeStage> {
  const stage = new ChangeStage(page);
  await stage.set();
  await open(page, path);
  await expect(page.getByRole("log")).toContainText("Turn 3");
  return stage;
}

// A request may be under way when a test ends.
test.afterEach(({ page }) => page.unrouteAll({ behavior: "ignoreErrors" }));

test("a change is followed from its turns to its branch", async ({ page }) => {
  const complaints = watch(page);
  // Low, so that the transcript is longer than its box.
  await page.setViewportSize({ width: 1440, height: 600 });
  const stage = await staged(page);
  const log = page.getByRole("log");
  const phase = page.getByTestId("phase");
  await expect(phase).toHaveText(/acts on turn 3/);
  await expect(log).toContainText("Meetings that only touch count as overlapping.");

  // What a tool gives is text, whatever it would like to be.
  await expect(log).toContainText('<img src=x onerror="document.title=1"> \\u{202e}elifred');
  expect(await log.locator("img").count()).toBe(0);
  const call = log.getByRole("button", { name: /edit.*slotbook\/merge\.py/ });
  await call.click();
  await expect(call).toHaveAttribute("aria-expanded", "true");
  await expect(log).toContainText("if start <= end:");
  await call.click();

  // A question comes, and the transcript follows its end.
  stage.rows = [...stage.rows, ...QUESTION];
  stage.isAsked = true;
  await expect(phase).toHaveAttribute("data-phase", "waiting");
  await expect(log).toContainText("Asks a person");
  await expect
    .poll(() => log.evaluate((box) => box.scrollHeight - box.scrollTop - box.clientHeight))
    .toBeLessThan(48);
  const question = page.getByRole("region", { name: "Open question" });
  await expect(question).toContainText("May 9-10 and 10-11 become one meeting?");
  await page.screenshot({ path: `${SHOTS}/change-question.png` });
  await expect(question.getByRole("button", { name: "Answer" })).toBeDisabled();

  // A message, by the keyboard.
  await page.getByLabel("Message to the agent", { exact: true }).last().fill("Keep the sorting stable.");
  await page.keyboard.press("Control+Enter");
  await expect(page.getByText("1 message kept; read before the next turn.")).toBeVisible();

  // Whoever has scrolled up stays where they are.
  await log.evaluate((box) => (box.scrollTop = 0));
  await question.getByRole("textbox").fill("yes");
  await question.getByRole("button", { name: "Answer" }).click();
  await expect(log).toContainText("operator: answers");
  await expect(question).toBeHidden();
  expect(await log.evaluate((box) => box.scrollTop)).toBe(0);
  await page.getByRole("button", { name: "To the newest" }).click();
  await expect(page.getByRole("button", { name: "To the newest" })).toBeHidden();
  expect(stage.sent).toEqual([
    { text: "Keep the sorting stable." },
    { action: "approve", target: "q-19", reason: "yes" },
  ]);

  stage.rows = [...BEGINNING, ...QUESTION, ...END];
  stage.isDone = true;
  await expect(phase).toHaveText(/ended: reported as done/);
  await expect(page.getByRole("region", { name: "Delivered" })).toContainText(`git merge pas/${RUN}`);
  await expect(page.getByRole("region", { name: "Proof" })).toContainText("passed");
  await expect(page.getByRole("region", { name: "Review" })).toContainText("blocks: its test fails");
  await expect(page.getByRole("region", { name: "Diff" })).toContainText("tests/test_merge.py");
  await expect(page.getByLabel("Message to the agent", { exact: true })).toHaveCount(0);

  // No row was asked for twice, and an ended log is read no more.
  const reads = stage.since.length;
  expect(stage.since.filter((since) => since === 0)).toHaveLength(1);
  expect(stage.since).toEqual(stage.since.toSorted((a, b) => a - b));
  await page.waitForTimeout(6000);
  expect(stage.since).toHaveLength(reads);
  expect(complaints).toEqual([]);
});

for (const theme of ["dark", "light"] as const) {
  test(`a change, ${theme}: wide and accessible`, async ({ page }) => {
    await useTheme(page, theme);
    const stage = await staged(page, `/jobs/${RUN}?wide=true`);
    stage.rows = [...BEGINNING, ...QUESTION, ...END];
    stage.isDone = true;
    await expect(page.getByRole("region", { name: "Delivered" })).toBeVisible();
    await expect(page.getByRole("region", { name: "Review" })).toContainText("slotbook/merge.py:12");
    await page.screenshot({ path: `${SHOTS}/change-${theme}.png` });
    const { violations } = await new AxeBuilder({ page })
      .withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"])
      .analyze();
    expect(
      violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.target.join(" ")).join("; ")}`),
    ).toEqual([]);
    await page.getByRole("button", { name: "Wide" }).click();
    await expect(page.getByRole("heading", { name: "Jobs" })).toBeVisible();
  });
}

test("a change fits a phone", async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await staged(page);
  expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
  await page.screenshot({ path: `${SHOTS}/change-phone.png`, fullPage: true });
});
