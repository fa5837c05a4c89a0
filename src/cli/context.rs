//! `pas context`: an agent's context use, and the pieces kept and dropped by the last summary.

use console::style;
use serde::Deserialize;
use serde_json::{Value, json};

use super::CommandContext;
use super::client::TOKEN_GOVERNOR;
use super::exit::{CommandExit, CommandFailure, CommandResult};
use super::render::{one_line, units, wrap};
use super::wire;
use crate::domain::time::Timestamp;

/// Width of the name column.
const KEYS: usize = 12;

/// A context as shown by the governor.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct WireContext {
    pub(super) agent: String,
    #[serde(default)]
    run_id: Option<String>,
    ctx_used: u64,
    ctx_limit: u64,
    pub(super) ctx_ratio: f64,
    #[serde(default)]
    target_ratio: f64,
    #[serde(default)]
    hard_max_ratio: f64,
    status: String,
    last_updated: Timestamp,
}

#[derive(Debug, Deserialize)]
struct WireSummary {
    summary_id: String,
    trigger_reason: String,
    ctx_before: u64,
    summary_path: String,
    created_at: Timestamp,
    method: String,
    tokens_before: u64,
    tokens_after: u64,
    after: String,
    diff: Vec<WireSummaryPiece>,
}

#[derive(Debug, Deserialize)]
struct WireSummaryPiece {
    kept: bool,
    text: String,
}

/// `pas context AGENT`.
pub(super) async fn show(context: &CommandContext, agent: &str) -> CommandResult {
    let client = &context.client;
    let of_agent = [("agent", agent.to_owned())];
    let answer = client.get_from(TOKEN_GOVERNOR, &["status"], &of_agent).await?;
    let standing = answer["agents"].get(0).cloned().unwrap_or_default();
    let newest = [("agent", agent.to_owned()), ("limit", "1".to_owned())];
    let listed = client.get_from(TOKEN_GOVERNOR, &["summaries"], &newest).await?;
    let detail = match listed["summaries"][0]["summary_id"].as_str() {
        Some(id) => client.get_from(TOKEN_GOVERNOR, &["summaries", id], &[]).await?,
        None => Value::Null,
    };
    if standing.is_null() && detail.is_null() {
        // Distinguishes an unknown agent from one with an empty context.
        client.get(&["agents", agent], &[]).await?;
    }
    let whole = json!({ "agent": agent, "context": standing, "summary": detail });
    let width = context.screen.width();
    context.screen.show(&whole, |whole| text(agent, whole, width))?;
    Ok(CommandExit::Done)
}

/// The fullest agent context of a run, as one line; `None` when no agent of the run has a context.
pub(super) async fn of_run(context: &CommandContext, run: &str) -> Option<String> {
    let answer = context.client.get_from(TOKEN_GOVERNOR, &["status"], &[]).await.ok()?;
    let all: Vec<WireContext> = wire::read(&answer["agents"]).ok()?;
    in_words(all.into_iter().filter(|standing| standing.run_id.as_deref() == Some(run)).collect())
}

fn in_words(all: Vec<WireContext>) -> Option<String> {
    let count = all.len();
    let fullest = all.into_iter().max_by(|a, b| a.ctx_ratio.total_cmp(&b.ctx_ratio))?;
    let (agent, used, limit) = (&fullest.agent, fullest.ctx_used, fullest.ctx_limit);
    Some(format!("{count} agents tracked; the fullest is {agent} with {used} of {limit} tokens"))
}

fn text(agent: &str, whole: &Value, width: usize) -> Result<String, CommandFailure> {
    let mut lines = vec![style(agent).bold().to_string()];
    let mut line = |key: &str, value: String| lines.push(format!("{:KEYS$}{value}", style(key).dim()));
    if whole["context"].is_null() {
        line("context", "empty".to_owned());
    } else {
        let now: WireContext = wire::read(&whole["context"])?;
        let percent = now.ctx_ratio * 100.0;
        line("context", format!("{} of {} tokens, {percent:.1} %", now.ctx_used, now.ctx_limit));
        let (target, hard) = (now.target_ratio * 100.0, now.hard_max_ratio * 100.0);
        line("status", format!("{} (target {target:.0} %, hard maximum {hard:.0} %)", now.status));
        line("run", now.run_id.as_deref().map_or_else(|| "none".to_owned(), one_line));
        line("updated", units::date_time(now.last_updated));
    }
    if whole["summary"].is_null() {
        line("summary", "none yet".to_owned());
        return Ok(lines.join("\n"));
    }
    let detail: WireSummary = wire::read(&whole["summary"])?;
    line("summary", format!("{}, {}", detail.summary_id, units::date_time(detail.created_at)));
    line("why", format!("{}, with {} tokens in the context", detail.trigger_reason, detail.ctx_before));
    line("size", format!("{} tokens of {}, {}", detail.tokens_after, detail.tokens_before, detail.method));
    line("file", one_line(&detail.summary_path));
    for (mark, kept) in [("kept", true), ("dropped", false)] {
        let pieces: Vec<&WireSummaryPiece> = detail.diff.iter().filter(|piece| piece.kept == kept).collect();
        let bytes: usize = pieces.iter().map(|piece| piece.text.len()).sum();
        line(mark, format!("{} in {} passages", units::bytes(bytes as u64), pieces.len()));
    }
    lines.push(String::new());
    lines.extend(detail.after.lines().flat_map(|line| wrap(&one_line(line), width)));
    Ok(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(path: &str) -> Value {
        let contract = crate::http::contract::read("token-governor.json").unwrap();
        contract["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["example"].clone()
    }

    #[test]
    fn the_contract_s_examples_are_drawn() {
        let whole = json!({
            "context": example("/status")["agents"][0], "summary": example("/summaries/{summary_id}"),
        });
        let drawn = text("code-writer", &whole, 80).unwrap();
        let drawn = console::strip_ansi_codes(&drawn);
        for part in
            ["13000 of 16000 tokens, 81.3 %", "breach (target 50 %", "docs/runs/feature-login-1_summary.md"]
        {
            assert!(drawn.contains(part), "{part}: {drawn}");
        }
        assert!(drawn.contains("kept        63 B in 1 passages"), "{drawn}");
        let empty = text("architect", &json!({ "context": null, "summary": null }), 80).unwrap();
        assert!(empty.contains("empty") && empty.contains("none yet"));
    }

    #[test]
    fn the_fullest_context_of_a_run_is_told() {
        let mut all: Vec<WireContext> = serde_json::from_value(example("/status")["agents"].clone()).unwrap();
        all.push(WireContext {
            agent: "b".into(),
            ctx_ratio: 0.9,
            ctx_used: 90,
            ctx_limit: 100,
            ..all[0].clone()
        });
        assert_eq!(in_words(all).unwrap(), "2 agents tracked; the fullest is b with 90 of 100 tokens");
        assert_eq!(in_words(vec![]), None);
    }
}
