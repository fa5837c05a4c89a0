// Reads a job's log as it grows: only rows that are not known yet, one request at a time.
//
// Failure policy: what was read stays; the next picture of the swarm tries again.

import { jobs, LOG_ROWS } from "../client";
import { advance } from "./fold";
import { emptyLog, type StepLog } from "./log";

export class LogReader {
  log: StepLog = $state.raw(emptyLog());
  problem: string | null = $state(null);
  #wanted: string | null = null;
  #isReading = false;
  #isDue = false;
  #isWhole = false;

  /** Reads what is new; `isOver`: the job has ended, so that nothing comes after what is there now. */
  async read(job: string, isOver: boolean): Promise<void> {
    if (job !== this.#wanted) {
      this.#wanted = job;
      this.#isWhole = false;
      this.log = emptyLog();
      this.problem = null;
    }
    this.#isDue = true;
    if (this.#isReading || this.#isWhole) return;
    this.#isReading = true;
    try {
      while (this.#isDue && !this.#isWhole) {
        this.#isDue = false;
        await this.#readOn(isOver);
      }
    } finally {
      this.#isReading = false;
    }
  }

  async #readOn(isOver: boolean): Promise<void> {
    const wanted = this.#wanted;
    if (wanted === null) return;
    try {
      const page = await jobs.log(wanted, this.log.seq);
      if (wanted !== this.#wanted) return;
      this.problem = null;
      // Another job below may be the first to have a log by now: its numbers are its own.
      if (this.log.job !== null && page.job_id !== this.log.job) {
        this.log = emptyLog();
        this.#isDue = true;
        return;
      }
      if (page.rows.length > 0) this.log = advance({ ...this.log, job: page.job_id }, page.rows);
      if (page.rows.length === LOG_ROWS) this.#isDue = true;
      else this.#isWhole = this.log.verdict !== null || isOver;
    } catch (error) {
      if (wanted === this.#wanted) this.problem = error instanceof Error ? error.message : String(error);
    }
  }
}
