// Calls to the daemon: one place for addresses, deadlines, the token, and errors in words.

import { textOf } from "./format";
import { firstOf } from "./paging";
import type {
  ActionRequest,
  Alert,
  Answer,
  Body,
  CostWindowName,
  Given,
  HmiPaths,
  JobState,
  OrchestratorPaths,
} from "./api";

/** Longest wait for an answer; the daemon's own answers take milliseconds. */
const DEADLINE_MS = 10_000;
/** A kill waits for the actor's end and for the proof. */
const ACTION_DEADLINE_MS = 40_000;
/** Artifacts larger than this are offered as a download instead of a preview. */
export const PREVIEW_BYTES = 200_000;
/** Rows of a step's log in one answer: each may bear a result of 24 KiB. */
export const LOG_ROWS = 100;
/** For a file that is saved: up to what the daemon serves in one answer. */
const SAVE_DEADLINE_MS = 120_000;
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
    response = await fetch(url, {
      ...init,
      headers: { ...authHeaders(), ...init.headers },
      signal: AbortSignal.timeout(deadline),
    });
  } catch (error) {
    const late = error instanceof DOMException && error.name === "TimeoutError";
    throw new CallError(
      0,
      late
        ? `The daemon did not answer within ${deadline / 1000} s.`
        : "The daemon does not answer. Is it running? `pas up` starts it.",
    );
  }
  if (!response.ok) throw new CallError(response.status, await words(response));
  return response;
}

async function words(response: Response): Promise<string> {
  if (response.status === 401) return "The daemon wants a token: set it in Settings.";
  const body: unknown = await response.json().catch(() => null);
  return errorText(body) ?? `The daemon answered ${response.status} ${response.statusText}.`;
}

/** The sentence of an error's body; of a request that does not fit, each field with its objection. */
export function errorText(body: unknown): string | null {
  const { detail, error, message } = (body ?? {}) as Record<string, unknown>;
  if (Array.isArray(detail)) {
    const objections = (detail as { loc?: unknown[]; msg?: unknown }[]).map(({ loc, msg }) => {
      const field = (loc ?? []).slice(1).join(".");
      return [field, textOf(msg)].filter(Boolean).join(": ");
    });
    return objections.join("; ") || null;
  }
  return textOf(detail ?? error ?? message) || null;
}

async function get<T>(url: string): Promise<T> {
  return (await (await answer(url, {}, DEADLINE_MS)).json()) as T;
}

async function post<T>(url: string, body: unknown, deadline = DEADLINE_MS): Promise<T> {
  const init = {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  };
  return (await (await answer(url, init, deadline)).json()) as T;
}

function orchestrator(path: string): string {
  const url = portUrl("orchestrator", path);
  if (url === null)
    throw new CallError(0, "The orchestrator's port is not known yet; wait until the page is connected.");
  return url;
}

type Query = Record<string, string | number | boolean | null | undefined>;

/** `/api/agents/{name}` with its parts and its query; values that are left out are left out. */
export function address(template: string, given: { path?: Query; query?: Query }): string {
  const path = template.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(String(given.path?.[name])),
  );
  const query = Object.entries(given.query ?? {}).flatMap(([key, value]) =>
    value == null ? [] : [[key, String(value)]],
  );
  return query.length === 0 ? path : `${path}?${new URLSearchParams(query).toString()}`;
}

/** Calls of one port, held to its contract: paths, what they take, and what they answer. */
function port<Paths>(at: (path: string) => string) {
  return {
    read: <Path extends keyof Paths & string>(path: Path, given: Given<Paths, Path>) =>
      get<Answer<Paths, Path>>(at(address(path, given))),
    ask: <Path extends keyof Paths & string>(
      path: Path,
      given: Given<Paths, Path, "post">,
      body: Body<Paths, Path>,
      deadline?: number,
    ) => post<Answer<Paths, Path, "post">>(at(address(path, given)), body, deadline),
  };
}

const own = port<HmiPaths>((path) => path);
const orders = port<OrchestratorPaths>(orchestrator);

