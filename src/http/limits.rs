//! The limits of a port, each with its reason.
//!
//! Invariant: no client can keep a connection, a buffer or a task beyond these limits. Tests make them tiny;
//! a service with larger bodies widens only its own limit.

use std::time::Duration;

/// A request head (or a first byte) must be complete within this. Local clients need
/// milliseconds; ten seconds is far beyond a slow link and ends a slowloris soon.
pub const HEADER_READ: Duration = Duration::from_secs(10);
/// An idle keep-alive connection is closed after this: longer than the pauses of polling clients
/// (30 s heartbeats), short enough that forgotten ones do not pile up.
pub const KEEP_ALIVE_IDLE: Duration = Duration::from_secs(60);
/// Deadline for a request body, from the handler's first read: the largest body at 140 kB/s.
pub const BODY_READ: Duration = Duration::from_secs(30);
/// A client that reads no byte of its answer for this long counts as gone.
pub const WRITE_STALL: Duration = Duration::from_secs(30);
/// Connections open on one port at once. Four busy ports then stay below 1,024, a usual soft limit
/// of file descriptors (macOS starts at 256; there the accept loop backs off instead).
pub const MAX_CONNECTIONS: usize = 256;
/// Concurrent 503 answers on one port; beyond this, connections are closed without an answer.
pub const MAX_REFUSALS: usize = 32;
/// Deadline for such an answer: a round trip on a slow link.
pub const REFUSAL: Duration = Duration::from_secs(1);
/// Largest request body in bytes: a job card or a chat with long context, no uploads.
pub const MAX_BODY: u64 = 4 * 1024 * 1024;
/// Largest body of a port for models: a conversation with some pictures in base 64 (vendors take 20 to
/// 32 MiB a request).
pub const MODEL_BODY: u64 = 32 * 1024 * 1024;
/// Most header fields of one request; browsers send about 20.
pub const MAX_HEADERS: usize = 100;
/// Largest request head in bytes; common servers allow 8 to 32 KiB.
pub const MAX_HEADER_BYTES: usize = 32 * 1024;
/// Buffer of one connection in bytes, so that 256 connections cost at most 32 MiB.
pub const CONNECTION_BUFFER: usize = 128 * 1024;
/// Default of `http.shutdown_grace_s`: the time for running requests to finish at shutdown.
pub const SHUTDOWN: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortLimits {
    /// See [`HEADER_READ`].
    pub header_read: Duration,
    /// See [`KEEP_ALIVE_IDLE`].
    pub keep_alive_idle: Duration,
    /// See [`BODY_READ`].
    pub body_read: Duration,
    /// See [`WRITE_STALL`].
    pub write_stall: Duration,
    /// See [`MAX_CONNECTIONS`].
    pub max_connections: usize,
    /// See [`MAX_BODY`], in bytes.
    pub max_body: u64,
    /// See [`MAX_HEADERS`].
    pub max_headers: usize,
    /// See [`MAX_HEADER_BYTES`].
    pub max_header_bytes: usize,
}

impl Default for PortLimits {
    fn default() -> Self {
        Self {
            header_read: HEADER_READ,
            keep_alive_idle: KEEP_ALIVE_IDLE,
            body_read: BODY_READ,
            write_stall: WRITE_STALL,
            max_connections: MAX_CONNECTIONS,
            max_body: MAX_BODY,
            max_headers: MAX_HEADERS,
            max_header_bytes: MAX_HEADER_BYTES,
        }
    }
}
