import { describe, expect, it } from "vitest";
import type { JobCard } from "../api";
import { briefOf, claimOf, fieldsOf } from "./calls";
import { closingOf, thinkersOf } from "./closing";
import { readStat } from "./diffstat";
import { advance } from "./fold";
import { emptyLog, type LogCall, type LogTurn, type StepLog } from "./log";
import { verdictWords } from "./notes";
import { phaseOf } from "./phase";
import { readVerdicts, reportedRounds } from "./review";
import { firstLine, MOST_KEPT, preview, shown } from "./shown";
import { answer, BEGINNING, END, HOSTILE, numbered, QUESTION, result, row } from "./testing";

const fold = (...parts: (typeof BEGINNING)[]) => parts.reduce(advance, emptyLog("r.write"));
const turnsOf = (log: StepLog) => log.entries.filter((entry): entry is LogTurn => entry.is === "turn");
const callOf = (log: StepLog, turn: number, index = 0): LogCall | undefined =>
  turnsOf(log).find((one) => one.turn === turn)?.calls[index];
const card = (job_id: string, more: Partial<JobCard> = {}) =>
  ({ job_id, state: "running", outputs: {}, children: [], agent: "code-writer", ...more }) as JobCard;

describe("a step's log", () => {
  const whole = fold(BEGINNING, QUESTION, END);

  it("is turns with their calls, and what stands between them, in order", () => {
    expect(whole.entries.map((entry) => (entry.is === "turn" ? `turn ${entry.turn}` : entry.kind))).toEqual([
      ...["begun", "turn 1", "person said", "turn 2", "nudged", "turn 3"],
      ...["question asked", "question decided", "turn 4", "proof ended", "turn 5", "proof ended", "ended"],
    ]);
    expect(callOf(whole, 2, 1)).toMatchObject({
      tool: "bash",
      brief: "python -m pytest -q",
      result: { isError: true, tests: { failed: 1 } },
    });
    expect(turnsOf(whole)[1]).toMatchObject({ attempt: 2, failures: ["anthropic answers 529: overloaded"] });
  });

  it("is the same read at once, row by row, and with rows that come twice", () => {
    const all = [...BEGINNING, ...QUESTION, ...END];
    expect(fold(...all.map((one) => [one]))).toEqual(whole);
    expect(fold(all, all.slice(3, 9))).toEqual(whole);
  });

  it("keeps what a row does not touch, and never changes what was given", () => {
    const before = fold(BEGINNING);
    const kept = structuredClone(before);
    const after = advance(before, QUESTION);
    expect(before).toEqual(kept);
    expect(turnsOf(after)[0]).toBe(turnsOf(before)[0]);
  });

  it("sums money and time as the daemon does", () => {
    expect(whole).toMatchObject({ turns: 5, calls: 8, messagesRead: 1, seq: 27 });
    expect(whole.costUsd).toBeCloseTo(0.105);
    expect(whole.moneyLeftUsd).toBeCloseTo(1.925);
    expect(whole.workedMs).toBe(900 + 16_500 + 4 * 14 + 2_310 + 40_400);
    expect(whole.diffstat).toContain("2 files changed");
    expect(whole.proof?.passed).toBe(true);
    expect(whole.tests).toMatchObject({ passed: 13, failed: 0 });
  });

  it("knows a result that is only a part", () => {
    expect(callOf(whole, 1)?.result?.wholeBytes).toBe(90_000);
    expect(callOf(whole, 1, 1)?.result?.wholeBytes).toBeNull();
  });

  it("bears a kind of row that it does not know", () => {
    const odd = [{ seq: 1, kind: "sang_aloud", headline: "la la", row: null }];
    expect(advance(emptyLog(), odd).entries).toMatchObject([{ kind: "sang aloud", title: "la la" }]);
  });

  it("names the run that a step goes on with, and the money set aside for a piece", () => {
    const rows = numbered([
      row("taken_up", { run: "change-1", snapshot: "0123456789ab", text: "It ended stuck." }),
      row("asked", { turn: 1, attempt: 1 }),
      answer(1, "", [["delegate", { capability: "test", task: "write tests" }]]),
      row("money_carved", {
        place: { turn: 1, index: 0 },
        child: "r.lane.piece1x0",
        cap_nano: 25e7,
        left_nano: null,
      }),
    ]);
    const notes = advance(emptyLog(), rows).entries.filter((entry) => entry.is === "note");
    expect(notes).toMatchObject([
      { title: "Goes on with the work of change-1", text: "It ended stuck." },
      { title: "$0.25 set aside for r.lane.piece1x0" },
    ]);
  });

  it("gives a child's end to the call that began it", () => {
    const rows = numbered([
      row("asked", { turn: 1, attempt: 1 }),
      answer(1, "", [["delegate", { capability: "test", task: "write tests" }]]),
      row("child_begun", { place: { turn: 1, index: 0 }, child: "r.write.c1", task: "write tests" }),
    ]);
    const log = advance(emptyLog(), rows);
    expect(callOf(log, 1)).toMatchObject({ child: "r.write.c1", isSettled: false });
    const end = row("child_ended", {
      child: "r.write.c1",
      verdict: "reported",
      succeeded: true,
      text: "three tests",
      cost_nano: 5e7,
      diffstat: null,
    });
    const ended = advance(log, numbered([end], 4));
    expect(callOf(ended, 1)?.result).toMatchObject({ text: "reported\nthree tests", isError: false });
    expect(ended.childrenUsd).toBeCloseTo(0.05);
  });
});

