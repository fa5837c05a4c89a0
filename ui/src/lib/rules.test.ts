import { describe, expect, it } from "vitest";
import { atStake, ranked, waited } from "./attention";
import { backoffMs } from "./backoff";
import { address, errorText } from "./client";
import { dataOf } from "./follow";
import { ago, bytes, clock, count, duration, stepOf, usd } from "./format";
import {
  firstWait,
  leftInShort,
  leftInWords,
  lookOfWait,
  shortSubject,
  steps,
  verbs,
  waitSentence,
} from "./jobs";
import { firstOf } from "./paging";
import { best, score } from "./match";
import { applyEvent, gap, sentence, urgencyMs } from "./reduce";
import { filtersOf, href, parse } from "./route";
import { DEFAULTS, readSettings } from "./settings";
import { byState, isOutside, meant } from "./services";
import { Limiter, noteOf } from "./sound/notes";
import { Quarters, spoken, spokenProgress } from "./sound/speech";
import { besides, lookOf, lookOfTask, LOOKS, SHAPES } from "./status";
import { approval, event, liveOf, node, smallTree } from "./testing";
import { LEVELS } from "./level";
import type { HierarchyLevel, JobCard, LiveJob, ServiceItem, TreeNode } from "./api";

describe("status", () => {
  it("gives each look a shape of its own", () => {
    expect(new Set(LOOKS.map((look) => SHAPES[look])).size).toBe(LOOKS.length);
    expect(lookOf("waiting_approval")).toBe(lookOf("awaiting_approval"));
    expect(lookOf("of a later version")).toBe("blocked");
    expect([lookOfTask("down"), lookOfTask("error")]).toEqual([lookOf("cancelled"), "error"]);
  });

  it("says beside the one word what that leaves out", () => {
    const agent = node(1, "a", null, {
      status: "running",
      paused: true,
      waiting_for: "person",
      health: "degraded",
    });
    expect(besides(agent)).toEqual([
      "pausing: it ends what it has begun",
      "another job of its waits for a person",
      "health: degraded",
    ]);
    expect(besides({ ...agent, status: "paused", waiting_for: null, health: "ok" })).toEqual([]);
    expect(besides(node(1, "a", null, { status: "waiting_approval", waiting_for: "person" }))).toEqual([]);
  });
});

describe("routes", () => {
  it("are read back as they were written", () => {
    const address = href("jobs", "run-1.data.a/b", { step: "x y", empty: "", off: false, on: true });
    const [path = "", search = ""] = address.split("?");
    expect(parse(path, `?${search}`)).toEqual({
      page: "jobs",
      item: "run-1.data.a/b",
      query: { step: "x y", on: "true" },
    });
    expect(href("dashboard")).toBe("/");
  });

  it("refuse what is no page, and bear broken escapes", () => {
    expect(parse("/nothing", "")).toBeNull();
    expect(parse("/dashboard", "")).toBeNull();
    expect(parse("/jobs/%zz", "")?.item).toBe("%zz");
  });
});

describe("lists of the daemon", () => {
  const all = Array.from({ length: 2500 }, (_, place) => place);
  const read =
    (asked: { limit: number; cursor?: string }[]) => (page: { limit: number; cursor?: string }) => {
      asked.push(page);
      const [from, to] = [Number(page.cursor ?? 0), Number(page.cursor ?? 0) + page.limit];
      return Promise.resolve({
        items: all.slice(from, to),
        total: all.length,
        next_cursor: to < all.length ? String(to) : null,
      });
    };

  it("are read page by page, as far as is wanted", async () => {
    const asked: { limit: number; cursor?: string }[] = [];
    expect(await firstOf(1200, read(asked))).toEqual({ items: all.slice(0, 1200), total: 2500 });
    expect(asked).toEqual([{ limit: 1000 }, { limit: 200, cursor: "1000" }]);
    expect((await firstOf(9999, read([]))).items).toEqual(all);
  });

  it("end where a page is empty", async () => {
    const broken = () => Promise.resolve({ items: [], total: 5, next_cursor: "again" });
    expect(await firstOf(10, broken)).toEqual({ items: [], total: 5 });
  });
});

describe("what runs wait for", () => {
  const wait = (kind: "person" | "retry") => ({
    job_id: "r.data.audit",
    agent: "corpus-auditor",
    kind,
    since: "2026-11-22T20:00:00Z",
    detail: "the folder is gone",
  });

  it("is told with the step and the reason, a person's part first", () => {
    const waits = [wait("retry"), wait("person")];
    expect(firstWait(waits)?.kind).toBe("person");
    expect(waitSentence(wait("person"))).toBe("waits for a person at audit: the folder is gone");
    expect(waits.map((one) => lookOfWait(one.kind))).toEqual(["queued", "approval"]);
  });
});

