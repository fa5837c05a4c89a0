// Generated from contracts/event-stream.json by scripts/contracts.mjs: edit that, then `npm run generate`.

export interface paths {
    "/broadcast": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Publish an event */
        post: operations["broadcast"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Follow as server-sent events */
        get: operations["events"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/events/recent": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The newest events */
        get: operations["recentEvents"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/ws": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Follow over WebSocket
         * @description One text message an event. The text `ping` is answered with `{"type": "pong"}`. A client that is too slow is closed with 1013 and the number to come back with; at the end of the daemon with 1001.
         */
        get: operations["websocket"];
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
        Health: {
            /** @description ok when all is well. */
            status: string;
            check_interval_s: number;
            /** @constant */
            max_misses_before_down: 2;
            /** @constant */
            max_misses_before_deregister: 3;
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
        /** @description Something that happened. */
        Event: {
            /** @description Its place in the order; grows without end, also over restarts of the daemon. */
            seq: number;
            /** @description heartbeat, status_update, approval, alert, cost_update, agent_invocation, action or supervision; others come from clients of /broadcast. A cost_update tells one receipt, or `calls` receipts of one run, agent, provider, model and status with the sums of their tokens and cost; `request_id` stands only with one. */
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
    broadcast: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": {
                    /** @default unknown */
                    event_type?: string;
                    /**
                     * @description What it says; anything but an object becomes its field `value`.
                     * @default {}
                     */
                    data?: unknown;
                };
            };
        };
        responses: {
            /** @description Written to the journal, and on its way to all clients. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        /** @constant */
                        status: "broadcasted";
                        event_type: string;
                        /** @description Clients that follow. */
                        clients: number;
                        seq: number;
                    };
                };
            };
        };
    };
    events: {
        parameters: {
            query?: {
                /** @description The last `seq` seen: what followed comes first. Without it, only what is to come. */
                since?: number;
            };
            header?: {
                /** @description As `since`, and wins over it; browsers send it by themselves. */
                "Last-Event-ID"?: number;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description `id` is the seq, `event` is `event`, `data` one event as JSON. A client that is too slow gets one `error` that says so, and the end. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": string;
                };
            };
        };
    };
    recentEvents: {
        parameters: {
            query?: {
                /** @description At most so many a page; a higher number is lowered to the maximum. */
                limit?: number;
                /** @description `next_cursor` of the page before, as it is; left out for the first page. */
                cursor?: string;
                /** @description Only events of this kind. */
                event_type?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Events in memory, newest last; the next page has those before them. */
            200: {
                headers: {
                    traceparent: components["headers"]["traceparent"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": {
                        events: components["schemas"]["Event"][];
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
    websocket: {
        parameters: {
            query?: {
                /** @description The last `seq` seen: what followed comes first. Without it, only what is to come. */
                since?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Never sent; WebSocket answers 101. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
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
}
