// Which note an event is, and which notes are let through: few enough to be heard as music. Pure.

import type { HierarchyLevel, SwarmEvent, TreeNode } from "../api";
import { textOf } from "../format";

export interface Note {
  agent: string;
  /** Hz. */
  pitch: number;
  wave: OscillatorType;
  seconds: number;
}

/** The deepest note of each level's band of an octave: the higher in the hierarchy, the deeper. */
const BANDS: Record<HierarchyLevel, number> = { architect: 110, director: 220, manager: 440, worker: 880 };

/** A pentatonic scale: no two of its notes clash, whatever their bands. */
const SCALE = [1, 9 / 8, 5 / 4, 3 / 2, 5 / 3];

const WAVES: Record<string, OscillatorType> = {
  code: "square",
  data: "sine",
  devsecops: "sawtooth",
  docs: "triangle",
  models: "sine",
};

const DEGREE: Record<string, number> = {
  accepted: 0,
  started: 1,
  awaiting_approval: 3,
  completed: 4,
  failed: 0,
  crashed: 0,
  restarted: 2,
};

/** An actor that is no agent works for those that are. */
export function levelOf(node: TreeNode): HierarchyLevel {
  return node.level ?? "worker";
}

/** The note of an event, or null where it makes no sound. */
export function noteOf(
  event: SwarmEvent,
  node: TreeNode | undefined,
  muted: readonly HierarchyLevel[],
): Note | null {
  const happened = textOf(event.data["event"]);
  const degree = DEGREE[happened];
  if (degree === undefined || !node) return null;
  const interval = SCALE[degree];
  const level = levelOf(node);
  if (interval === undefined || muted.includes(level)) return null;
  const pitch = BANDS[level] * interval;
  const bad = happened === "failed" || happened === "crashed";
  return {
    agent: node.name,
    pitch: bad ? pitch / 2 : pitch,
    wave: WAVES[node.lane ?? ""] ?? "triangle",
    seconds: bad ? 0.5 : 0.18,
  };
}

/** At most so many notes a second in all, and of one agent. */
export const MAX_A_SECOND = 8;
export const MAX_AN_AGENT = 2;

/** Lets notes through while they are few; those above are dropped, never queued: old sound is noise. */
export class Limiter {
  #played: { at: number; agent: string }[] = [];

  allow(agent: string, nowMs: number): boolean {
    this.#played = this.#played.filter(({ at }) => nowMs - at < 1000);
    const own = this.#played.filter((note) => note.agent === agent).length;
    if (this.#played.length >= MAX_A_SECOND || own >= MAX_AN_AGENT) return false;
    this.#played.push({ at: nowMs, agent });
    return true;
  }
}
