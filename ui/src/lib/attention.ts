// Approvals in the order in which they want a person: by the work that hangs on them and its price a minute.

import type { LiveApproval } from "./api";
import { plural, usd } from "./format";

/** Without a price, the work that hangs on it still ranks. For the order only: nobody spends it. */
const FLOOR_USD_PER_MIN = 0.01;

/** Blocked work × dollars a minute. The asker itself counts as one. */
export function rankOf(approval: LiveApproval): number {
  return (1 + approval.blocked_descendants) * Math.max(FLOOR_USD_PER_MIN, approval.usd_per_min);
}

/** Seconds since it was asked for, by this page's clock. */
export function waited(approval: LiveApproval, now: number): number {
  return Math.max(0, Math.floor((now - Date.parse(approval.requested_at)) / 1000));
}

/** The work that stands still with it, and its price where it has had one. */
export function atStake(approval: LiveApproval): string {
  const steps = `${plural(approval.blocked_descendants, "step")} of its run behind it`;
  return approval.usd_per_min > 0
    ? `${steps}; the run cost ${usd(approval.usd_per_min)} / min while it worked`
    : steps;
}

/** Dearest first; of equals, the one that has waited longest. */
export function ranked(approvals: readonly LiveApproval[]): LiveApproval[] {
  return approvals.toSorted((a, b) => rankOf(b) - rankOf(a) || b.waiting_s - a.waiting_s);
}
