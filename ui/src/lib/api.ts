// The shapes of the HMI's wire (port 6101): what the daemon answers, field by field.
//
// These types are the contract. Times are ISO 8601 in UTC unless a name ends in `_s` (seconds),
// `_ms`, `_us`, or the comment says "unix seconds". Money is US dollars, as a number. A field with `?`
// may be missing; the page then leaves its place empty, and never invents a value.

/** What an agent does: derived from mailboxes, beats and leases. `ok` is alive and idle. */
export type AgentStatus =
  | "ok"
  | "queued"
  | "running"
  | "waiting_approval"
  | "blocked"
  | "paused"
  | "degraded"
  | "error"
  | "down"
  | "done";

/** The states of a job card. */
export type JobState =
  | "queued"
  | "running"
  | "awaiting_approval"
  | "blocked"
  | "paused"
  | "done"
  | "failed"
  | "cancelled"
  | "quarantined";

/** `GET /api/live`: all that a page needs to draw at once. */
export interface Live {
  /** The event stream's last number when this was read; follow from here. */
  seq: number;
  at: string;
  version: string;
  /** Service name, as in the catalogue (`orchestrator`, `event-stream`, …), to port. */
  ports: Record<string, number>;
  health: Health;
  /** Flat; a parent stands before its children. */
  tree: TreeNode[];
  /** Root jobs that have not ended, and those that ended in the last five minutes. */
  jobs: LiveJob[];
  /** Pending only. */
  approvals: LiveApproval[];
  /** Of the last 24 h, newest first, at most 100. */
  alerts: Alert[];
  resources: Resources;
  costs: { minute: CostWindow; hour: CostWindow; day: CostWindow };
  current: CurrentTask | null;
  /** The newest events that are not heartbeats and still in memory, newest last, at most 50. */
  recent?: SwarmEvent[];
}

export interface Health {
  /** One sentence, such as `50 agents, all answering`. */
  line: string;
  agents_total: number;
  agents_ok: number;
  agents_down: number;
}

/** One actor of the supervision tree. An agent is a supervisor `x-sup` and its worker `x`. */
export interface TreeNode {
  /** The same for as long as the daemon runs. */
  no: number;
  name: string;
  /** The parent's `no`; null for the root. */
  parent: number | null;
  kind: "supervisor" | "worker";
  /** Of agents; null for services and the root. */
  role: "coord" | "exec" | "system" | null;
  tier: number | null;
  /** `code`, `data`, `devsecops`, `docs`, `models`, or null. */
  lane: string | null;
  status: AgentStatus;
  /** `starting`, `running`, `restarting`, `stopping`, `stopped`. */
  phase: string;
  /** Messages that wait in the mailbox, and how many fit. */
  depth: number;
  capacity: number;
  /** Messages handled since the daemon started. */
  handled: number;
  /** The kind of message in hand; null when none. */
  handling: string | null;
  restarts: number;
  last_exit: string | null;
  /** Since the last sign of life; null where none is expected. */
  beat_age_ms: number | null;
  /** Tokens; null where no model is used. */
  ctx_used: number | null;
  ctx_limit: number | null;
  step: { job_id: string; task: string; progress: number; done: number; total: number } | null;
  cost_usd: number;
}

/** A root job as the dashboard shows it. */
export interface LiveJob {
  job_id: string;
  run_id: string;
  task: string;
  agent: string;
  state: JobState;
  /** 0 to 1 over the whole tree of jobs. */
  progress: number;
  /** What is being done just now, such as `reading files`. */
  note?: string;
  created_at: string;
  started_at: string | null;
  ended_at: string | null;
  /** Seconds that it will still take; null when unknown. */
  eta_s: number | null;
  /** Jobs of its tree: all, and those that are done. */
  steps_total: number;
  steps_done: number;
  cost_usd: number;
}

