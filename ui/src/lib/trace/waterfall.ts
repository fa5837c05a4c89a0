// A trace as a waterfall: spans nested by cause, on one time axis, with the critical path marked. Pure.

import type { Span } from "../api";

export interface Fall {
  span: Span;
  level: number;
  /** Milliseconds from the trace's begin. */
  queuedAt: number;
  startedAt: number;
  endedAt: number;
  critical: boolean;
}

export interface Waterfall {
  falls: Fall[];
  /** Milliseconds since the epoch. */
  begin: number;
  total: number;
}

/** Rows in the order of cause and time. A span whose parent is not there is a root. */
export function waterfall(spans: readonly Span[]): Waterfall {
  if (spans.length === 0) return { falls: [], begin: 0, total: 0 };
  const known = new Map(spans.map((span) => [span.span_id, span]));
  const children = new Map<string | null, Span[]>();
  for (const span of spans) {
    const parent =
      span.parent_span_id !== null && known.has(span.parent_span_id) ? span.parent_span_id : null;
    children.set(parent, [...(children.get(parent) ?? []), span]);
  }
  const begin = Math.min(...spans.map(queued));
  const critical = criticalPath(spans, known);
  const falls: Fall[] = [];
  const seen = new Set<string>();
  // A stack and not recursion: a chain of hand-overs may be as long as the ring.
  const stack = (children.get(null) ?? [])
    .toSorted(byTime)
    .reverse()
    .map((span) => ({ span, level: 0 }));
  for (let next = stack.pop(); next; next = stack.pop()) {
    const { span, level } = next;
    if (seen.has(span.span_id)) continue;
    seen.add(span.span_id);
    falls.push(fallOf(span, level, begin, critical.has(span.span_id)));
    const below = (children.get(span.span_id) ?? []).toSorted(byTime).reverse();
    stack.push(...below.map((child) => ({ span: child, level: level + 1 })));
  }
  return { falls, begin, total: Math.max(0.001, ...falls.map((fall) => fall.endedAt)) };
}

function fallOf(span: Span, level: number, begin: number, critical: boolean): Fall {
  const queuedAt = queued(span) - begin;
  const startedAt = queuedAt + (span.queue_us ?? 0) / 1000;
  return { span, level, queuedAt, startedAt, endedAt: startedAt + (span.run_us ?? 0) / 1000, critical };
}

/** From the span that ended last, back through what caused it. */
function criticalPath(spans: readonly Span[], known: Map<string, Span>): Set<string> {
  const path = new Set<string>();
  let last = spans[0];
  for (const span of spans) if (last && ended(span) > ended(last)) last = span;
  for (let at = last; at && !path.has(at.span_id); at = known.get(at.parent_span_id ?? ""))
    path.add(at.span_id);
  return path;
}

const queued = (span: Span) => Date.parse(span.queued_at);
/** As far as it is known: a message that is open has waited, or run, for nobody knows how long. */
const ended = (span: Span) => queued(span) + ((span.queue_us ?? 0) + (span.run_us ?? 0)) / 1000;
const byTime = (a: Span, b: Span) => queued(a) - queued(b) || (a.queue_us ?? 0) - (b.queue_us ?? 0);

/** How a message can end; `open` has not. */
export const OUTCOMES: Span["outcome"][] = ["ok", "error", "crashed", "killed", "dropped", "open"];

/** Whether a message came to a bad end. */
export function isBad(span: Span): boolean {
  return span.outcome !== "ok" && span.outcome !== "open";
}

/** One line for a trace in a list of traces. */
export interface TraceLine {
  traceId: string;
  begin: number;
  ms: number;
  spans: number;
  root: Span;
  bad: number;
}

/** Traces among spans, newest first. */
export function traceLines(spans: readonly Span[]): TraceLine[] {
  const lines = new Map<string, TraceLine & { end: number }>();
  for (const span of spans) {
    const [begin, end, bad] = [queued(span), ended(span), isBad(span) ? 1 : 0];
    const line = lines.get(span.trace_id);
    if (!line) {
      lines.set(span.trace_id, {
        traceId: span.trace_id,
        begin,
        end,
        ms: end - begin,
        spans: 1,
        root: span,
        bad,
      });
      continue;
    }
    if (begin < line.begin || span.parent_span_id === null) line.root = span;
    line.begin = Math.min(line.begin, begin);
    line.end = Math.max(line.end, end);
    line.ms = line.end - line.begin;
    line.spans += 1;
    line.bad += bad;
  }
  return [...lines.values()].sort((a, b) => b.begin - a.begin);
}
