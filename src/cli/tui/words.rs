//! The daemon's answers and events as sentences.

use serde_json::Value;

use super::wire::{TuiActionResult, TuiEvent};

/// The result of an action, with its proof.
#[must_use]
pub(super) fn done(done: &TuiActionResult) -> String {
    let Some(proof) = &done.proof else { return done.message.clone() };
    let back = proof.agents.iter().map(|agent| match agent.back_ms {
        Some(ms) => format!("{} back after {ms:.0} ms", agent.name),
        None => format!("{} is not back", agent.name),
    });
    let mut parts: Vec<String> = back.collect();
    let counted = [
        (proof.streams_closed, "model streams closed"),
        (proof.processes_gone, "process groups gone"),
        (proof.reservations_released, "reservations released"),
    ];
    parts.extend(
        counted.iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!("{number} {what}")),
    );
    if proof.holds_released_usd > 0.0 {
        parts.push(format!("${:.4} of holds released", proof.holds_released_usd));
    }
    if proof.final_cost_usd > 0.0 {
        parts.push(format!("cost ${:.4}", proof.final_cost_usd));
    }
    if parts.is_empty() { done.message.clone() } else { format!("{} ({})", done.message, parts.join(", ")) }
}

/// An event on one line: agent, event, detail.
#[must_use]
pub(super) fn event(event: &TuiEvent) -> String {
    let text = |name: &str| event.data.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let who = text("actor").or_else(|| text("agent")).or_else(|| text("service_id"));
    let what = text("event").or_else(|| text("status")).or_else(|| text("action"));
    let more = text("message").or_else(|| text("reason")).or_else(|| text("job_id"));
    let words: Vec<&str> = [who, what, more].into_iter().flatten().collect();
    if words.is_empty() { Value::Object(event.data.clone()).to_string() } else { words.join(" ") }
}
