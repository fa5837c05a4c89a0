// Rows for tests: a change of two reports, in the form and order in which the daemon writes them.

import type { CallPlace, KnownRow, LogRow, RowForms, RowKind } from "./rows";

/** Rows with their numbers, from `first` on. */
export function numbered(rows: readonly Omit<LogRow, "seq">[], first = 1): LogRow[] {
  return rows.map((row, at) => ({ ...row, seq: first + at }));
}

export function row<Kind extends RowKind>(kind: Kind, form: RowForms[Kind]): Omit<LogRow, "seq"> {
  return { kind, headline: kind, row: form } satisfies Omit<KnownRow, "seq" | "row" | "kind"> & {
    kind: Kind;
    row: RowForms[Kind];
  };
}

export function answer(turn: number, text: string, calls: [tool: string, args: unknown][]) {
  return row("answered", {
    turn,
    text,
    calls: calls.map(([tool, args]) => ({
      tool,
      args: typeof args === "string" ? args : JSON.stringify(args),
    })),
    finish: "stop",
    model: "anthropic/claude-sonnet-4-5",
    tokens_in: 4_000 + 2_300 * turn,
    tokens_out: 180 + 40 * turn,
    cost_nano: 12_000_000 + 3_000_000 * turn,
    money_left_nano: 2_000_000_000 - 15_000_000 * turn,
    elapsed_ms: 2_400 + 300 * turn,
  });
}

export function result(place: CallPlace, text: string, more: Partial<RowForms["returned"]> = {}) {
  return row("returned", {
    place,
    text,
    is_error: false,
    full_bytes: text.length,
    diffstat: null,
    tests: null,
    todo: null,
    elapsed_ms: 14,
    ...more,
  });
}

const asked = (turn: number) => row("asked", { turn, attempt: 1 });
const at = (turn: number, index = 0): CallPlace => ({ turn, index });

/** A tool's result that would like to be more than text. */
export const HOSTILE = '<img src=x onerror="document.title=1"> \u202eelif\u001b[31mred\u001b[0m';

const SOURCE = Array.from(
  { length: 40 },
  (_, no) => `${String(no + 1).padStart(4)}  ${["def merge(slots):", "    out = []", ""][no % 3]}`,
);
const STAT = [
  " slotbook/merge.py      | 14 ++++++++++----",
  " tests/test_merge.py    |  9 +++++++++",
  " 2 files changed, 19 insertions(+), 4 deletions(-)",
  "",
].join("\n");
const FAILING = [
  "F.....",
  "FAILED tests/test_merge.py::test_touching - assert [(9, 10), (10, 11)] == [(9, 11)]",
  "1 failed, 11 passed in 0.41s",
].join("\n");

/** Two turns, and a third that acts. */
export const BEGINNING = numbered([
  row("begun", {
    card: "Make overlapping meetings merge.\nThe public signature stays as it is.",
    prove: "python -m pytest -q",
    money_left_nano: 2_000_000_000,
    limits: { turns: 60, worked_ms: 3_600_000, calls_an_answer: 8 },
  }),
  asked(1),
  answer(1, "I begin with the code that merges, and its tests.", [
    ["read", { path: "slotbook/merge.py" }],
    ["grep", { pattern: "def test_", path: "tests", glob: "*.py" }],
    ["todo", { plan: "- [ ] find out why touching meetings stay apart\n- [ ] mend it\n- [ ] test" }],
  ]),
  result(at(1), SOURCE.join("\n"), { full_bytes: 90_000 }),
  result(at(1, 1), HOSTILE),
  result(at(1, 2), "kept", {
    todo: "- [ ] find out why touching meetings stay apart\n- [ ] mend it\n- [ ] test",
  }),
  row("person_said", { by: "ada", text: "Meetings that only touch count as overlapping." }),
  asked(2),
  row("ask_failed", { turn: 2, error: "anthropic answers 529: overloaded", elapsed_ms: 900 }),
  row("asked", { turn: 2, attempt: 2 }),
  answer(2, "The comparison is strict, so meetings that touch stay apart. I change it and run the tests.", [
    [
      "edit",
      { path: "slotbook/merge.py", edits: [{ old: "if start < end:", new: "if start <= end:", count: 1 }] },
    ],
    ["bash", { command: "python -m pytest -q", timeout_s: 120 }],
  ]),
  row("called", { place: at(2) }),
  result(at(2), "1 replaced", { diffstat: STAT }),
  row("called", { place: at(2, 1) }),
  result(at(2, 1), FAILING, {
    is_error: true,
    tests: { passed: 11, failed: 1, failing: ["test_touching"] },
    elapsed_ms: 2_310,
  }),
  row("nudged", {
    rule: "same_error",
    count: 4,
    text: "The same test has failed four times. Read what it compares.",
  }),
  asked(3),
  answer(3, "", [["ask", { question: "May 9-10 and 10-11 become one meeting?", options: ["yes", "no"] }]]),
]);

const next = (rows: readonly LogRow[]) => (rows.at(-1)?.seq ?? 0) + 1;

export const QUESTION = numbered(
  [
    row("question_asked", {
      question: "q19",
      subject: { asked: at(3) },
      text: '{"question":"May 9-10 and 10-11 become one meeting?","options":["yes","no"]}',
    }),
  ],
  next(BEGINNING),
);

export const END = numbered(
  [
    row("question_decided", { question: "q19", choice: "answer", words: "yes", by: "operator" }),
    asked(4),
    answer(4, "", [["report", { outcome: "done", summary: "Meetings that touch are merged." }]]),
    row("proof_ended", {
      passed: false,
      text: "A reviewer finds the change wrong:\n- slotbook/merge.py:12: an empty list raises\n  it blocks: its test fails",
      commit: "8c1f0e5d2a7b",
      tests: { passed: 12, failed: 0, failing: [] },
      elapsed_ms: 21_000,
    }),
    asked(5),
    answer(5, "An empty list comes back as it is.", [
      ["report", { outcome: "done", summary: "Empty lists are no error." }],
    ]),
    row("proof_ended", {
      passed: true,
      text: "Proved and approved; the review is independent: written with anthropic, reviewed with openai.",
      commit: "8c1f0e5d2a7bb1c3",
      tests: { passed: 13, failed: 0, failing: [] },
      elapsed_ms: 19_400,
    }),
    row("ended", {
      reported: { outcome: "done", summary: "Meetings that touch are merged; empty lists are no error." },
    }),
  ],
  next(QUESTION),
);
