// One connection to the event stream: a WebSocket, or SSE read by `fetch` where a token must be shown
// (a browser's WebSocket cannot send one). Reports; decides nothing.

import { authHeaders, portUrl, token } from "./client";
import type { SwarmEvent } from "./api";

export interface Following {
  opened: () => void;
  event: (event: SwarmEvent) => void;
  /** Once, with the reason when the daemon gave one. */
  closed: (reason: string) => void;
}

/** Follows from `since`; gives what ends it. Null when the port is not known. */
export function follow(since: number, told: Following): (() => void) | null {
  const scheme = token() === null ? "ws" : "http";
  const url = portUrl(
    "event-stream",
    scheme === "ws" ? `/ws?since=${since}` : `/events?since=${since}`,
    scheme,
  );
  if (url === null) return null;
  return scheme === "ws" ? overWebSocket(url, told) : overSse(url, told);
}

function overWebSocket(url: string, told: Following): () => void {
  const socket = new WebSocket(url);
  let done = false;
  const end = (reason: string) => {
    if (done) return;
    done = true;
    told.closed(reason);
  };
  socket.onopen = () => told.opened();
  socket.onmessage = ({ data }) => deliver(String(data), told);
  socket.onclose = ({ reason }) => end(reason);
  return () => {
    done = true;
    socket.close();
  };
}

function overSse(url: string, told: Following): () => void {
  const stop = new AbortController();
  void read(url, told, stop.signal).then(told.closed, () => {
    if (!stop.signal.aborted) told.closed("");
  });
  return () => stop.abort();
}

async function read(url: string, told: Following, signal: AbortSignal): Promise<string> {
  const response = await fetch(url, { headers: { ...authHeaders(), accept: "text/event-stream" }, signal });
  if (!response.ok || !response.body) return `the event stream answered ${response.status}`;
  told.opened();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    const blocks = (rest + chunk.value).replaceAll("\r\n", "\n").split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) deliver(dataOf(block), told);
  }
  return "";
}

/** The joined `data:` lines of one SSE block. */
export function dataOf(block: string): string {
  const lines = block.split("\n").filter((line) => line.startsWith("data:"));
  return lines.map((line) => line.slice(5).trimStart()).join("\n");
}

function deliver(text: string, told: Following): void {
  if (text === "") return;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return; // Not an event of ours; the numbers will show it if one is missing.
  }
  if (value !== null && typeof value === "object" && typeof (value as SwarmEvent).seq === "number")
    told.event(value as SwarmEvent);
}
