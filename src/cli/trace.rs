//! `pas trace` and `pas crashes`.

use super::args::TraceArgs;
use super::client::DaemonClient;
use super::exit::{CommandExit, CommandFailure, CommandResult};
use super::ids;
use super::render::{cards, units, waterfall};
use super::wire::{self, WireCrash, WireSpan};
use super::{CommandContext, render};
use crate::domain::time::Timestamp;
use crate::domain::trace::TraceId;

/// Spans searched for the rest of a trace id: the largest page that the contract allows.
const NEWEST: &str = "10000";
/// Crashes searched for those of the spans shown.
const CRASHES: &str = "200";

/// `pas trace`.
pub(super) async fn show(context: &CommandContext, args: &TraceArgs) -> CommandResult {
    let answer = match &args.id {
        Some(id) => {
            let id = complete_id(&context.client, id).await?;
            context.client.get(&["trace", &id], &[]).await?
        }
        None => context.client.get(&["trace"], &query(context, args).await?).await?,
    };
    let spans: Vec<WireSpan> = wire::read(&answer["spans"])?;
    let crashes = crashes_of(&context.client, &spans).await?;
    let width = context.screen.width();
    context.screen.show(&answer, |_| {
        if spans.is_empty() {
            return Ok("no spans (the rings keep only the newest; `pas crashes` keeps the crashes)".into());
        }
        Ok(waterfall::draw(&spans, &crashes, width))
    })?;
    if answer["dropped"].as_u64().is_some_and(|dropped| dropped > 0) && args.id.is_none() {
        context.screen.hint("older spans were overwritten; `trace.ring_records` sets how many are kept");
    }
    Ok(CommandExit::Done)
}

async fn query(
    context: &CommandContext,
    args: &TraceArgs,
) -> Result<Vec<(&'static str, String)>, CommandFailure> {
    let mut query = vec![("limit", args.limit.to_string())];
    if let Some(job) = &args.job {
        query.push(("job", ids::job(&context.client, job).await?));
    }
    query.extend(args.agent.clone().map(|agent| ("agent", agent)));
    query.extend(args.since.map(|since| ("since", since.before(Timestamp::now()).to_string())));
    Ok(query)
}

/// A whole trace id, completed from the newest spans.
async fn complete_id(client: &DaemonClient, text: &str) -> Result<String, CommandFailure> {
    if text.parse::<TraceId>().is_ok() {
        return Ok(text.to_owned());
    }
    let spans: Vec<WireSpan> =
        client.fetch_field(&["trace"], &[("limit", NEWEST.to_owned())], "spans").await?;
    ids::complete("trace", text, spans.iter().map(|span| &*span.trace_id))
}

/// Fetches crash records only when a span ended badly.
async fn crashes_of(client: &DaemonClient, spans: &[WireSpan]) -> Result<Vec<WireCrash>, CommandFailure> {
    if spans.iter().all(|span| !matches!(&*span.outcome, "crashed" | "killed")) {
        return Ok(Vec::new());
    }
    client.fetch_field(&["crashes"], &[("limit", CRASHES.to_owned())], "crashes").await
}

/// `pas crashes`.
pub(super) async fn crashes(context: &CommandContext, id: Option<u64>) -> CommandResult {
    let width = context.screen.width();
    match id {
        None => {
            let answer = context.client.get(&["crashes"], &[]).await?;
            context.screen.show(&answer, |answer| {
                Ok(cards::crashes(
                    &wire::read::<Vec<WireCrash>>(&answer["crashes"])?,
                    Timestamp::now(),
                    width,
                ))
            })?;
        }
        Some(id) => {
            let answer = context.client.get(&["crashes", &id.to_string()], &[]).await?;
            context.screen.show(&answer, |answer| Ok(frozen(&wire::read(answer)?, width)))?;
        }
    }
    Ok(CommandExit::Done)
}

/// A crash record with the last spans of the trace.
fn frozen(crash: &WireCrash, width: usize) -> String {
    let (id, agent, life, why) = (crash.id, &crash.agent, crash.incarnation, &crash.reason);
    let at = units::date_time(crash.at);
    let mut lines =
        vec![render::fit(&format!("crash {id}: {agent}, incarnation {life}, {why} at {at} UTC"), width)];
    lines.extend(waterfall::crash_lines(crash, width, 2));
    lines.push(String::new());
    lines.push(if crash.spans.is_empty() {
        "the actor was handling no message, so there is no trace".into()
    } else {
        waterfall::draw(&crash.spans, std::slice::from_ref(crash), width)
    });
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_crash_shows_its_message_place_and_trace() {
        let contract = crate::http::contract::read("orchestrator.json").unwrap();
        let example = &contract["paths"]["/crashes/{id}"]["get"]["responses"]["200"]["content"]["application/json"]
            ["example"];
        let shown = frozen(&wire::read(example).unwrap(), 80);
        insta::assert_snapshot!(console::strip_ansi_codes(&shown));
    }
}
