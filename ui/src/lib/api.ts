// The wire's types by the names that the pages use. `generated/` has them from contracts/, the only source:
// a field is there, optional or null exactly where its contract says so.
//
// Times are ISO 8601 in UTC unless a name ends in `_s` (seconds), `_ms` or `_us`, or the contract says
// "Unix seconds". Money is US dollars, as a number.

import type { components as stream } from "./generated/event-stream";
import type { components as hmi, paths as hmiPaths } from "./generated/hmi";
import type { components as orchestrator, paths as orchestratorPaths } from "./generated/orchestrator";

export type HmiPaths = hmiPaths;
export type OrchestratorPaths = orchestratorPaths;

type Json<Operation> = Operation extends {
  responses: { 200: { content: { "application/json": infer Answer } } };
}
  ? Answer
  : Operation extends { responses: { 202: { content: { "application/json": infer Answer } } } }
    ? Answer
    : never;

/** The answer of an operation when all is well. */
export type Answer<Paths, Path extends keyof Paths, Method extends "get" | "post" = "get"> =
  Paths[Path] extends Record<Method, infer Operation> ? Json<Operation> : never;

/** The parts of the path and the query that an operation takes. */
export type Given<Paths, Path extends keyof Paths, Method extends "get" | "post" = "get"> =
  Paths[Path] extends Record<Method, { parameters: infer All }>
    ? Pick<All, Extract<keyof All, "path" | "query">>
    : never;

/** The JSON that an operation takes. */
export type Body<Paths, Path extends keyof Paths> = Paths[Path] extends {
  post: { requestBody?: { content: { "application/json": infer Sent } } };
}
  ? Sent
  : never;

type Hmi = hmi["schemas"];
type Orchestrator = orchestrator["schemas"];

export type AgentStatus = Hmi["AgentStatus"];
export type HierarchyLevel = Hmi["HierarchyLevel"];
export type JobState = Hmi["JobState"];
export type Live = Answer<HmiPaths, "/api/live">;
export type TreeNode = Hmi["TreeNode"];
export type LiveJob = Hmi["LiveJob"];
/** A pending one, with what its waiting costs. */
export type LiveApproval = Hmi["LiveApproval"];
export type ServiceItem = Hmi["ServiceItem"];
/** A task that can be submitted. */
export type OfferedTask = Answer<HmiPaths, "/api/tasks">["tasks"][number];
export type Alert = Hmi["Alert"];
export type Resources = Hmi["Resources"];
export type CurrentTask = Hmi["CurrentTask"];
export type AgentCard = Hmi["AgentCard"];
export type Sequencer = Answer<HmiPaths, "/api/sequencer">;
export type SequencerTask = Sequencer["tasks"][number];
export type Costs = Answer<HmiPaths, "/api/costs">;
export type CostWindowName = Costs["cost_metrics"]["window"];
export type Receipt = Answer<HmiPaths, "/api/costs/receipts/{run_id}">["receipts"][number];
export type Budget = Hmi["Budget"];
export type ActionRequest = Body<HmiPaths, "/api/action">;
export type ActionName = ActionRequest["action"];
export type ActionAnswer = Answer<HmiPaths, "/api/action", "post">;
export type Proof = NonNullable<Hmi["Proof"]>;
export type BlastRadius = Answer<HmiPaths, "/api/blast-radius">;
export type AuditEntry = Hmi["AuditEntry"];

/** One event of port 6102. */
export type SwarmEvent = stream["schemas"]["Event"];

export type JobCard = Orchestrator["job_card"];
export type Artifact = Orchestrator["artifact"];
/** An approval in any state. */
export type Approval = Orchestrator["Approval"];
/** One message: handled, in hand or waiting. */
export type Span = Orchestrator["Span"];
export type Crash = Orchestrator["Crash"];
/** A crash with its frozen spans. */
export type CrashReport = Orchestrator["CrashReport"];
