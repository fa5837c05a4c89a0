// Where a step stands by its log: asking, acting, proving, waiting and on whom, ended. Pure.

import type { JobCard } from "../api";
import { plural } from "../format";
import { hasEnded } from "../jobs";
import type { Look } from "../status";
import type { LogTurn, StepLog } from "./log";
import { verdictWords } from "./notes";

export interface StepPhase {
  word: "fresh" | "asking" | "acting" | "waiting" | "proving" | "paused" | "ended";
  look: Look;
  /** The whole of it, such as `waits for a person: the budget`. */
  text: string;
}

/** `card`: the job whose log it is, with those below it, where they are known. */
export function phaseOf(log: StepLog, card: JobCard | null): StepPhase {
  if (log.verdict !== null)
    return { word: "ended", look: "done", text: `ended: ${verdictWords(log.verdict)}` };
  if (card && hasEnded(card.state)) return { word: "ended", look: "queued", text: `ended: ${card.state}` };
  if (log.begun === null) return { word: "fresh", look: "queued", text: "has not begun" };
  const waiting = waitOf(log);
  if (waiting !== null) return { word: "waiting", look: "approval", text: `waits for a person: ${waiting}` };
  if (card?.state === "paused") return { word: "paused", look: "paused", text: "is paused" };
  const last = log.entries.findLast((entry): entry is LogTurn => entry.is === "turn") ?? null;
  if (log.isAsking) {
    const again = last && last.attempt > 1 ? `, attempt ${last.attempt}` : "";
    return { word: "asking", look: "running", text: `asks the model, turn ${last?.turn ?? 1}${again}` };
  }
  const open = last?.calls.filter((call) => !call.isSettled) ?? [];
  if (open[0]?.tool === "report" && log.begun.prove !== null) return proving(card);
  const children = open.filter((call) => call.child !== null);
  if (children.length > 0 && children.length === open.length)
    return {
      word: "waiting",
      look: "blocked",
      text: `waits for ${plural(children.length, "child", "children")}`,
    };
  const left = open.length > 0 ? `, ${plural(open.length, "call")} left` : "";
  return { word: "acting", look: "running", text: `acts on turn ${log.turns}${left}` };
}

function waitOf(log: StepLog): string | null {
  if (log.question === null) return log.isMoneyOut ? "the budget" : null;
  const { subject } = log.question;
  if (subject === "money") return "the budget";
  if (subject === "proof") return "consent to what the proof found";
  if ("asked" in subject) return "its question";
  return "act" in subject ? "consent to a call" : "whether a call was carried out";
}

function proving(card: JobCard | null): StepPhase {
  const reviewer = card?.children?.findLast((one) => !hasEnded(one.state));
  return reviewer
    ? { word: "waiting", look: "running", text: `is reviewed by ${reviewer.agent}` }
    : { word: "proving", look: "running", text: "the daemon proves its report" };
}
