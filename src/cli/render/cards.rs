//! Jobs, approvals, agents, crashes and search hits, as lists and as single cards.

use std::time::Duration;

use console::style;
use serde_json::Value;

use super::table::{TableColumn, draw};
use super::{count, fit, one_line, state, units, wrap};
use crate::cli::wire::{WireAgent, WireApproval, WireCancelProof, WireCrash, WireHit, WireJob};
use crate::domain::accounts::receipt::bill::ReceiptTotals;
use crate::domain::job::JobState;
use crate::domain::job::wait::JobWait;
use crate::domain::money::NanoUsd;
use crate::domain::time::Timestamp;

/// Width of the name column, gap included.
const KEYS: usize = 12;
/// The same for the longer keys of an agent's definition.
const DEFINITION_KEYS: usize = 22;

/// The jobs as a table.
#[must_use]
pub fn jobs(jobs: &[WireJob], now: Timestamp, width: usize) -> String {
    if jobs.is_empty() {
        return "no jobs; submit one with `pas run ingest FOLDER`".into();
    }
    let row = |job: &WireJob| {
        [
            job.job_id.clone(),
            state_and_wait(job),
            job.agent.clone(),
            progress(job),
            units::age(job.created_at, now),
            took(job, now).map(units::duration).unwrap_or_default(),
        ]
    };
    let columns = [
        TableColumn::left("JOB"),
        TableColumn::left("STATE"),
        TableColumn::left("AGENT"),
        TableColumn::right("PROGRESS"),
        TableColumn::right("AGE"),
        TableColumn::right("TIME"),
    ];
    draw(columns, 0, &jobs.iter().map(row).collect::<Vec<_>>(), width)
}

/// What a job is at; of one that works, also what a job below it waits for.
fn state_and_wait(job: &WireJob) -> String {
    let word = state(job.activity());
    let is_at_work = job.activity() == JobState::Running;
    let below = job.waits.iter().find(|wait| is_at_work && wait.job_id.as_str() != job.job_id);
    below.map_or_else(|| word.clone(), |wait| format!("{word}, a step waits for {}", wait.kind.noun()))
}

/// A wait as a sentence: job, reason, since when.
#[must_use]
pub fn wait_in_words(wait: &JobWait, now: Timestamp) -> String {
    let since = units::age(wait.since, now);
    let detail = one_line(&wait.detail);
    let detail = if detail.is_empty() { detail } else { format!(": {detail}") };
    format!("{} for {}, since {since}{detail}", wait.job_id, wait.kind.noun())
}

/// One job with its inputs, outputs and cost, followed by the steps, if any.
#[must_use]
pub fn job(job: &WireJob, now: Timestamp, bill: Option<&ReceiptTotals>, width: usize) -> String {
    let mut lines = vec![fit(&format!("{}  {}", style(&job.job_id).bold(), state(job.activity())), width)];
    let mut line = |key: &str, value: String| lines.extend(pair(key, &value, width));
    line("agent", job.agent.clone());
    line("task", job.task.clone());
    line("created", units::date_time(job.created_at));
    if let Some(took) = took(job, now) {
        line("time", units::duration(took));
    }
    if let Some(deadline) = job.deadline_at {
        line("deadline", units::date_time(deadline));
    }
    line("priority", job.priority.to_string());
    line("attempts", job.attempt.to_string());
    let note = Some(one_line(&job.progress.note)).filter(|note| !note.is_empty());
    let parts: Vec<String> =
        [Some(progress(job)).filter(|p| !p.is_empty()), note].into_iter().flatten().collect();
    if !parts.is_empty() {
        line("progress", parts.join(", "));
    }
    for wait in &job.waits {
        line("waits", wait_in_words(wait, now));
    }
    if let Some(error) = &job.error {
        line("error", style(one_line(error)).red().to_string());
    }
    for later in &job.continued_by {
        line("continued", format!("by {later}"));
    }
    for (key, value) in [("inputs", &job.inputs), ("outputs", &job.outputs)] {
        for (name, value) in value.as_object().into_iter().flatten() {
            line(key, format!("{name} = {}", plain(value)));
        }
    }
    for artifact in &job.artifacts {
        line("artifact", format!("{}  {}", one_line(&artifact.path), units::bytes(artifact.bytes)));
    }
    if let Some(bill) = bill {
        let cap = budget(job).map_or_else(String::new, |cap| format!("; at most {cap}"));
        line("cost", format!("{}{cap}", bill.in_words()));
    }
    if !job.children.is_empty() {
        lines.push(String::new());
        lines.push(steps(job, now, width));
    }
    lines.join("\n")
}