describe("the phase of a step", () => {
  const words = (log: StepLog, of: JobCard | null = null) => phaseOf(log, of).text;
  const report = numbered([
    BEGINNING[0] ?? row("asked", { turn: 1, attempt: 1 }),
    row("asked", { turn: 1, attempt: 1 }),
    answer(1, "", [
      ["bash", { command: "true" }],
      ["report", { outcome: "done", summary: "all of it" }],
      ["read", { path: "x" }],
    ]),
    result({ turn: 1, index: 0 }, "ok"),
  ]);

  it("follows the rows", () => {
    expect(words(emptyLog())).toBe("has not begun");
    expect(words(fold(BEGINNING.slice(0, 2)))).toBe("asks the model, turn 1");
    expect(words(fold(BEGINNING.slice(0, 10)))).toBe("asks the model, turn 2, attempt 2");
    expect(words(fold(BEGINNING.slice(0, 4)))).toBe("acts on turn 1, 2 calls left");
    expect(words(fold(BEGINNING, QUESTION))).toBe("waits for a person: its question");
    expect(words(fold(BEGINNING, QUESTION, END))).toBe("ended: reported as done");
  });

  it("is proving from the report on, and says who reviews", () => {
    expect(words(fold(report.slice(0, 3)))).toBe("acts on turn 1, 2 calls left");
    expect(words(fold(report))).toBe("the daemon proves its report");
    const reviewed = card("r.write", { children: [card("r.write.review1", { agent: "peer-reviewer" })] });
    expect(words(fold(report), reviewed)).toBe("is reviewed by peer-reviewer");
  });

  it("waits for a budget until a person raises it", () => {
    const out = row("money_out", { scope: "run", needed_nano: 2e7, left_nano: 1e6 });
    const question = row("question_asked", { question: "q9", subject: "money", text: "Raise it?" });
    const yes = row("question_decided", { question: "q9", choice: "approve", words: "", by: "ada" });
    const log = fold(report, numbered([out, question], 5));
    expect(words(log)).toBe("waits for a person: the budget");
    expect(advance(log, numbered([yes], 7))).toMatchObject({ isMoneyOut: false, question: null });
  });

  it("has ended with its job, whatever its last row", () => {
    expect(words(fold(BEGINNING), card("r.write", { state: "cancelled" }))).toBe("ended: cancelled");
    expect(verdictWords({ stuck: { rule: "same_call" } })).toBe("stuck: same call");
  });
});

