// Reviews of a change as remarks with their standing: from the kept verdicts, or while it goes on from the reviewers' jobs.

import type { Artifact, JobCard } from "../api";
import { stepOf, textOf } from "../format";
import { steps } from "../jobs";
import type { Look } from "../status";
import { objectOf } from "./calls";
import { firstLine, shown } from "./shown";

/** The daemon takes 20 remarks a review. */
const MOST_REMARKS = 20;

export interface ReviewRemark {
  place: string;
  look: Look;
  /** `blocks`, `note` or `resolved`, with the reason where there is one. */
  standing: string;
  input: string;
  proposal: string;
  test: string;
}

export interface ReviewRound {
  name: string;
  reviewer: string;
  /** Whose models wrote and reviewed; empty while that is not told. */
  independence: string;
  summary: string;
  remarks: ReviewRemark[];
}

type Fields = Record<string, unknown>;
const fields = (value: unknown): Fields =>
  value !== null && typeof value === "object" ? (value as Fields) : {};
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

/** The file with the verdicts of all rounds. */
export function reviewFile(artifacts: readonly Artifact[]): Artifact | null {
  return artifacts.find((one) => one.kind === "review" && one.path.endsWith("review.json")) ?? null;
}

/** Rounds as the daemon has settled them. */
export function readVerdicts(text: string): ReviewRound[] {
  let verdicts: unknown;
  try {
    verdicts = JSON.parse(text);
  } catch {
    return [];
  }
  return list(verdicts).map((one) => {
    const verdict = fields(one);
    return {
      name: `Round ${Number(verdict["round"])}`,
      reviewer: reviewerOf(verdict),
      independence: independenceWords(verdict["independence"]),
      summary: shown(textOf(verdict["summary"])),
      remarks: list(verdict["remarks"])
        .slice(0, MOST_REMARKS)
        .map((settled) => remarkOf(fields(fields(settled)["remark"]), fields(settled)["standing"])),
    };
  });
}

/** Rounds as their reviewers reported them: nothing has settled them yet. */
export function reportedRounds(root: JobCard): ReviewRound[] {
  return steps(root).flatMap(({ card }) => {
    const report = objectOf(textOf(card.outputs["review"]));
    if (report === null) return [];
    return {
      name: stepOf(card.job_id).replace(/^review(\d+)$/, "Round $1"),
      reviewer: reviewerOf(card.outputs),
      independence: "",
      summary: shown(textOf(report["summary"])),
      remarks: list(report["remarks"])
        .slice(0, MOST_REMARKS)
        .map((one) => remarkOf(fields(one), null)),
    };
  });
}

function reviewerOf(from: Fields): string {
  return [from["vendor"], from["model"]]
    .map((one) => firstLine(textOf(one), 80))
    .filter(Boolean)
    .join(" ");
}

function remarkOf(remark: Fields, settled: unknown): ReviewRemark {
  const place = fields(remark["place"]);
  const line = typeof place["line"] === "number" ? `:${place["line"]}` : "";
  return {
    place: `${firstLine(textOf(place["path"]))}${line}`,
    ...standingOf(remark, settled),
    input: shown(textOf(remark["input"]), 4000),
    proposal: shown(textOf(remark["proposal"]), 4000),
    test: shown(textOf(remark["test"]) || textOf(remark["no_test"])),
  };
}

function standingOf(remark: Fields, settled: unknown): { look: Look; standing: string } {
  if (settled === "resolved") return { look: "done", standing: "resolved" };
  const { blocking, note } = fields(settled);
  if (blocking !== undefined)
    return { look: "error", standing: because("blocks", fields(blocking)["because"]) };
  if (note !== undefined) return { look: "idle", standing: because("note", fields(note)["demoted"]) };
  const isGrave = remark["severity"] === "blocking";
  return { look: isGrave ? "blocked" : "idle", standing: isGrave ? "said to block" : "note" };
}

function because(word: string, reason: unknown): string {
  const why = firstLine(textOf(reason));
  return why ? `${word}: ${why}` : word;
}

function independenceWords(value: unknown): string {
  const { other_vendor: other, same_vendor: same } = fields(value);
  if (other !== undefined) {
    const authors = list(fields(other)["authors"]).map((one) => firstLine(textOf(one), 60));
    return `independent: written with ${authors.join(" and ")}`;
  }
  if (same !== undefined)
    return `not independent: ${firstLine(textOf(fields(same)["vendor"]), 60)} wrote it too`;
  return "not known to be independent";
}
