//! `pas job --log`, `pas say`, `pas trees`: an agent's work turn by turn, and messages to the agent.

use std::time::Duration;

use serde_json::{Value, json};

use super::exit::{CommandExit, CommandResult};
use super::render::units;
use super::wire::{self, WireJob};
use super::{CommandContext, ids};

/// Between two looks at a log that grows.
const POLL: Duration = Duration::from_millis(500);

/// `pas job ID --log [--follow]`.
pub(super) async fn show(context: &CommandContext, id: &str, follow: bool) -> CommandResult {
    let id = ids::job(&context.client, id).await?;
    let mut since = 0;
    loop {
        let answer = context.client.get(&["jobs", &id, "log"], &[("since", since.to_string())]).await?;
        let rows = answer["rows"].as_array().map_or(&[][..], Vec::as_slice);
        if !rows.is_empty() || (since == 0 && !follow) {
            context.screen.show(&answer, |_| Ok(text_of(rows)))?;
        }
        let is_whole = rows.is_empty();
        since = answer["last_seq"].as_u64().unwrap_or(since);
        if !is_whole {
            continue;
        }
        let job: WireJob = wire::read(&context.client.get(&["jobs", &id], &[]).await?)?;
        if !follow || job.state.is_terminal() {
            return Ok(CommandExit::Done);
        }
        tokio::time::sleep(POLL).await;
    }
}

fn text_of(rows: &[Value]) -> String {
    let line = |row: &Value| {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        format!("{:>5}  {:<16} {}", row["seq"].as_u64().unwrap_or_default(), text("kind"), text("headline"))
    };
    if rows.is_empty() {
        return "no agent with a model has begun to work on it".to_owned();
    }
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// `pas say`.
pub(super) async fn say(context: &CommandContext, id: &str, text: &str) -> CommandResult {
    let id = ids::job(&context.client, id).await?;
    let answer = context.client.post(&["jobs", &id, "say"], &json!({ "text": text })).await?;
    context.screen.show(&answer, |answer| {
        let job = answer["job_id"].as_str().unwrap_or_default();
        Ok(format!("kept; the agent of {job} reads it before its next turn"))
    })?;
    Ok(CommandExit::Done)
}

/// `pas trees`.
pub(super) async fn trees(context: &CommandContext) -> CommandResult {
    let answer = context.client.get(&["trees"], &[]).await?;
    context.screen.show(&answer, |answer| {
        let trees = answer["trees"].as_array().map_or(&[][..], Vec::as_slice);
        if trees.is_empty() {
            return Ok("no private trees".to_owned());
        }
        let line = |tree: &Value| {
            let text = |name: &str| tree[name].as_str().unwrap_or("-").to_owned();
            let bytes = units::bytes(tree["bytes"].as_u64().unwrap_or_default());
            format!(
                "{}  {}  {}  {bytes}  run {}",
                text("run_id"),
                text("name"),
                text("stage"),
                text("run_state")
            )
        };
        Ok(trees.iter().map(line).collect::<Vec<_>>().join("\n"))
    })?;
    Ok(CommandExit::Done)
}
