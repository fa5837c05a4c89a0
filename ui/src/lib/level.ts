// The levels of the hierarchy of command, as sound and sequencer use them.

import type { HierarchyLevel } from "./api";

/** The highest first. */
export const LEVELS: HierarchyLevel[] = ["architect", "director", "manager", "worker"];

/** The level's agents together. */
export const LEVEL_NAMES: Record<HierarchyLevel, string> = {
  architect: "architect",
  director: "directors",
  manager: "managers",
  worker: "workers",
};
