// What waits for a person, the dearest first: a wait costs what hangs on it, times what a minute of it costs.

import type { LiveApproval } from "./api";

/** A person's wait is never free: without a price, what hangs on it still ranks. */
export const FLOOR_USD_PER_MIN = 0.01;

/** Blocked work × dollars a minute. The asker itself counts as one. */
export function costOfWaiting(approval: LiveApproval): number {
  return (1 + approval.blocked_descendants) * Math.max(FLOOR_USD_PER_MIN, approval.usd_per_min);
}

/** Dearest first; of equals, the one that has waited longest. */
export function ranked(approvals: readonly LiveApproval[]): LiveApproval[] {
  return approvals.toSorted((a, b) => costOfWaiting(b) - costOfWaiting(a) || b.waiting_s - a.waiting_s);
}
