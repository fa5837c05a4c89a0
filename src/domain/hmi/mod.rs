//! The operator's view, derived from facts: status, progress, waits, alerts.
//!
//! Pure: mailboxes, beats and rows come in as values. Nothing here relies on an agent's own claims.

pub mod activity;
pub mod alert;
pub mod pace;
pub mod past;
pub mod progress;
pub mod status;
pub mod waiting;

pub use alert::{AlertGroup, AlertSeverity, HmiAlert};
pub use status::{
    ActorLifecycle, ActorSigns, AgentHealth, AgentStanding, AgentStatus, AgentWork, DecisionMaker, JobSigns,
};
