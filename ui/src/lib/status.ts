// The vocabulary of status: what it is called, its colour token and its shape.
//
// Colour is never alone: each status has its own shape, so that it is told apart without seeing colours.

import type { AgentStatus, JobState, TreeNode } from "./api";

/** What the eye is shown; several statuses of the wire may share one look. */
export type Look =
  "idle" | "queued" | "running" | "approval" | "blocked" | "degraded" | "paused" | "error" | "done";

export type Shape =
  "ring" | "square" | "circle" | "diamond" | "triangle" | "wedge" | "bars" | "octagon" | "check";

export const SHAPES: Record<Look, Shape> = {
  idle: "ring",
  queued: "square",
  running: "circle",
  approval: "diamond",
  blocked: "triangle",
  degraded: "wedge",
  paused: "bars",
  error: "octagon",
  done: "check",
};

export const LOOKS = Object.keys(SHAPES) as Look[];

const LOOK_OF: Record<AgentStatus | JobState, Look> = {
  ok: "idle",
  queued: "queued",
  running: "running",
  waiting_approval: "approval",
  awaiting_approval: "approval",
  blocked: "blocked",
  degraded: "degraded",
  paused: "paused",
  error: "error",
  down: "error",
  failed: "error",
  quarantined: "blocked",
  cancelled: "queued",
  done: "done",
};

/** A task of the sequencer that is `down` was cancelled: that is no trouble. */
export function lookOfTask(status: AgentStatus): Look {
  return status === "down" ? LOOK_OF.cancelled : lookOf(status);
}

/** A status that this build does not know looks blocked: somebody should have a look. */
export function lookOf(status: string): Look {
  return LOOK_OF[status as AgentStatus] ?? "blocked";
}

const WORDS: Record<string, string> = {
  ok: "idle",
  waiting_approval: "waits for approval",
  awaiting_approval: "waits for approval",
};

/** How a status is called in the pages. */
export function wordOf(status: string): string {
  return WORDS[status] ?? status.replaceAll("_", " ");
}

/** What an agent's one word leaves out: that it is being paused, whom a job of its waits for, how it fares. */
export function besides(node: Pick<TreeNode, "status" | "health" | "paused" | "waiting_for">): string[] {
  const said = [];
  if (node.paused && node.status !== "paused") said.push("pausing: it ends what it has begun");
  if (node.waiting_for && node.status !== "waiting_approval" && node.status !== "blocked")
    said.push(`another job of its waits for a ${node.waiting_for}`);
  if (node.health !== "ok" && node.health !== node.status) said.push(`health: ${wordOf(node.health)}`);
  return said;
}

/** The order of trouble: what needs an eye first is first. */
export const TROUBLE: Look[] = [
  "error",
  "approval",
  "blocked",
  "degraded",
  "paused",
  "running",
  "queued",
  "done",
  "idle",
];
