//! The cards of `pas run change` and `pas run task`, and what is shown of a change at its end.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::actors::agent::RepositoryOutlook;
use crate::cli::args::RunArgs;
use crate::cli::client::DaemonClient;
use crate::cli::exit::CommandFailure;
use crate::cli::ids;
use crate::cli::render::{count, units};
use crate::cli::wire::WireJob;
use crate::domain::job::continuation::CONTINUES;

/// The task that takes a goal to a branch.
pub(super) const CHANGE: &str = "change";
/// The task that puts a goal to one agent.
pub(super) const TASK: &str = "task";
/// Width of the labels of a change, as in its proof.
const LABEL: usize = 21;
/// The agent whose jobs are changes.
const WRITER: &str = "code-writer";

/// The inputs that the flags stand for, and the agent of `task`.
pub(super) fn inputs(args: &RunArgs) -> Result<(Map<String, Value>, Option<String>), CommandFailure> {
    let words = args.source.as_ref().map(|words| words.to_string_lossy().into_owned());
    let (agent, goal) = if args.task == TASK {
        (words, args.goal.clone())
    } else {
        if args.goal.is_some() {
            return Err(CommandFailure::usage("put the goal into quotes: one text after `change`"));
        }
        (None, words)
    };
    let continues = args.change.continues.is_some();
    if continues && args.task != CHANGE {
        return Err(CommandFailure::usage("only a change can be continued: pas run change --continue JOB"));
    }
    let mut inputs = Map::new();
    match goal.filter(|goal| !goal.trim().is_empty()) {
        Some(goal) => _ = inputs.insert("goal".into(), goal.into()),
        // A continuation has those of the earlier run.
        None if continues => {}
        None => return Err(missing(&args.task)),
    }
    let here = (args.task == CHANGE && !continues).then(|| Path::new(".").to_owned());
    if let Some(repository) = args.change.repo.clone().or(here) {
        let whole = repository.canonicalize().map_err(|error| {
            CommandFailure::usage(format!("{} cannot be worked on: {error}", repository.display()))
        })?;
        inputs.insert("repository".into(), whole.to_string_lossy().into_owned().into());
    }
    let flags = &args.change;
    let texts = [
        ("prove", &flags.prove),
        ("base", &flags.base),
        ("expect", &flags.expect),
        ("budget_usd", &flags.budget),
        ("prepare", &flags.prepare),
        ("review", &flags.review),
        ("ask", &flags.ask),
        (CONTINUES, &flags.continues),
        ("word", &flags.word),
    ];
    inputs
        .extend(texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), json!(text.as_ref()?)))));
    let switches = [
        ("allow_guards", flags.allow_guards),
        ("allow_test_changes", flags.allow_test_changes),
        ("may_delegate", flags.delegate),
        ("with_uncommitted", flags.with_uncommitted),
    ];
    for (name, is_set) in switches {
        if is_set {
            inputs.insert(name.into(), true.into());
        }
    }
    if let Some(limit) = flags.prove_limit {
        inputs.insert("prove_limit_s".into(), limit.into());
    }
    if !flags.tests.is_empty() {
        inputs.insert("tests".into(), json!(flags.tests));
    }
    Ok((inputs, agent))
}

/// Completes the id of the run that a card continues; any job of that run will do.
pub(super) async fn complete_earlier(client: &DaemonClient, card: &mut Value) -> Result<(), CommandFailure> {
    if let Some(earlier) = card["inputs"].get_mut(CONTINUES) {
        let whole = ids::run(client, earlier.as_str().unwrap_or_default()).await?;
        *earlier = whole.into();
    }
    Ok(())
}

/// How the change would start: base, proving command and what agents will not see. A repository that cannot be worked on
/// is refused here, before a daemon is started for it.
pub(super) fn outlook(inputs: &Map<String, Value>) -> Result<Vec<String>, CommandFailure> {
    let text = |name: &str| inputs.get(name).and_then(Value::as_str);
    let Some(repository) = text("repository") else { return Ok(Vec::new()) };
    let seen = RepositoryOutlook::read(Path::new(repository), text("base"), text("prove"));
    let seen = seen.map_err(CommandFailure::usage)?;
    let mut lines = vec![format!("{:LABEL$}{repository} at {}", "from", short(&seen.base))];
    if let Some(prove) = &seen.prove {
        lines.push(format!("{:LABEL$}{}  ({})", "proved by", prove.script, prove.why));
        lines.extend(prove.doubt.iter().map(|doubt| format!("{:LABEL$}{doubt}", "doubt")));
    }
    lines.extend(seen.remarks.iter().map(|remark| format!("{:LABEL$}{remark}", "note")));
    Ok(lines)
}

