// The action that is about to be taken, as the dialog shows it. One at a time.

import type { ActionName } from "./api";

export interface Asked {
  action: ActionName;
  target: string;
  /** It can be taken for everything below as well. */
  hasSubtree: boolean;
  subtree: boolean;
  /** The target is a job: to end it is to cancel it, with all that is below it. */
  isJob: boolean;
}

export const asked: { now: Asked | null } = $state({ now: null });

export function ask(action: ActionName, target: string, hasSubtree = false): void {
  asked.now = { action, target, hasSubtree, subtree: false, isJob: false };
}

/** Of a job. */
export function askOfJob(action: ActionName, target: string): void {
  asked.now = { action, target, hasSubtree: false, subtree: false, isJob: true };
}
