//! `pas run`: submits a job, shows how it goes, and tells what came out.
//!
//! Invariants: a daemon that this command has started is stopped again, unless it is to be kept; the
//! job card carries an idempotency key of its own. Failure policy: a daemon that goes silent under way
//! is waited for a while (it may be on its way up again; the job survives), then told.

mod display;
mod home;
mod outline;
mod summary;
mod watch;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use self::display::Display;
use self::watch::{Ended, Watch};
use super::args::Run;
use super::corpus;
use super::exit::{Exit, Failure, Outcome};
use super::render::{count, units};
use super::wire::{self, Job, JobState};
use super::{Context, launch};
use crate::domain::trace::TraceId;

/// The task that has a corpus of its own when no folder is named.
const INGEST: &str = "ingest";

/// Runs a job; starts a daemon for it if none answers.
pub(super) async fn run(context: &Context, args: &Run) -> Outcome {
    let card = card(context, args)?;
    let moved = home::beside_strangers(context).await?;
    let context = moved.as_ref().unwrap_or(context);
    let mut launched = None;
    if !context.client.is_up().await {
        context.screen.hint("no daemon runs here; starting one for this job");
        launched = Some(launch::start(context).await?);
    }
    let stays = launched.is_none() || args.keep || args.detach;
    let outcome = submit(context, args, &card, stays).await;
    match launched {
        Some(daemon) if stays => {
            let (pas, log) = (context.again(), daemon.log.display());
            context.screen.hint(&format!("the daemon goes on (log: {log}); `{pas} down` stops it"));
        }
        Some(daemon) if outcome == Ok(Exit::Interrupted) => {
            daemon.let_go(&context.client).await;
            context.screen.hint("the daemon started for the job has been told to stop");
        }
        Some(daemon) => {
            let stopped = daemon.stop(context).await;
            // The job's own end says more than trouble with stopping what it ran on.
            return outcome.and_then(|exit| stopped.map(|()| exit));
        }
        None => {}
    }
    outcome
}

async fn submit(context: &Context, args: &Run, card: &Value, stays: bool) -> Outcome {
    let answer = context.client.post(&["jobs"], card).await?;
    let job: Job = wire::read(&answer)?;
    if args.detach {
        context.screen.show(&answer, |_| Ok(job.job_id.clone()))?;
        return Ok(Exit::Done);
    }
    let mut display = Display::new(context.screen, &job.job_id);
    let ended = Watch::new(context, job).follow(&mut display).await;
    display.clear();
    match ended? {
        Ended::Terminal(job) => {
            summary::show(context, &job, stays).await?;
            Ok(exit_of(job.state))
        }
        Ended::Left(job_id) => {
            let pas = context.again();
            context.screen.hint(&format!("left; `{pas} job {job_id}` shows how it goes on"));
            Ok(Exit::Interrupted)
        }
    }
}

const fn exit_of(state: JobState) -> Exit {
    match state {
        JobState::Done => Exit::Done,
        JobState::Cancelled => Exit::Cancelled,
        _ => Exit::JobFailed,
    }
}

/// The job card to submit.
fn card(context: &Context, args: &Run) -> Result<Value, Failure> {
    let mut inputs: Map<String, Value> = args.input.iter().cloned().collect();
    if let Some(source) = source(context, args)? {
        let text = source.to_str().ok_or_else(|| {
            Failure::usage(format!("{} is not UTF-8, which a job card needs", source.display()))
        })?;
        inputs.insert("source".into(), text.into());
    }
    let mut card = json!({
        "task": args.task,
        "inputs": inputs,
        "priority": args.priority,
        "idempotency_key": TraceId::random(),
    });
    if let Some(deadline) = args.deadline {
        card["deadline_s"] = json!(deadline.0.as_secs_f64());
    }
    Ok(card)
}

/// The named folder; for an ingest without one, the default corpus.
fn source(context: &Context, args: &Run) -> Result<Option<PathBuf>, Failure> {
    let given = args.input.iter().find(|(key, _)| key == "source").map(|(_, value)| value);
    match (&args.source, given) {
        (Some(source), _) => existing(source).map(Some),
        (None, None) if args.task == INGEST => default_corpus(context).map(Some),
        // The daemon may stand elsewhere, where the path would mean another folder.
        (None, Some(Value::String(source))) if args.task == INGEST => existing(Path::new(source)).map(Some),
        (None, _) => Ok(None),
    }
}

fn existing(source: &Path) -> Result<PathBuf, Failure> {
    source.canonicalize().map_err(|error| {
        Failure::usage(format!(
            "{} cannot be worked on: {error}; name a folder that is there",
            source.display()
        ))
    })
}

fn default_corpus(context: &Context) -> Result<PathBuf, Failure> {
    let target = context.config.daemon.data_dir.join("corpus").join("crates");
    let made = corpus::crates_corpus(&target).map_err(|error| Failure::failed(error.to_string()))?;
    let texts = count(made.files, "text", "texts");
    context.screen.hint(&format!(
        "working on the documents of the {} crates that PAS was built from: {texts}, {}",
        made.crates,
        units::bytes(made.bytes)
    ));
    Ok(made.folder)
}
