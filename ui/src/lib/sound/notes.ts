// Which note an event is, and which notes are let through: few enough to be heard as music. Pure.

import type { SwarmEvent, TreeNode } from "../api";
import { textOf } from "../format";

export interface Note {
  agent: string;
  /** Hz. */
  pitch: number;
  wave: OscillatorType;
  seconds: number;
}

/** A pentatonic scale a tier: the higher in the hierarchy, the deeper. No two of them clash. */
const SCALES: Record<number, number[]> = {
  1: [130.81, 146.83, 164.81, 196.0, 220.0],
  2: [261.63, 293.66, 329.63, 392.0, 440.0],
  3: [523.25, 587.33, 659.25, 783.99, 880.0],
};

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

/** The note of an event, or null where it makes no sound. */
export function noteOf(
  event: SwarmEvent,
  node: TreeNode | undefined,
  mutedTiers: readonly number[],
): Note | null {
  const happened = textOf(event.data["event"]);
  const degree = DEGREE[happened];
  if (degree === undefined || !node) return null;
  const tier = Math.min(3, Math.max(1, node.tier ?? 3));
  if (mutedTiers.includes(tier)) return null;
  const pitch = (SCALES[tier] ?? [])[degree];
  if (pitch === undefined) return null;
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
