// The jobs, artifacts and reviews of a change, for routes that a test answers in the daemon's place.

import type { Artifact, JobCard, LiveApproval } from "../src/lib/api";

export const RUN = "pas-change-7k2mq9x4bz";
export const WRITER = `${RUN}.code.lane.write`;
const AT = "2026-11-22T16:00:00.000Z";

function card(job_id: string, agent: string, task: string, more: Partial<JobCard> = {}): JobCard {
  return {
    job_id,
    run_id: RUN,
    parent_job_id: job_id.includes(".") ? job_id.slice(0, job_id.lastIndexOf(".")) : null,
    step: job_id.slice(job_id.lastIndexOf(".") + 1),
    agent,
    task,
    capability: null,
    inputs: {},
    outputs: {},
    artifacts: [],
    priority: 5,
    resource_request: null,
    approvals_required: [],
    created_at: AT,
    deadline_at: null,
    started_at: AT,
    ended_at: null,
    state: "running",
    activity: more.state ?? "running",
    version: 3,
    attempt: 1,
    fence: 1,
    progress: {
      done: 0,
      total: 0,
      beats: 9,
      note: "turn 3: edit slotbook/merge.py",
      fraction: 0,
      known: false,
    },
    error: null,
    cancel_requested_at: null,
    waiting_for: [],
    waits: [],
    trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
    children: [],
    ...more,
  };
}

/** The run's tree and what it has left behind. */
export function jobsOf(isDone: boolean): { root: JobCard; artifacts: Artifact[] } {
  const end = isDone ? { state: "done" as const, ended_at: "2026-11-22T16:03:10.000Z" } : {};
  const review = card(`${WRITER}.review1`, "peer-review-coordinator", "change.review", end);
  const write = card(WRITER, "code-writer", "change.write", {
    ...end,
    outputs: isDone ? outputs() : {},
    children: isDone ? [review] : [],
  });
  const lane = card(`${RUN}.code.lane`, "manager-code", "change.lane", { ...end, children: [write] });
  const code = card(`${RUN}.code`, "director-code", "change.code", { ...end, children: [lane] });
  const root = card(RUN, "architect", "change", { ...end, children: [code] });
  return { root, artifacts: isDone ? artifacts() : [] };
}

function outputs(): Record<string, unknown> {
  return {
    branch: `pas/${RUN}`,
    commit: "8c1f0e5d2a7bb1c30a9d4f21",
    merge: `git merge pas/${RUN}`,
    remarks: ["The repository has uncommitted changes, which are not part of it."],
    runs_on_merge: [{ path: ".github/workflows/test.yml", occasion: "runs on the CI server" }],
    proof: [
      "proof                proved",
      "command              python -m pytest -q",
      "before               failed as expected: 1 of 12",
      "after                passed: 13 of 13 in 0.4 s",
      "old tests            passed: 12 of 12",
      "new tests            fail on the old code: 1 of 13",
      "guards               none touched",
    ].join("\n"),
  };
}

function artifacts(): Artifact[] {
  return ["change.patch", "proof.json", "review.json", "account.md"].map((name) => ({
    path: `code.lane.write/${name}`,
    kind: name === "review.json" ? "review" : (name.split(".")[0] ?? name),
    media_type: name.endsWith("json") ? "application/json" : "text/plain",
    bytes: 2048,
    blake3: "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
    deterministic: false,
  }));
}

/** The verdicts of two rounds, as `review.json` has them. */
export function reviews(): unknown {
  const remark = {
    place: { path: "slotbook/merge.py", line: 12 },
    severity: "blocking",
    input: "merge([]) raises an IndexError: the first slot is read before the list is looked at.",
    proposal: "Return early where the list is empty.",
    test: "--- a/tests/test_merge.py\n+++ b/tests/test_merge.py\n@@ -1,3 +1,6 @@\n+def test_empty():\n+    assert merge([]) == []",
    no_test: null,
  };
  const round = (no: number, standing: unknown, summary: string) => ({
    commit: "8c1f0e5d2a7b",
    round: no,
    vendor: "openai",
    model: "gpt-5",
    independence: { other_vendor: { authors: ["anthropic"], reviewer: "openai" } },
    summary,
    remarks: [{ remark, standing }],
  });
  return [
    round(
      1,
      { blocking: { because: "its test fails: test_empty" } },
      "Right for what touches; one case is lost.",
    ),
    round(2, "resolved", "It does what the card asks."),
  ];
}

/** The writer's question as it waits for a person. */
export function approvalOf(): LiveApproval {
  return {
    approval_id: "q-19",
    job_id: WRITER,
    run_id: RUN,
    agent: "code-writer",
    action: "Code Writer asks: May 9-10 and 10-11 become one meeting?",
    kind: "question",
    detail: {
      question: "q19",
      subject: "asked",
      asked: { question: "May 9-10 and 10-11 become one meeting?", options: ["yes", "no"] },
    },
    binding: "",
    status: "pending",
    requested_at: new Date().toISOString(),
    decided_at: null,
    decided_by: null,
    reason: null,
    waiting_s: 4,
    blocked_descendants: 3,
    usd_per_min: 0.04,
  };
}
