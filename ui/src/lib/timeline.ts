// A run's steps on one time axis: when each worked and waited, and which of them made the run as long. Pure.

import type { JobCard } from "./api";
import { steps } from "./jobs";

/** A stretch of the axis, 0 to 1. */
export interface Stretch {
  left: number;
  width: number;
}

export interface StepBar extends Stretch {
  waits: (Stretch & { activity: string })[];
  /** Whether the run would have been shorter without it: nothing else was at work that long before the next. */
  critical: boolean;
}

/** Each begun step's bar, by its id. */
export function timeline(root: JobCard, now: number): Map<string, StepBar> {
  const begin = Date.parse(root.started_at ?? root.created_at);
  const end = root.ended_at ? Date.parse(root.ended_at) : now;
  const total = Math.max(1, end - begin);
  const stretch = (from: number, to: number): Stretch => {
    const left = Math.min(1, Math.max(0, (from - begin) / total));
    return { left, width: Math.min(1 - left, Math.max(0, (to - Math.max(from, begin)) / total)) };
  };
  const all = steps(root).map(({ card }) => card);
  const critical = criticalPath(all, end);
  const bars = new Map<string, StepBar>();
  for (const card of all) {
    if (!card.started_at) continue;
    const waits = (card.waited ?? []).map(({ from, to, activity }) => ({
      ...stretch(Date.parse(from), to ? Date.parse(to) : endOf(card, end)),
      activity,
    }));
    const own = stretch(Date.parse(card.started_at), endOf(card, end));
    bars.set(card.job_id, { ...own, waits, critical: critical.has(card.job_id) });
  }
  return bars;
}

const endOf = (card: JobCard, end: number) => (card.ended_at ? Date.parse(card.ended_at) : end);

/** From the step that ended last back, each time to the one that ended last before this began. */
function criticalPath(all: readonly JobCard[], end: number): Set<string> {
  const spans = all
    .filter((card) => card.started_at !== null && (card.children ?? []).length === 0)
    .map((card) => ({ id: card.job_id, from: Date.parse(card.started_at ?? ""), to: endOf(card, end) }));
  const path = new Set<string>();
  let border = Infinity;
  for (;;) {
    let last: (typeof spans)[number] | null = null;
    for (const span of spans)
      if (span.to <= border && !path.has(span.id) && (last === null || span.to > last.to)) last = span;
    if (!last) return path;
    path.add(last.id);
    border = last.from;
  }
}

/** What the run found, as sentences: the first findings of its steps. */
export function findings(root: JobCard): string[] {
  for (const { card } of steps(root)) {
    const list: unknown = (card.outputs as Record<string, unknown> | undefined)?.["findings"];
    if (!Array.isArray(list) || list.length === 0) continue;
    return list.map((one: unknown) => {
      if (typeof one === "string") return one;
      const text: unknown = (one as { text?: unknown } | null)?.text;
      return typeof text === "string" ? text : JSON.stringify(one);
    });
  }
  return [];
}
