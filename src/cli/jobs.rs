//! `pas jobs`, `pas job`, the commands that steer a job, and approvals.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::args::{ApproveArgs, DecideArgs, JobsArgs, SteerArgs};
use super::client::{LONG_CALL, ORCHESTRATOR, reason};
use super::exit::{CommandExit, CommandResult};
use super::render::{cards, state};
use super::wire::{self, WireApproval, WireCancelProof, WireJob};
use super::{CommandContext, ids};
use crate::domain::time::Timestamp;

/// `pas jobs`.
pub(super) async fn list(context: &CommandContext, args: &JobsArgs) -> CommandResult {
    let mut query = vec![("roots", (!args.all).to_string()), ("limit", args.limit.to_string())];
    query.extend(args.state.map(|state| ("state", state.as_str().to_owned())));
    query.extend(args.agent.clone().map(|agent| ("agent", agent)));
    let answer = context.client.get(&["jobs"], &query).await?;
    context.screen.show(&answer, |answer| {
        let jobs: Vec<WireJob> = wire::read(&answer["jobs"])?;
        Ok(cards::jobs(&jobs, Timestamp::now(), context.screen.width()))
    })?;
    Ok(CommandExit::Done)
}

/// `pas job`.
pub(super) async fn show(context: &CommandContext, id: &str, tree: bool) -> CommandResult {
    let id = ids::job(&context.client, id).await?;
    let mut answer = context.client.get(&["jobs", &id], &[("tree", tree.to_string())]).await?;
    let bill = super::costs::of(context, &id).await;
    answer["costs"] = json!(bill);
    context.screen.show(&answer, |answer| {
        let job = cards::job(&wire::read(answer)?, Timestamp::now(), bill.as_ref(), context.screen.width());
        Ok(job)
    })?;
    Ok(CommandExit::Done)
}

/// `pas cancel`: waits for the proof.
pub(super) async fn cancel(context: &CommandContext, args: &SteerArgs) -> CommandResult {
    let id = ids::job(&context.client, &args.id).await?;
    let body = reason(args.reason.as_ref());
    let answer = context.client.post_to(ORCHESTRATOR, &["jobs", &id, "cancel"], &body, LONG_CALL).await?;
    context.screen.show(&answer, |answer| {
        Ok(cards::proof(&wire::read::<WireCancelProof>(answer)?, context.screen.width()))
    })?;
    Ok(CommandExit::Done)
}

/// `pas pause`, `pas resume`, `pas retry`.
pub(super) async fn steer(context: &CommandContext, verb: &str, args: &SteerArgs) -> CommandResult {
    let id = ids::job(&context.client, &args.id).await?;
    let answer = context.client.post(&["jobs", &id, verb], &reason(args.reason.as_ref())).await?;
    context.screen.show(&answer, |answer| {
        let job: WireJob = wire::read(answer)?;
        Ok(format!("{}  {}", job.job_id, state(job.state)))
    })?;
    Ok(CommandExit::Done)
}

/// `pas approvals`.
pub(super) async fn approvals(context: &CommandContext, all: bool) -> CommandResult {
    let status = if all { "all" } else { "pending" };
    let answer = context.client.get(&["approvals"], &[("status", status.to_owned())]).await?;
    context.screen.show(&answer, |answer| {
        let approvals: Vec<WireApproval> = wire::read(&answer["approvals"])?;
        Ok(cards::approvals(&approvals, &context.again(), Timestamp::now(), context.screen.width()))
    })?;
    Ok(CommandExit::Done)
}

/// `pas approve`.
pub(super) async fn approve(context: &CommandContext, args: &ApproveArgs) -> CommandResult {
    let inputs: Map<String, Value> = args.input.iter().cloned().collect();
    let mut body = json!({ "decision": "approve" });
    if !inputs.is_empty() {
        body["inputs"] = Value::Object(inputs);
    }
    decide(context, body, &args.decide).await
}

/// `pas reject`.
pub(super) async fn reject(context: &CommandContext, args: &DecideArgs) -> CommandResult {
    decide(context, json!({ "decision": "reject" }), args).await
}

async fn decide(context: &CommandContext, mut body: Value, args: &DecideArgs) -> CommandResult {
    let id = ids::approval(&context.client, &args.id).await?;
    if let Some(reason) = &args.reason {
        body["reason"] = json!(reason);
    }
    if let Some(by) = whoami() {
        body["by"] = json!(by);
    }
    let answer = context.client.post(&["approvals", &id], &body).await?;
    context.screen.show(&answer, |answer| {
        let approval: WireApproval = wire::read(answer)?;
        let mut text = format!("{}  {}", approval.approval_id, approval.status);
        // Writing into a string cannot fail.
        let _ = write!(text, " ({} for {})", approval.action, approval.agent);
        Ok(text)
    })?;
    Ok(CommandExit::Done)
}

/// The user's name from the environment, for the record.
fn whoami() -> Option<String> {
    ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok()).filter(|name| !name.is_empty())
}
