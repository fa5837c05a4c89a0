// The past, played back: what each agent was doing at a moment, and how the playhead moves. Pure.

import type { AgentStatus, Sequencer, SequencerTask } from "../api";

/** Two heartbeats of the tree's own actors: a running task that is silent for longer is stuck. */
export const STUCK_AFTER_S = 20;
export const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 5, 10, 25, 50, 100];

export interface Doing {
  task: SequencerTask;
  status: AgentStatus;
  /** Null where it is not known: only the newest moment, and the end, have been recorded. */
  progress: number | null;
}

/** A task's end as far as it is known at `now`. */
export function endOf(task: SequencerTask, now: number): number {
  return task.end_time ?? Math.max(task.start_time, now);
}

/** Whether a running task has shown nothing for over two heartbeats. */
export function stuck(task: SequencerTask, now: number): boolean {
  if (task.end_time != null || task.status !== "running") return false;
  return task.beat_time != null && now - task.beat_time > STUCK_AFTER_S;
}

/** What a task was at `at`, as recorded: before its end it worked or waited, whatever became of it. */
export function statusAt(task: SequencerTask, at: number): AgentStatus | null {
  if (at < task.start_time) return null;
  if (task.end_time != null && at >= task.end_time) return task.status;
  // What is not told is not supposed to be as before.
  if (task.cut_at !== undefined && at >= task.cut_at) return null;
  const wait = task.waits?.find(({ from, to }) => from <= at && (to === null || at < to));
  return wait?.status ?? "running";
}

export type Gap = NonNullable<Sequencer["down"]>[number];

/** The time about `at` in which the daemon was down: nobody did anything then. */
export function downAt(data: Sequencer, at: number): Gap | null {
  return data.down?.find(({ from, to }) => from <= at && at < to) ?? null;
}

/** What an agent was doing at `at`: the newest of its tasks under way, else null. */
export function doingAt(data: Sequencer, serviceId: string, at: number): Doing | null {
  if (downAt(data, at)) return null;
  const past = pastOf(data);
  const task = past.tasks.get(serviceId)?.at(at);
  const status = task && statusAt(task, at);
  if (!status) return null;
  // A crash is seen for the blink of an eye in life; here for a second, so that it is seen at all.
  const crashed = past.crashes.get(serviceId)?.some((crash) => at >= crash && at < crash + 1);
  return {
    task,
    status: crashed ? "error" : status,
    progress: progressAt(task, at, data.timestamp),
  };
}

/** What each agent (by name) was doing at `at`; those that did nothing are left out. */
export function stateAt(data: Sequencer, at: number): Map<string, Doing> {
  const out = new Map<string, Doing>();
  for (const { service_id, name } of data.agents) {
    const doing = doingAt(data, service_id, at);
    if (doing) out.set(name, doing);
  }
  return out;
}

/** An agent's tasks by their starts: a look at a moment costs the same however many there are. */
class Tasks {
  /** The latest end of this task and those before it. */
  readonly #ends: number[] = [];
  /** What runs has not ended by the newest moment that can be looked at. */
  readonly #beyond: number;

  constructor(
    readonly sorted: SequencerTask[],
    now: number,
  ) {
    this.#beyond = now + 1;
    let latest = -Infinity;
    for (const task of sorted) this.#ends.push((latest = Math.max(latest, endOf(task, this.#beyond))));
  }

  at(at: number): SequencerTask | null {
    let [low, high] = [0, this.sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.sorted[middle]?.start_time ?? Infinity) <= at) low = middle + 1;
      else high = middle;
    }
    for (let index = low - 1; index >= 0 && (this.#ends[index] ?? -Infinity) > at; index -= 1) {
      const task = this.sorted[index];
      if (task && at < endOf(task, this.#beyond)) return task;
    }
    return null;
  }
}

interface Past {
  tasks: Map<string, Tasks>;
  crashes: Map<string, number[]>;
}

/** Worked out once for every answer of the daemon: the playhead asks sixty times a second. */
const pasts = new WeakMap<Sequencer, Past>();

function pastOf(data: Sequencer): Past {
  const known = pasts.get(data);
  if (known) return known;
  const lists = new Map<string, SequencerTask[]>();
  for (const task of data.tasks.toSorted((a, b) => a.start_time - b.start_time))
    push(lists, task.agent_id, task);
  const crashes = new Map<string, number[]>();
  for (const { kind, agent_id, at } of data.marks ?? []) {
    if (kind === "crashed" || kind === "hung") push(crashes, agent_id, at);
  }
  const past = {
    tasks: new Map([...lists].map(([id, list]) => [id, new Tasks(list, data.timestamp)])),
    crashes,
  };
  pasts.set(data, past);
  return past;
}

function push<T>(lists: Map<string, T[]>, key: string, value: T): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}

function progressAt(task: SequencerTask, at: number, now: number): number | null {
  return task.progress_known && at >= (task.end_time ?? now) ? task.progress : null;
}

/** Where the playhead is after `elapsed_s` of watching; it stops at `end`. */
export function advance(at: number, elapsed_s: number, speed: number, end: number): number {
  return Math.min(end, at + elapsed_s * speed);
}

/** The starts and ends of tasks, for stepping from one to the next. */
export function nextEdge(data: Sequencer, at: number, direction: 1 | -1): number | null {
  let found: number | null = null;
  for (const task of data.tasks) {
    for (const edge of [task.start_time, task.end_time]) {
      if (edge == null || (edge - at) * direction <= 0.0005) continue;
      if (found === null || (edge - found) * direction < 0) found = edge;
    }
  }
  return found;
}
