// Job cards as the pages need them: flat, with depth; what may be asked of a job in its state. Pure.

import type { JobCard, JobState, LiveJob } from "./api";
import type { JobVerb } from "./client";
import { plain, stepOf } from "./format";
import { lookOf, type Look } from "./status";

export interface Step {
  card: JobCard;
  level: number;
}

/** A tree of cards from top to bottom. */
export function steps(root: JobCard): Step[] {
  const out: Step[] = [];
  const stack: Step[] = [{ card: root, level: 0 }];
  for (let next = stack.pop(); next; next = stack.pop()) {
    out.push(next);
    const { card, level } = next;
    stack.push(...(card.children ?? []).toReversed().map((child) => ({ card: child, level: level + 1 })));
  }
  return out;
}

const ENDED: JobState[] = ["done", "failed", "cancelled", "quarantined"];

export function hasEnded(state: JobState): boolean {
  return ENDED.includes(state);
}

/** What a person can ask of a job now. */
export function verbs(state: JobState): JobVerb[] {
  if (state === "failed" || state === "quarantined" || state === "cancelled") return ["retry"];
  if (state === "done") return [];
  return state === "paused" ? ["resume", "cancel"] : ["pause", "cancel"];
}

/** How far a tree is, from its leaves: what has ended counts whole, what runs by its own progress. */
export function progressOf(root: JobCard): number {
  if (hasEnded(root.state)) return root.state === "done" ? 1 : root.progress.fraction;
  const children = root.children ?? [];
  if (children.length === 0) return root.progress.fraction;
  // A coordinator knows how many parts there will be, before they are all there.
  const parts = Math.max(children.length, root.progress.total);
  return children.reduce((sum, child) => sum + progressOf(child), 0) / parts;
}

/** A card as a line, for jobs that are no longer in the live picture. */
export function lineOf(card: JobCard): LiveJob {
  const { job_id, run_id, task, agent, state, created_at, started_at, ended_at } = card;
  const progress = progressOf(card);
  return {
    job_id,
    run_id,
    task,
    agent,
    state,
    progress,
    created_at,
    started_at,
    ended_at,
    waits: card.waits,
    eta_s: null,
    steps_total: 0,
    steps_done: 0,
    cost_usd: 0,
  };
}

export type JobWait = LiveJob["waits"][number];

const WAIT_WORDS: Record<JobWait["kind"], string> = {
  person: "waits for a person",
  director: "waits for its director",
  resume: "is paused",
  retry: "waits for its next attempt",
  resources: "waits for resources",
};

/** For whom or what, at which step, and why: `waits for a person at audit: …`. */
export function waitSentence(wait: JobWait): string {
  const detail = wait.detail ? `: ${plain(wait.detail)}` : "";
  const step = wait.job_id.includes(".") ? ` at ${stepOf(wait.job_id)}` : "";
  return `${WAIT_WORDS[wait.kind]}${step}${detail}`;
}

/** The wait that a person can end comes first. */
export function firstWait(waits: readonly JobWait[]): JobWait | null {
  return waits.find((wait) => wait.kind === "person") ?? waits[0] ?? null;
}

/** What a run shows: while nothing of it works, what it waits for and not that it has begun. */
export function lookOfRun(state: JobState, waits: readonly JobWait[], works: boolean): Look {
  const wait = firstWait(waits);
  if (state !== "running" || works || !wait) return lookOf(state);
  return { person: "approval", director: "blocked", resume: "paused", retry: "queued", resources: "queued" }[
    wait.kind
  ] as Look;
}

/** Whether a step of the tree works just now. A coordinator that waits for its parts does not. */
export function works(root: JobCard): boolean {
  const children = root.children ?? [];
  return children.length === 0 ? root.state === "running" : children.some(works);
}
