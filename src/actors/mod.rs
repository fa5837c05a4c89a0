//! The services and agents of the swarm, each an actor under supervision.
//!
//! An actor's file has its message, handle and state types and `impl Actor`, in that order. Others see only a
//! handle's verbs. Decisions are pure and live in `domain`; durable state goes through `store`.

pub mod accounts;
pub mod address_book;
pub mod agent;
pub mod agent_router;
pub mod alert_journal;
pub mod announcer;
pub mod crashes;
pub mod directory;
pub mod event_stream;
pub mod file_queue_watcher;
pub mod gateway;
pub mod heartbeat_monitor;
pub mod invoker;
pub mod jobs;
pub mod jobs_snapshot;
pub mod lives;
pub mod mail_folders;
pub mod otlp;
pub mod provider_router;
pub mod registry;
mod registry_cache;
pub mod resource_manager;
pub mod retention;
mod service_pulse;
pub mod standing;
pub mod steering;
pub mod store_keeper;
mod table_sync;
pub mod tasks;
pub mod token_governor;
mod work_span;
