// What the browser tests share: settings before the first frame, readiness, complaints of the browser.

import { expect, type Page } from "@playwright/test";

export const PATHS = [
  "/",
  "/tree",
  "/sequencer",
  "/jobs",
  "/approvals",
  "/traces",
  "/services",
  "/resources",
  "/costs",
  "/alerts",
  "/settings",
];
export type Theme = "dark" | "light";

/** Where screenshots are kept; the daemon's ports relative to the page are in `/api/live`. */
export const SHOTS = process.env["HMI_SHOTS"] ?? "screens";

export async function useTheme(page: Page, theme: Theme): Promise<void> {
  await page.addInitScript(
    (chosen) => localStorage.setItem("pas.settings", JSON.stringify({ theme: chosen })),
    theme,
  );
}

/** Opens a page and waits until it shows the living swarm. */
export async function open(page: Page, path: string): Promise<void> {
  await page.goto(path);
  await expect(page.getByTestId("connection")).toHaveAttribute("data-state", "live");
  await expect(page.locator("main h1")).toBeAttached();
}

/** Collects what the browser complains of, and every request that leaves the machine. */
export function watch(page: Page): string[] {
  const found: string[] = [];
  page.on("pageerror", (error) => found.push(`error: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error") found.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    const { hostname, protocol } = new URL(request.url());
    if (protocol.startsWith("http") && !["127.0.0.1", "localhost", "[::1]"].includes(hostname))
      found.push(`left the machine: ${request.url()}`);
  });
  return found;
}

export interface LiveAnswer {
  ports: Record<string, number>;
  seq: number;
  approvals: { approval_id: string }[];
  tree: { name: string; restarts: number; status: string }[];
}

export async function live(page: Page): Promise<LiveAnswer> {
  return (await (await page.request.get("/api/live")).json()) as LiveAnswer;
}
