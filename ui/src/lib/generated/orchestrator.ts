// Generated from contracts/orchestrator.json by scripts/contracts.mjs: edit that, then `npm run generate`.

export interface paths {
    "/jobs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List jobs */
        get: operations["listJobs"];
        put?: never;
        /**
         * Submit a job
         * @description 404: the agent does not exist. 409: the idempotency key was used with another card. 422: the card can never work as it stands; every fault of it is listed. 429: `jobs.max_queued` jobs have not ended yet; `Retry-After` says when to ask again.
         */
        post: operations["submitJob"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/jobs/{job_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One job */
        get: operations["getJob"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/jobs/{job_id}/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Cancel a job and everything below it
         * @description Asked again, it gives the same proof as it stands by then.
         */
        post: operations["cancelJob"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/jobs/{job_id}/pause": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Let it rest after the step it is at */
        post: operations["pauseJob"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/jobs/{job_id}/resume": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Go on with a paused job */
        post: operations["resumeJob"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/jobs/{job_id}/retry": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Try a failed job again */
        post: operations["retryJob"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/jobs/{job_id}/artifacts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What a job left behind */
        get: operations["listArtifacts"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/jobs/{job_id}/artifacts/{path}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The bytes of an artifact */
        get: operations["getArtifact"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/jobs/{job_id}/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What happened to a job and its descendants */
        get: operations["jobEvents"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/jobs/{job_id}/log": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What a thinking agent did for a job: one row for each turn, call, result, question and proof */
        get: operations["jobLog"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/jobs/{job_id}/say": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Say something to the agent of a job; the agent reads it before its next turn */
        post: operations["sayToJob"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/approvals": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Decisions that wait, or were taken */
        get: operations["listApprovals"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/approvals/{approval_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Decide
         * @description An approval is decided once; a second decision is refused with 409.
         */
        post: operations["decideApproval"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/runs/{run_id}/manifest": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The manifest of a finished run */
        get: operations["getManifest"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/ledger": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Finished runs */
        get: operations["ledger"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/search": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Search a run's documents */
        get: operations["search"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/trace/{trace_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** All spans of a trace */
        get: operations["getTrace"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/trace": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Spans by job, agent, kind, outcome and duration */
        get: operations["findSpans"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/crashes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What crashed */
        get: operations["listCrashes"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/crashes/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One crash with the last spans of its trace */
        get: operations["getCrash"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/tree": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The supervision tree */
        get: operations["tree"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/agents": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** All agents */
        get: operations["listAgents"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/agents/{name}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One agent with its definition */
        get: operations["getAgent"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/agents/{name}/kill": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Kill its worker; its supervisor restarts it by policy */
        post: operations["killAgent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/agents/{name}/restart": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Restart it in an orderly way; does not count against its policy */
        post: operations["restartAgent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/agents/{name}/pause": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Let it take no new work */
        post: operations["pauseAgent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/agents/{name}/resume": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Let it take work again */
        post: operations["resumeAgent"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/supervision/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What supervisors did */
        get: operations["supervisionEvents"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/backup": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Copy the store while it runs
         * @description Into a new file of the daemon's folder of backups; then the oldest beyond `store.backups` are deleted.
         */
        post: operations["backup"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/prune": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Delete what is kept no longer
         * @description By the limits of `[retention]`: runs that have ended, with their rows and artifacts, their traces, logs and events. Never what is younger than an hour, a run that is open, waits for a person, has a private tree or is named in the inputs of an open job, the newest run with a search index, receipts, or the audit log. Deleting is audited. A dry run deletes nothing.
         */
        post: operations["prune"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/shutdown": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Stop the daemon in an orderly way */
        post: operations["shutdown"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Figures for Prometheus */
        get: operations["metrics"];
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
    "/trees": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The private trees of changes on the disk */
        get: operations["listTrees"];
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
        Span: {
            trace_id: string;
            span_id: string;
            parent_span_id: string | null;
            from: string;
            to: string;
            /** @description Kind of the message. */
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
            /** @description Waited in the queue, µs. */
            queue_us: number | null;
            /** @description Was handled, µs. */
            run_us: number | null;
            /** @enum {string} */
            outcome: "ok" | "error" | "crashed" | "killed" | "dropped" | "open";
        };
        Spans: {
            spans: components["schemas"]["Span"][];
            /** @description Length of this page. */
            count: number;
            /** @description Spans that the rings have overwritten. */
            dropped: number;
            /** @description All that match, on all pages. */
            total: number;
            /** @description Leads to the next page; null on the last. */
            next_cursor: string | null;
        };
        Crash: {
            id: number;
            agent: string;
            /** @description Which life of the agent ended. */
            incarnation: number;
            /** @enum {string} */
            reason: "panic" | "error" | "killed" | "hung";
            message: string | null;
            /** @description file:line:column of the panic. */
            place: string | null;
            /**
             * Format: date-time
             * @description ISO 8601, UTC, with a Z.
             */
            at: string;
        };
        CrashReport: {
            id: number;
            agent: string;
            /** @description Which life of the agent ended. */
            incarnation: number;
            /** @enum {string} */
            reason: "panic" | "error" | "killed" | "hung";
            message: string | null;
            /** @description file:line:column of the panic. */
            place: string | null;
            /**
             * Format: date-time
             * @description ISO 8601, UTC, with a Z.
             */
            at: string;
            spans: components["schemas"]["Span"][];
            /** @description Of the message in hand. */
            trace_id: string | null;
        };
        Approval: {
            approval_id: string;
            job_id: string;
            run_id: string;
            agent: string;
            action: string;
            /** @description Any JSON object. */
            detail: Record<string, unknown>;
            /** @enum {string} */
            status: "pending" | "approved" | "rejected" | "withdrawn";
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
            /** @enum {string} */
            kind: "required" | "escalation" | "question";
            /** @description BLAKE3 of what the consent is bound to. */
            binding: string;
        };
        TreeNode: components["schemas"]["agent_standing"] & {
            name: string;
            /** @description supervisor, agent or service. */
            kind?: string;
            incarnation?: number;
            restarts?: number;
            queue_depth?: number;
            /**
             * Format: date-time
             * @description ISO 8601, UTC, with a Z.
             */
            last_heartbeat?: string | null;
            children: components["schemas"]["TreeNode"][];
            /**
             * @description Where it is in its life, as its supervisor knows it.
             * @enum {string|null}
             */
            phase?: "starting" | "running" | "restarting" | "stopping" | "stopped" | "hung" | "spinning" | null;
            /**
             * Format: date-time
             * @description Since when it is in this phase.
             */
            since?: string;
            /** @description Why it ended last. */
            last_exit?: {
                reason: string;
                detail?: string;
                /**
                 * Format: date-time
                 * @description ISO 8601, UTC, with a Z.
                 */
                at: string;
            } | null;
            /** @description Null for supervisors. */
            mailbox?: {
                depth: number;
                capacity: number;
                handled: number;
                paused: boolean;
                handling: string | null;
                /**
                 * Format: date-time
                 * @description ISO 8601, UTC, with a Z.
                 */
                last_beat_at: string;
            } | null;
        };
        Agent: components["schemas"]["agent_standing"] & {
            name: string;
            display_name: string;
            /** @enum {string} */
            role: "coord" | "exec" | "system";
            tier: number;
            mode?: string;
            parent?: string | null;
            capabilities: string[];
            incarnation?: number;
            restarts?: number;
            queue_depth?: number;
            /**
             * Format: date-time
             * @description ISO 8601, UTC, with a Z.
             */
            last_heartbeat?: string | null;
            definition?: components["schemas"]["agent_definition"];
            /** @description Where its service listens. `internal://agents/<name>` is no address: such an agent is called by name through the agent router, `POST /invoke`. */
            url?: string;
            description?: string;
            /**
             * @description Where it is in its life, as its supervisor knows it.
             * @enum {string|null}
             */
            phase?: "starting" | "running" | "restarting" | "stopping" | "stopped" | "hung" | "spinning" | null;
        };
        AgentAction: {
            agent: string;
            /** @enum {string} */
            action: "kill" | "restart" | "pause" | "resume";
            /**
             * Format: date-time
             * @description ISO 8601, UTC, with a Z.
             */
            at: string;
            incarnation?: number;
            status?: string;
        };
        SupervisionEvent: {
            seq: number;
            /**
             * Format: date-time
             * @description ISO 8601, UTC, with a Z.
             */
            at: string;
            agent: string;
            /** @description started, crashed, restarted, killed, hung, escalated, paused, … */
            event: string;
            /** @description Any JSON object. */
            detail: Record<string, unknown>;
        };
        Health: {
            /**
             * @description degraded while the store takes no writes.
             * @enum {string}
             */
            status: "ok" | "degraded";
            service: string;
            port: number;
            /** @description Where jobs work and leave their artifacts. */
            workdir: string;
            /** @description Whether the store takes writes. While it refuses them requests that change something get 503 with Retry-After, reading goes on, and jobs wait. */
            store_state?: {
                /** @enum {string} */
                status: "writable" | "refusing" | "closed";
                /**
                 * Format: date-time
                 * @description When it began to refuse.
                 */
                since?: string;
                /** @description The fault. */
                reason?: string;
            };
            /**
             * Format: date-time
             * @description ISO 8601, UTC, with a Z.
             */
            timestamp: string;
            /** @description Where the daemon keeps its state. */
            data_dir: string;
            /** @description The file of its store. */
            store: string;
            /** @description Its process. */
            pid: number;
            /** @description What of the past was there when the daemon last looked or deleted, at least once an hour; null before the first look. */
            retention: components["schemas"]["RetentionReport"] | null;
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
        RetentionReport: {
            /** Format: date-time */
            at: string;
            dry_run: boolean;
            kinds: {
                /** @enum {string} */
                kind: "jobs" | "traces" | "logs" | "events";
                kept: components["schemas"]["KeptAmount"];
                gone: components["schemas"]["KeptAmount"];
                limit_days: number | null;
                limit_bytes: number | null;
            }[];
            /** @description Size of the store's file, which deleted rows leave as it is. */
            store_bytes: number;
        };
        KeptAmount: {
            count: number;
            /** @description Of the files; rows are not counted. */
            bytes: number;
            /** Format: date-time */
            oldest: string | null;
        };
        /** A job card and the state of its job */
        job_card: {
            job_id: string;
            run_id: string;
            parent_job_id: string | null;
            /** @description Last segment of the id. */
            step: string;
            agent: string;
            task: string;
            /** @description What it is about: the folder, the goal or the repository of its card. Absent where the card has none. */
            subject?: string;
            capability: string | null;
            /** @description Any JSON object. */
            inputs: Record<string, unknown>;
            /** @description Any JSON object. */
            outputs: Record<string, unknown>;
            artifacts: components["schemas"]["artifact"][];
            /** @description 9 is the most urgent. */
            priority: number;
            /** @description What it needs: cpu, mem_mb, gpu, gpu_mem_mb, ports. */
            resource_request: Record<string, unknown> | null;
            approvals_required: string[];
            /**
             * Format: date-time
             * @description ISO 8601, UTC, with a Z.
             */
            created_at: string;
            /**
             * Format: date-time
             * @description ISO 8601, UTC, with a Z.
             */
            deadline_at: string | null;
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
            /** @enum {string} */
            state: "queued" | "running" | "awaiting_approval" | "blocked" | "paused" | "done" | "failed" | "cancelled" | "quarantined";
            /**
             * @description What it is at as a whole: its state, but of a running job with parts that of its parts. Running only while it or a job below it works; of the waits below it, the one that a person can end comes first.
             * @enum {string}
             */
            activity: "queued" | "running" | "awaiting_approval" | "blocked" | "paused" | "done" | "failed" | "cancelled" | "quarantined";
            /** @description Counts the transitions of the row. */
            version: number;
            /** @description Executions begun. */
            attempt: number;
            /** @description Only the newest fence may commit. */
            fence: number;
            progress: {
                done: number;
                /** @description 0 while unknown. */
                total: number;
                /** @description Heartbeats with progress so far. */
                beats: number;
                note: string;
                fraction: number;
                /** @description Whether anything tells how far the job is: its units are counted or its parts are planned. If false, `fraction` is the least that it can be. */
                known: boolean;
            };
            /** @description Why it failed. */
            error: string | null;
            /**
             * Format: date-time
             * @description ISO 8601, UTC, with a Z.
             */
            cancel_requested_at: string | null;
            /** @description Runs that went on with the work of this one. Absent where there is none. */
            continued_by?: string[];
            /** @description Children that are not done. */
            waiting_for: string[];
            /** @description With `tree=true`: when the job had begun and did not work, oldest first. */
            waited?: {
                /** Format: date-time */
                from: string;
                /**
                 * Format: date-time
                 * @description Null while it lasts.
                 */
                to: string | null;
                /** @description What it was at instead. */
                activity: string;
            }[];
            /** @description Only in an answer with tree=true. */
            children?: components["schemas"]["job_card"][];
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
            /** @description The trace of its run. */
            trace_id: string;
        };
        /** A file or folder that a step produced */
        artifact: {
            /** @description Relative to the run's folder, with / between segments. */
            path: string;
            kind: string;
            media_type: string;
            bytes: number;
            blake3: string;
            /** @description Whether equal input gives an equal hash. */
            deterministic: boolean;
        };
        /** Something that happened to a job */
        status_update: {
            /** @description Grows by at least one from event to event of the daemon; what a stream resumes after. */
            seq: number;
            /**
             * Format: date-time
             * @description ISO 8601, UTC, with a Z.
             */
            ts: string;
            run_id: string;
            job_id: string;
            agent: string;
            /** @enum {string} */
            event: "accepted" | "started" | "progress" | "awaiting_approval" | "approved" | "rejected" | "soft_timeout" | "hard_timeout" | "escalated" | "retrying" | "paused" | "resumed" | "cancel_requested" | "cancelled" | "failed" | "quarantined" | "completed";
            /** @description What this event adds; depends on its kind. */
            detail: Record<string, unknown>;
        };
        /** What a run did: its inputs, outputs, hashes, versions, times and costs */
        manifest: {
            run_id: string;
            job_id: string;
            task: string;
            /** @enum {string} */
            state: "done" | "failed" | "cancelled" | "quarantined";
            pas_version: string;
            /** @description Any JSON object. */
            inputs: Record<string, unknown>;
            /** @description Any JSON object. */
            outputs: Record<string, unknown>;
            artifacts: components["schemas"]["artifact"][];
            /** @description BLAKE3 over names and hashes of the deterministic artifacts: equal for equal work. */
            content_hash: string;
            steps: {
                job_id: string;
                agent: string;
                task: string;
                /** @enum {string} */
                state: "queued" | "running" | "awaiting_approval" | "blocked" | "paused" | "done" | "failed" | "cancelled" | "quarantined";
                attempt: number;
                /**
                 * Format: date-time
                 * @description ISO 8601, UTC, with a Z.
                 */
                started_at?: string | null;
                /**
                 * Format: date-time
                 * @description ISO 8601, UTC, with a Z.
                 */
                ended_at?: string | null;
                elapsed_ms?: number;
                /** @description Exact to 6 places. */
                cost_usd?: number;
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
            ended_at: string;
            elapsed_ms: number;
            /** @description Exact to 6 places. */
            cost_usd: number;
            /** @description What the model calls of the run came to, in all and by model. */
            costs?: {
                /** @description Exact to 6 places. */
                cost_usd: number;
                /** @description Attempts that have a receipt. */
                calls: number;
                input_tokens: number;
                output_tokens: number;
                /** @description The dearest first. */
                models: {
                    provider: string;
                    model: string;
                    cost_usd: number;
                    calls: number;
                    input_tokens: number;
                    output_tokens: number;
                }[];
            };
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
        /** An agent as its definition file describes it */
        agent_definition: {
            name: string;
            display_name: string;
            description?: string;
            /** @enum {string} */
            role: "coord" | "exec" | "system";
            tier: number;
            /**
             * @description Lives with the daemon, or for one task at a time.
             * @enum {string}
             */
            mode: "long" | "task";
            parent?: string | null;
            capabilities: string[];
            transports?: ("rpc" | "file" | "mcp" | "rest")[];
            tools?: string[];
            /** @description The model of its answers, as Claude Code's agent files name it; null leaves the choice to `models`. */
            model?: string | null;
            models?: string[];
            rights?: {
                /** @enum {string} */
                filesystem?: "none" | "read" | "rw";
                /** @enum {string} */
                network?: "none" | "read" | "rw";
                bash?: boolean;
                git?: boolean;
                python?: boolean;
                docker?: boolean;
                sql?: boolean;
            };
            token_budget?: {
                target_ratio: number;
                hard_max_ratio: number;
            };
            /** @description Tokens of the largest context it is meant to work with. */
            max_tokens?: number;
            resources?: {
                cpu_cores?: number;
                memory_mb?: number;
                /** @default 0 */
                gpus?: number;
                /** @default 0 */
                gpu_memory_mb?: number;
            };
            heartbeat_interval_s?: number;
            approvals_required?: string[];
            port?: number | null;
            /** @enum {string} */
            behaviour?: "native" | "llm" | "command" | "coordinator" | "system";
            /** @description The tasks that a job card or an invocation may name for this agent. */
            tasks?: string[];
            supervision?: {
                /** @enum {string} */
                restart?: "permanent" | "transient" | "temporary";
                /** @description one_for_one, one_for_all, rest_for_one or dynamic. */
                strategy?: string;
                /** @description Restarts allowed within the period; null leaves it to the supervisor. */
                intensity?: number | null;
                /** @description The period, in seconds. */
                period_s?: number | null;
            };
            /** @description The system prompt: the body of the definition's file. */
            prompt?: string;
            source?: {
                /** @description Where the definition was read. */
                file: string;
            };
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
    listJobs: {
        parameters: {
            query?: {
                /** @description Only in this state. */
                state?: "queued" | "running" | "awaiting_approval" | "blocked" | "paused" | "done" | "failed" | "cancelled" | "quarantined";
                /** @description Only of this run. */
                run_id?: string;
                /** @description Only of this agent. */
                agent?: string;
                /** @description At most so many a page; a higher number is lowered to the maximum. */
                limit?: number;
                /** @description Only root jobs. */
                roots?: boolean;
                /** @description `next_cursor` of the page before, as it is; left out for the first page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Jobs, newest first. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        jobs: components["schemas"]["job_card"][];
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
    submitJob: {
        parameters: {
            query?: never;
            header?: {
                /** @description As the field `idempotency_key`, with or without quotes. If both are sent they must be equal. */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /** @description What to do, such as `ingest`. */
                    task: string;
                    /** @description What the task reads, and nothing else. `ingest`: `source`, the absolute path of a folder or file; `name`, `max_file_bytes`, `deny_licences`. */
                    inputs: Record<string, unknown>;
                    /** @default architect */
                    agent?: string;
                    /** @description What the agent must offer; chooses it where `agent` is left out. */
                    capability?: string;
                    /** @default 5 */
                    priority?: number;
                    /** @description Seconds from now. */
                    deadline_s?: number;
                    approvals_required?: string[];
                    /** @description cpu, mem_mb, gpu, gpu_mem_mb, ports. */
                    resource_request?: Record<string, unknown>;
                    /** @description The same key with the same card gives the same job. The whole card counts: approvals, deadline, resources and priority, too. */
                    idempotency_key?: string;
                };
            };
        };
        responses: {
            /** @description Accepted: it is stored, and will reach one terminal state. */
            202: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["job_card"];
                };
            };
        };
    };
    getJob: {
        parameters: {
            query?: {
                /** @description With all descendants. */
                tree?: boolean;
            };
            header?: never;
            path: {
                /** @description The job. */
                job_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The job; with `tree` its descendants nested as `children`. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["job_card"];
                };
            };
        };
    };
    cancelJob: {
        parameters: {
            query?: never;
            header?: {
                /** @description Who acts, for the audit (`artifacts/hmi/audit/`). Without it `api`. */
                "x-pas-actor"?: string;
            };
            path: {
                /** @description The job. */
                job_id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": {
                    /** @description Goes into the events and the audit. */
                    reason?: string;
                };
            };
        };
        responses: {
            /** @description Requested; what was stopped, and what still stops. */
            202: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        job_id: string;
                        /** @enum {string} */
                        state: "queued" | "running" | "awaiting_approval" | "blocked" | "paused" | "done" | "failed" | "cancelled" | "quarantined";
                        cancelled: {
                            job_id: string;
                            agent: string;
                            /** @enum {string} */
                            state_before: "queued" | "running" | "awaiting_approval" | "blocked" | "paused" | "done" | "failed" | "cancelled" | "quarantined";
                            /**
                             * Format: date-time
                             * @description ISO 8601, UTC, with a Z.
                             */
                            stopped_at?: string | null;
                            how: string;
                        }[];
                        /** @description Jobs that have been told and still run. */
                        pending: string[];
                    };
                };
            };
        };
    };
    pauseJob: {
        parameters: {
            query?: never;
            header?: {
                /** @description Who acts, for the audit (`artifacts/hmi/audit/`). Without it `api`. */
                "x-pas-actor"?: string;
            };
            path: {
                /** @description The job. */
                job_id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": {
                    /** @description Goes into the events and the audit. */
                    reason?: string;
                };
            };
        };
        responses: {
            /** @description The job. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["job_card"];
                };
            };
        };
    };
    resumeJob: {
        parameters: {
            query?: never;
            header?: {
                /** @description Who acts, for the audit (`artifacts/hmi/audit/`). Without it `api`. */
                "x-pas-actor"?: string;
            };
            path: {
                /** @description The job. */
                job_id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": {
                    /** @description Goes into the events and the audit. */
                    reason?: string;
                };
            };
        };
        responses: {
            /** @description The job. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["job_card"];
                };
            };
        };
    };
    retryJob: {
        parameters: {
            query?: never;
            header?: {
                /** @description Who acts, for the audit (`artifacts/hmi/audit/`). Without it `api`. */
                "x-pas-actor"?: string;
            };
            path: {
                /** @description The job. */
                job_id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": {
                    /** @description Goes into the events and the audit. */
                    reason?: string;
                };
            };
        };
        responses: {
            /** @description The job. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["job_card"];
                };
            };
        };
    };
    listArtifacts: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The job. */
                job_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Artifacts of the job and its descendants. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        job_id: string;
                        run_id: string;
                        run_dir: string;
                        artifacts: components["schemas"]["artifact"][];
                    };
                };
            };
        };
    };
    getArtifact: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The job. */
                job_id: string;
                /** @description Relative to the run's folder; may hold slashes. */
                path: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The file. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "*/*": unknown;
                };
            };
        };
    };
    jobEvents: {
        parameters: {
            query?: {
                /** @description Only after this seq. */
                since?: number;
            };
            header?: {
                /** @description What a stream resumes after; wins over `since`. */
                "Last-Event-ID"?: number;
            };
            path: {
                /** @description The job. */
                job_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A stream when `Accept: text/event-stream`, else what there is so far. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        events: components["schemas"]["status_update"][];
                        last_seq: number;
                    };
                    "text/event-stream": string;
                };
            };
        };
    };
    jobLog: {
        parameters: {
            query?: {
                /** @description Only rows after this number. */
                since?: number;
                /** @description At most so many rows, 200 at most. */
                limit?: number;
            };
            header?: never;
            path: {
                /** @description The job. */
                job_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The rows, oldest first. A run is answered with the log of its first thinking job. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        job_id: string;
                        last_seq: number;
                        rows: {
                            seq: number;
                            kind: string;
                            /** @description The row in one line. */
                            headline: string;
                            /** @description The whole row, in the form of its kind. */
                            row: unknown;
                        }[];
                    };
                };
            };
        };
    };
    sayToJob: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The job. */
                job_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    text: string;
                    /**
                     * @description Who says it.
                     * @default operator
                     */
                    by?: string;
                };
            };
        };
        responses: {
            /** @description The message is kept. */
            202: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @description The job whose agent reads it. */
                        job_id: string;
                        /** @description The number of the message. */
                        message: number;
                    };
                };
            };
        };
    };
    listApprovals: {
        parameters: {
            query?: {
                /** @description Which. */
                status?: "pending" | "approved" | "rejected" | "withdrawn" | "all";
                /** @description At most so many a page; a higher number is lowered to the maximum. */
                limit?: number;
                /** @description `next_cursor` of the page before, as it is; left out for the first page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Approvals, oldest first. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        approvals: components["schemas"]["Approval"][];
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
    decideApproval: {
        parameters: {
            query?: never;
            header?: {
                /** @description Who acts, for the audit (`artifacts/hmi/audit/`). Without it `api`. */
                "x-pas-actor"?: string;
            };
            path: {
                /** @description The approval. */
                approval_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /** @enum {string} */
                    decision: "approve" | "reject";
                    reason?: string;
                    by?: string;
                    /** @description Of an approval: inputs to go on with, in place of those of the same name. They are checked like those of a new card. */
                    inputs?: Record<string, unknown>;
                };
            };
        };
        responses: {
            /** @description The approval as decided. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Approval"];
                };
            };
        };
    };
    getManifest: {
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
            /** @description The manifest. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["manifest"];
                };
            };
        };
    };
    ledger: {
        parameters: {
            query?: {
                /** @description At most so many a page; a higher number is lowered to the maximum. */
                limit?: number;
                /** @description `next_cursor` of the page before, as it is; left out for the first page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description One entry a run, newest first. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        entries: {
                            run_id: string;
                            task: string;
                            /** @enum {string} */
                            state: "done" | "failed" | "cancelled" | "quarantined";
                            /**
                             * Format: date-time
                             * @description ISO 8601, UTC, with a Z.
                             */
                            created_at: string;
                            /**
                             * Format: date-time
                             * @description ISO 8601, UTC, with a Z.
                             */
                            ended_at: string;
                            elapsed_ms: number;
                            cost_usd: number;
                            /** @description The run's jobs, itself included. */
                            jobs: number;
                            /** @description As in the manifest: equal for equal work. */
                            content_hash: string;
                            /** @description The manifest's file, below the working directory. */
                            manifest: string;
                            /** @description Any JSON object. */
                            inputs: Record<string, unknown>;
                        }[];
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
    search: {
        parameters: {
            query: {
                /** @description The run; the newest finished one when left out. */
                run_id?: string;
                /** @description What to look for. */
                q: string;
                /** @description At most so many hits. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Hits, best first. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        run_id: string;
                        q: string;
                        hits: {
                            doc_id: string;
                            path: string;
                            title: string;
                            score: number;
                            /** @description HTML-escaped text with <b> around what was found. */
                            snippet: string;
                            /** @description The same passage as plain text. */
                            text: string;
                        }[];
                        count: number;
                        /** @description All documents that match. */
                        total: number;
                        /** @description What was ignored or corrected in the query. */
                        note: string | null;
                    };
                };
            };
        };
    };
    getTrace: {
        parameters: {
            query?: {
                /** @description To or from an agent whose name contains this text. */
                agent?: string;
                /** @description Queued at or after this time. */
                since?: string;
                /** @description Only messages whose kind contains this text. */
                kind?: string;
                /** @description Only messages that ended so. */
                outcome?: string;
                /** @description Only messages that were in hand for so many milliseconds at least; of those still in hand, so far. */
                min_ms?: number;
                /** @description Without the messages by which the daemon looks after itself, unless they went wrong. */
                work_only?: boolean;
                /** @description At most so many a page; a higher number is lowered to the maximum. */
                limit?: number;
                /** @description `next_cursor` of the page before, as it is; left out for the first page. */
                cursor?: string;
            };
            header?: never;
            path: {
                /** @description The trace. */
                trace_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Spans by time. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Spans"];
                };
            };
        };
    };
    findSpans: {
        parameters: {
            query?: {
                /** @description Of this job. */
                job?: string;
                /** @description To or from an agent whose name contains this text. */
                agent?: string;
                /** @description Queued at or after this time. */
                since?: string;
                /** @description Only messages whose kind contains this text. */
                kind?: string;
                /** @description Only messages that ended so. */
                outcome?: string;
                /** @description Only messages that were in hand for so many milliseconds at least; of those still in hand, so far. */
                min_ms?: number;
                /** @description Without the messages by which the daemon looks after itself, unless they went wrong. */
                work_only?: boolean;
                /** @description At most so many a page; a higher number is lowered to the maximum. */
                limit?: number;
                /** @description `next_cursor` of the page before, as it is; left out for the first page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Oldest first; the first page holds the newest spans, its cursor leads to older ones. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Spans"];
                };
            };
        };
    };
    listCrashes: {
        parameters: {
            query?: {
                /** @description Of this agent. */
                agent?: string;
                /** @description At or after this time. */
                since?: string;
                /** @description At most so many a page; a higher number is lowered to the maximum. */
                limit?: number;
                /** @description `next_cursor` of the page before, as it is; left out for the first page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Newest first; without spans. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        crashes: components["schemas"]["Crash"][];
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
    getCrash: {
        parameters: {
            query?: {
                /** @description To or from an agent whose name contains this text. */
                agent?: string;
                /** @description Queued at or after this time. */
                since?: string;
                /** @description Only messages whose kind contains this text. */
                kind?: string;
                /** @description Only messages that ended so. */
                outcome?: string;
                /** @description Only messages that were in hand for so many milliseconds at least; of those still in hand, so far. */
                min_ms?: number;
                /** @description Without the messages by which the daemon looks after itself, unless they went wrong. */
                work_only?: boolean;
            };
            header?: never;
            path: {
                /** @description Its number. */
                id: number;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The crash. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CrashReport"];
                };
            };
        };
    };
    tree: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description As its supervisors published it last. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TreeNode"];
                };
            };
        };
    };
    listAgents: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description By name. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        agents: components["schemas"]["Agent"][];
                        count: number;
                    };
                };
            };
        };
    };
    getAgent: {
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
            /** @description The agent. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Agent"];
                };
            };
        };
    };
    killAgent: {
        parameters: {
            query?: never;
            header?: {
                /** @description Who acts, for the audit (`artifacts/hmi/audit/`). Without it `api`. */
                "x-pas-actor"?: string;
            };
            path: {
                /** @description The agent. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": {
                    /** @description Goes into the events and the audit. */
                    reason?: string;
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
                    "application/json": components["schemas"]["AgentAction"];
                };
            };
        };
    };
    restartAgent: {
        parameters: {
            query?: never;
            header?: {
                /** @description Who acts, for the audit (`artifacts/hmi/audit/`). Without it `api`. */
                "x-pas-actor"?: string;
            };
            path: {
                /** @description The agent. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": {
                    /** @description Goes into the events and the audit. */
                    reason?: string;
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
                    "application/json": components["schemas"]["AgentAction"];
                };
            };
        };
    };
    pauseAgent: {
        parameters: {
            query?: never;
            header?: {
                /** @description Who acts, for the audit (`artifacts/hmi/audit/`). Without it `api`. */
                "x-pas-actor"?: string;
            };
            path: {
                /** @description The agent. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": {
                    /** @description Goes into the events and the audit. */
                    reason?: string;
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
                    "application/json": components["schemas"]["AgentAction"];
                };
            };
        };
    };
    resumeAgent: {
        parameters: {
            query?: never;
            header?: {
                /** @description Who acts, for the audit (`artifacts/hmi/audit/`). Without it `api`. */
                "x-pas-actor"?: string;
            };
            path: {
                /** @description The agent. */
                name: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": {
                    /** @description Goes into the events and the audit. */
                    reason?: string;
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
                    "application/json": components["schemas"]["AgentAction"];
                };
            };
        };
    };
    supervisionEvents: {
        parameters: {
            query?: {
                /** @description Only after this seq. */
                since?: number;
                /** @description At most so many, the first after `since`. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Events by seq. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        events: components["schemas"]["SupervisionEvent"][];
                        last_seq: number;
                    };
                };
            };
        };
    };
    backup: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": {
                    /** @description The bare name of a new file in the daemon's folder of backups, ending in `.redb`; a name by date when left out. */
                    path?: string;
                };
            };
        };
        responses: {
            /** @description Copied. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        path: string;
                        bytes: number;
                        tables: number;
                        rows: number;
                    };
                };
            };
        };
    };
    prune: {
        parameters: {
            query?: never;
            header?: {
                /** @description Who acts, for the audit (`artifacts/hmi/audit/`). Without it `api`. */
                "x-pas-actor"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": {
                    /**
                     * @description Only tell what would go.
                     * @default false
                     */
                    dry_run?: boolean;
                };
            };
        };
        responses: {
            /** @description Deleted, or told. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RetentionReport"];
                };
            };
        };
    };
    shutdown: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description It stops. */
            202: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @constant */
                        status: "stopping";
                        /**
                         * Format: date-time
                         * @description ISO 8601, UTC, with a Z.
                         */
                        ts: string;
                    };
                };
            };
        };
    };
    metrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Text exposition format. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": string;
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
            /** @description The service and its endpoints. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Root"];
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
    listTrees: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The trees, with their sizes. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        count: number;
                        trees: {
                            run_id: string;
                            name: string;
                            bytes: number;
                            /** @enum {string} */
                            stage: "unfinished" | "in_use" | "sealed" | "delivered";
                            /** @description The state of the run, where it is known. */
                            run_state: string | null;
                        }[];
                    };
                };
            };
        };
    };
}
