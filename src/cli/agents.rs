//! `pas agents`, `pas invoke`, `pas kill`, `pas restart`.

use std::time::Duration;

use console::style;
use serde_json::json;

use super::CommandContext;
use super::args::{AgentArgs, InvokeArgs};
use super::client::{AGENT_ROUTER, reason};
use super::exit::{CommandExit, CommandResult};
use super::render::{cards, one_line, units, wrap_lines};
use super::wire;
use crate::domain::trace::TraceId;

/// The router's own time on top of the agent's timeout.
const ROUTING: Duration = Duration::from_secs(5);

/// `pas agents`.
pub(super) async fn list(context: &CommandContext) -> CommandResult {
    let answer = context.client.get(&["agents"], &[]).await?;
    let width = context.screen.width();
    context.screen.show(&answer, |answer| {
        Ok(cards::agents(&wire::read::<Vec<wire::WireAgent>>(&answer["agents"])?, width))
    })?;
    Ok(CommandExit::Done)
}

/// `pas agents NAME`.
pub(super) async fn show(context: &CommandContext, name: &str) -> CommandResult {
    let answer = context.client.get(&["agents", name], &[]).await?;
    let width = context.screen.width();
    context.screen.show(&answer, |answer| Ok(cards::agent(&wire::read(answer)?, width)))?;
    Ok(CommandExit::Done)
}

/// `pas kill` and `pas restart`.
pub(super) async fn act(context: &CommandContext, verb: &str, args: &AgentArgs) -> CommandResult {
    let path = ["agents", &args.agent, verb];
    let answer = context.client.post(&path, &reason(args.reason.as_ref())).await?;
    context.screen.show(&answer, |answer| {
        let done = if verb == "kill" { "killed" } else { "restarted" };
        let life = answer["incarnation"].as_u64();
        let life = life.map(|number| format!(" (incarnation {number})")).unwrap_or_default();
        Ok(format!("{} {done}{life}; `pas tree` shows it", args.agent))
    })?;
    Ok(CommandExit::Done)
}

/// `pas invoke`: an agent's error or timeout fails the command.
pub(super) async fn invoke(context: &CommandContext, args: &InvokeArgs) -> CommandResult {
    let body = json!({
        "request_id": format!("cli-{}", TraceId::random()),
        "agent_name": args.agent,
        "payload": args.payload,
        "timeout_s": args.timeout,
        "transport": "rpc",
    });
    let within = Duration::from_secs(args.timeout.into()) + ROUTING;
    let answer = context.client.post_to(AGENT_ROUTER, &["invoke"], &body, within).await?;
    let is_success = answer["status"] == "success";
    let width = context.screen.width();
    context.screen.show(&answer, |answer| {
        let took = answer["latency_ms"].as_f64().unwrap_or(0.0).max(0.0) / 1e3;
        let took = units::duration(Duration::try_from_secs_f64(took).unwrap_or_default());
        let status = answer["status"].as_str().unwrap_or("error");
        Ok(if is_success {
            let result = serde_json::to_string_pretty(&answer["result"]).unwrap_or_default();
            let result = wrap_lines(&result, width);
            format!("{result}\n{}", style(format!("{} answered in {took}", args.agent)).dim())
        } else {
            let error = one_line(answer["error"].as_str().unwrap_or("no reason given"));
            let head = format!("{} {} after {took}:", args.agent, style(status).red().bold());
            format!("{head}\n{}", wrap_lines(&error, width))
        })
    })?;
    Ok(if is_success { CommandExit::Done } else { CommandExit::Failed })
}
