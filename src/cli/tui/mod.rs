//! `pas tui`: the swarm in a terminal, with the actions of the web HMI.
//!
//! [`model`] holds the state and interprets keys (pure), [`draw`] turns the state into cells, and this file
//! connects both with the terminal and the daemon. The data are one `GET /api/live` of port 6101 and the
//! newest events of port 6102; every action goes through `POST /api/action`, and so into the audit log.
//! Failure policy: when the daemon does not answer, the frame shows that and the age of the data, and the
//! next poll tries again; the terminal is restored on every exit.

mod dialog;
mod draw;
mod keys;
mod model;
mod rows;
#[cfg(test)]
mod tests;
mod transcript;
mod wire;
mod words;

use std::time::Duration;

use ratatui::DefaultTerminal;
use serde_json::json;
use tokio::sync::mpsc;

use self::model::{ConfirmedAction, TuiEffect, TuiInput, TuiModel};
use self::wire::TuiLogPage;
use super::CommandContext;
use super::client::{DaemonClient, EVENT_STREAM, HMI, LONG_CALL, ORCHESTRATOR};
use super::exit::{CommandExit, CommandFailure, CommandResult};
use super::wire::read;
use crate::domain::time::Timestamp;

/// Fast enough to see a restart.
const REFRESH: Duration = Duration::from_millis(500);
/// Events fetched at a time; the log shows those that are not heartbeats.
const EVENTS: usize = 300;
/// Bound of the input queue; keys are typed by hand and answers come one by one.
const INPUTS: usize = 64;

/// `pas tui`.
pub(super) async fn show(context: &CommandContext) -> CommandResult {
    if context.screen.json || !console::Term::stdout().is_term() {
        return Err(CommandFailure::usage("`pas tui` needs a terminal; programs use `pas tree --json`"));
    }
    if !context.client.is_up().await {
        let at = context.client.address(ORCHESTRATOR);
        return Err(super::client::ClientError::Unreachable(at).into());
    }
    let mut terminal = ratatui::init();
    let ended = run(context, &mut terminal).await;
    ratatui::restore();
    ended
}

async fn run(context: &CommandContext, terminal: &mut DefaultTerminal) -> CommandResult {
    let (sender, mut inputs) = mpsc::channel(INPUTS);
    keys::listen(sender.clone());
    let mut model = TuiModel::default();
    let (wanted, watched) = tokio::sync::watch::channel(TuiWish::default());
    let watching = watch(context.client.clone(), watched, sender.clone());
    tokio::pin!(watching);
    loop {
        terminal
            .draw(|frame| draw::draw(&model, Timestamp::now(), frame))
            .map_err(|error| CommandFailure::failed(format!("cannot write to the terminal: {error}")))?;
        let input = tokio::select! {
            Some(input) = inputs.recv() => input,
            () = &mut watching => return Ok(CommandExit::Done),
            _ = tokio::signal::ctrl_c() => return Ok(CommandExit::Done),
        };
        match model.update(input) {
            Some(TuiEffect::Quit) => return Ok(CommandExit::Done),
            Some(effect) => run_effect(context.client.clone(), effect, sender.clone()),
            None => {}
        }
        wanted.send_if_modified(|wish| {
            let now = TuiWish { steps_of: model.wanted_job(), rows_of: model.wanted_rows() };
            let is_new = *wish != now;
            *wish = now;
            is_new
        });
    }
}

/// What is fetched beside the snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct TuiWish {
    steps_of: Option<String>,
    /// The job of a transcript, and the last row that is known.
    rows_of: Option<(String, u64)>,
}

/// Sends a new snapshot twice a second, with what is wished for besides; a new wish at once.
async fn watch(
    client: DaemonClient,
    mut wanted: tokio::sync::watch::Receiver<TuiWish>,
    to: mpsc::Sender<TuiInput>,
) {
    loop {
        let wish = wanted.borrow_and_update().clone();
        for input in poll(&client, wish).await {
            if to.send(input).await.is_err() {
                return;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(REFRESH) => {}
            changed = wanted.changed() => if changed.is_err() { return },
        }
    }
}

async fn poll(client: &DaemonClient, wish: TuiWish) -> Vec<TuiInput> {
    let TuiWish { steps_of, rows_of } = wish;
    let live = async {
        let answer = client.get_from(HMI, &["api", "live"], &[]).await?;
        Ok::<_, CommandFailure>(TuiInput::Live(Box::new(read(&answer)?)))
    };
    let events = async {
        let limit = [("limit", EVENTS.to_string())];
        let answer = client.get_from(EVENT_STREAM, &["events", "recent"], &limit).await?;
        Ok::<_, CommandFailure>(TuiInput::Events(read(&answer["events"])?))
    };
    let steps = async {
        let job = steps_of?;
        let answer = client.get(&["jobs", &job], &[("tree", "true".to_owned())]).await.ok()?;
        Some(TuiInput::Steps(Box::new(read(&answer).ok()?)))
    };
    let rows = async {
        let (job, since) = rows_of?;
        let answer = client.get(&["jobs", &job, "log"], &[("since", since.to_string())]).await.ok()?;
        Some(TuiInput::Rows(TuiLogPage { wanted: job, ..read(&answer).ok()? }))
    };
    let (live, events, steps, rows) = tokio::join!(live, events, steps, rows);
    let told = |outcome: Result<TuiInput, CommandFailure>| {
        outcome.unwrap_or_else(|failure| TuiInput::Lost(failure.message))
    };
    // A later success must not hide an earlier failure.
    let mut inputs: Vec<TuiInput> = [events, live].into_iter().map(told).chain(steps).chain(rows).collect();
    inputs.sort_by_key(|input| matches!(input, TuiInput::Lost(_)));
    inputs
}

/// Performs an effect beside the drawing; the outcome comes back as an input.
fn run_effect(client: DaemonClient, effect: TuiEffect, to: mpsc::Sender<TuiInput>) {
    #[expect(clippy::disallowed_methods, reason = "ends with the program, which has no supervisor")]
    tokio::spawn(async move {
        let outcome = match effect {
            TuiEffect::Quit => return,
            TuiEffect::AskBlast { action, target, subtree } => {
                let query = [
                    ("target", target),
                    ("action", action.as_str().to_owned()),
                    ("subtree", subtree.to_string()),
                ];
                let answer = client.get_from(HMI, &["api", "blast-radius"], &query).await;
                answer.map_err(CommandFailure::from).and_then(|answer| read(&answer)).map(TuiInput::Blast)
            }
            TuiEffect::Act(order) => act(&client, order).await,
        };
        // The receiver is gone once the user has quit.
        let _ = to.send(outcome.unwrap_or_else(|failure| TuiInput::Refused(failure.message))).await;
    });
}

async fn act(client: &DaemonClient, order: ConfirmedAction) -> Result<TuiInput, CommandFailure> {
    let mut body = json!({
        "action": order.action.as_str(),
        "target": order.target,
        "subtree": order.subtree,
    });
    if !order.reason.is_empty() {
        body["reason"] = json!(order.reason);
    }
    if let Some(to) = order.to {
        body["to"] = json!(to);
    }
    let answer = client.post_to(HMI, &["api", "action"], &body, LONG_CALL).await?;
    Ok(TuiInput::Done(read(&answer)?))
}
