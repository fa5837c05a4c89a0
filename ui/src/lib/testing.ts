// Small makers of wire values for unit tests: everything idle and empty, until a test says otherwise.

import type { Live, LiveApproval, Sequencer, SequencerTask, Span, SwarmEvent, TreeNode } from "./api";

export function node(
  no: number,
  name: string,
  parent: number | null,
  more: Partial<TreeNode> = {},
): TreeNode {
  return {
    no,
    name,
    parent,
    kind: name.endsWith("-sup") || parent === null ? "supervisor" : "worker",
    role: null,
    tier: null,
    level: null,
    lane: null,
    status: "ok",
    health: "ok",
    paused: false,
    working_on: null,
    handling: null,
    waiting_for: null,
    phase: "running",
    depth: 0,
    capacity: 64,
    handled: 0,
    restarts: 0,
    last_exit: null,
    beat_age_ms: null,
    ctx_used: null,
    ctx_limit: null,
    step: null,
    cost_usd: 0,
    ...more,
  };
}

/** root → a-sup(a → b-sup(b), c-sup(c)), service. */
export function smallTree(): TreeNode[] {
  return [
    node(1, "root", null),
    node(2, "a-sup", 1),
    node(3, "a", 2, { role: "coord", tier: 1, level: "architect" }),
    node(4, "b-sup", 2, { restarts: 1 }),
    node(5, "b", 4, { role: "exec", tier: 2, level: "worker", lane: "data", restarts: 2, status: "running" }),
    node(6, "c-sup", 2),
    node(7, "c", 6, { role: "exec", status: "error" }),
    node(8, "service", 1),
  ];
}

export function liveOf(tree: TreeNode[]): Live {
  const none = { usd: 0, tokens: 0, requests: 0 };
  return {
    seq: 10,
    at: "2026-11-22T20:00:00Z",
    version: "0",
    ports: {},
    tree,
    jobs: [],
    approvals: [],
    alerts: [],
    current: null,
    jobs_total: 0,
    alerts_total: 0,
    health: {
      line: "",
      agents_total: 0,
      agents_ok: 0,
      agents_down: 0,
      services_total: 0,
      services_ok: 0,
      services_down: 0,
    },
    resources: { cpu_percent: 0, mem_used_mb: 0, mem_total_mb: 0, quotas: {}, reservations: [] },
    recent: [],
    costs: { minute: none, hour: none, day: none },
  };
}

export function event(event_type: string, data: Record<string, unknown>, seq = 11): SwarmEvent {
  return {
    seq,
    event_type,
    data: { timestamp: "2026-11-22T20:00:00Z", ...data },
    server_timestamp: "2026-11-22T20:00:00Z",
  };
}

export function approval(approval_id: string, more: Partial<LiveApproval>): LiveApproval {
  return {
    approval_id,
    job_id: "j",
    run_id: "j",
    agent: "a",
    action: "push",
    kind: "required",
    detail: {},
    binding: "",
    status: "pending",
    requested_at: "",
    decided_at: null,
    decided_by: null,
    reason: null,
    waiting_s: 0,
    blocked_descendants: 0,
    usd_per_min: 0,
    ...more,
  };
}

export function task(
  task_id: string,
  agent: string,
  start_time: number,
  end_time: number | null,
  more: Partial<SequencerTask> = {},
): SequencerTask {
  return {
    task_id,
    agent_id: `agent-${agent}`,
    name: task_id,
    status: end_time === null ? "running" : "done",
    progress: end_time === null ? 0.5 : 1,
    progress_known: true,
    start_time,
    end_time,
    beat_time: null,
    ...more,
  };
}

export function sequencer(tasks: SequencerTask[], timestamp = 100): Sequencer {
  const names = [...new Set(tasks.map((one) => one.agent_id.slice(6)))];
  return {
    timestamp,
    tasks,
    cut: false,
    agents: names.map((name) => ({
      service_id: `agent-${name}`,
      name,
      tier: 1,
      level: "worker",
      status: "ok",
      agent_role: "exec",
    })),
  };
}

/** Times in milliseconds after a fixed second. */
export function span(
  span_id: string,
  parent_span_id: string | null,
  queued: number,
  waited: number,
  ran: number,
  more: Partial<Span> = {},
): Span {
  const at = (ms: number) => new Date(Date.UTC(2026, 10, 22, 20) + ms).toISOString();
  return {
    trace_id: "t",
    span_id,
    parent_span_id,
    from: "x",
    to: "y",
    kind: "reconcile",
    queued_at: at(queued),
    started_at: at(queued + waited),
    ended_at: at(queued + waited + ran),
    queue_us: waited * 1000,
    run_us: ran * 1000,
    outcome: "ok",
    ...more,
  };
}
