// Two runs side by side: what took longer, what came out otherwise, what was found. Pure.

import type { Artifact, JobCard } from "./api";
import { steps } from "./jobs";
import { findings } from "./timeline";

/** A run with what it left behind and what it cost. */
export interface RunFacts {
  root: JobCard;
  artifacts: Artifact[];
  cost_usd: number;
}

export interface StepDiff {
  /** Within its run; empty for the run itself. */
  path: string;
  task: string;
  /** Null: the run has no such step, or has not begun it. */
  before_s: number | null;
  after_s: number | null;
  before: JobCard["state"] | null;
  after: JobCard["state"] | null;
}

export interface RunDiff {
  /** The run itself first, then by how much the time differs. */
  steps: StepDiff[];
  artifacts: { path: string; change: "changed" | "only before" | "only now" }[];
  /** Artifacts that are equal to the byte. */
  same: number;
  findings: { text: string; only: "before" | "now" }[];
  cost: { before: number; after: number };
}

export function diffRuns(before: RunFacts, after: RunFacts): RunDiff {
  const [olds, news] = [byPath(before.root), byPath(after.root)];
  const rows = [...new Set([...olds.keys(), ...news.keys()])].map((path): StepDiff => {
    const [old, now] = [olds.get(path), news.get(path)];
    return {
      path,
      task: (now ?? old)?.task ?? "",
      before_s: took(old),
      after_s: took(now),
      before: old?.state ?? null,
      after: now?.state ?? null,
    };
  });
  const [whole, parts] = [rows.filter((row) => row.path === ""), rows.filter((row) => row.path !== "")];
  return {
    steps: [...whole, ...parts.sort((a, b) => Math.abs(delta(b)) - Math.abs(delta(a)))],
    ...diffArtifacts(before.artifacts, after.artifacts),
    findings: [
      ...missing(findings(before.root), findings(after.root), "before"),
      ...missing(findings(after.root), findings(before.root), "now"),
    ],
    cost: { before: before.cost_usd, after: after.cost_usd },
  };
}

/** How much longer it took; of a step of one run only, its whole time. */
export function delta(row: StepDiff): number {
  return (row.after_s ?? 0) - (row.before_s ?? 0);
}

/** The steps that have no parts of their own, and the run. */
function byPath(root: JobCard): Map<string, JobCard> {
  const shown = steps(root).filter(({ card }) => card === root || (card.children ?? []).length === 0);
  return new Map(shown.map(({ card }) => [card.job_id.slice(root.job_id.length + 1), card]));
}

function took(card: JobCard | undefined): number | null {
  if (!card?.started_at || !card.ended_at) return null;
  return (Date.parse(card.ended_at) - Date.parse(card.started_at)) / 1000;
}

function diffArtifacts(before: Artifact[], after: Artifact[]): Pick<RunDiff, "artifacts" | "same"> {
  const [olds, news] = [hashes(before), hashes(after)];
  const artifacts: RunDiff["artifacts"] = [];
  let same = 0;
  for (const [path, hash] of olds) {
    const now = news.get(path);
    if (now === hash) same += 1;
    else artifacts.push({ path, change: now === undefined ? "only before" : "changed" });
  }
  for (const path of news.keys()) if (!olds.has(path)) artifacts.push({ path, change: "only now" });
  return { artifacts, same };
}

const hashes = (all: Artifact[]) => new Map(all.map((one) => [one.path, one.blake3]));

function missing(these: string[], others: string[], only: "before" | "now"): RunDiff["findings"] {
  return these.filter((one) => !others.includes(one)).map((text) => ({ text, only }));
}
