// The rows of a step's log. The contract leaves a row's form to its kind; these are the forms, as far as the
// pages show them. Texts in them come from models, tools and repositories: they are shown as text, never obeyed.

import type { Answer, OrchestratorPaths } from "../api";

export type LogPage = Answer<OrchestratorPaths, "/jobs/{job_id}/log">;
export type LogRow = LogPage["rows"][number];

/** The `index`-th call (from 0) of the `turn`-th answer (from 1). */
export interface CallPlace {
  turn: number;
  index: number;
}

export interface TestTally {
  passed: number;
  failed: number;
  failing: string[];
}

export interface WrittenCall {
  tool: string;
  /** JSON text, or whatever the model wrote in its place. */
  args: string;
}

export type AnswerFinish = "stop" | "length" | "refused";
/** Of a call or of money, the budget or the proof. */
export type QuestionSubject =
  { asked: CallPlace } | { act: CallPlace } | { unknown: CallPlace } | "money" | "proof";
export type DecisionChoice = "answer" | "approve" | "reject" | "retry" | "stop";

interface ReportClaim {
  outcome: "done" | "partial" | "failed";
  summary: string;
}

export type StepVerdict =
  | "over_budget"
  | "turn_limit"
  | "time_limit"
  | { reported: ReportClaim }
  | { unproved: { claim: ReportClaim; proofs: number } }
  | { stuck: { rule: string } }
  | { refused: { text: string } }
  | { cancelled: { reason: string } }
  | { unknown: CallPlace }
  | { unanswered: { attempts: number } };

export interface RowForms {
  begun: {
    card: string;
    prove: string | null;
    money_left_nano: number | null;
    limits: { turns: number; worked_ms: number; calls_an_answer: number };
  };
  asked: { turn: number; attempt: number };
  ask_failed: { turn: number; error: string; elapsed_ms: number };
  answered: {
    turn: number;
    text: string;
    calls: WrittenCall[];
    finish: AnswerFinish;
    model: string;
    tokens_in: number;
    tokens_out: number;
    cost_nano: number;
    money_left_nano: number | null;
    elapsed_ms: number;
  };
  called: { place: CallPlace };
  returned: {
    place: CallPlace;
    text: string;
    is_error: boolean;
    full_bytes: number;
    diffstat: string | null;
    tests: TestTally | null;
    todo: string | null;
    elapsed_ms: number;
  };
  child_begun: { place: CallPlace; child: string; task: string };
  child_ended: {
    child: string;
    verdict: string;
    succeeded: boolean;
    text: string;
    cost_nano: number;
    diffstat: string | null;
  };
  question_asked: { question: string; subject: QuestionSubject; text: string };
  question_decided: { question: string; choice: DecisionChoice; words: string; by: string };
  person_said: { by: string; text: string };
  money_out: { scope: string; needed_nano: number; left_nano: number };
  nudged: { rule: string; count: number; text: string };
  context_breached: { tokens: number };
  summarised: { until: number; text: string; cost_nano: number; elapsed_ms: number };
  proof_ended: {
    passed: boolean;
    text: string;
    commit: string | null;
    tests: TestTally | null;
    elapsed_ms: number;
  };
  cancel_asked: { by: string; reason: string };
  ended: StepVerdict;
  taken_up: { run: string; snapshot: string; text: string };
  money_carved: { place: CallPlace; child: string; cap_nano: number; left_nano: number | null };
}

export type RowKind = keyof RowForms;
/** A row of a kind that this build knows. */
export type KnownRow = {
  [Kind in RowKind]: { seq: number; kind: Kind; headline: string; row: RowForms[Kind] };
}[RowKind];
