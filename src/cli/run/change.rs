//! The cards of `pas run change` and `pas run task`, and what is shown of a change at its end.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::cli::args::RunArgs;
use crate::cli::exit::CommandFailure;
use crate::cli::wire::WireJob;

/// The task that takes a goal to a branch.
pub(super) const CHANGE: &str = "change";
/// The task that puts a goal to one agent.
pub(super) const TASK: &str = "task";

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
    let mut inputs = Map::new();
    let goal = goal.filter(|goal| !goal.trim().is_empty()).ok_or_else(|| missing(&args.task))?;
    inputs.insert("goal".into(), goal.into());
    let here = (args.task == CHANGE).then(|| Path::new(".").to_owned());
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
    ];
    inputs
        .extend(texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), json!(text.as_ref()?)))));
    let switches = [
        ("allow_guards", flags.allow_guards),
        ("allow_test_changes", flags.allow_test_changes),
        ("with_uncommitted", flags.with_uncommitted),
    ];
    for (name, is_set) in switches {
        if is_set {
            inputs.insert(name.into(), true.into());
        }
    }
    if !flags.tests.is_empty() {
        inputs.insert("tests".into(), json!(flags.tests));
    }
    Ok((inputs, agent))
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
    let mut lines =
        vec![format!("branch       {}  ({})", text(&outputs["branch"]), short(&text(&outputs["commit"])))];
    lines.extend(text(&outputs["proof"]).lines().map(str::to_owned));
    if outputs["review"].is_object() {
        lines.push(format!("review       {}", text(&outputs["review"]["independence"])));
    }
    let stat = text(&outputs["diffstat"]);
    lines.extend(stat.lines().map(|line| format!("             {}", line.trim())));
    let runners = outputs["runs_on_merge"].as_array().map_or(&[][..], Vec::as_slice);
    for runner in runners {
        lines.push(format!("runs here    {} ({})", text(&runner["path"]), text(&runner["why"])));
    }
    lines.push(format!("to merge     {}", text(&outputs["merge"])));
    Some(lines.join("\n"))
}

fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}