describe("the time left", () => {
  const job = (left: LiveJob["left"], activity: LiveJob["activity"] = "running") =>
    ({ left, activity }) as LiveJob;

  it("is a range in words, no finer than a guess is", () => {
    const known = job({ least_s: 31, about_s: 42, most_s: 65, usual_s: 118 });
    expect(leftInShort(known)).toBe("about 40 s left");
    expect(leftInWords(known)).toBe("About 40 s left (30 s to 65 s); a run like it usually takes 2 min.");
    expect(leftInShort(job({ least_s: 0, about_s: 0, most_s: 7, usual_s: 9000 }))).toBe("about 1 s left");
  });

  it("is no figure where no earlier run backs one", () => {
    expect(leftInShort(job(null))).toBeNull();
    expect(leftInWords(job(null))).toContain("not known");
    expect(leftInWords(job(null, "awaiting_approval"))).toBe("");
  });
});

describe("errors of the daemon", () => {
  it("are sentences, also where a request does not fit", () => {
    expect(errorText({ detail: "no such job" })).toBe("no such job");
    const objection = {
      loc: ["body", "task"],
      msg: "`ingset` is no task; there are: ingest",
      type: "value_error",
    };
    expect(errorText({ detail: [objection, { loc: ["body"], msg: "and more" }] })).toBe(
      "task: `ingset` is no task; there are: ingest; and more",
    );
    expect([errorText({}), errorText(null), errorText("x"), errorText({ detail: [] })]).toEqual([
      null,
      null,
      null,
      null,
    ]);
  });
});

describe("addresses of the daemon", () => {
  it("have their parts and query escaped, and leave out what is not given", () => {
    expect(address("/jobs/{job_id}/artifacts", { path: { job_id: "a/b c" } })).toBe(
      "/jobs/a%2Fb%20c/artifacts",
    );
    expect(address("/jobs", { query: { state: undefined, limit: 3, q: "x&y", tree: true } })).toBe(
      "/jobs?limit=3&q=x%26y&tree=true",
    );
  });
});

describe("events", () => {
  const live = liveOf(smallTree());
  const named = (state: typeof live, name: string) => state.tree.find((one) => one.name === name);

  it("change what they state, and nothing else", () => {
    const back = applyEvent(live, event("supervision", { actor: "b", event: "restarted", restarts: 3 }));
    expect(named(back, "b")).toEqual({ ...named(live, "b"), restarts: 3 });
    expect(named(back, "a")).toBe(named(live, "a"));
    // How an actor stands is the daemon's to say: a crash by itself changes no status.
    expect(applyEvent(live, event("supervision", { actor: "b", event: "crashed", restarts: 2 }))).toBe(live);
  });

  it("leave the same snapshot when they say nothing of it", () => {
    expect(applyEvent(live, event("supervision", { actor: "nobody", event: "crashed" }))).toBe(live);
    expect(applyEvent(live, event("something_new", {}))).toBe(live);
  });

  it("take a heartbeat's figures, but never count backwards", () => {
    const beat = applyEvent(
      live,
      event("heartbeat", { agent: "b", status: "ok", queue_depth: 4, handled: 7, restarts: 0 }),
    );
    expect(named(beat, "b")).toMatchObject({
      status: "running",
      depth: 4,
      handled: 7,
      restarts: 2,
      beat_age_ms: 0,
    });
  });

  it("show gaps in their numbers", () => {
    expect([gap(0, 50), gap(5, 6), gap(5, 9)]).toEqual([0, 0, 3]);
  });

  it("hurry a refresh by what they are", () => {
    expect(urgencyMs(event("heartbeat", {}))).toBe(Infinity);
    expect(urgencyMs(event("supervision", {}))).toBeLessThan(urgencyMs(event("status_update", {})));
  });

  it("are told in words", () => {
    expect(
      sentence(event("supervision", { actor: "b", event: "crashed", reason: { reason: "killed" } })),
    ).toBe("b crashed: killed");
    expect(sentence(event("status_update", { agent: "b", event: "awaiting_approval", job_id: "r.x" }))).toBe(
      "b: awaiting approval r.x",
    );
    expect(sentence(event("alert", { service_name: "b", alert_type: "service_down" }))).toBe(
      "b: service down",
    );
    expect(sentence(event("cost_update", { agent: "b", cost_usd: 0.5, calls: 1 }))).toBe("b spent $0.5");
    expect(sentence(event("cost_update", { agent: "b", cost_usd: 2, calls: 40 }))).toBe(
      "b spent $2 in 40 calls",
    );
  });

  it("come out of SSE blocks", () => {
    expect(dataOf(': hello\nid: 4\nevent: x\ndata: {"a":\ndata: 1}')).toBe('{"a":\n1}');
    expect(dataOf(": only a comment")).toBe("");
  });
});

