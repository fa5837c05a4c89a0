//! Jobs for tests.

#![allow(clippy::unwrap_used, reason = "a test's own value that is wrong is a failed test")]

use super::{DEFAULT_PRIORITY, Job, JobCard};
use crate::ids::{AgentName, JobId};
use crate::json::JsonValue;
use crate::time::Timestamp;
use crate::trace::TraceContext;

/// A job just accepted, with a minimal card.
pub fn job(id: &str, agent: &str, task: &str) -> Job {
    let card = JobCard {
        agent: AgentName::new(agent).expect("a name"),
        task: task.to_owned(),
        capability: None,
        inputs: JsonValue::object(),
        priority: DEFAULT_PRIORITY,
        resource_request: None,
        approvals_required: Vec::new(),
        deadline_at: None,
        optional: false,
    };
    Job::new(JobId::new(id).expect("an id"), card, TraceContext::new_root(), Timestamp::from_millis(0))
}
