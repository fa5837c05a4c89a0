// What an event changes in the snapshot at once, before the next full refresh tells the truth. Pure.
//
// Only facts that the event itself states are taken over; everything else waits for the refresh.

import type { Live, SwarmEvent, TreeNode } from "./api";

/** How soon after an event the snapshot should be read again, in milliseconds. */
export function urgencyMs(event: SwarmEvent): number {
  switch (event.event_type) {
    case "heartbeat":
      return Infinity; // The timer is soon enough, and the event itself says what there is to say.
    case "supervision":
    case "approval":
      return 60;
    default:
      return 250;
  }
}

/** The snapshot with the event's own facts; the same object when nothing changes. */
export function applyEvent(live: Live, event: SwarmEvent): Live {
  const { data } = event;
  switch (event.event_type) {
    case "heartbeat":
      return withNode(live, text(data["agent"]), (node) => ({
        ...node,
        beat_age_ms: 0, // Not its status: a beat knows nothing of the agent's jobs, the snapshot does.
        depth: num(data["queue_depth"]) ?? node.depth,
        handled: Math.max(node.handled, num(data["handled"]) ?? 0),
        restarts: Math.max(node.restarts, num(data["restarts"]) ?? 0),
      }));
    case "supervision": // How the actor stands now is the daemon's to say: the refresh that this event hastens.
      return withNode(live, text(data["actor"]), (node) => {
        const restarts = Math.max(node.restarts, num(data["restarts"]) ?? 0);
        return restarts === node.restarts ? node : { ...node, restarts };
      });
    default:
      return live;
  }
}

function withNode(live: Live, name: string | null, change: (node: TreeNode) => TreeNode): Live {
  const at = name === null ? -1 : live.tree.findIndex((node) => node.name === name);
  const node = live.tree[at];
  const changed = node && change(node);
  if (!changed || changed === node) return live;
  const tree = live.tree.slice();
  tree[at] = changed;
  return { ...live, tree };
}

/** Events that are missing between the last number seen and this one. */
export function gap(lastSeq: number, seq: number): number {
  return lastSeq > 0 && seq > lastSeq + 1 ? seq - lastSeq - 1 : 0;
}

/** An event in one line of words. */
export function sentence(event: SwarmEvent): string {
  const { data } = event;
  const who = text(data["agent"]) ?? text(data["actor"]) ?? text(data["service_name"]) ?? "";
  switch (event.event_type) {
    case "status_update":
      return `${who}: ${words(text(data["event"]) ?? "status")} ${text(data["job_id"]) ?? ""}`.trim();
    case "supervision":
      return `${who} ${words(text(data["event"]) ?? "changed")}${why(data["reason"])}`;
    case "alert":
      return text(data["message"]) ?? `${who}: ${words(text(data["alert_type"]) ?? "alert")}`;
    case "action":
      return `${text(data["who"]) ?? "somebody"}: ${text(data["action"]) ?? "act"} ${text(data["target"]) ?? ""}, ${text(data["outcome"]) ?? ""}`;
    case "approval":
      return `${who}: ${approvalWords(text(data["event"]))} ${text(data["job_id"]) ?? ""}`.trim();
    case "cost_update": {
      const calls = num(data["calls"]) ?? 1;
      return `${who} spent $${num(data["cost_usd"]) ?? 0}${calls > 1 ? ` in ${calls} calls` : ""}`;
    }
    default:
      return `${who} ${words(event.event_type)}`.trim();
  }
}

function approvalWords(event: string | null): string {
  return event === "awaiting_approval" ? "asks for approval" : words(event ?? "approval");
}

function why(reason: unknown): string {
  if (typeof reason === "string") return `: ${words(reason)}`;
  const inner = reason && typeof reason === "object" ? (reason as Record<string, unknown>) : {};
  const said = text(inner["message"]) ?? text(inner["reason"]);
  return said ? `: ${said}` : "";
}

function words(term: string): string {
  return term.replaceAll("_", " ");
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function num(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}
