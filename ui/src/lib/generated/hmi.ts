// Generated from contracts/hmi.json by scripts/contracts.mjs: edit that, then `npm run generate`.

export interface paths {
    "/api/live": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Everything a page needs to draw at once */
        get: operations["live"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/current-task": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What the swarm is at */
        get: operations["currentTask"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/agents/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One agent's card */
        get: operations["agentCard"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/sequencer": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Who did what when */
        get: operations["sequencer"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/services": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Who is registered */
        get: operations["services"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tasks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What can be submitted */
        get: operations["tasks"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/tree": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Who stands under whom */
        get: operations["serviceTree"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** How the daemon's services do */
        get: operations["serviceMetrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/alerts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What went wrong */
        get: operations["alerts"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/costs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What calls cost */
        get: operations["costs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/costs/receipts/{run_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Receipts of a run */
        get: operations["receipts"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/costs/budget/{run_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A run's budget */
        get: operations["budget"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/action": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Act on an agent, a job or a question
         * @description Carries it out, waits until it can be proved, and writes it down: `artifacts/hmi/audit/`. Repeated, it changes nothing and says so. A kill of a job is a cancellation by force; a restart of a job has it begun anew, or submitted again where it has ended. Refused acts are written down too.
         */
        post: operations["act"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/blast-radius": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Whom and what an act would touch
         * @description From snapshots: sends no message to anyone.
         */
        get: operations["blast_radius"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/audit": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What people did, newest first */
        get: operations["audit"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What this port is and answers */
        get: operations["root"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether it works */
        get: operations["health"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** This document */
        get: operations["openapi"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/docs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** This document, to read and try */
        get: operations["docs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        Error: {
            detail: string;
        };
        ValidationError: {
            detail: {
                loc: (string | number)[];
                msg: string;
                type: string;
            }[];
        };
        Root: {
            service: string;
            version: string;
            port: number;
            status: string;
            /** @description Name of an operation to `METHOD /path`. */
            endpoints: {
                [key: string]: string;
            };
            docs: string;
        };
        Health: {
            /** @constant */
            status: "ok";
            /** @constant */
            service: "hmi_app";
            port: number;
            /** @description Whether the pages are built in. */
            pages: boolean;
            /**
             * Format: date-time
             * @description ISO 8601, UTC, with a Z.
             */
            timestamp: string;
        };
        /**
         * @description Derived from mailbox, beats and jobs, never from what the agent says. The first that fits: `down` (has ended), `error` (ended abnormally and not back, or silent for too long), `degraded` (starting, or beat late), `running` (handles a message or works on a job, also while it is paused and ends that), `degraded` (crashed within 10 s), `paused`, `waiting_approval`, `blocked` (a job failed for good), `queued`, `done` (a job of its was done within five minutes), `ok`. A job is at work only while it or a job below it is.
         * @enum {string}
         */
        AgentStatus: "ok" | "queued" | "running" | "waiting_approval" | "blocked" | "paused" | "degraded" | "error" | "down" | "done";
        /** @enum {string} */
        JobState: "queued" | "running" | "awaiting_approval" | "blocked" | "paused" | "done" | "failed" | "cancelled" | "quarantined";
        /** @description What an agent is at. */
        Step: {
            job_id: string;
            task: string;
            /** @description 0 to 1. */
            progress: number;
            /** @description Whether anything tells how far it is: its units are counted or its parts are planned. If false, `progress` is the least that it can be. */
            progress_known: boolean;
            /** @description Units done: documents, or children for a coordinator. */
            done: number;
            /** @description 0 while unknown. */
            total: number;
        };
        TreeNode: components["schemas"]["agent_standing"] & {
            /** @description The same for as long as the daemon runs. */
            no: number;
            name: string;
            /** @description The parent's `no`; null for the root. */
            parent: number | null;
            /** @enum {string} */
            kind: "supervisor" | "worker";
            /**
             * @description Of agents; null for services, supervisors and the root.
             * @enum {string|null}
             */
            role: "coord" | "exec" | "system" | null;
            /** @description The cost tier of its definition. */
            tier: number | null;
            /** @description Of agents; null for services, supervisors and the root. */
            level: components["schemas"]["HierarchyLevel"] | null;
            /** @description As the lane's director is called, such as `data`. */
            lane: string | null;
            /** @enum {string} */
            phase: "starting" | "running" | "restarting" | "stopping" | "stopped" | "hung" | "spinning";
            /** @description Messages that wait. */
            depth: number;
            /** @description Messages that fit. */
            capacity: number;
            /** @description Messages handled since the daemon started. */
            handled: number;
            /** @description Unplanned ones. */
            restarts: number;
            /** @description Why it ended last. */
            last_exit: string | null;
            /** @description Since the last sign of life; null where none is expected. */
            beat_age_ms: number | null;
            /** @description Tokens; what was not counted yet stands as its bytes. Null where no context is known. */
            ctx_used: number | null;
            ctx_limit: number | null;
            step: components["schemas"]["Step"] | null;
            /** @description Of the last 24 h. */
            cost_usd: number;
        };
        LiveJob: {
            job_id: string;
            run_id: string;
            task: string;
            /** @description What it is about: the folder, the goal or the repository of its card. Absent where the card has none. */
            subject?: string;
            agent: string;
            state: components["schemas"]["JobState"];
            /** @description What it is at as a whole: its state, but of a running job with parts that of its parts. Running only while it or a job below it works; of the waits below it, the one that a person can end comes first. */
            activity: components["schemas"]["JobState"];
            /** @description 0 to 1 over the whole tree of jobs. */
            progress: number;
            /** @description Whether anything tells how far it is: its units are counted or its parts are planned. If false, `progress` is the least that it can be. */
            progress_known: boolean;
            /** @description What is being done just now. */
            note?: string;
            /** @description The earlier run whose work this one goes on with. */
            continues?: string;
            /** @description The later runs that went on with the work of this one. */
            continued_by?: string[];
            /** @description For whom or what this job and those below it wait. Empty while all go on by themselves. */
            waits: {
                /** @description The job that waits itself. */
                job_id: string;
                /** @description Its agent. */
                agent: string;
                /**
                 * @description `person` decides a question, `director` a failure, `resume` ends a pause, `retry` is the time of the next attempt, `resources` are cores, memory and so on.
                 * @enum {string}
                 */
                kind: "person" | "director" | "resume" | "retry" | "resources";
                /**
                 * Format: date-time
                 * @description ISO 8601, UTC, with a Z.
                 */
                since: string;
                /** @description The question, the failure or the amounts, in words. */
                detail: string;
            }[];
            /**
             * Format: date-time
             * @description ISO 8601, UTC, with a Z.
             */
            created_at: string;
            /**
             * Format: date-time
             * @description ISO 8601, UTC, with a Z.
             */
            started_at: string | null;
            /**
             * Format: date-time
             * @description ISO 8601, UTC, with a Z.
             */
            ended_at: string | null;
            /** @description What it will still take, by what the steps of earlier runs of its kind took, documents for documents, and how far this one is. Null while nothing works, and where no earlier run tells: then it is not known. */
            left: {
                /** @description Seconds at least. */
                least_s: number;
                /** @description Seconds most likely. */
                about_s: number;
                /** @description Seconds at most. */
                most_s: number;
                /** @description Seconds that a run like it takes in all. */
                usual_s: number;
            } | null;
            /** @description Jobs of its tree. */
            steps_total: number;
            steps_done: number;
            cost_usd: number;
        };
        LiveApproval: {
            approval_id: string;
            job_id: string;
            run_id: string;
            /** @description Who asks. */
            agent: string;
            /** @description What for, in words. */
            action: string;
            /** @enum {string} */
            kind: "required" | "escalation" | "question";
            /** @description What was asked for exactly. */
            detail: Record<string, unknown>;
            /** @description BLAKE3 of what the consent is bound to. */
            binding: string;
            /** @constant */
            status: "pending";
            /**
             * Format: date-time
             * @description ISO 8601, UTC, with a Z.
             */
            requested_at: string;
            /**
             * Format: date-time
             * @description ISO 8601, UTC, with a Z.
             */
            decided_at: string | null;
            decided_by: string | null;
            reason: string | null;
            waiting_s: number;
            /** @description Jobs of its run that wait for it, those that have not begun included. */
            blocked_descendants: number;
            /** @description What a minute of the run cost while it worked. */
            usd_per_min: number;
        };
        Alert: {
            /** @description `heartbeat_miss`, `service_down`, `budget`, … */
            type: string;
            /** @enum {string} */
            severity: "info" | "warning" | "error" | "critical";
            message: string;
            /** @description When; ISO 8601, UTC, with a Z, where its publisher kept to that. */
            timestamp: string;
            /** @description An agent, service, job or scope. */
            target: string | null;
            /** @description How many alerts of this cause came; the fields above are those of the newest. */
            times: number;
            /** @description Time of the first of them. */
            since: string;
            /** @description Whether the trouble lasts, as far as anything tells. */
            open: boolean;
        };
        Quota: {
            total_capacity: number;
            allocated: number;
            reserved: number;
            available: number;
            /** @description 0 to 1; above it after a capacity was lowered. */
            utilization: number;
        };
        Reservation: {
            reservation_id: string;
            job_id: string;
            agent: string;
            cpu: number;
            mem_mb: number;
            gpu: number;
            gpu_mem_mb: number;
            ports: number[];
            /** @constant */
            status: "active";
            /**
             * Format: date-time
             * @description ISO 8601, UTC, with a Z.
             */
            created_at: string;
            /**
             * Format: date-time
             * @description ISO 8601, UTC, with a Z.
             */
            released_at: string | null;
        };
        Resources: {
            /** @description Of the machine. */
            cpu_percent: number;
            mem_used_mb: number;
            mem_total_mb: number;
            /** @description Of the daemon. */
            rss_mb?: number;
            /** @description Where the daemon works. */
            disk_free_mb?: number;
            /** @description By kind: cpu, mem_mb, gpu, gpu_mem_mb. */
            quotas: {
                [key: string]: components["schemas"]["Quota"];
            };
            /** @description Active ones. */
            reservations: components["schemas"]["Reservation"][];
        };
        CostSums: {
            usd: number;
            tokens: number;
            requests: number;
        };
        CurrentTask: {
            task_id: string;
            name: string;
            status: components["schemas"]["AgentStatus"];
            agent: string;
            /** @description 0 to 1. */
            progress: number;
            /** @description Whether anything tells how far it is: its units are counted or its parts are planned. If false, `progress` is the least that it can be. */
            progress_known: boolean;
            /** @description Unix seconds. */
            start_time: number;
        };
        /** @description Something that happened. */
        Event: {
            /** @description Its place in the order; grows without end, also over restarts of the daemon. */
            seq: number;
            /** @description heartbeat, status_update, approval, alert, cost_update, agent_invocation or supervision; others come from clients of /broadcast. */
            event_type: string;
            data: {
                /** @description When it happened. */
                timestamp: string;
            } & {
                [key: string]: unknown;
            };
            /**
             * Format: date-time
             * @description When it was taken.
             */
            server_timestamp: string;
            /** @description Names the happening, where it has a name. */
            id?: string;
        };
        Span: {
            trace_id: string;
            span_id: string;
            parent_span_id: string | null;
            from: string;
            to: string;
            kind: string;
            /**
             * Format: date-time
             * @description ISO 8601, UTC, with a Z.
             */
            queued_at: string;
            /**
             * Format: date-time
             * @description ISO 8601, UTC, with a Z.
             */
            started_at: string | null;
            /**
             * Format: date-time
             * @description ISO 8601, UTC, with a Z.
             */
            ended_at: string | null;
            /** @description Microseconds in the mailbox. */
            queue_us: number | null;
            /** @description Microseconds in hand. */
            run_us: number | null;
            /** @enum {string} */
            outcome: "ok" | "error" | "crashed" | "killed" | "dropped" | "open";
        };
        AgentCard: components["schemas"]["agent_standing"] & {
            name: string;
            display_name: string;
            description: string;
            /** @enum {string} */
            role: "coord" | "exec" | "system";
            tier: number;
            level: components["schemas"]["HierarchyLevel"];
            mode: string;
            parent: string | null;
            capabilities: string[];
            definition: {
                prompt: string;
                /** @description What it may touch: its own rights less what those above it withhold. */
                rights: Record<string, unknown>;
                tools: string[];
                model?: string;
                /** @description How it does its work. */
                behaviour: string | Record<string, unknown> | null;
            };
            context: {
                used: number;
                limit: number;
                /** @description 0 to 1. */
                target_ratio: number;
                /** @description 0 to 1. */
                hard_max_ratio: number;
            } | null;
            step: components["schemas"]["Step"] | null;
            mailbox: {
                depth: number;
                capacity: number;
                handled: number;
                handling: string | null;
                /**
                 * Format: date-time
                 * @description ISO 8601, UTC, with a Z.
                 */
                last_beat_at: string | null;
            };
            /** @description Newest first. */
            restarts: {
                /**
                 * Format: date-time
                 * @description ISO 8601, UTC, with a Z.
                 */
                at: string;
                reason: string;
                /** @description The one that ended. */
                incarnation: number;
                /** @description `GET /crashes/{id}` on port 6100. */
                crash_id?: number;
            }[];
            /** @description To it and from it, newest first. */
            messages: components["schemas"]["Span"][];
            /** @description Lines of the daemon's log that name it, newest first. */
            logs?: {
                /**
                 * Format: date-time
                 * @description ISO 8601, UTC, with a Z.
                 */
                at: string;
                /** @enum {string} */
                level: "ERROR" | "WARN" | "INFO" | "DEBUG" | "TRACE";
                message: string;
            }[];
            cost: components["schemas"]["CostSums"];
        };
        Budget: {
            run_id: string;
            budget_set: boolean;
            budget_usd?: number;
            spent_usd?: number;
            /** @description Held by calls under way. */
            held_usd?: number;
            remaining_usd?: number;
            percent_used?: number;
            /** @enum {string} */
            alert_level?: "ok" | "caution" | "warning" | "critical";
            can_proceed?: boolean;
            message?: string;
        };
        /** @description An item of the registry. */
        ServiceItem: {
            service_id: string;
            name: string;
            /** @enum {string} */
            type: "model" | "tool" | "agent";
            /** @enum {string} */
            role: "production" | "staging" | "canary" | "experimental";
            url: string;
            caps: string[];
            labels: {
                [key: string]: string;
            };
            ctx_limit: number | null;
            cost_hint_usd_per_1k: number | null;
            /** @enum {string} */
            status: "ok" | "degraded" | "down" | "queued" | "running" | "blocked" | "waiting_approval" | "paused" | "error" | "done";
            /**
             * Format: date-time
             * @description ISO 8601, UTC, with a Z.
             */
            last_heartbeat_ts: string | null;
            /**
             * Format: date-time
             * @description ISO 8601, UTC, with a Z.
             */
            registered_at: string;
            p95_ms: number | null;
            queue_depth: number | null;
            load: number | null;
        };
        ServiceNode: {
            name: string;
            service_id: string;
            status: string;
            port: number | null;
            /**
             * Format: date-time
             * @description ISO 8601, UTC, with a Z.
             */
            last_heartbeat: string | null;
            agent_role: string | null;
            tier: number | null;
            children: components["schemas"]["ServiceNode"][];
        };
        /** @description What was read before and after, and nothing else. */
        Proof: {
            agents: {
                name: string;
                /** @description Its incarnation before. */
                before: number;
                after: number;
                /** @description From the word given to its supervisor until it was up again; null where it was not back in time. */
                back_ms: number | null;
            }[];
            /** @description Calls of models that were cut off at their vendors. */
            streams_closed: number;
            /** @description Process groups that ended. */
            processes_gone: number;
            reservations_released: number;
            /** @description Holds of calls that were under way and are settled. */
            holds_released_usd: number;
            /** @description What the jobs concerned, and the calls that were under way, have cost in all. */
            final_cost_usd: number;
        } | null;
        AuditEntry: {
            id: string;
            /**
             * @description begun: it goes on, or what became of it is not known, as the daemon was killed in its middle.
             * @enum {string}
             */
            outcome: "begun" | "done" | "refused";
            /**
             * Format: date-time
             * @description ISO 8601, UTC, with a Z.
             */
            at: string;
            /** Format: date-time */
            ended_at: string | null;
            who: string;
            action: string;
            target: string;
            subtree: boolean;
            to: string | null;
            reason: string | null;
            message: string | null;
            /** @description How the target stood. */
            before: unknown;
            /** @description How it stood afterwards; null where the act has no end, `{error}` where it was refused. */
            after: unknown;
        };
        /**
         * @description Its place in the hierarchy of command, the highest first; executors and system agents are workers. `tier` is the cost tier of its definition.
         * @enum {string}
         */
        HierarchyLevel: "architect" | "director" | "manager" | "worker";
        /**
         * One attempt at a call
         * @description One attempt at a call; also a line of `artifacts/costs/<run_id>.jsonl`.
         */
        routing_receipt: {
            request_id: string;
            run_id: string;
            agent: string;
            /** Format: date-time */
            timestamp: string;
            provider: string;
            model: string;
            input_tokens: number;
            output_tokens: number;
            cost_usd: number;
            latency_ms: number;
            /** @enum {unknown} */
            status: "success" | "error" | "timeout" | "fallback";
            error_message?: string;
            fallback_from?: string;
            metadata?: Record<string, unknown>;
        };
        /**
         * How an agent stands
         * @description One word, the same on every port, and the facts that it sums up.
         */
        agent_standing: {
            /**
             * @description Trouble comes before work, and work before what it also waits for.
             * @enum {string}
             */
            status: "ok" | "degraded" | "down" | "queued" | "running" | "blocked" | "waiting_approval" | "paused" | "error" | "done";
            /**
             * @description ok: alive and on time; degraded: starting, late, or back from a crash for less than ten seconds; error: crashed and not back yet, or being killed for its silence; down: ended.
             * @enum {string}
             */
            health: "ok" | "degraded" | "error" | "down";
            /** @description Whether its messages are held back. */
            paused: boolean;
            /** @description Its job under way that began last. */
            working_on: string | null;
            /** @description The kind of message in hand. */
            handling: string | null;
            /**
             * @description Whose decision one of its jobs waits for.
             * @enum {string|null}
             */
            waiting_for: "person" | "director" | null;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: {
        /** @description W3C trace context of this request. */
        traceparent: string;
    };
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    live: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The swarm, at most a tenth of a second old. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description The event stream's last number when this was read; follow from here (`/ws?since=` on port 6102). */
                        seq: number;
                        /**
                         * Format: date-time
                         * @description ISO 8601, UTC, with a Z.
                         */
                        at: string;
                        version: string;
                        /** @description The daemon's ports by service. */
                        ports: {
                            [key: string]: number;
                        };
                        health: {
                            /** @description One sentence. */
                            line: string;
                            agents_total: number;
                            agents_ok: number;
                            agents_down: number;
                            /** @description Services that registered from outside. */
                            services_total: number;
                            /** @description Those of them that are well. */
                            services_ok: number;
                            /** @description Those of them that are down. */
                            services_down: number;
                        };
                        /** @description All actors; a parent stands before its children. */
                        tree: components["schemas"]["TreeNode"][];
                        /** @description Runs that have not ended, and those that ended in the last five minutes. */
                        jobs: components["schemas"]["LiveJob"][];
                        /** @description Runs that are open or have just ended; `jobs` has the first of them. */
                        jobs_total: number;
                        /** @description Pending ones, oldest first. */
                        approvals: components["schemas"]["LiveApproval"][];
                        /** @description Of the last 24 h, one for each cause (a service, a kind of trouble with its subject), newest first. */
                        alerts: components["schemas"]["Alert"][];
                        /** @description Alerts of the last 24 h; `alerts` has the newest. */
                        alerts_total: number;
                        resources: components["schemas"]["Resources"];
                        costs: {
                            minute: components["schemas"]["CostSums"];
                            hour: components["schemas"]["CostSums"];
                            day: components["schemas"]["CostSums"];
                        };
                        current: components["schemas"]["CurrentTask"] | null;
                        /** @description The newest events that are not heartbeats and still in memory, newest last. */
                        recent: components["schemas"]["Event"][];
                    };
                };
            };
        };
    };
    currentTask: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The run that matters most, or null: nothing runs, waits, or ended in the last minute. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        task: components["schemas"]["CurrentTask"] | null;
                    };
                };
            };
        };
    };
    agentCard: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The agent. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description All there is to know of it. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AgentCard"];
                };
            };
        };
    };
    sequencer: {
        parameters: {
            query?: {
                /** @description Unix seconds; a day before `until` where it is not given. At most 72 hours before it. */
                since?: number;
                /** @description Unix seconds; now where it is not given. */
                until?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Agents, and the tasks of a range of time. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description Unix seconds. */
                        timestamp: number;
                        agents: {
                            service_id: string;
                            name: string;
                            tier: number | null;
                            level: components["schemas"]["HierarchyLevel"];
                            status: components["schemas"]["AgentStatus"];
                            agent_role: string | null;
                        }[];
                        /** @description The newest runs first. */
                        tasks: {
                            task_id: string;
                            /** @description The agent's `service_id`. */
                            agent_id: string;
                            name: string;
                            status: components["schemas"]["AgentStatus"];
                            /** @description 0 to 1. */
                            progress: number;
                            /** @description Whether anything tells how far it is: its units are counted or its parts are planned. If false, `progress` is the least that it can be. */
                            progress_known: boolean;
                            /** @description Unix seconds. */
                            start_time: number;
                            /** @description Unix seconds; null while it has not ended. */
                            end_time: number | null;
                            /** @description When the attempt came by its last checkpoint; null where nobody works on it. */
                            beat_time: number | null;
                            /** @description The times after its start in which it did not work, as recorded; of a task with parts, while none of them worked. Left out when there are none. */
                            waits?: {
                                /** @description Unix seconds. */
                                from: number;
                                /** @description Unix seconds; null while it lasts. */
                                to: number | null;
                                status: components["schemas"]["AgentStatus"];
                            }[];
                            /** @description Unix seconds from which on it is not told what the task was at: its run has more events than are read. Absent where the past is whole. */
                            cut_at?: number;
                        }[];
                        /** @description Whether older tasks of the range were left out. */
                        cut: boolean;
                        /** @description Left out when there are none. */
                        marks?: {
                            at: number;
                            agent_id: string;
                            /** @enum {string} */
                            kind: "crashed" | "hung" | "restarted";
                        }[];
                        /** @description When the daemon was down within the range, oldest first: nobody worked then. Absent where it was always up. */
                        down?: {
                            /** @description Unix seconds: when it was last seen. */
                            from: number;
                            /** @description Unix seconds: when it was up again. */
                            to: number;
                            /** @description Whether it had been stopped in order; else it was killed, or the machine was. */
                            stopped: boolean;
                        }[];
                    };
                };
            };
        };
    };
    services: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The registry's items. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        services: components["schemas"]["ServiceItem"][];
                    };
                };
            };
        };
    };
    tasks: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Every task that a card may name. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        tasks: {
                            /** @description Its name on a card. */
                            task: string;
                            /** @description What it does. */
                            about: string;
                            inputs: {
                                name: string;
                                required: boolean;
                                /** @description What it takes, in words. */
                                wanted: string;
                            }[];
                        }[];
                    };
                };
            };
        };
    };
    serviceTree: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description All services as a tree; `PAS Root` and `idle` with nothing registered. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        name: string;
                        /** @enum {string} */
                        status: "running" | "idle";
                        children: components["schemas"]["ServiceNode"][];
                    };
                };
            };
        };
    };
    serviceMetrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Their health, as each of them tells it. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /**
                         * Format: date-time
                         * @description ISO 8601, UTC, with a Z.
                         */
                        timestamp: string;
                        services: {
                            /** @description The body of the service's own `/health`. */
                            registry: {
                                status: string;
                            } & {
                                [key: string]: unknown;
                            };
                            /** @description The body of the service's own `/health`. */
                            heartbeat_monitor: {
                                status: string;
                            } & {
                                [key: string]: unknown;
                            };
                            /** @description The body of the service's own `/health`. */
                            resource_manager: {
                                status: string;
                            } & {
                                [key: string]: unknown;
                            };
                            /** @description The body of the service's own `/health`. */
                            token_governor: {
                                status: string;
                            } & {
                                [key: string]: unknown;
                            };
                            /** @description The body of the service's own `/health`. */
                            event_stream: {
                                status: string;
                            } & {
                                [key: string]: unknown;
                            };
                        };
                        summary: {
                            /** @constant */
                            total_services: 5;
                            healthy_services: number;
                            health_percentage: number;
                        };
                    };
                };
            };
        };
    };
    alerts: {
        parameters: {
            query?: {
                /** @description At most so many a page; a higher number is lowered to the maximum. */
                limit?: number;
                /** @description `next_cursor` of the page before, as it is; left out for the first page. */
                cursor?: string;
                /** @description Only alerts of this type. */
                type?: string;
                /** @description Only alerts that are so bad. */
                severity?: "info" | "warning" | "error" | "critical";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Of the last 24 h, one for each cause (a service, a kind of trouble with its subject), newest first. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        alerts: components["schemas"]["Alert"][];
                        /** @description Length of this page. */
                        count: number;
                        /** @description All that match, on all pages. */
                        total: number;
                        /** @description Leads to the next page; null on the last. */
                        next_cursor: string | null;
                    };
                };
            };
        };
    };
    costs: {
        parameters: {
            query?: {
                /** @description Which window. */
                window?: "minute" | "hour" | "day";
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A rolling window. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /**
                         * Format: date-time
                         * @description ISO 8601, UTC, with a Z.
                         */
                        timestamp: string;
                        cost_metrics: {
                            /** @enum {string} */
                            window: "minute" | "hour" | "day";
                            total_cost_usd: number;
                            total_requests: number;
                            total_tokens: number;
                            cost_per_request: number;
                            requests_per_provider: {
                                [key: string]: number;
                            };
                            cost_per_provider: {
                                [key: string]: number;
                            };
                            cost_per_model: {
                                [key: string]: number;
                            };
                            cost_per_agent: {
                                [key: string]: number;
                            };
                            cost_per_run: {
                                [key: string]: number;
                            };
                            /** @description Slices of the window, oldest first. */
                            series: {
                                /** @description Unix seconds. */
                                at: number;
                                usd: number;
                                tokens: number;
                            }[];
                        };
                        /** @description As `GET /stats` of the provider router. */
                        provider_stats: Record<string, unknown>;
                    };
                };
            };
        };
    };
    receipts: {
        parameters: {
            query?: {
                /** @description Most items of the answer; above 1000 it is taken as 1000. */
                limit?: number;
                /** @description `next_cursor` of the page before, as it came. */
                cursor?: string;
                /** @description Only calls of this agent. */
                agent?: string;
                /** @description Only calls for this job. */
                job_id?: string;
                /** @description Only calls of this provider. */
                provider?: string;
                /** @description Only calls of this model. */
                model?: string;
                /** @description Only calls that ended so. */
                status?: "success" | "error" | "timeout" | "fallback";
            };
            header?: never;
            path: {
                /** @description The run. */
                run_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of those that match, the oldest first. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        run_id: string;
                        receipts: components["schemas"]["routing_receipt"][];
                        /** @description Length of this page. */
                        count: number;
                        /** @description Of all that match, on all pages. */
                        total_cost_usd: number;
                        /** @description All that match, on all pages. */
                        total: number;
                        /** @description Leads to the next page; null on the last one. */
                        next_cursor: string | null;
                    };
                };
            };
        };
    };
    budget: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The run. */
                run_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description As it stands; without one `budget_set` is false. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Budget"];
                };
            };
        };
    };
    act: {
        parameters: {
            query?: never;
            header?: {
                /** @description Who acts, for the audit. Without it `hmi`. */
                "x-pas-actor"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /** @enum {string} */
                    action: "pause" | "resume" | "restart" | "kill" | "reassign" | "approve" | "reject";
                    /** @description An agent's name, a job's id, or a question's id. */
                    target: string;
                    reason?: string | null;
                    /**
                     * @description For agents: with all agents below. A job always takes those below it along.
                     * @default false
                     */
                    subtree?: boolean;
                    /** @description For `reassign`: the agent that takes the job over. It must offer the capability, carry the task out and have the rights. */
                    to?: string | null;
                };
            };
        };
        responses: {
            /** @description Done. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @constant */
                        status: "success";
                        /** @description What was done, and to how many. */
                        message: string;
                        proof: components["schemas"]["Proof"];
                    };
                };
            };
        };
    };
    blast_radius: {
        parameters: {
            query: {
                target: string;
                action?: "pause" | "resume" | "restart" | "kill" | "reassign" | "approve" | "reject";
                subtree?: boolean;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description As it stands now. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description Those that end, by the strategies of their supervisors; or those that have the jobs in their hands. */
                        agents: string[];
                        jobs: {
                            job_id: string;
                            task: string;
                            agent: string;
                            state: components["schemas"]["JobState"];
                        }[];
                        /** @description What calls under way of these agents and jobs may cost at most. */
                        usd_in_flight: number;
                        /** @description The agents that can take the job over. Only for `reassign`. */
                        takers?: string[];
                    };
                };
            };
        };
    };
    audit: {
        parameters: {
            query?: {
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The newest acts; of each what was written last. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        entries: components["schemas"]["AuditEntry"][];
                    };
                };
            };
        };
    };
    root: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The dashboard; to a client that takes JSON and no HTML, the service and its endpoints. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Root"];
                    "text/html": string;
                };
            };
        };
    };
    health: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It works. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Health"];
                };
            };
        };
    };
    openapi: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OpenAPI 3.1. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": Record<string, unknown>;
                };
            };
        };
    };
    docs: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description An HTML page. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "text/html": string;
                };
            };
        };
    };
}
