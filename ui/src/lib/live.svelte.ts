// The living swarm as this page knows it, and how old that knowledge is.
//
// Owns the snapshot of `/api/live`, the connection to the event stream, and the newest events.
// Invariants: events are taken once and in order, by their numbers; at most one refresh is under way.
// Failure policy: what is shown stays, with its age; the connection is tried again until it stands.

import { CallError, hmi, setPorts } from "./client";
import { backoffMs } from "./backoff";
import { follow } from "./follow";
import { applyEvent, gap, urgencyMs } from "./reduce";
import { counted, rates, type Counted } from "./tree/rate";
import { settings } from "./settings.svelte";
import type { Live, Resources, SwarmEvent } from "./api";

/** Newest events kept for the pages. */
const KEPT_EVENTS = 400;
/** Samples of resources and costs kept for charts: an hour at the default refresh. */
const KEPT_SAMPLES = 720;
/** Signs of life are told every five seconds; three missing make what is shown stale. */
export const STALE_AFTER_S = 15;

/** Messages come in bursts: over less than this their rate would be that of a burst, or nothing. */
const RATE_OVER_MS = 1500;

/**
 * A reading is followed by a rest of so many times its length, so that the picture of a large swarm leaves the
 * page its time to draw; never so long that an operator would see a change later than within a second.
 */
const REST = 4;
const LONGEST_REST_MS = 600;

export type Connection = "connecting" | "live" | "waiting" | "lost";

export interface Sample {
  /** Unix seconds. */
  at: number;
  resources: Resources;
  usdPerMin: number;
  tokensPerMin: number;
}

class LiveStore {
  snapshot: Live | null = $state.raw(null);
  events: SwarmEvent[] = $state.raw([]);
  samples: Sample[] = $state.raw([]);
  /** Messages a second by actor; null before the second picture. */
  rates: ReadonlyMap<string, number> | null = $state.raw(null);
  connection: Connection = $state("connecting");
  problem: string | null = $state(null);
  /** Number of the last event taken; events that never came, by gaps in the numbers; connections made. */
  seq = $state(0);
  missed = $state(0);
  connects = $state(0);
  /** Ticks once a second, so that ages are alive. */
  now = $state(Date.now());
  #heardAt = $state(0);

  #listeners = new Set<(event: SwarmEvent) => void>();
  #unfollow: (() => void) | null = null;
  #attempt = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #refreshAt = Infinity;
  #restUntil = 0;
  #refreshTimer: ReturnType<typeof setTimeout> | undefined;
  #loading: Promise<void> | null = null;
  #connecting: Promise<void> | null = null;
  #count: Counted | null = null;
  #batch: SwarmEvent[] = [];

  /** Seconds since the daemon last told this page anything; null before the first time. */
  get age(): number | null {
    return this.#heardAt === 0 ? null : Math.max(0, (this.now - this.#heardAt) / 1000);
  }

  get stale(): boolean {
    return this.age !== null && this.age > STALE_AFTER_S;
  }

