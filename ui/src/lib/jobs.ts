// Job cards as the pages need them: flat, with depth; what may be asked of a job in its state. Pure.

import type { JobCard, JobState, LiveJob } from "./api";
import type { JobVerb } from "./client";
import { duration, plain, stepOf } from "./format";
import type { Look } from "./status";

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

/** A card as a line, for jobs that are no longer in the live picture. */
export function lineOf(card: JobCard): LiveJob {
  const { job_id, run_id, task, agent, state, activity, created_at, started_at, ended_at } = card;
  return {
    job_id,
    run_id,
    task,
    agent,
    state,
    activity,
    progress: card.progress.fraction,
    progress_known: card.progress.known,
    created_at,
    started_at,
    ended_at,
    ...(card.subject === undefined ? {} : { subject: card.subject }),
    waits: card.waits,
    left: null,
    steps_total: 0,
    steps_done: 0,
    cost_usd: 0,
  };
}

/** A folder by its last name, any other subject as it is. */
export function shortSubject(subject: string): string {
  return subject.startsWith("/") ? (subject.split("/").filter(Boolean).at(-1) ?? subject) : subject;
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

/** What a wait looks like. */
export function lookOfWait(kind: JobWait["kind"]): Look {
  return (
    {
      person: "approval",
      director: "blocked",
      resume: "paused",
      retry: "queued",
      resources: "queued",
    } as const
  )[kind];
}

/** `about 40 s left`. Where no earlier run of the kind backs a figure there is none. */
export function leftInShort({ left }: LiveJob): string | null {
  return left && `about ${roughly(left.about_s)} left`;
}

/** The whole of it: the range, and what such a run takes. */
export function leftInWords({ left, activity }: LiveJob): string {
  if (activity !== "running") return "";
  if (!left) return "The time left is not known: no run of this kind and size has been done before.";
  return `About ${roughly(left.about_s)} left (${roughly(left.least_s)} to ${roughly(left.most_s)}); a run like it usually takes ${roughly(left.usual_s)}.`;
}

/** No finer than a guess is. */
function roughly(seconds: number): string {
  if (seconds < 10) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 90) return `${Math.round(seconds / 5) * 5} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  return duration(Math.round(seconds / 600) * 600);
}
