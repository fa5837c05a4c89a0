import { describe, expect, it } from "vitest";
import type { Sequencer } from "../api";
import { sequencer, task } from "../testing";
import { advance, downAt, nextEdge, stateAt, statusAt, stuck } from "./replay";
import { extent, lastBurst, panned, seqRows, taskAt, zoomed } from "./rows";

const data = sequencer([
  task("t1", "a", 10, 20),
  task("t2", "b", 15, null),
  task("t3", "a", 30, 40, { status: "error" }),
]);

describe("replay", () => {
  it("knows who did what at a moment", () => {
    expect([...stateAt(data, 17)].map(([name, doing]) => [name, doing.task.task_id, doing.status])).toEqual([
      ["a", "t1", "running"],
      ["b", "t2", "running"],
    ]);
    expect([...stateAt(data, 25).keys()]).toEqual(["b"]);
    expect(stateAt(data, 5).size).toBe(0);
    expect(stateAt(data, 15).get("a")?.progress).toBeNull();
    expect(stateAt(data, 100).get("b")?.progress).toBe(0.5);
  });

  it("does not know before the end how a task ended", () => {
    const failed = task("t", "a", 30, 40, { status: "error" });
    expect(statusAt(failed, 35)).toBe("running");
    expect(statusAt(failed, 40)).toBe("error");
    expect(statusAt(failed, 29)).toBeNull();
  });

  it("shows a task as waiting for as long as it waited", () => {
    const waits = [
      { from: 32, to: 36, status: "waiting_approval" as const },
      { from: 38, to: null, status: "paused" as const },
    ];
    const asked = task("t", "a", 30, null, { waits });
    expect([30, 32, 35.9, 36, 38, 99].map((at) => statusAt(asked, at))).toEqual([
      "running",
      "waiting_approval",
      "waiting_approval",
      "running",
      "paused",
      "paused",
    ]);
    expect(statusAt({ ...asked, end_time: 40, status: "down" }, 40)).toBe("down");
  });

  it("supposes nothing where the past is cut", () => {
    const waits = [{ from: 32, to: 36, status: "paused" as const }];
    const cut = task("t", "a", 30, 90, { waits, cut_at: 36 });
    expect([31, 35, 36, 50, 90].map((at) => statusAt(cut, at))).toEqual([
      "running",
      "paused",
      null,
      null,
      "done",
    ]);
    expect(stateAt(sequencer([cut]), 50).size).toBe(0);
  });

  it("has nobody at work while the daemon was down", () => {
    const down = { ...data, down: [{ from: 16, to: 18, stopped: false }] };
    expect([...stateAt(down, 15.9).keys()]).toEqual(["a", "b"]);
    expect(stateAt(down, 17).size).toBe(0);
    expect(downAt(down, 17)?.to).toBe(18);
    expect([downAt(down, 18), downAt(data, 17)]).toEqual([null, null]);
    expect(stateAt(down, 18).size).toBe(2);
  });

  it("tells no progress that nobody knows", () => {
    const thinking = task("t", "a", 30, null, { progress: 0, progress_known: false });
    expect(stateAt(sequencer([thinking]), 100).get("a")?.progress).toBeNull();
  });

  it("shows a crash for a second", () => {
    const crashed: Sequencer = { ...data, marks: [{ at: 16, agent_id: "agent-b", kind: "crashed" }] };
    expect(stateAt(crashed, 16.5).get("b")?.status).toBe("error");
    expect(stateAt(crashed, 17.5).get("b")?.status).toBe("running");
  });

  it("calls a running task stuck after two silent heartbeats", () => {
    expect(stuck(task("t", "a", 0, null, { beat_time: 70 }), 100)).toBe(true);
    expect(stuck(task("t", "a", 0, null, { beat_time: 90 }), 100)).toBe(false);
    expect(stuck(task("t", "a", 0, 50, { beat_time: 10 }), 100)).toBe(false);
    expect(stuck(task("t", "a", 0, null), 100)).toBe(false);
  });

  it("moves at its speed and stops at the end", () => {
    expect(advance(10, 2, 0.1, 100)).toBeCloseTo(10.2);
    expect(advance(10, 2, 100, 100)).toBe(100);
  });

  it("steps from edge to edge", () => {
    expect(nextEdge(data, 12, 1)).toBe(15);
    expect(nextEdge(data, 12, -1)).toBe(10);
    expect(nextEdge(data, 50, 1)).toBeNull();
  });
});

describe("rows", () => {
  const all = { solo: new Set<string>(), mute: new Set<string>(), busyOnly: false };

  it("are ordered by level, and chosen by solo and mute", () => {
    const mixed = {
      ...data,
      agents: [
        ...data.agents,
        {
          service_id: "agent-z",
          name: "z",
          tier: 1,
          level: "director" as const,
          status: "ok" as const,
          agent_role: "coord",
        },
      ],
    };
    expect(seqRows(mixed, all).map((row) => row.agent)).toEqual(["z", "a", "b"]);
    expect(seqRows(mixed, { ...all, busyOnly: true }).map((row) => row.agent)).toEqual(["a", "b"]);
    expect(seqRows(mixed, { ...all, mute: new Set(["a"]) }).map((row) => row.agent)).toEqual(["z", "b"]);
    expect(
      seqRows(mixed, { ...all, mute: new Set(["a"]), solo: new Set(["a"]) }).map((row) => row.agent),
    ).toEqual(["a"]);
  });

  it("zooms around the pointer within its limits", () => {
    const view = zoomed({ from: 0, to: 100 }, 25, 0.5);
    expect(view).toEqual({ from: 12.5, to: 62.5 });
    const back = zoomed(view, 25, 2);
    expect(back.from).toBeCloseTo(0);
    const least = zoomed({ from: 0, to: 100 }, 50, 1e-9);
    expect(least.to - least.from).toBeCloseTo(0.05);
    expect(panned(view, 10)).toEqual({ from: 22.5, to: 72.5 });
  });

  it("shows all, or the newest burst of work", () => {
    const two = sequencer(
      [task("old", "a", 0, 20), task("new", "a", 5000, 5010), task("more", "b", 5005, 5030)],
      6000,
    );
    expect(extent(two).from).toBeLessThan(0);
    const burst = lastBurst(two);
    expect(burst.from).toBeGreaterThan(4990);
    expect(burst.to).toBeLessThan(5040);
    expect(extent(sequencer([], 1000))).toEqual({ from: 400, to: 1000 });
  });

  it("finds the task under the pointer", () => {
    const row = seqRows(data, all)[0];
    expect(row && taskAt(row, 15, 100, 0)?.task_id).toBe("t1");
    expect(row && taskAt(row, 25, 100, 0)).toBeNull();
    expect(row && taskAt(row, 20.5, 100, 1)?.task_id).toBe("t1");
  });
});
