// Job cards as the pages need them: flat, with depth; what may be asked of a job in its state. Pure.

import type { JobCard, JobState, LiveJob } from "./api";
import type { JobVerb } from "./client";

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
