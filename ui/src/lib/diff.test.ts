import { describe, expect, it } from "vitest";
import type { Artifact, JobCard } from "./api";
import { delta, diffRuns, type RunFacts } from "./diff";

const at = (second: number) => new Date(second * 1000).toISOString();

function card(job_id: string, took_s: number | null, more: Partial<JobCard> = {}): JobCard {
  const ended_at = took_s === null ? null : at(took_s);
  return {
    job_id,
    task: job_id,
    state: "done",
    started_at: at(0),
    ended_at,
    outputs: {},
    children: [],
    ...more,
  } as unknown as JobCard;
}

const artifact = (path: string, blake3: string) => ({ path, blake3 }) as Artifact;

describe("two runs", () => {
  const before: RunFacts = {
    root: card("r1", 70, {
      children: [
        card("r1.audit", 30, { outputs: { findings: ["a", "b"] } }),
        card("r1.clean", 40),
        card("r1.push", 1),
      ],
    }),
    artifacts: [artifact("x", "1"), artifact("y", "2"), artifact("z", "3")],
    cost_usd: 0.5,
  };
  const after: RunFacts = {
    root: card("r2", null, {
      state: "failed",
      children: [
        card("r2.audit", 61, { outputs: { findings: ["b", "c"] } }),
        card("r2.clean", 39, { state: "failed" }),
      ],
    }),
    artifacts: [artifact("x", "1"), artifact("y", "9"), artifact("w", "4")],
    cost_usd: 0.75,
  };
  const diff = diffRuns(before, after);

  it("are told apart by step, the greatest difference first", () => {
    expect(diff.steps.map((row) => [row.path, row.before_s, row.after_s, row.after])).toEqual([
      ["", 70, null, "failed"],
      ["audit", 30, 61, "done"],
      ["clean", 40, 39, "failed"],
      ["push", 1, null, null],
    ]);
    expect(diff.steps.map(delta)).toEqual([-70, 31, -1, -1]);
  });

  it("differ in what they left behind, found and cost", () => {
    expect(diff.artifacts).toEqual([
      { path: "y", change: "changed" },
      { path: "z", change: "only before" },
      { path: "w", change: "only now" },
    ]);
    expect(diff.same).toBe(1);
    expect(diff.findings).toEqual([
      { text: "a", only: "before" },
      { text: "c", only: "now" },
    ]);
    expect(diff.cost).toEqual({ before: 0.5, after: 0.75 });
  });
});
