// How long to wait before trying again: doubling, with a ceiling, and spread so that clients do not march in step.

/** The daemon restarts within about a second, so the first try is early. */
const FIRST_MS = 400;
/** Nobody should wait longer for a page that a click could reload. */
const LONGEST_MS = 8000;

/** The wait before try number `attempt` (from 0); `random` in [0, 1). */
export function backoffMs(attempt: number, random: number): number {
  const full = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 10));
  return Math.round(full * (0.75 + 0.5 * random));
}
