import { describe, expect, it } from "vitest";
import { span } from "../testing";
import { traceLines, waterfall } from "./waterfall";

describe("waterfall", () => {
  it("nests by cause, in the order of time", () => {
    const { falls, total } = waterfall([
      span("c", "a", 50, 0, 10),
      span("a", null, 0, 10, 20),
      span("b", "a", 20, 5, 5),
      span("d", "c", 55, 0, 100),
    ]);
    expect(falls.map((fall) => [fall.span.span_id, fall.level])).toEqual([
      ["a", 0],
      ["b", 1],
      ["c", 1],
      ["d", 2],
    ]);
    expect(falls[1]).toMatchObject({ queuedAt: 20, startedAt: 25, endedAt: 30 });
    expect(total).toBe(155);
  });

  it("marks the way to what ended last", () => {
    const { falls } = waterfall([
      span("a", null, 0, 0, 10),
      span("b", "a", 5, 0, 5),
      span("c", "a", 6, 0, 90),
    ]);
    expect(falls.filter((fall) => fall.critical).map((fall) => fall.span.span_id)).toEqual(["a", "c"]);
  });

  it("takes a span without its parent as a root, and survives a circle", () => {
    expect(waterfall([span("b", "gone", 0, 0, 1)]).falls).toHaveLength(1);
    expect(waterfall([span("a", "b", 0, 0, 1), span("b", "a", 0, 0, 1)]).falls).toEqual([]);
    expect(waterfall([]).total).toBe(0);
  });

  it("bears messages that are open", () => {
    const open = span("b", "a", 20, 0, 0, {
      started_at: null,
      ended_at: null,
      queue_us: null,
      run_us: null,
      outcome: "open",
    });
    const { falls, total } = waterfall([span("a", null, 0, 0, 30), open]);
    expect(falls[1]).toMatchObject({ queuedAt: 20, startedAt: 20, endedAt: 20 });
    expect(total).toBe(30);
    expect(traceLines([open])[0]).toMatchObject({ bad: 0, ms: 0 });
  });

  it("bears a chain as long as the ring", () => {
    const chain = Array.from({ length: 20_000 }, (_, i) =>
      span(`s${i}`, i === 0 ? null : `s${i - 1}`, i, 0, 1),
    );
    expect(waterfall(chain).falls.at(-1)?.level).toBe(19_999);
  });
});

describe("lines", () => {
  it("make one line of each trace, newest first", () => {
    const lines = traceLines([
      span("a", null, 0, 0, 10),
      span("b", "a", 5, 0, 20, { outcome: "crashed" }),
      span("z", null, 100, 0, 1, { trace_id: "u" }),
    ]);
    expect(lines.map((line) => [line.traceId, line.spans, line.ms, line.bad, line.root.span_id])).toEqual([
      ["u", 1, 1, 0, "z"],
      ["t", 2, 25, 1, "a"],
    ]);
  });
});
