import { describe, expect, it } from "vitest";
import type { JobCard } from "./api";
import { findings, timeline } from "./timeline";

const at = (second: number) => new Date(second * 1000).toISOString();

function card(job_id: string, from: number | null, to: number | null, more: Partial<JobCard> = {}): JobCard {
  return {
    job_id,
    created_at: at(0),
    started_at: from === null ? null : at(from),
    ended_at: to === null ? null : at(to),
    outputs: {},
    children: [],
    waited: [],
    ...more,
  } as unknown as JobCard;
}

describe("a run on its time axis", () => {
  const children = [
    card("r.a", 0, 40, { waited: [{ from: at(10), to: at(20), activity: "queued" }] }),
    card("r.b", 0, 15),
    card("r.c", 40, 100, { waited: [{ from: at(90), to: null, activity: "paused" }] }),
    card("r.d", null, null),
  ];
  const bars = timeline(card("r", 0, 100, { children }), 0);

  it("shows when each step worked and waited", () => {
    expect(bars.get("r.a")).toMatchObject({ left: 0, width: 0.4 });
    expect(bars.get("r.a")?.waits).toEqual([{ left: 0.1, width: 0.1, activity: "queued" }]);
    expect(bars.get("r.c")?.waits[0]).toMatchObject({ left: 0.9, activity: "paused" });
    expect(bars.get("r.c")?.waits[0]?.width).toBeCloseTo(0.1);
    expect(bars.has("r.d")).toBe(false);
  });

  it("marks the steps that made it as long as it was", () => {
    expect([...bars].filter(([, bar]) => bar.critical).map(([id]) => id)).toEqual(["r.a", "r.c"]);
  });

  it("goes to now while it is open", () => {
    const open = timeline(card("r", 0, null, { children: [card("r.a", 25, null)] }), 50_000);
    expect(open.get("r.a")).toMatchObject({ left: 0.5, width: 0.5, critical: true });
  });
});

describe("findings", () => {
  it("are those of the first step that has some", () => {
    const root = card("r", 0, 1, {
      children: [
        card("r.a", 0, 1),
        card("r.b", 0, 1, { outputs: { findings: ["one", { text: "two" }, 3] } }),
      ],
    });
    expect(findings(root)).toEqual(["one", "two", "3"]);
    expect(findings(card("r", 0, 1))).toEqual([]);
  });
});
