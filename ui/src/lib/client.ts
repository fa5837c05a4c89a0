// Calls to the daemon: one place for addresses, deadlines, the token, and errors in words.

import type {
  ActionAnswer, ActionRequest, AgentCard, Artifact, Audit, BlastRadius, Budget, Costs, CostWindowName, Crash, JobCard, Live,
  LiveApproval, Receipts, Sequencer, Span,
} from "./api";

/** Longest wait for an answer; the daemon's own answers take milliseconds. */
const DEADLINE_MS = 10_000;
/** A kill waits for the actor's end and for the proof. */
const ACTION_DEADLINE_MS = 40_000;
/** Artifacts larger than this are offered as a download instead of a preview. */
export const PREVIEW_BYTES = 200_000;
const TOKEN_KEY = "pas.token";

/** What went wrong, in words that say what to do. `status` 0: nobody answered. */
export class CallError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** For a daemon that listens beyond loopback; kept for this tab only. */
export function token(): string | null {
  return sessionStorage.getItem(TOKEN_KEY);
}

export function setToken(value: string): void {
  if (value === "") sessionStorage.removeItem(TOKEN_KEY);
  else sessionStorage.setItem(TOKEN_KEY, value);
}

let ports: Record<string, number> = {};

/** Learned from `/api/live`; before that, only the page's own port can be called. */
export function setPorts(known: Record<string, number>): void {
  ports = known;
}

/** The address of another port of the same daemon; null when it is not up. */
export function portUrl(service: string, path: string, scheme: "http" | "ws" = "http"): string | null {
  const port = ports[service];
  return port === undefined ? null : `${scheme}://${location.hostname}:${port}${path}`;
}

export function authHeaders(): Record<string, string> {
  const secret = token();
  return secret === null ? {} : { authorization: `Bearer ${secret}` };
}

async function answer(url: string, init: RequestInit, deadline: number): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { ...init, headers: { ...authHeaders(), ...init.headers }, signal: AbortSignal.timeout(deadline) });
  } catch (error) {
    const late = error instanceof DOMException && error.name === "TimeoutError";
    throw new CallError(0, late ? `The daemon did not answer within ${deadline / 1000} s.` : "The daemon does not answer. Is it running? `pas up` starts it.");
  }
  if (!response.ok) throw new CallError(response.status, await words(response));
  return response;
}

async function words(response: Response): Promise<string> {
  if (response.status === 401) return "The daemon wants a token: set it in Settings.";
  const body: unknown = await response.json().catch(() => null);
  const said = body !== null && typeof body === "object" ? (body as Record<string, unknown>) : {};
  const detail = said["detail"] ?? said["error"] ?? said["message"];
  return typeof detail === "string" ? detail : `The daemon answered ${response.status} ${response.statusText}.`;
}

async function get<T>(url: string): Promise<T> {
  return (await (await answer(url, {}, DEADLINE_MS)).json()) as T;
}

async function post<T>(url: string, body: unknown, deadline = DEADLINE_MS): Promise<T> {
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  return (await (await answer(url, init, deadline)).json()) as T;
}

function orchestrator(path: string): string {
  const url = portUrl("orchestrator", path);
  if (url === null) throw new CallError(0, "The orchestrator's port is not known yet; wait until the page is connected.");
  return url;
}

const part = encodeURIComponent;
const query = (values: Record<string, string | number | boolean | undefined>) =>
  new URLSearchParams(Object.entries(values).flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)]]))).toString();

export const hmi = {
  live: () => get<Live>("/api/live"),
  agent: (name: string) => get<AgentCard>(`/api/agents/${part(name)}`),
  sequencer: (since: number, until?: number) => get<Sequencer>(`/api/sequencer?${query({ since, until })}`),
  costs: (window: CostWindowName) => get<Costs>(`/api/costs?${query({ window })}`),
  receipts: (runId: string) => get<Receipts>(`/api/costs/receipts/${part(runId)}`),
  budget: (runId: string) => get<Budget>(`/api/costs/budget/${part(runId)}`),
  audit: (limit: number) => get<Audit>(`/api/audit?${query({ limit })}`),
  blastRadius: (target: string, action: string, subtree: boolean) =>
    get<BlastRadius>(`/api/blast-radius?${query({ target, action, subtree })}`),
  act: (request: ActionRequest) => post<ActionAnswer>("/api/action", request, ACTION_DEADLINE_MS),
};

/** What the job's card on port 6100 can be told. */
export type JobVerb = "cancel" | "pause" | "resume" | "retry";

export const jobs = {
  list: async (state?: string) => (await get<{ jobs: JobCard[] }>(orchestrator(`/jobs?${query({ limit: 100, state })}`))).jobs,
  tree: (id: string) => get<JobCard>(orchestrator(`/jobs/${part(id)}?tree=true`)),
  submit: (task: string, inputs: unknown, priority: number) => post<JobCard>(orchestrator("/jobs"), { task, inputs, priority }),
  tell: (id: string, verb: JobVerb, reason: string) => post<unknown>(orchestrator(`/jobs/${part(id)}/${verb}`), reason ? { reason } : {}),
  artifacts: async (id: string) => (await get<{ artifacts: Artifact[] }>(orchestrator(`/jobs/${part(id)}/artifacts`))).artifacts,
  artifactUrl: (id: string, path: string) => orchestrator(`/jobs/${part(id)}/artifacts/${path.split("/").map(part).join("/")}`),
  artifactText: async (id: string, path: string) => (await answer(jobs.artifactUrl(id, path), {}, DEADLINE_MS)).text(),
};

export const traces = {
  recent: async (filter: { agent?: string; job?: string; limit: number }) =>
    (await get<{ spans: Span[] }>(orchestrator(`/trace?${query(filter)}`))).spans,
  one: async (id: string) => (await get<{ spans: Span[] }>(orchestrator(`/trace/${part(id)}`))).spans,
  crashes: async () => (await get<{ crashes: Crash[] }>(orchestrator("/crashes?limit=50"))).crashes,
  crash: (id: number) => get<Crash>(orchestrator(`/crashes/${id}`)),
};

export const approvals = {
  decided: async () => (await get<{ approvals: LiveApproval[] }>(orchestrator("/approvals?status=all"))).approvals,
};
