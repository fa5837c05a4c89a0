// Which agents are rows, in which order, and where their notes lie. Pure.

import type { HierarchyLevel, Sequencer, SequencerTask } from "../api";
import { LEVELS } from "../level";
import { endOf } from "./replay";

export interface SeqRow {
  agent: string;
  serviceId: string;
  level: HierarchyLevel;
  role: string | null;
  tasks: SequencerTask[];
}

export interface RowChoice {
  /** Only these, when not empty. */
  solo: ReadonlySet<string>;
  /** Not these. */
  mute: ReadonlySet<string>;
  /** Only rows with a task in the range. */
  busyOnly: boolean;
}

/** Rows by level, the highest first; within one by role and name. */
export function seqRows(data: Sequencer, choice: RowChoice): SeqRow[] {
  const byAgent = new Map<string, SequencerTask[]>();
  for (const task of data.tasks) {
    const list = byAgent.get(task.agent_id);
    if (list) list.push(task);
    else byAgent.set(task.agent_id, [task]);
  }
  const order = ["coord", "exec", "system"];
  const rank = (role: string | null) => (role === null ? order.length : order.indexOf(role));
  return data.agents
    .map((agent) => ({
      agent: agent.name,
      serviceId: agent.service_id,
      level: agent.level,
      role: agent.agent_role,
      tasks: (byAgent.get(agent.service_id) ?? []).toSorted((a, b) => a.start_time - b.start_time),
    }))
    .filter((row) => (choice.solo.size > 0 ? choice.solo.has(row.agent) : !choice.mute.has(row.agent)))
    .filter((row) => !choice.busyOnly || row.tasks.length > 0)
    .sort(
      (a, b) =>
        LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level) ||
        rank(a.role) - rank(b.role) ||
        a.agent.localeCompare(b.agent),
    );
}

export interface Span {
  from: number;
  to: number;
}

/** Shortest and longest range that the wheel may show, in seconds. */
const SHORTEST_S = 0.05;
const LONGEST_S = 72 * 3600;

/** Zooms around a moment; `factor` below 1 shows less. */
export function zoomed(view: Span, around: number, factor: number): Span {
  const length = Math.min(LONGEST_S, Math.max(SHORTEST_S, (view.to - view.from) * factor));
  const share = (around - view.from) / (view.to - view.from);
  return { from: around - share * length, to: around + (1 - share) * length };
}

export function panned(view: Span, seconds: number): Span {
  return { from: view.from + seconds, to: view.to + seconds };
}

/** The range that shows all tasks with a little air; the last ten minutes when there are none. */
export function extent(data: Sequencer): Span {
  const now = data.timestamp;
  if (data.tasks.length === 0) return { from: now - 600, to: now };
  let [from, to] = [Infinity, -Infinity];
  for (const task of data.tasks) {
    from = Math.min(from, task.start_time);
    to = Math.max(to, endOf(task, now));
  }
  const air = Math.max(0.5, (to - from) * 0.03);
  return { from: from - air, to: to + air };
}

/** A pause that is longer than this parts one burst of work from the next. */
const PAUSE_S = 90;

/** The range of the newest burst of work: what one wants to see first. */
export function lastBurst(data: Sequencer): Span {
  const byEnd = data.tasks.toSorted((a, b) => endOf(b, data.timestamp) - endOf(a, data.timestamp));
  const burst: SequencerTask[] = [];
  let from = Infinity;
  for (const task of byEnd) {
    if (from - endOf(task, data.timestamp) > PAUSE_S && burst.length > 0) break;
    burst.push(task);
    from = Math.min(from, task.start_time);
  }
  return extent({ ...data, tasks: burst });
}

/** The task of a row at a moment: the newest that covers it, within `reach` seconds. */
export function taskAt(row: SeqRow, at: number, now: number, reach: number): SequencerTask | null {
  return (
    row.tasks.findLast((task) => at >= task.start_time - reach && at <= endOf(task, now) + reach) ?? null
  );
}