describe("attention", () => {
  it("ranks by blocked work times dollars, then by waiting", () => {
    const list = [
      approval("cheap", { waiting_s: 500 }),
      approval("dear", { usd_per_min: 2, blocked_descendants: 1 }),
      approval("long", { waiting_s: 900 }),
      approval("deep", { blocked_descendants: 9 }),
    ];
    expect(ranked(list).map((one) => one.approval_id)).toEqual(["dear", "deep", "long", "cheap"]);
    expect(atStake(approval("x", { usd_per_min: 0, blocked_descendants: 3 }))).toBe(
      "3 steps of its run behind it",
    );
    expect(atStake(approval("x", { usd_per_min: 2, blocked_descendants: 1 }))).toContain("$2.00 / min");
    const asked = approval("x", { requested_at: "2026-11-22T20:00:00Z", waiting_s: 0 });
    expect(waited(asked, Date.parse("2026-11-22T20:01:05.400Z"))).toBe(65);
  });
});

describe("waiting to reconnect", () => {
  it("grows, is spread, and has a ceiling", () => {
    expect(backoffMs(0, 0.5)).toBe(400);
    expect(backoffMs(2, 0.5)).toBe(1600);
    expect(backoffMs(50, 0.99)).toBeLessThanOrEqual(10_000);
    expect(backoffMs(3, 0)).toBeLessThan(backoffMs(3, 0.9));
  });
});

describe("formats", () => {
  it("are short and never wrong by rounding up a unit", () => {
    expect([0.0005, 0.25, 4.26, 59.4, 61, 3725, 180_000].map(duration)).toEqual([
      "500 µs",
      "250 ms",
      "4.3 s",
      "59 s",
      "1 min 01 s",
      "1 h 02 min",
      "2 d 2 h",
    ]);
    expect([duration(-1), duration(0)]).toEqual(["-", "0 s"]);
    expect([0.2, 5, 61, 7200, 200_000].map(ago)).toEqual([
      "now",
      "5 s ago",
      "1 min ago",
      "2 h ago",
      "2 d ago",
    ]);
    expect([0, 0.00001, 0.0123, 12.345].map(usd)).toEqual(["$0.00", "< $0.0001", "$0.0123", "$12.35"]);
    expect([999, 12_345, 4_560_000].map(count)).toEqual(["999", "12.3 k", "4.56 M"]);
    expect([512, 2048, 11 * 1024 * 1024].map(bytes)).toEqual(["512 B", "2.0 KiB", "11 MiB"]);
    expect(clock("2026-11-22T20:16:19Z", "UTC")).toBe("20:16:19");
    expect(clock("2026-11-22T20:16:19Z", "Asia/Tokyo")).toBe("05:16:19");
    expect(clock("nonsense", "UTC")).toBe("-");
    expect(clock("2026-11-22T20:16:19Z", "Asia/Kolkata", true)).toMatch(/^23 Nov, 01:46:19 (GMT\+5:30|IST)$/);
    expect(stepOf("run.data.lane")).toBe("lane");
  });
});

describe("settings", () => {
  it("take what fits and keep the rest", () => {
    expect(readSettings(null)).toEqual(DEFAULTS);
    expect(readSettings("not json")).toEqual(DEFAULTS);
    expect(readSettings("[1]")).toEqual(DEFAULTS);
    const read = readSettings(
      JSON.stringify({
        theme: "light",
        refresh_s: 3,
        zone: "Nowhere/Land",
        volume: 7,
        muted_levels: ["manager", "king"],
        sound: "yes",
        compact: true,
      }),
    );
    expect(read).toEqual({ ...DEFAULTS, theme: "light", muted_levels: ["manager"], compact: true });
  });

  it("begin silent", () => {
    expect([DEFAULTS.sound, DEFAULTS.speech]).toEqual([false, false]);
  });
});

describe("the palette's search", () => {
  it("prefers beginnings, then words, then letters in order", () => {
    expect(best("da", ["metadata", "director-data", "dashboard", "xyz", "d-x-a"], String, 9)).toEqual([
      "dashboard",
      "director-data",
      "metadata",
      "d-x-a",
    ]);
    expect(score("", "anything")).toBeGreaterThan(0);
    expect(best("", ["a", "b", "c"], String, 2)).toEqual(["a", "b"]);
  });
});