  /** Begins; gives what ends it. */
  start(): () => void {
    const tick = setInterval(() => this.#tick(), 1000);
    const seen = () => {
      if (document.visibilityState === "visible") void this.refresh();
    };
    document.addEventListener("visibilitychange", seen);
    void this.#connect();
    return () => {
      clearInterval(tick);
      document.removeEventListener("visibilitychange", seen);
      clearTimeout(this.#retry);
      clearTimeout(this.#refreshTimer);
      this.#unfollow?.();
    };
  }

  /** Calls back for each event as it comes; gives what ends it. */
  onEvent(listener: (event: SwarmEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Reads the snapshot anew; calls while one is under way share it. */
  refresh = (): Promise<void> => {
    this.#loading ??= this.#load().finally(() => (this.#loading = null));
    return this.#loading;
  };

  /** Tries at once instead of waiting. */
  reconnect = (): void => {
    clearTimeout(this.#retry);
    this.#unfollow?.();
    this.#unfollow = null;
    void this.#connect();
  };

  async #load(): Promise<void> {
    clearTimeout(this.#refreshTimer);
    this.#refreshAt = Infinity;
    const begin = performance.now();
    try {
      const live = await hmi.live();
      setPorts(live.ports);
      this.#count = this.#measure(live);
      this.snapshot = live;
      this.samples = [...this.samples, sampleOf(live)].slice(-KEPT_SAMPLES);
      this.problem = null;
      this.#heard();
    } catch (error) {
      this.problem = error instanceof CallError ? error.message : String(error);
    }
    const end = performance.now();
    this.#restUntil = end + Math.min(LONGEST_REST_MS, REST * (end - begin));
  }

  #measure(live: Live): Counted {
    const count = counted(live.tree, performance.now());
    if (this.#count && count.at - this.#count.at < RATE_OVER_MS) return this.#count;
    if (this.#count) this.rates = rates(this.#count, count);
    return count;
  }

  /** One at a time: what is asked for while one is under way is that one. */
  #connect(): Promise<void> {
    this.#connecting ??= this.#try().finally(() => (this.#connecting = null));
    return this.#connecting;
  }

  async #try(): Promise<void> {
    this.connection = this.#attempt === 0 && this.snapshot === null ? "connecting" : "waiting";
    await this.refresh();
    if (this.problem !== null || this.snapshot === null) return this.#again();
    // After a loss, go on behind the last event that was taken, so that none is missed.
    // The first time, from where the snapshot stands; a daemon whose numbers are lower is another one.
    if (this.seq === 0 || this.seq > this.snapshot.seq) {
      this.seq = this.snapshot.seq;
      this.events = this.snapshot.recent;
    }
    const since = this.seq;
    this.#unfollow = follow(since, {
      opened: () => {
        this.connection = "live";
        this.connects += 1;
        this.#attempt = 0;
      },
      event: (event) => this.#take(event),
      closed: () => this.#again(),
    });
    if (this.#unfollow === null) this.#again();
  }

  #again(): void {
    this.#unfollow?.();
    this.#unfollow = null;
    this.connection = this.#attempt > 2 ? "lost" : "waiting";
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => void this.#connect(), backoffMs(this.#attempt, Math.random()));
    this.#attempt += 1;
  }

  #take(event: SwarmEvent): void {
    if (event.seq <= this.seq) return;
    this.missed += gap(this.seq, event.seq);
    this.seq = event.seq;
    this.#heard();
    if (this.#batch.push(event) === 1) requestAnimationFrameOrSoon(() => this.#flush());
    for (const listener of this.#listeners) listener(event);
    this.#refreshWithin(urgencyMs(event));
  }

  /** A storm of events is drawn once a frame, not once an event. */
  #flush(): void {
    const batch = this.#batch;
    this.#batch = [];
    // Signs of life come all the time, and would push out what has happened.
    const told = batch.filter((event) => event.event_type !== "heartbeat");
    if (told.length > 0) this.events = [...this.events, ...told].slice(-KEPT_EVENTS);
    if (this.snapshot) this.snapshot = batch.reduce(applyEvent, this.snapshot);
  }

  #refreshWithin(ms: number): void {
    const now = performance.now();
    const due = Math.max(now + ms, this.#restUntil);
    if (due >= this.#refreshAt || ms === Infinity) return;
    this.#refreshAt = due;
    clearTimeout(this.#refreshTimer);
    this.#refreshTimer = setTimeout(() => void this.refresh(), due - now);
  }

  #tick(): void {
    this.now = Date.now();
    const due =
      this.snapshot === null || this.now - Date.parse(this.snapshot.at) >= settings.refresh_s * 1000;
    if (due && document.visibilityState === "visible" && this.connection === "live") void this.refresh();
  }

  #heard(): void {
    this.#heardAt = Date.now();
    this.now = this.#heardAt;
  }
}

function sampleOf(live: Live): Sample {
  const { resources, costs } = live;
  return {
    at: Date.parse(live.at) / 1000,
    resources,
    usdPerMin: costs.minute.usd,
    tokensPerMin: costs.minute.tokens,
  };
}

/** A hidden page gets no frames, yet must not gather events without end. */
function requestAnimationFrameOrSoon(then: () => void): void {
  if (document.visibilityState === "visible") requestAnimationFrame(then);
  else setTimeout(then, 250);
}

export const live = new LiveStore();
