// What an operator may set, the values it begins with, and how it is read back from storage. Pure.

import type { HierarchyLevel } from "./api";
import { LEVELS } from "./level";

export interface Settings {
  theme: "dark" | "light";
  /** Between two full refreshes, in seconds; events refresh sooner. */
  refresh_s: number;
  /** `local`, `UTC`, or an IANA name. */
  zone: string;
  compact: boolean;
  tooltips: boolean;
  animation: boolean;
  /** Supervisors drawn as nodes of their own. */
  supervisors: boolean;
  sound: boolean;
  speech: boolean;
  captions: boolean;
  /** 0 to 1. */
  volume: number;
  /** Levels of the hierarchy that make no sound. */
  muted_levels: HierarchyLevel[];
}

export const REFRESH_CHOICES = [1, 2, 5, 10, 30];

export const DEFAULTS: Settings = {
  theme: "dark",
  refresh_s: 5,
  zone: "local",
  compact: false,
  tooltips: true,
  animation: true,
  supervisors: false,
  sound: false,
  speech: false,
  captions: true,
  volume: 0.4,
  muted_levels: [],
};

/** Takes what fits from stored text; the rest keeps its default. Never throws. */
export function readSettings(stored: string | null): Settings {
  const found = parseObject(stored);
  const out: Settings = { ...DEFAULTS };
  const flags = ["compact", "tooltips", "animation", "supervisors", "sound", "speech", "captions"] as const;
  for (const key of flags) if (typeof found[key] === "boolean") out[key] = found[key];
  if (found["theme"] === "light" || found["theme"] === "dark") out.theme = found["theme"];
  if (REFRESH_CHOICES.includes(found["refresh_s"] as number)) out.refresh_s = found["refresh_s"] as number;
  if (typeof found["zone"] === "string" && isZone(found["zone"])) out.zone = found["zone"];
  const volume = found["volume"];
  if (typeof volume === "number" && volume >= 0 && volume <= 1) out.volume = volume;
  const muted = found["muted_levels"];
  if (Array.isArray(muted)) out.muted_levels = LEVELS.filter((level) => muted.includes(level));
  return out;
}

export function isZone(zone: string): boolean {
  if (zone === "local") return true;
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}

function parseObject(text: string | null): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text ?? "{}");
    return value !== null && typeof value === "object" ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