/// The most that a job may spend, where its card says so.
fn budget(job: &WireJob) -> Option<String> {
    crate::domain::task::usd(&job.inputs["budget_usd"]).map(NanoUsd::shown)
}

/// A job and its steps as an indented table.
#[must_use]
pub fn steps(root: &WireJob, now: Timestamp, width: usize) -> String {
    let depth =
        |job: &WireJob| job.job_id.matches('.').count().saturating_sub(root.job_id.matches('.').count());
    let rows: Vec<_> = root
        .walk()
        .map(|job| {
            let step = if job.step.is_empty() { &job.job_id } else { &job.step };
            [
                format!("{}{}", "  ".repeat(depth(job)), one_line(step)),
                state(job.activity()),
                job.agent.clone(),
                progress(job),
                took(job, now).map(units::duration).unwrap_or_default(),
                budget(job).unwrap_or_default(),
            ]
        })
        .collect();
    // Of jobs without any cap the column says nothing, and takes no room.
    let cap = if root.walk().any(|job| budget(job).is_some()) { "CAP" } else { "" };
    let columns = [
        TableColumn::left("STEP"),
        TableColumn::left("STATE"),
        TableColumn::left("AGENT"),
        TableColumn::right("PROGRESS"),
        TableColumn::right("TIME"),
        TableColumn::right(cap),
    ];
    draw(columns, 0, &rows, width)
}

/// From start to end, or to now while the job runs.
#[must_use]
pub fn took(job: &WireJob, now: Timestamp) -> Option<Duration> {
    let end = job.ended_at.or_else(|| (!job.state.is_terminal()).then_some(now))?;
    job.started_at.map(|start| end.since(start))
}

/// `120/400`, `120`, or empty before the first unit.
#[must_use]
pub fn progress(job: &WireJob) -> String {
    match (job.progress.done, job.progress.total) {
        (0, 0) => String::new(),
        (done, 0) => done.to_string(),
        (done, total) => format!("{done}/{total}"),
    }
}

fn pair(key: &str, value: &str, width: usize) -> Vec<String> {
    pair_at(KEYS, key, value, width)
}

fn pair_at(margin: usize, key: &str, value: &str, width: usize) -> Vec<String> {
    // A key as wide as the margin would run into its value.
    if console::measure_text_width(key) >= margin {
        let own = fit(&style(key).dim().to_string(), width);
        return std::iter::once(own).chain(pair_at(margin, "", value, width)).collect();
    }
    let wrapped = wrap(value, width.saturating_sub(margin));
    let keys = std::iter::once(key).chain(std::iter::repeat(""));
    wrapped
        .iter()
        .zip(keys)
        .map(|(value, key)| fit(&format!("{:margin$}{value}", style(key).dim()), width))
        .collect()
}