export const hmi = {
  live: () => own.read("/api/live", {}),
  agent: (name: string) => own.read("/api/agents/{name}", { path: { name } }),
  sequencer: (since: number, until?: number) => own.read("/api/sequencer", { query: { since, until } }),
  costs: (window: CostWindowName) => own.read("/api/costs", { query: { window } }),
  receipts: async (run_id: string, wanted: number) => {
    let total_cost_usd = 0;
    const listed = await firstOf(wanted, async (query) => {
      const page = await own.read("/api/costs/receipts/{run_id}", { path: { run_id }, query });
      total_cost_usd = page.total_cost_usd;
      return { ...page, items: page.receipts };
    });
    return { ...listed, total_cost_usd };
  },
  budget: (run_id: string) => own.read("/api/costs/budget/{run_id}", { path: { run_id } }),
  services: async () => (await own.read("/api/services", {})).services,
  tasks: async () => (await own.read("/api/tasks", {})).tasks,
  alerts: (wanted: number, severity?: Alert["severity"]) =>
    firstOf(wanted, async (page) => {
      const found = await own.read("/api/alerts", { query: { ...page, severity } });
      return { ...found, items: found.alerts };
    }),
  audit: (limit: number) => own.read("/api/audit", { query: { limit } }),
  blastRadius: (target: string, action: ActionRequest["action"], subtree: boolean) =>
    own.read("/api/blast-radius", { query: { target, action, subtree } }),
  act: (request: ActionRequest) => own.ask("/api/action", {}, request, ACTION_DEADLINE_MS),
};

/** What may be asked of a job on port 6100. */
export type JobVerb = "cancel" | "pause" | "resume" | "retry";

export const jobs = {
  list: (wanted: number, state?: JobState) =>
    firstOf(wanted, async (page) => {
      const found = await orders.read("/jobs", { query: { ...page, state } });
      return { ...found, items: found.jobs };
    }),
  tree: (job_id: string) => orders.read("/jobs/{job_id}", { path: { job_id }, query: { tree: true } }),
  submit: (task: string, inputs: Record<string, unknown>, priority: number) =>
    orders.ask("/jobs", {}, { task, inputs, priority }),
  tell: (job_id: string, verb: JobVerb, reason: string) =>
    orders.ask(`/jobs/{job_id}/${verb}`, { path: { job_id } }, reason ? { reason } : {}),
  log: (job_id: string, since: number) =>
    orders.read("/jobs/{job_id}/log", { path: { job_id }, query: { since, limit: LOG_ROWS } }),
  say: (job_id: string, text: string) => orders.ask("/jobs/{job_id}/say", { path: { job_id } }, { text }),
  artifacts: async (job_id: string) =>
    (await orders.read("/jobs/{job_id}/artifacts", { path: { job_id } })).artifacts,
  artifactUrl: (job_id: string, path: string) =>
    orchestrator(
      `${address("/jobs/{job_id}/artifacts/", { path: { job_id } })}${path.split("/").map(encodeURIComponent).join("/")}`,
    ),
  artifactBlob: async (id: string, path: string) =>
    (await answer(jobs.artifactUrl(id, path), {}, SAVE_DEADLINE_MS)).blob(),
  artifactText: async (id: string, path: string) =>
    (await answer(jobs.artifactUrl(id, path), {}, DEADLINE_MS)).text(),
};

/** What the daemon filters spans by, over all that it keeps. */
export interface TraceQuery {
  agent?: string;
  kind?: string;
  outcome?: string;
  min_ms?: number;
  work_only?: boolean;
}

export const traces = {
  recent: (wanted: number, query: TraceQuery) =>
    firstOf(wanted, async (page) => {
      const found = await orders.read("/trace", { query: { ...query, ...page } });
      return { ...found, items: found.spans };
    }),
  one: async (trace_id: string, query: TraceQuery = {}) =>
    (await orders.read("/trace/{trace_id}", { path: { trace_id }, query })).spans,
  crashes: async () => (await orders.read("/crashes", { query: { limit: 50 } })).crashes,
  crash: (id: number, query: TraceQuery = {}) => orders.read("/crashes/{id}", { path: { id }, query }),
};

export const approvals = {
  all: (wanted: number) =>
    firstOf(wanted, async (page) => {
      const found = await orders.read("/approvals", { query: { ...page, status: "all" } });
      return { ...found, items: found.approvals };
    }),
};
