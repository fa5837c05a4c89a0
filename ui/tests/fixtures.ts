// `test` with a daemon of its own: one for all tests of a worker, addressed by `baseURL`.

import { test as base } from "@playwright/test";
import { LiveDaemon, PORTS } from "./daemon";

export { expect, type Page } from "@playwright/test";

export const test = base.extend<object, { daemon: LiveDaemon }>({
  daemon: [
    async ({}, use) => {
      const daemon = await LiveDaemon.start();
      // Something to see from the first test on: a run that has ended, money spent, a person asked.
      await daemon.until(await daemon.ingest(), "done");
      await spend(daemon);
      await daemon.until(
        await daemon.ingest({ approvals_required: ["read the folder"] }),
        "awaiting_approval",
      );
      await use(daemon);
      await daemon.stop();
    },
    { scope: "worker", auto: true, timeout: 180_000 },
  ],
  baseURL: async ({ daemon }, use) => use(daemon.at(PORTS.hmi)),
});

/** A few model calls under a budget, through the gateway. */
async function spend(daemon: LiveDaemon): Promise<void> {
  await daemon.post(PORTS.gateway, "/budget?run_id=browser&budget_usd=0.2", {});
  for (const question of [
    "Which agents are idle?",
    "What does the graph say of the README?",
    "Name the domains found.",
  ]) {
    const body = {
      request_id: question.slice(0, 20),
      run_id: "browser",
      agent: "director-docs",
      requirements: { model: "gpt-4-turbo" },
      payload: { messages: [{ role: "user", content: question }], max_tokens: 200 },
    };
    await daemon.post(PORTS.gateway, "/route", body);
  }
}
