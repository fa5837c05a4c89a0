// Folds a step's log from its rows. Pure.
//
// Rows are taken once, in their order; a part that a row does not touch stays the same object.

import { briefOf, claimOf, fieldsOf } from "./calls";
import { dollars, type LogCall, type LogTurn, type StepLog } from "./log";
import { noteOf } from "./notes";
import type { CallPlace, KnownRow, LogRow, RowForms } from "./rows";
import { shown } from "./shown";

/** The log with newer rows; rows that were taken before are passed over. */
export function advance(log: StepLog, rows: readonly LogRow[]): StepLog {
  const next = { ...log, entries: log.entries.slice() };
  for (const row of rows) {
    if (row.seq <= next.seq) continue;
    next.seq = row.seq;
    take(next, row as KnownRow);
    const note = noteOf(row as KnownRow);
    if (note) next.entries.push(note);
  }
  return next;
}

function take(log: StepLog, { kind, row, seq }: KnownRow): void {
  switch (kind) {
    case "begun":
      log.begun = row;
      log.moneyLeftUsd = row.money_left_nano === null ? null : dollars(row.money_left_nano);
      return;
    case "asked":
      log.isAsking = true;
      if (!changeTurn(log, row.turn, (turn) => ({ ...turn, attempt: row.attempt }))) pushTurn(log, seq, row);
      return;
    case "ask_failed":
      log.isAsking = false;
      log.workedMs += row.elapsed_ms;
      changeTurn(log, row.turn, (turn) => ({
        ...turn,
        failures: [...turn.failures, shown(row.error, 2000)],
      }));
      return;
    case "answered":
      answered(log, row, seq);
      return;
    case "called":
      changeCall(log, row.place, (call) => ({ ...call, hasBegun: true }));
      return;
    case "returned":
      returned(log, row);
      return;
    case "child_begun":
      changeCall(log, row.place, (call) => ({ ...call, hasBegun: true, child: row.child }));
      return;
    case "child_ended":
      childEnded(log, row);
      return;
    case "question_asked":
      log.question = { id: row.question, subject: row.subject, text: shown(row.text) };
      return;
    case "question_decided":
      decided(log, row.choice);
      return;
    case "person_said":
      log.messagesRead += 1;
      return;
    case "money_out":
      log.isMoneyOut = true;
      return;
    case "summarised":
      log.workedMs += row.elapsed_ms;
      log.costUsd += dollars(row.cost_nano);
      return;
    case "proof_ended":
      log.workedMs += row.elapsed_ms;
      log.proof = { passed: row.passed, text: shown(row.text), elapsedMs: row.elapsed_ms };
      log.tests = row.tests ?? log.tests;
      settleReport(log);
      return;
    case "ended":
      log.verdict = row;
      log.isAsking = false;
      log.question = null;
      return;
  }
}

function pushTurn(log: StepLog, seq: number, { turn, attempt }: { turn: number; attempt: number }): void {
  log.entries.push({ is: "turn", seq, turn, attempt, failures: [], answer: null, calls: [] });
}

function answered(log: StepLog, row: RowForms["answered"], seq: number): void {
  if (!changeTurn(log, row.turn, (turn) => turn)) pushTurn(log, seq, { turn: row.turn, attempt: 1 });
  log.isAsking = false;
  log.turns = row.turn;
  log.calls += row.calls.length;
  log.costUsd += dollars(row.cost_nano);
  log.workedMs += row.elapsed_ms;
  if (row.money_left_nano !== null) log.moneyLeftUsd = dollars(row.money_left_nano);
  const calls = row.calls.map(({ tool, args }, index) => ({
    place: { turn: row.turn, index },
    tool: shown(tool, 80),
    brief: briefOf(args),
    fields: fieldsOf(args),
    hasBegun: false,
    result: null,
    isSettled: isRefusedAtOnce(row, index, log.begun?.limits.calls_an_answer ?? Infinity),
    child: null,
  }));
  changeTurn(log, row.turn, (turn) => ({
    ...turn,
    answer: {
      text: shown(row.text),
      finish: row.finish,
      model: row.model,
      tokensIn: row.tokens_in,
      tokensOut: row.tokens_out,
      costUsd: dollars(row.cost_nano),
      elapsedMs: row.elapsed_ms,
    },
    calls,
  }));
}

