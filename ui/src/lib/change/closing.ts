// What a change has come to, from the jobs of its run: the branch and how to merge it, the proof, the review. Pure.

import type { JobCard } from "../api";
import { textOf } from "../format";
import { steps } from "../jobs";
import { shown } from "./shown";

/** More than this is not listed one by one. */
const MOST_LISTED = 12;

export interface ChangeClosing {
  job: string;
  branch: string;
  commit: string;
  merge: string;
  /** Files that run on the person's machine once it is merged, each with the occasion. */
  runners: { path: string; occasion: string }[];
  moreRunners: number;
  /** What was out of the ordinary about the repository, a sentence each. */
  remarks: string[];
  proof: string;
  diffstat: string;
}

/** The delivered change of a run; null until there is one. */
export function closingOf(root: JobCard): ChangeClosing | null {
  const card = steps(root).find(({ card: one }) => textOf(one.outputs["branch"]) !== "")?.card;
  if (!card) return null;
  const text = (name: string) => shown(textOf(card.outputs[name]));
  const listed = Array.isArray(card.outputs["runs_on_merge"]) ? card.outputs["runs_on_merge"] : [];
  const remarks = Array.isArray(card.outputs["remarks"]) ? card.outputs["remarks"].slice(0, MOST_LISTED) : [];
  const runners = listed.map((one: unknown) => {
    const { path, occasion } = (one ?? {}) as Record<string, unknown>;
    return { path: shown(textOf(path), 300), occasion: shown(textOf(occasion), 300) };
  });
  return {
    job: card.job_id,
    branch: text("branch"),
    commit: text("commit"),
    merge: text("merge"),
    runners: runners.slice(0, MOST_LISTED),
    moreRunners: Math.max(0, runners.length - MOST_LISTED),
    remarks: remarks.flatMap((one: unknown) => shown(textOf(one), 500) || []),
    proof: text("proof"),
    diffstat: text("diffstat"),
  };
}

/** The card of a job within a tree. */
export function cardOf(root: JobCard, job: string | null): JobCard | null {
  return steps(root).find(({ card }) => card.job_id === job)?.card ?? null;
}

/** Jobs with a log of their own, once the first of them is known: that one, and all below it. */
export function thinkersOf(root: JobCard, first: string | null): JobCard[] {
  const card = cardOf(root, first);
  return card ? steps(card).map((step) => step.card) : [];
}
