// The past, played back: what each agent was doing at a moment, and how the playhead moves. Pure.

import type { AgentStatus, Sequencer, SequencerTask } from "../api";

/** Two heartbeats of the tree's own actors: a running task that is silent for longer is stuck. */
export const STUCK_AFTER_S = 20;
export const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 5, 10, 25, 50, 100];

export interface Doing {
  task: SequencerTask;
  status: AgentStatus;
  progress: number;
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

/** How a task looked at `at`: before its end it was running, whatever became of it. */
export function statusAt(task: SequencerTask, at: number): AgentStatus | null {
  if (at < task.start_time) return null;
  if (task.end_time != null && at < task.end_time) return "running";
  return task.status;
}

/** What each agent (by name) was doing at `at`: the newest task under way, else nothing. */
export function stateAt(data: Sequencer, at: number): Map<string, Doing> {
  const nameOf = new Map(data.agents.map((agent) => [agent.service_id, agent.name]));
  const out = new Map<string, Doing>();
  for (const task of data.tasks) {
    const name = nameOf.get(task.agent_id);
    if (name === undefined || at < task.start_time || at >= endOf(task, data.timestamp + 1)) continue;
    const known = out.get(name);
    if (known && known.task.start_time > task.start_time) continue;
    out.set(name, { task, status: statusAt(task, at) ?? "running", progress: progressAt(task, at) });
  }
  for (const mark of data.marks ?? []) {
    const name = nameOf.get(mark.agent_id) ?? mark.agent_id;
    const doing = out.get(name);
    // A crash is seen for the blink of an eye in life; here for a second, so that it is seen at all.
    if (doing && (mark.kind === "crashed" || mark.kind === "hung") && at >= mark.at && at < mark.at + 1) {
      out.set(name, { ...doing, status: "error" });
    }
  }
  return out;
}

function progressAt(task: SequencerTask, at: number): number {
  if (task.end_time == null) return task.progress;
  const length = task.end_time - task.start_time;
  return length <= 0 ? task.progress : Math.min(1, ((at - task.start_time) / length) * Math.max(task.progress, 0));
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
