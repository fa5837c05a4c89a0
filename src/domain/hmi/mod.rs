//! What an operator is shown, derived from facts: status, progress, what waits for whom, alerts in words.
//!
//! Pure: mailboxes, beats and rows come in as values. Nothing here is what an agent says of itself.

pub mod alert;
pub mod progress;
pub mod status;
pub mod waiting;

pub use alert::{Alert, Severity};
pub use status::{AgentHealth, AgentStanding, AgentStatus, AgentWork, Life, Signs, WaitsFor, Work};
