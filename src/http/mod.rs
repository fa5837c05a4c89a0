//! The HTTP edge: one listener and one thin router per port.
//!
//! Owns sockets, limits, access checks (`Host`, `Origin`, token), the form of errors, the trace of a
//! request, and the routes that every port has. The edge knows no service: a service brings a router whose
//! handlers extract, make one call to an actor's handle, and reply.
//!
//! Invariants: no request reaches a handler unguarded or untraced; every error leaves as
//! `{"detail": …}`; every wait, size and count has a limit in [`limits`].

pub mod access_token;
pub mod adapter;
mod agent_fields;
pub mod agent_router;
pub mod audit;
mod body;
pub mod check;
mod compression;
mod connection;
pub mod contract;
pub mod edge_info;
pub mod error;
pub mod event_stream;
pub mod extract;
mod front;
pub mod gateway;
pub mod guard;
pub mod heartbeat_monitor;
pub mod hmi;
pub mod limits;
pub mod list;
mod model;
pub mod orchestrator;
pub mod page;
pub mod peer;
pub mod places;
mod progress;
pub mod provider_router;
pub mod registry;
pub mod resource_manager;
pub mod server;
pub mod sse;
pub mod tlc;
pub mod token_governor;
pub mod trace;
mod websocket;

pub use contract::PortContract;
pub use edge_info::EdgeInfo;
pub use error::{ApiError, ApiResult};
pub use limits::PortLimits;
pub use server::{EdgeServer, ListenerSpec};