describe("jobs", () => {
  const card = (
    job_id: string,
    state: JobCard["state"],
    done: number,
    total: number,
    children: JobCard[] = [],
  ) =>
    ({
      job_id,
      state,
      progress: { done, total, fraction: total ? done / total : 0, note: "", known: true },
      children,
    }) as unknown as JobCard;
  const run = card("r", "running", 1, 4, [
    card("r.a", "done", 3, 3),
    card("r.b", "running", 0, 2, [card("r.b.x", "running", 1, 2)]),
  ]);

  it("flatten with depth", () => {
    expect(steps(run).map((step) => [step.card.job_id, step.level])).toEqual([
      ["r", 0],
      ["r.a", 1],
      ["r.b", 1],
      ["r.b.x", 2],
    ]);
  });

  it("are told apart by what they are about", () => {
    expect(["/usr/share/doc/", "/", "mend the parser"].map(shortSubject)).toEqual([
      "doc",
      "/",
      "mend the parser",
    ]);
  });

  it("can be asked only what their state allows", () => {
    expect([verbs("running"), verbs("paused"), verbs("failed"), verbs("done")]).toEqual([
      ["pause", "cancel"],
      ["resume", "cancel"],
      ["retry"],
      [],
    ]);
  });
});

describe("services from outside", () => {
  const service = (service_id: string, status: ServiceItem["status"], caps: string[] = []) =>
    ({ service_id, name: service_id, status, caps }) as ServiceItem;

  it("are those that are no agent of the daemon", () => {
    const at = (service_id: string, url: string) =>
      isOutside({ service_id, url }, new Set(["chunker"]), new Set([8050]));
    expect(at("agent-chunker", "internal://agents/chunker")).toBe(false);
    expect(at("agent-llm", "http://localhost:8050")).toBe(false);
    expect(at("agent-of-mine", "http://localhost:9000")).toBe(true);
    expect(at("indexer", "http://elsewhere:8050")).toBe(true);
    expect(at("odd", "no address")).toBe(true);
  });

  it("stand by state, trouble first, however many they are", () => {
    const many = Array.from({ length: 1000 }, (_, n) => service(`s${n}`, n < 3 ? "ok" : "down"));
    expect(byState(many).map(({ status, items }) => [status, items.length])).toEqual([
      ["down", 997],
      ["ok", 3],
    ]);
  });

  it("are found by name and by what they can", () => {
    expect(meant(service("box", "ok", ["ocr"]), " OC")).toBe(true);
    expect(meant(service("box", "ok", ["ocr"]), "speech")).toBe(false);
  });
});

describe("sound", () => {
  const agent = node(5, "b", 4, { level: "manager", lane: "data" });

  it("has a band for each level, deeper the higher the level, and is silent for the muted", () => {
    const at = (level: TreeNode["level"], what: string, muted: HierarchyLevel[] = []) =>
      noteOf(event("status_update", { event: what }), { ...agent, level, tier: 1 }, muted)?.pitch ?? 0;
    for (const [place, level] of LEVELS.entries()) {
      const next = LEVELS[place + 1];
      if (next) expect(at(level, "completed")).toBeLessThan(at(next, "accepted"));
      expect(at(level, "started", [level])).toBe(0);
    }
    expect(at(null, "crashed")).toBe(at("worker", "crashed"));
    expect(noteOf(event("heartbeat", {}), agent, [])).toBeNull();
  });

  it("lets at most two notes an agent and eight in all through in a second", () => {
    const limiter = new Limiter();
    expect([0, 1, 2].map((ms) => limiter.allow("a", ms))).toEqual([true, true, false]);
    const others = Array.from({ length: 12 }, (_, i) => limiter.allow(`x${i}`, 10));
    expect(others.filter(Boolean)).toHaveLength(6);
    expect(limiter.allow("a", 1001)).toBe(true);
  });

  it("is spoken from templates", () => {
    expect(
      spoken(event("status_update", { agent: "corpus-auditor", event: "completed", job_id: "r.data.audit" })),
    ).toBe("corpus auditor has completed audit.");
    expect(spoken(event("heartbeat", { agent: "x" }))).toBeNull();
    expect(spokenProgress("a-b", 0.2, 0.26)).toBe("a b is at 25 percent.");
    expect(spokenProgress("a", 0.3, 0.4)).toBeNull();
    expect(spokenProgress("a", 0.9, 1)).toBeNull();
    const at = (progress: number) => [
      { ...agent, step: { job_id: "r", task: "t", progress, progress_known: true, done: 0, total: 0 } },
    ];
    const quarters = new Quarters();
    expect([0.3, 0.4, 0.6, 0.6].map((progress) => quarters.passed(at(progress)).length)).toEqual([
      0, 0, 1, 0,
    ]);
  });
});

describe("what a page was left with", () => {
  it("keeps filters, and not what was open", () => {
    const left = parse("/jobs/ingest-1", "?state=failed&step=x&wide=true");
    expect(left && href("jobs", null, filtersOf(left))).toBe("/jobs?state=failed");
    const traces = parse("/traces", "?agent=chunk&ms=100&crash=3");
    expect(traces && href("traces", null, filtersOf(traces))).toBe("/traces?agent=chunk&ms=100");
    expect(filtersOf({ page: "settings", item: null, query: { x: "1" } })).toEqual({});
  });
});