/** Calls that the daemon answers itself leave no row: too many, behind a report, cut in two, a report without form. */
function isRefusedAtOnce(row: RowForms["answered"], index: number, most: number): boolean {
  const isClaim = (call: { tool: string; args: string }) =>
    call.tool === "report" && claimOf(call.args) !== null;
  const call = row.calls[index];
  if (!call || index >= most || row.calls.slice(0, index).some(isClaim)) return true;
  if (call.tool === "report") return !isClaim(call);
  return row.finish === "length" && index === row.calls.length - 1 && !call.args.trimEnd().endsWith("}");
}

function returned(log: StepLog, row: RowForms["returned"]): void {
  log.workedMs += row.elapsed_ms;
  log.diffstat = row.diffstat ?? log.diffstat;
  log.tests = row.tests ?? log.tests;
  log.todo = row.todo === null ? log.todo : shown(row.todo);
  const isWhole = row.full_bytes <= new TextEncoder().encode(row.text).length;
  const result = {
    text: shown(row.text),
    isError: row.is_error,
    wholeBytes: isWhole ? null : row.full_bytes,
    tests: row.tests,
    elapsedMs: row.elapsed_ms,
  };
  changeCall(log, row.place, (call) => ({ ...call, result, isSettled: true }));
}

function childEnded(log: StepLog, row: RowForms["child_ended"]): void {
  log.childrenUsd += dollars(row.cost_nano);
  log.diffstat = row.diffstat ?? log.diffstat;
  const text = shown(`${row.verdict}\n${row.text}`);
  const result = { text, isError: !row.succeeded, wholeBytes: null, tests: null, elapsedMs: null };
  const of = log.entries.findLast(
    (entry): entry is LogTurn => entry.is === "turn" && entry.calls.some((call) => call.child === row.child),
  );
  const call = of?.calls.find((one) => one.child === row.child);
  if (call) changeCall(log, call.place, (one) => ({ ...one, result, isSettled: true }));
}

function decided(log: StepLog, choice: RowForms["question_decided"]["choice"]): void {
  const subject = log.question?.subject;
  log.question = null;
  if (subject === undefined) return;
  if (subject === "money") {
    if (choice !== "reject" && choice !== "stop") log.isMoneyOut = false;
  } else if (subject === "proof") {
    if (choice === "reject") settleReport(log);
  } else {
    // What is to be run after a yes has its result in a row of its own.
    const place = Object.values(subject)[0] as CallPlace;
    const runs = choice === "retry" || ("act" in subject && choice !== "reject" && choice !== "stop");
    if (!runs) changeCall(log, place, (call) => ({ ...call, isSettled: true }));
  }
}

function settleReport(log: StepLog): void {
  changeTurn(log, log.turns, (turn) => ({
    ...turn,
    calls: turn.calls.map((call) => (call.tool === "report" ? { ...call, isSettled: true } : call)),
  }));
}

function changeTurn(log: StepLog, number: number, change: (turn: LogTurn) => LogTurn): boolean {
  const at = log.entries.findLastIndex((entry) => entry.is === "turn" && entry.turn === number);
  const turn = log.entries[at];
  if (turn?.is !== "turn") return false;
  log.entries[at] = change(turn);
  return true;
}

function changeCall(log: StepLog, { turn, index }: CallPlace, change: (call: LogCall) => LogCall): void {
  changeTurn(log, turn, (one) => ({
    ...one,
    calls: one.calls.map((call, at) => (at === index ? change(call) : call)),
  }));
}
