// What stands between the turns of a log: words, questions, nudges, proofs, the end. Each with a title and a look.

import { duration, usd } from "../format";
import type { Look } from "../status";
import { objectOf } from "./calls";
import { dollars } from "./log";
import type { KnownRow, QuestionSubject, RowForms, StepVerdict } from "./rows";
import { firstLine, shown } from "./shown";

export interface LogNote {
  is: "note";
  seq: number;
  /** The row's kind, in words. */
  kind: string;
  look: Look;
  title: string;
  text: string;
}

/** The note that a row leaves; null for rows that are a part of a turn. */
export function noteOf({ seq, kind, row, headline }: KnownRow): LogNote | null {
  const note = (look: Look, title: string, text = ""): LogNote => ({
    is: "note",
    seq,
    kind: words(kind),
    look,
    title,
    text: shown(text),
  });
  switch (kind) {
    case "asked":
    case "ask_failed":
    case "answered":
    case "called":
    case "returned":
    case "child_begun":
    case "child_ended":
      return null;
    case "begun":
      return note("queued", "The card", row.card);
    case "person_said":
      return note("idle", `${firstLine(row.by, 60)} says`, row.text);
    case "question_asked":
      return note("approval", subjectWords(row.subject), questionText(row));
    case "question_decided":
      return note(lookOfChoice(row.choice), `${firstLine(row.by, 60)}: ${CHOICES[row.choice]}`, row.words);
    case "nudged":
      return note("blocked", `Nudged: ${words(row.rule)}, ${row.count} times`, row.text);
    case "summarised":
      return note("idle", `Turns up to ${row.until} summarised for ${usd(dollars(row.cost_nano))}`, row.text);
    case "context_breached":
      return note("blocked", `The context is too large: ${row.tokens.toLocaleString("en-US")} tokens`);
    case "money_out":
      return note(
        "approval",
        `Out of money: the cap of the ${firstLine(row.scope, 60)} leaves ${usd(dollars(row.left_nano))}, ${usd(dollars(row.needed_nano))} are needed`,
      );
    case "proof_ended":
      return note(
        row.passed ? "done" : "error",
        `Proof ${row.passed ? "passed" : "failed"} after ${duration(row.elapsed_ms / 1000)}`,
        row.text,
      );
    case "cancel_asked":
      return note("queued", `${firstLine(row.by, 60)} cancels`, row.reason);
    case "ended":
      return note(lookOfVerdict(row), `Ended: ${verdictWords(row)}`, verdictText(row));
    case "taken_up":
      return note("idle", `Goes on with the work of ${firstLine(row.run, 60)}`, row.text);
    case "money_carved":
      return note("idle", `${usd(dollars(row.cap_nano))} set aside for ${firstLine(row.child, 60)}`);
    default: // Of a later version of the daemon.
      return {
        is: "note",
        seq,
        kind: words(String(kind)),
        look: "idle",
        title: firstLine(String(headline)),
        text: "",
      };
  }
}

const CHOICES: Record<RowForms["question_decided"]["choice"], string> = {
  answer: "answers",
  approve: "yes",
  reject: "no",
  retry: "run it again",
  stop: "stop",
};

function lookOfChoice(choice: RowForms["question_decided"]["choice"]): Look {
  return choice === "reject" || choice === "stop" ? "error" : "done";
}

/** What a question is about. */
export function subjectWords(subject: QuestionSubject): string {
  if (subject === "money") return "Asks for money";
  if (subject === "proof") return "Asks for consent to what the proof found";
  if ("asked" in subject) return "Asks a person";
  const call = "act" in subject ? subject.act : subject.unknown;
  const name = `call ${call.turn}.${call.index}`;
  return "act" in subject ? `Asks whether it may run ${name}` : `Asks whether ${name} was carried out`;
}

/** The model's own question is the arguments of its call. */
export function questionText({
  subject,
  text,
}: Pick<RowForms["question_asked"], "subject" | "text">): string {
  const given = typeof subject === "object" && "asked" in subject ? objectOf(text) : null;
  if (typeof given?.["question"] !== "string") return text;
  const options = Array.isArray(given["options"]) ? given["options"].map((one) => `- ${String(one)}`) : [];
  const otherwise = typeof given["default"] === "string" ? [`Otherwise: ${given["default"]}`] : [];
  return [given["question"], ...options, ...otherwise].join("\n");
}

function lookOfVerdict(verdict: StepVerdict): Look {
  if (typeof verdict === "string") return "error";
  if ("reported" in verdict) return verdict.reported.outcome === "done" ? "done" : "blocked";
  return "cancelled" in verdict ? "queued" : "error";
}

export function verdictWords(verdict: StepVerdict): string {
  if (typeof verdict === "string")
    return {
      over_budget: "the budget was used up and not raised",
      turn_limit: "its turns were used up",
      time_limit: "its time was used up",
    }[verdict];
  if ("reported" in verdict)
    return {
      done: "reported as done",
      partial: "reported as done in part",
      failed: "reported as impossible",
    }[verdict.reported.outcome];
  if ("unproved" in verdict) return `reported as done, and ${verdict.unproved.proofs} proofs failed`;
  if ("stuck" in verdict) return `stuck: ${words(verdict.stuck.rule)}`;
  if ("refused" in verdict) return "the model declined";
  if ("cancelled" in verdict) return `cancelled by ${firstLine(verdict.cancelled.reason)}`;
  if ("unanswered" in verdict)
    return `the model was asked ${verdict.unanswered.attempts} times and never answered`;
  return "nobody knows whether a call was carried out";
}

function verdictText(verdict: StepVerdict): string {
  if (typeof verdict === "string") return "";
  if ("reported" in verdict) return verdict.reported.summary;
  if ("unproved" in verdict) return verdict.unproved.claim.summary;
  return "refused" in verdict ? verdict.refused.text : "";
}

function words(term: string): string {
  return term.replaceAll("_", " ");
}
