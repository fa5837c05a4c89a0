//! `pas run`: submits a job, shows its progress, and prints a summary at the end.
//!
//! Invariants: a daemon started by this command is stopped again, unless `--keep` is given; the job card
//! carries an idempotency key. Failure policy: when the daemon goes silent, the command waits for a while
//! (the daemon may be restarting, and the job survives), then fails.

mod change;
mod display;
mod home;
mod outline;
mod summary;
mod watch;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use self::display::ProgressDisplay;
use self::watch::{JobWatch, WatchEnd};
use super::args::RunArgs;
use super::corpus;
use super::exit::{CommandExit, CommandFailure, CommandResult};
use super::render::{count, units};
use super::wire::{self, WireJob};
use super::{CommandContext, launch};
use crate::domain::job::JobState;
use crate::domain::trace::TraceId;

/// The task with a default corpus when no folder is named.
const INGEST: &str = "ingest";

/// Runs a job; starts a daemon if none answers.
pub(super) async fn run(context: &CommandContext, args: &RunArgs) -> CommandResult {
    let mut card = card(context, args)?;
    if args.task == change::CHANGE
        && let Some(inputs) = card["inputs"].as_object()
    {
        change::outlook(inputs)?.iter().for_each(|line| context.screen.hint(line));
    }
    let moved = home::beside_strangers(context).await?;
    let context = moved.as_ref().unwrap_or(context);
    let mut launched = None;
    if !context.client.is_up().await {
        context.screen.hint("no daemon is running here; starting one for this job");
        launched = Some(launch::start(context).await?);
    }
    if args.task == change::CHANGE
        && let Some(estimate) = change::estimate(&context.client).await
    {
        context.screen.hint(&estimate);
    }
    let stays = launched.is_none() || args.keep || args.detach;
    let outcome = match change::complete_earlier(&context.client, &mut card).await {
        Ok(()) => submit(context, args, &card, stays).await,
        Err(unknown) => Err(unknown),
    };
    match launched {
        Some(daemon) if stays => {
            let (pas, log) = (context.again(), daemon.log.display());
            context.screen.hint(&format!("the daemon keeps running (log: {log}); `{pas} down` stops it"));
        }
        Some(daemon) if outcome == Ok(CommandExit::Interrupted) => {
            daemon.let_go(&context.client).await;
            context.screen.hint("the daemon started for this job is stopping");
        }
        Some(daemon) => {
            let stopped = daemon.stop(context).await;
            // The job's outcome matters more than an error in stopping the daemon.
            return outcome.and_then(|exit| stopped.map(|()| exit));
        }
        None => {}
    }
    outcome
}

async fn submit(context: &CommandContext, args: &RunArgs, card: &Value, stays: bool) -> CommandResult {
    let answer = context.client.post(&["jobs"], card).await?;
    let job: WireJob = wire::read(&answer)?;
    if args.detach {
        context.screen.show(&answer, |_| Ok(job.job_id.clone()))?;
        return Ok(CommandExit::Done);
    }
    let mut display = ProgressDisplay::new(context.screen, &job.job_id);
    let ended = JobWatch::new(context, job).follow(&mut display).await;
    display.clear();
    match ended? {
        WatchEnd::Terminal(job) => {
            summary::show(context, &job, stays).await?;
            if let Some(closing) = change::closing(&job).filter(|_| !context.screen.json) {
                context.screen.say(&closing);
            }
            Ok(exit_of(job.state))
        }
        WatchEnd::Left(job_id) => {
            let pas = context.again();
            context.screen.hint(&format!("detached; `{pas} job {job_id}` shows the job's progress"));
            Ok(CommandExit::Interrupted)
        }
    }
}

const fn exit_of(state: JobState) -> CommandExit {
    match state {
        JobState::Done => CommandExit::Done,
        JobState::Cancelled => CommandExit::Cancelled,
        _ => CommandExit::JobFailed,
    }
}

/// The job card to submit.
fn card(context: &CommandContext, args: &RunArgs) -> Result<Value, CommandFailure> {
    let (mut inputs, agent) = match args.task.as_str() {
        change::CHANGE | change::TASK => change::inputs(args)?,
        _ => (Map::new(), None),
    };
    inputs.extend(args.input.iter().cloned());
    if !matches!(args.task.as_str(), change::CHANGE | change::TASK)
        && let Some(source) = source(context, args)?
    {
        let text = source.to_str().ok_or_else(|| {
            CommandFailure::usage(format!(
                "{} is not valid UTF-8, which a job card requires",
                source.display()
            ))
        })?;
        inputs.insert("source".into(), text.into());
    }
    let mut card = json!({
        "task": args.task,
        "inputs": inputs,
        "priority": args.priority,
        "idempotency_key": TraceId::random(),
    });
    if let Some(agent) = agent {
        card["agent"] = json!(agent);
    }
    if let Some(deadline) = args.deadline {
        card["deadline_s"] = json!(deadline.0.as_secs_f64());
    }
    Ok(card)
}

/// The named folder; for an ingest without one, the default corpus.
fn source(context: &CommandContext, args: &RunArgs) -> Result<Option<PathBuf>, CommandFailure> {
    let given = args.input.iter().find(|(key, _)| key == "source").map(|(_, value)| value);
    match (&args.source, given) {
        (Some(source), _) => existing(source).map(Some),
        (None, None) if args.task == INGEST => default_corpus(context).map(Some),
        // In the daemon's working directory a relative path would mean another folder.
        (None, Some(Value::String(source))) if args.task == INGEST => existing(Path::new(source)).map(Some),
        (None, _) => Ok(None),
    }
}

fn existing(source: &Path) -> Result<PathBuf, CommandFailure> {
    source.canonicalize().map_err(|error| {
        CommandFailure::usage(format!("cannot use {}: {error}; name an existing folder", source.display()))
    })
}

fn default_corpus(context: &CommandContext) -> Result<PathBuf, CommandFailure> {
    let target = context.config.daemon.data_dir.join("corpus").join("crates");
    let made = corpus::crates_corpus(&target).map_err(|error| CommandFailure::failed(error.to_string()))?;
    let texts = count(made.files, "text", "texts");
    context.screen.hint(&format!(
        "ingesting the documents of the {} crates that PAS was built from: {texts}, {}",
        made.crates,
        units::bytes(made.bytes)
    ));
    Ok(made.folder)
}
