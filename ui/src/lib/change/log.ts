// A step's log as the pages hold it: turns with their calls, what was said between them, and how it stands.

import type { CallFields } from "./calls";
import type { LogNote } from "./notes";
import type { AnswerFinish, CallPlace, QuestionSubject, RowForms, StepVerdict, TestTally } from "./rows";

export interface CallResult {
  text: string;
  isError: boolean;
  /** Bytes of the whole output, where `text` is a part of it. */
  wholeBytes: number | null;
  tests: TestTally | null;
  elapsedMs: number | null;
}

export interface LogCall {
  place: CallPlace;
  tool: string;
  brief: string;
  fields: CallFields;
  hasBegun: boolean;
  result: CallResult | null;
  /** It has its answer elsewhere: in a decision, a proof or the step's end. */
  isSettled: boolean;
  child: string | null;
}

export interface TurnAnswer {
  text: string;
  finish: AnswerFinish;
  model: string;
  tokensIn: number;
  tokensOut: number;
  costUsd: number;
  elapsedMs: number;
}

export interface LogTurn {
  is: "turn";
  seq: number;
  turn: number;
  attempt: number;
  failures: string[];
  answer: TurnAnswer | null;
  calls: LogCall[];
}

export interface OpenQuestion {
  id: string;
  subject: QuestionSubject;
  text: string;
}

export interface StepLog {
  job: string | null;
  /** Number of the last row taken. */
  seq: number;
  entries: (LogTurn | LogNote)[];
  begun: RowForms["begun"] | null;
  turns: number;
  calls: number;
  costUsd: number;
  childrenUsd: number;
  moneyLeftUsd: number | null;
  workedMs: number;
  isAsking: boolean;
  isMoneyOut: boolean;
  question: OpenQuestion | null;
  messagesRead: number;
  diffstat: string | null;
  todo: string | null;
  tests: TestTally | null;
  proof: { passed: boolean; text: string; elapsedMs: number } | null;
  verdict: StepVerdict | null;
}

export function emptyLog(job: string | null = null): StepLog {
  return {
    job,
    seq: 0,
    entries: [],
    begun: null,
    turns: 0,
    calls: 0,
    costUsd: 0,
    childrenUsd: 0,
    moneyLeftUsd: null,
    workedMs: 0,
    isAsking: false,
    isMoneyOut: false,
    question: null,
    messagesRead: 0,
    diffstat: null,
    todo: null,
    tests: null,
    proof: null,
    verdict: null,
  };
}

/** Nano-dollars are the daemon's; the pages show dollars. */
export const dollars = (nano: number) => nano / 1e9;