/// What earlier changes took, where there are any.
pub(super) async fn estimate(client: &DaemonClient) -> Option<String> {
    let query = [("state", "done"), ("roots", "false"), ("agent", WRITER), ("limit", "50")];
    let query = query.map(|(name, value)| (name, value.to_owned()));
    let jobs: Vec<WireJob> = client.fetch_field(&["jobs"], &query, "jobs").await.ok()?;
    let number = |job: &WireJob, name: &str| match &job.outputs[name] {
        Value::String(text) => text.parse::<f64>().ok(),
        other => other.as_f64(),
    };
    let seconds =
        |job: &WireJob| Some((job.ended_at?.as_millis() - job.started_at?.as_millis()) as f64 / 1_000.0);
    let done: Vec<[f64; 3]> = jobs
        .iter()
        .filter(|job| job.outputs["branch"].is_string())
        .filter_map(|job| Some([number(job, "turns")?, number(job, "cost_usd")?, seconds(job)?]))
        .collect();
    let [turns, usd, seconds] = medians(&done)?;
    Some(format!(
        "{:LABEL$}{turns:.0} turns, ${usd:.2}, {} (the middle of {} so far)",
        "estimate",
        units::duration(Duration::from_secs_f64(seconds.max(0.0))),
        count(done.len(), "change", "changes")
    ))
}

/// The middle value of each column.
fn medians(rows: &[[f64; 3]]) -> Option<[f64; 3]> {
    let middle = rows.len().checked_sub(1)? / 2;
    Some([0, 1, 2].map(|column| {
        let mut values: Vec<f64> = rows.iter().map(|row| row[column]).collect();
        values.sort_by(f64::total_cmp);
        values[middle]
    }))
}

fn missing(task: &str) -> CommandFailure {
    CommandFailure::usage(if task == TASK {
        "name the agent and the goal: pas run task code-writer \"add a README\" --repo ."
    } else {
        "say the goal: pas run change \"make the tests pass\" --repo . --prove \"cargo test\""
    })
}

/// The end of a change in lines: branch, files, proof, review, merge.
pub(super) fn closing(job: &WireJob) -> Option<String> {
    let outputs = job.walk().map(|job| &job.outputs).find(|outputs| outputs["branch"].is_string())?;
    let text = |value: &Value| value.as_str().unwrap_or_default().trim().to_owned();
    let mut lines = vec![format!(
        "{:LABEL$}{}  ({})",
        "branch",
        text(&outputs["branch"]),
        short(&text(&outputs["commit"]))
    )];
    lines.extend(text(&outputs["proof"]).lines().map(str::to_owned));
    if outputs["review"].is_object() {
        lines.push(format!("{:LABEL$}{}", "review", text(&outputs["review"]["independence"])));
    }
    let stat = text(&outputs["diffstat"]);
    lines.extend(stat.lines().map(|line| format!("{:LABEL$}{}", "", line.trim())));
    let runners = outputs["runs_on_merge"].as_array().map_or(&[][..], Vec::as_slice);
    for runner in runners {
        lines.push(format!(
            "{:LABEL$}{} ({})",
            "runs here",
            text(&runner["path"]),
            text(&runner["occasion"])
        ));
    }
    lines.push(format!("{:LABEL$}{}", "to merge", text(&outputs["merge"])));
    Some(lines.join("\n"))
}

fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_continuation_needs_no_goal_and_names_no_repository() {
        use crate::cli::args::{CliArgs, CliCommand};
        use clap::Parser as _;
        let args = |words: &[&str]| {
            let words = ["pas", "run"].iter().chain(words);
            let CliCommand::Run(args) =
                CliArgs::try_parse_from(words).map_err(|error| error.to_string())?.command
            else {
                return Err("no run".to_owned());
            };
            Ok(args)
        };
        let given =
            args(&["change", "--continue", "change-1", "--budget", "2", "--word", "shorter"]).unwrap();
        let (made, agent) = inputs(&given).unwrap();
        let wanted = json!({ "continues": "change-1", "budget_usd": "2", "word": "shorter" });
        assert_eq!((Value::Object(made), agent), (wanted, None));
        assert!(inputs(&args(&["task", "code-writer", "x", "--continue", "change-1"]).unwrap()).is_err());
        assert!(args(&["change", "x", "--word", "shorter"]).is_err(), "a word alone belongs into the goal");
    }

    #[test]
    fn an_estimate_is_the_middle_of_each_column_and_none_without_rows() {
        assert_eq!(medians(&[]), None);
        assert_eq!(medians(&[[9.0, 0.1, 3.0], [1.0, 0.3, 2.0], [5.0, 0.2, 1.0]]), Some([5.0, 0.2, 2.0]));
    }

    #[test]
    fn the_closing_says_branch_review_files_and_what_a_merge_runs() {
        let job = json!({
            "job_id": "change-1", "agent": "code-writer", "task": "change.write", "state": "done",
            "created_at": "2026-11-30T12:00:00Z",
            "outputs": {
                "branch": "pas/change-1", "commit": "0123456789abcdef", "proof": "proof  proved\n",
                "review": { "independence": "independent: written with a, reviewed with b" },
                "diffstat": " a.rs | 2 +-\n", "merge": "git merge pas/change-1",
                "runs_on_merge": [{ "path": ".envrc", "occasion": "runs on entering the folder" }],
            },
        });
        let text = closing(&serde_json::from_value(job).unwrap()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "branch               pas/change-1  (0123456789ab)");
        assert!(lines.contains(&"runs here            .envrc (runs on entering the folder)"), "{text}");
        assert_eq!(lines.last(), Some(&"to merge             git merge pas/change-1"));
    }
}