describe("texts of strangers", () => {
  it("show what would hide, and lose colours", () => {
    expect(shown(HOSTILE)).toBe('<img src=x onerror="document.title=1"> \\u{202e}elifred');
    expect(firstLine("\n\n  first \u0007\nsecond")).toBe("first \\u{7}");
  });

  it("are bounded, with their beginning and end", () => {
    const long = `begin${"x".repeat(100_000)}end`;
    const kept = shown(long);
    expect(kept.length).toBeLessThan(MOST_KEPT + 100);
    expect([kept.startsWith("begin"), kept.endsWith("end")]).toEqual([true, true]);
    expect(kept).toContain("84,008 characters left out");
    expect(preview("a\nb\nc", 2)).toEqual({ text: "a\nb", lines: 3, isAll: false });
    expect(preview("x".repeat(5000), 3).text.length).toBeLessThan(600);
    expect(preview("a", 3).isAll).toBe(true);
  });

  it("of calls are named by what they are about", () => {
    expect(briefOf('{"timeout_s":5,"command":"cargo test\\nrm x"}')).toBe("cargo test");
    expect(briefOf('{"path":"src","pattern":"fn "}')).toBe("src  fn");
    expect(briefOf("{broken")).toBe("{broken");
    expect(fieldsOf('{"a":["x","y"],"n":3}')).toEqual([
      ["a", "x\ny"],
      ["n", "3"],
    ]);
    expect(claimOf('{"outcome":"done","summary":" "}')).toBeNull();
  });
});

describe("what comes of a change", () => {
  const writer = card("r.code.write", {
    outputs: {
      branch: "pas/r",
      commit: "8c1f0e5d2a7bb1c3",
      merge: "git merge pas/r",
      runs_on_merge: [{ path: ".github/workflows/x.yml", occasion: "runs on the CI server" }],
    },
    children: [
      card("r.code.write.review1", {
        outputs: {
          vendor: "openai",
          review: JSON.stringify({
            summary: "Nearly.",
            remarks: [
              { place: { path: "a.py", line: 3 }, severity: "blocking", input: "[]", proposal: "check" },
            ],
          }),
        },
      }),
    ],
  });
  const root = card("r", { children: [card("r.code", { children: [writer] })] });

  it("is found wherever in the run it stands", () => {
    expect(closingOf(root)).toMatchObject({ branch: "pas/r", merge: "git merge pas/r", moreRunners: 0 });
    expect(closingOf(card("r"))).toBeNull();
    expect(thinkersOf(root, "r.code.write").map((one) => one.job_id)).toEqual([
      "r.code.write",
      "r.code.write.review1",
    ]);
  });

  it("has its reviews as reported, and then as settled", () => {
    expect(reportedRounds(root)).toMatchObject([
      { name: "Round 1", remarks: [{ place: "a.py:3", standing: "said to block" }] },
    ]);
    const verdict = {
      round: 2,
      vendor: "openai",
      model: "gpt-5",
      independence: { other_vendor: { authors: ["anthropic"], reviewer: "openai" } },
      summary: "Good.",
      remarks: [
        { remark: { place: { path: "a.py" } }, standing: "resolved" },
        { remark: { place: { path: "b.py" } }, standing: { blocking: { because: "its test fails" } } },
        { remark: { place: { path: "c.py" } }, standing: { note: { demoted: null } } },
      ],
    };
    const [round] = readVerdicts(JSON.stringify([verdict]));
    expect(round).toMatchObject({ name: "Round 2", independence: "independent: written with anthropic" });
    expect(round?.remarks.map((one) => one.standing)).toEqual(["resolved", "blocks: its test fails", "note"]);
    expect(readVerdicts("no json")).toEqual([]);
  });

  it("has its diff in figures", () => {
    const read = readStat(fold(BEGINNING).diffstat ?? "");
    expect(read.files).toEqual([
      { path: "slotbook/merge.py", changed: "14", plus: 10, minus: 4 },
      { path: "tests/test_merge.py", changed: "9", plus: 9, minus: 0 },
    ]);
    expect(read.sum).toContain("19 insertions");
    expect(readStat(" x.png | Bin 0 -> 12 bytes\n").files[0]?.changed).toBe("Bin 0 -> 12 bytes");
  });
});