export interface LiveApproval {
  approval_id: string;
  job_id: string;
  run_id: string;
  /** Who asks. */
  agent: string;
  /** What for, in words. */
  action: string;
  /** What was asked for exactly; `command` where it is a command. */
  detail: Record<string, unknown>;
  status?: "pending" | "approved" | "rejected";
  requested_at: string;
  decided_at?: string | null;
  decided_by?: string | null;
  reason?: string | null;
  waiting_s: number;
  blocked_descendants: number;
  usd_per_min: number;
}

export interface Alert {
  /** `service_down`, `budget`, `context`, … */
  type: string;
  severity: "info" | "warning" | "error" | "critical";
  message: string;
  timestamp: string;
  /** An agent or job to go to. */
  target?: string | null;
}

export interface Quota {
  total_capacity: number;
  allocated: number;
  reserved: number;
  available: number;
  /** 0 to 1. */
  utilization: number;
}

export interface Resources {
  /** Of the machine, 0 to 100. */
  cpu_percent: number;
  mem_used_mb: number;
  mem_total_mb: number;
  /** Of the daemon itself. */
  rss_mb?: number;
  disk_free_mb?: number;
  /** As the resource manager's `GET /quotas`; left out while it is not up. */
  quotas?: Record<string, Quota>;
  /** Active ones; left out while the resource manager is not up. */
  reservations?: Reservation[];
}

export interface Reservation {
  reservation_id: string;
  job_id: string;
  agent: string;
  cpu: number;
  mem_mb: number;
  gpu: number;
  gpu_mem_mb: number;
  created_at: string;
}

export interface CostWindow {
  usd: number;
  tokens: number;
  requests: number;
}

/** `GET /api/current-task` has the same in `task`. `start_time`: unix seconds. */
export interface CurrentTask {
  task_id: string;
  name: string;
  status: AgentStatus;
  agent: string;
  progress: number;
  start_time: number;
}

/** `GET /api/agents/{name}`. */
export interface AgentCard {
  name: string;
  display_name: string;
  description: string;
  status: AgentStatus;
  role: string;
  tier: number;
  mode?: string;
  parent: string | null;
  capabilities: string[];
  definition: { prompt: string; rights: Record<string, unknown>; tools?: string[]; model?: string; behaviour?: string };
  context: { used: number; limit: number; target_ratio: number; hard_max_ratio: number } | null;
  step: TreeNode["step"];
  mailbox: { depth: number; capacity: number; handled: number; handling: string | null; last_beat_at: string | null };
  /** Newest first. */
  restarts: { at: string; reason: string; incarnation: number; crash_id?: number }[];
  /** From the trace rings, newest first, at most 50. */
  messages: Span[];
  /** Newest first, at most 200 lines that concern this agent. */
  logs?: { at: string; level: string; message: string }[];
  cost: { usd: number; tokens: number; requests: number };
}

/** One handled message, as on port 6100. */
export interface Span {
  trace_id: string;
  span_id: string;
  parent_span_id: string | null;
  from: string;
  to: string;
  kind: string;
  queued_at: string;
  started_at: string;
  ended_at: string;
  queue_us: number;
  run_us: number;
  outcome: string;
}

/** `GET /api/sequencer?since=&until=` (unix seconds; without: the last 24 h). Times: unix seconds. */
export interface Sequencer {
  timestamp: number;
  agents: { service_id: string; name: string; tier: number | null; status: AgentStatus; agent_role: string | null }[];
  tasks: SequencerTask[];
  /** Crashes, restarts and hangs in the range; left out when there are none. */
  marks?: { at: number; agent_id: string; kind: string }[];
}

export interface SequencerTask {
  task_id: string;
  /** The agent's `service_id`. */
  agent_id: string;
  name: string;
  status: AgentStatus;
  progress: number;
  start_time: number;
  end_time?: number | null;
  /** Last sign of progress; a running task is stuck when this is older than two heartbeats. */
  beat_time?: number | null;
}

export type CostWindowName = "minute" | "hour" | "day";