fn plain(value: &Value) -> String {
    one_line(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// The jobs that a cancel stopped, with times.
#[must_use]
pub fn proof(proof: &WireCancelProof, width: usize) -> String {
    let mut lines = Vec::new();
    for stopped in &proof.cancelled {
        let when = stopped.stopped_at.map(units::clock).unwrap_or_default();
        let how =
            if stopped.how.is_empty() { String::new() } else { format!(", {}", one_line(&stopped.how)) };
        let was = stopped.state_before.replace('_', " ");
        let who = &stopped.agent;
        lines.push(fit(&format!("{when}  ⊘ {}  {who}, was {was}{how}", stopped.job_id), width));
    }
    for job in &proof.pending {
        lines.push(fit(&format!("          … {job}  still stopping"), width));
    }
    let stopped = count(proof.cancelled.len(), "job", "jobs");
    let still = if proof.pending.is_empty() {
        String::new()
    } else {
        format!(", {} still stopping", proof.pending.len())
    };
    lines.push(format!("{}: {stopped} stopped{still}", proof.job_id));
    lines.join("\n")
}

/// Approvals, each with the commands that decide it; `pas` is the program with flags.
#[must_use]
pub fn approvals(all: &[WireApproval], pas: &str, now: Timestamp, width: usize) -> String {
    if all.is_empty() {
        return "no pending approvals".into();
    }
    let mut lines = Vec::new();
    for approval in all {
        let since = units::age(approval.requested_at, now);
        let title = style(one_line(&approval.approval_id)).bold();
        lines.push(fit(&format!("{title}  {}, since {since}", approval.status), width));
        lines.extend(pair("  asks", &format!("{}: {}", approval.agent, one_line(&approval.action)), width));
        lines.extend(pair("  job", &approval.job_id, width));
        for (name, value) in approval.detail.as_object().into_iter().flatten() {
            lines.extend(pair(&format!("  {name}"), &plain(value), width));
        }
        if approval.status == "pending" {
            let id = &approval.approval_id;
            lines.push(format!("  decide    {pas} approve {id}\n            {pas} reject {id} --reason …"));
        }
    }
    lines.join("\n")
}

/// The agents as a table.
#[must_use]
pub fn agents(all: &[WireAgent], width: usize) -> String {
    let row = |agent: &WireAgent| {
        [
            agent.name.clone(),
            agent.role.clone(),
            agent.status.clone(),
            agent.parent.clone().unwrap_or_default(),
            agent.restarts.to_string(),
            agent.queue_depth.to_string(),
            agent.capabilities.join(", "),
        ]
    };
    let columns = [
        TableColumn::left("AGENT"),
        TableColumn::left("ROLE"),
        TableColumn::left("STATUS"),
        TableColumn::left("PARENT"),
        TableColumn::right("R"),
        TableColumn::right("Q"),
        TableColumn::left("CAN"),
    ];
    let table = draw(columns, 6, &all.iter().map(row).collect::<Vec<_>>(), width);
    format!("{table}\n\n{}; R: restarts, Q: queued messages", count(all.len(), "agent", "agents"))
}

#[must_use]
pub fn agent(agent: &WireAgent, width: usize) -> String {
    let mut lines = vec![format!("{}  {}", style(&agent.name).bold(), agent.status)];
    let mut line = |key: &str, value: String| lines.extend(pair_at(DEFINITION_KEYS, key, &value, width));
    line("role", agent.role.clone());
    line("parent", agent.parent.clone().unwrap_or_else(|| "none (a root)".into()));
    line("can", agent.capabilities.join(", "));
    line("url", agent.url.clone().unwrap_or_default());
    line("restarts", agent.restarts.to_string());
    line("queue", agent.queue_depth.to_string());
    // The definition's port is an intention; the service need not listen there.
    let shown = ["name", "role", "parent", "capabilities", "display_name", "prompt", "port"];
    for (key, value) in agent.definition.iter().filter_map(Value::as_object).flatten() {
        if !shown.contains(&&**key) && !value.is_null() {
            line(key, plain(value));
        }
    }
    lines.join("\n")
}

/// The crashes as a table.
#[must_use]
pub fn crashes(all: &[WireCrash], now: Timestamp, width: usize) -> String {
    if all.is_empty() {
        return "no crashes".into();
    }
    let row = |crash: &WireCrash| {
        [
            crash.id.to_string(),
            units::age(crash.at, now),
            crash.agent.clone(),
            crash.incarnation.to_string(),
            crash.reason.clone(),
            one_line(crash.message.as_deref().unwrap_or_default()),
        ]
    };
    let columns = [
        TableColumn::right("ID"),
        TableColumn::right("AGE"),
        TableColumn::left("AGENT"),
        TableColumn::right("LIFE"),
        TableColumn::left("WHY"),
        TableColumn::left("MESSAGE"),
    ];
    draw(columns, 5, &all.iter().map(row).collect::<Vec<_>>(), width)
}

/// Search hits, best first.
#[must_use]
pub fn hits(all: &[WireHit], width: usize) -> String {
    let mut lines = Vec::new();
    for (number, hit) in all.iter().enumerate() {
        let title = hit.title.as_deref().map(one_line).filter(|title| !title.is_empty());
        let title = title.map(|title| format!("  {title}")).unwrap_or_default();
        let path = style(one_line(&hit.path)).bold();
        lines.push(fit(&format!("{:>3}. {path}{title}  ({:.2})", number + 1, hit.score), width));
        lines.extend(wrap(&one_line(&snippet(&hit.snippet)), width.saturating_sub(5)).iter().map(|line| {
            let marked = line.replace('\u{e000}', "\u{1b}[1m").replace('\u{e001}', "\u{1b}[22m");
            let plain = line.replace(['\u{e000}', '\u{e001}'], "");
            format!("     {}", if console::colors_enabled() { marked } else { plain })
        }));
    }
    lines.join("\n")
}

/// Escaped HTML as text, with `<b>` and `</b>` as private-use characters, which terminal text never contains.
fn snippet(html: &str) -> String {
    let text =
        html.replace(['\u{e000}', '\u{e001}'], "").replace("<b>", "\u{e000}").replace("</b>", "\u{e001}");
    let entities =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&#39;", "'"), ("&amp;", "&")];
    entities.iter().fold(text, |text, (entity, character)| text.replace(entity, character))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_millis(1_795_363_260_000)
    }

    #[test]
    fn a_key_as_wide_as_its_column_does_not_run_into_its_value() {
        let lines = pair_at(10, "approvals_required[]", "read the folder", 40);
        let lines: Vec<String> = lines.iter().map(|line| plain_text(line)).collect();
        assert_eq!(lines, ["approvals_required[]", "          read the folder"]);
        assert_eq!(plain_text(&pair_at(10, "goal", "x", 40)[0]), "goal      x");
    }

    fn plain_text(text: &str) -> String {
        console::strip_ansi_codes(text).into_owned()
    }

    fn example() -> WireJob {
        let schema = crate::http::contract::read("schemas/job_card.json").unwrap();
        let mut root = schema["examples"][1].clone();
        root["state"] = json!("running");
        root["activity"] = json!("running");
        root["started_at"] = json!("2026-11-22T16:00:01.000Z");
        root["children"] = json!([schema["examples"][0]]);
        root["children"][0]["error"] = json!("the folder\nis gone");
        serde_json::from_value(root).unwrap()
    }

    #[test]
    fn jobs_are_listed_and_shown() {
        let root = example();
        let shown = [
            jobs(&[root.clone(), root.children[0].clone()], now(), 80),
            job(&root, now(), None, 80),
            job(&root.children[0], now(), None, 80),
            jobs(&[], now(), 80),
        ];
        insta::assert_snapshot!(plain_text(&shown.join("\n---\n")));
    }

    #[test]
    fn a_cancel_is_proved() {
        let contract = crate::http::contract::read("orchestrator.json").unwrap();
        let example = &contract["paths"]["/jobs/{job_id}/cancel"]["post"]["responses"]["202"]["content"]["application/json"]
            ["example"];
        let mut value: WireCancelProof = serde_json::from_value(example.clone()).unwrap();
        value.pending.push("ingest-7k2mq9x4bz.data.clean".into());
        insta::assert_snapshot!(plain_text(&proof(&value, 80)));
    }

    #[test]
    fn the_contract_s_examples_of_lists_are_drawn() {
        let contract = crate::http::contract::read("orchestrator.json").unwrap();
        let example = |path: &str| {
            contract["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["example"]
                .clone()
        };
        let read = |path: &str, field: &str| example(path)[field].clone();
        let shown = [
            approvals(
                &serde_json::from_value::<Vec<_>>(read("/approvals", "approvals")).unwrap(),
                "pas",
                now(),
                80,
            ),
            agents(&serde_json::from_value::<Vec<_>>(read("/agents", "agents")).unwrap(), 80),
            agent(&serde_json::from_value(example("/agents/{name}")).unwrap(), 80),
            crashes(&serde_json::from_value::<Vec<_>>(read("/crashes", "crashes")).unwrap(), now(), 80),
            hits(&serde_json::from_value::<Vec<_>>(read("/search", "hits")).unwrap(), 80),
        ];
        insta::assert_snapshot!(plain_text(&shown.join("\n---\n")));
    }

    #[test]
    fn a_snippet_s_escapes_are_undone_once() {
        assert_eq!(snippet("a &lt;b&gt; &amp;lt; <b>x</b>"), "a <b> &lt; \u{e000}x\u{e001}");
    }
}
