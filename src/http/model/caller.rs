//! The caller, from the headers `x-pas-run-id`, `x-pas-agent`, `x-pas-job-id` and `x-pas-request-id`.

use axum::http::HeaderMap;
use uuid::Uuid;

use crate::actors::gateway::GatewayCaller;
use crate::domain::accounts::budget::{RunName, ScopeLabel};
use crate::domain::ids::JobId;
use crate::llm::inbound::ApiProblem;

/// Longest request id (the contract).
pub(in crate::http) const MAX_REQUEST_ID: usize = 100;

/// The caller named by the headers. A job without a run belongs to the run of its root.
///
/// # Errors
/// [`ApiProblem`] naming the invalid header.
pub(in crate::http) fn caller(headers: &HeaderMap) -> Result<GatewayCaller, ApiProblem> {
    let job = label(headers, "x-pas-job-id")?;
    let run = match text(headers, "x-pas-run-id")? {
        Some(run) => {
            RunName::new(run).map_err(|error| ApiProblem::invalid("x-pas-run-id", error.to_string()))?
        }
        None => job.as_ref().and_then(run_of).unwrap_or_default(),
    };
    let agent = match label(headers, "x-pas-agent")? {
        Some(agent) => agent,
        None => ScopeLabel::new(GatewayCaller::CLIENT)
            .map_err(|error| ApiProblem::invalid("x-pas-agent", error.to_string()))?,
    };
    let request_id = match text(headers, "x-pas-request-id")? {
        Some(id) if id.chars().count() <= MAX_REQUEST_ID => id.to_owned(),
        Some(_) => return Err(ApiProblem::invalid("x-pas-request-id", "at most 100 characters")),
        None => format!("req-{}", Uuid::now_v7().simple()),
    };
    Ok(GatewayCaller { request_id, run, job, agent, lane: None })
}

fn run_of(job: &ScopeLabel) -> Option<RunName> {
    JobId::new(job.as_str()).ok().map(|job| RunName::from(&job.run()))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, ApiProblem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = value.to_str().map_err(|_| ApiProblem::invalid(name, format!("{name} is not plain ASCII")))?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn label(headers: &HeaderMap, name: &str) -> Result<Option<ScopeLabel>, ApiProblem> {
    let found = text(headers, name)?.map(ScopeLabel::new).transpose();
    found.map_err(|error| ApiProblem::invalid(name, format!("{name}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&'static str, &'static str)]) -> Result<GatewayCaller, ApiProblem> {
        caller(&pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect())
    }

    #[test]
    fn a_job_belongs_to_the_run_of_its_root() {
        let caller =
            of(&[("x-pas-job-id", "ingest-abc.data.audit"), ("x-pas-agent", "corpus-auditor")]).unwrap();
        assert_eq!((caller.run.as_str(), caller.agent.as_str()), ("ingest-abc", "corpus-auditor"));
        assert_eq!(caller.job.unwrap().as_str(), "ingest-abc.data.audit");
        let caller = of(&[("x-pas-job-id", "a.b"), ("x-pas-run-id", "Mine")]).unwrap();
        assert_eq!(caller.run.as_str(), "Mine");
    }

    #[test]
    fn without_headers_a_client_pays_from_the_default_run() {
        let caller = of(&[]).unwrap();
        assert_eq!((caller.run, caller.agent.as_str()), (RunName::default(), "client"));
        assert!(caller.request_id.starts_with("req-"));
    }

    #[test]
    fn a_header_that_cannot_be_used_is_named() {
        assert_eq!(of(&[("x-pas-run-id", "../x")]).unwrap_err().param.as_deref(), Some("x-pas-run-id"));
    }
}