/** `GET /api/costs?window=`. */
export interface Costs {
  timestamp: string;
  cost_metrics: {
    window: string;
    total_cost_usd: number;
    total_requests: number;
    total_tokens: number;
    cost_per_request: number;
    requests_per_provider: Record<string, number>;
    cost_per_provider: Record<string, number>;
    cost_per_model?: Record<string, number>;
    cost_per_agent?: Record<string, number>;
    cost_per_run?: Record<string, number>;
    /** Slices of the window, oldest first; `at` in unix seconds. */
    series?: { at: number; usd: number; tokens: number }[];
  };
  provider_stats: Record<string, unknown>;
}

/** `GET /api/costs/receipts/{run_id}`. */
export interface Receipts {
  run_id: string;
  receipts: Receipt[];
  count: number;
  total_cost_usd: number;
}

export interface Receipt {
  request_id: string;
  agent: string;
  timestamp: string;
  provider: string;
  model: string;
  input_tokens: number;
  output_tokens: number;
  cost_usd: number;
  latency_ms: number;
  status: string;
  error_message?: string | null;
}

/** `GET /api/costs/budget/{run_id}`. */
export interface Budget {
  run_id: string;
  budget_set: boolean;
  budget_usd?: number;
  spent_usd?: number;
  remaining_usd?: number;
  percent_used?: number;
  alert_level?: "ok" | "caution" | "warning" | "critical";
  message?: string;
}

/** `POST /api/action`. `target`: an agent's name, a job's id, or an approval's id. */
export interface ActionRequest {
  action: ActionName;
  target: string;
  reason?: string;
  /** With everything below it. */
  subtree?: boolean;
  /** For `reassign`: the agent that takes the job over. */
  to?: string;
}

export type ActionName = "pause" | "resume" | "restart" | "kill" | "reassign" | "approve" | "reject";

export interface ActionAnswer {
  status: string;
  message: string;
  /** After kill and restart: what was seen to be gone, given back, and what it cost. */
  proof?: Proof | null;
}

export interface Proof {
  agents: { name: string; before: number; after: number; back_ms: number | null }[];
  streams_closed: number;
  processes_gone: number;
  reservations_released: number;
  holds_released_usd: number;
  final_cost_usd: number;
}

/** `GET /api/blast-radius?target=&action=&subtree=`. */
export interface BlastRadius {
  agents: string[];
  jobs: { job_id: string; task: string; agent: string; state: JobState }[];
  usd_in_flight: number;
}

/** `GET /api/audit?limit=`: newest first. */
export interface Audit {
  entries: AuditEntry[];
}

export interface AuditEntry {
  at: string;
  who: string;
  action: string;
  target: string;
  reason?: string | null;
  before: unknown;
  after: unknown;
}

/** One event of port 6102. */
export interface SwarmEvent {
  seq: number;
  event_type: string;
  data: Record<string, unknown>;
  server_timestamp: string;
  id?: string;
}

/** A job card as port 6100 gives it. */
export interface JobCard {
  job_id: string;
  run_id: string;
  parent_job_id: string | null;
  step: string;
  agent: string;
  task: string;
  inputs: Record<string, unknown>;
  outputs: Record<string, unknown>;
  artifacts: Artifact[];
  created_at: string;
  started_at: string | null;
  ended_at: string | null;
  state: JobState;
  attempt: number;
  progress: { done: number; total: number; fraction: number; note: string };
  error: { message?: string; [more: string]: unknown } | string | null;
  waiting_for: string[];
  trace_id?: string;
  children?: JobCard[];
}

export interface Artifact {
  path: string;
  kind: string;
  media_type: string;
  bytes: number;
  blake3: string;
  deterministic: boolean;
}

/** A crash as port 6100 gives it; with its frozen spans when asked for alone. */
export interface Crash {
  id: number;
  agent: string;
  incarnation: number;
  reason: string;
  message: string;
  place: string | null;
  at: string;
  spans?: Span[];
}
