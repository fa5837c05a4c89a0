//! `pas tui`: the swarm in a terminal, and the same actions as in the web HMI.
//!
//! [`model`] holds what is shown and decides what a key means (pure), [`draw`] turns it into cells, this
//! file joins them with the terminal and the daemon. Everything shown is one `GET /api/live` of port 6101
//! and the newest events of port 6102; every action goes through `POST /api/action`, and so into the audit.
//! Failure policy: a daemon that does not answer is told in the frame, with the age of what is shown, and
//! asked again; the terminal is given back as it was, however this ends.

mod dialog;
mod draw;
mod keys;
mod model;
mod rows;
#[cfg(test)]
mod tests;
mod wire;
mod words;

use std::time::Duration;

use ratatui::DefaultTerminal;
use serde_json::json;
use tokio::sync::mpsc;

use self::model::{Effect, Input, Model, Order};
use super::Context;
use super::client::{Client, EVENT_STREAM, HMI, LONG_CALL, ORCHESTRATOR};
use super::exit::{Exit, Failure, Outcome};
use super::wire::read;
use crate::domain::time::Timestamp;

/// Between two pictures: fast enough to see a restart.
const REFRESH: Duration = Duration::from_millis(500);
/// Events asked for at a time; the log shows those that are not heartbeats.
const EVENTS: usize = 300;
/// Inputs that may wait to be drawn; keys come by hand and answers one by one.
const INPUTS: usize = 64;

/// `pas tui`.
pub(super) async fn show(context: &Context) -> Outcome {
    if context.screen.json || !console::Term::stdout().is_term() {
        return Err(Failure::usage("`pas tui` needs a terminal; for programs there is `pas tree --json`"));
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

async fn run(context: &Context, terminal: &mut DefaultTerminal) -> Outcome {
    let (sender, mut inputs) = mpsc::channel(INPUTS);
    keys::listen(sender.clone());
    let mut model = Model::default();
    let (wanted, watched) = tokio::sync::watch::channel(None);
    let watching = watch(context.client.clone(), watched, sender.clone());
    tokio::pin!(watching);
    loop {
        terminal
            .draw(|frame| draw::draw(&model, Timestamp::now(), frame))
            .map_err(|error| Failure::failed(format!("the terminal cannot be written to: {error}")))?;
        let input = tokio::select! {
            Some(input) = inputs.recv() => input,
            () = &mut watching => return Ok(Exit::Done),
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Done),
        };
        match model.update(input) {
            Some(Effect::Quit) => return Ok(Exit::Done),
            Some(effect) => carry_out(context.client.clone(), effect, sender.clone()),
            None => {}
        }
        wanted.send_if_modified(|job| {
            let now = model.wanted_job();
            let is_new = *job != now;
            *job = now;
            is_new
        });
    }
}

/// Sends a new picture twice a second, and the steps of the job that is wanted.
async fn watch(
    client: Client,
    mut wanted: tokio::sync::watch::Receiver<Option<String>>,
    to: mpsc::Sender<Input>,
) {
    loop {
        let job = wanted.borrow_and_update().clone();
        for input in look(&client, job).await {
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

async fn look(client: &Client, job: Option<String>) -> Vec<Input> {
    let live = async {
        let answer = client.get_from(HMI, &["api", "live"], &[]).await?;
        Ok::<_, Failure>(Input::Live(Box::new(read(&answer)?)))
    };
    let events = async {
        let limit = [("limit", EVENTS.to_string())];
        let answer = client.get_from(EVENT_STREAM, &["events", "recent"], &limit).await?;
        Ok::<_, Failure>(Input::Events(read(&answer["events"])?))
    };
    let steps = async {
        let job = job?;
        let answer = client.get(&["jobs", &job], &[("tree", "true".to_owned())]).await.ok()?;
        Some(Input::Steps(Box::new(read(&answer).ok()?)))
    };
    let (live, events, steps) = tokio::join!(live, events, steps);
    let told =
        |outcome: Result<Input, Failure>| outcome.unwrap_or_else(|failure| Input::Lost(failure.message));
    // An answer that is there after one that is missing must not hide the loss.
    let mut inputs: Vec<Input> = [events, live].into_iter().map(told).chain(steps).collect();
    inputs.sort_by_key(|input| matches!(input, Input::Lost(_)));
    inputs
}

/// Does what was decided, beside the drawing; the outcome comes back as an input.
fn carry_out(client: Client, effect: Effect, to: mpsc::Sender<Input>) {
    #[expect(clippy::disallowed_methods, reason = "ends with the program, which has no supervisor")]
    tokio::spawn(async move {
        let outcome = match effect {
            Effect::Quit => return,
            Effect::AskBlast { action, target, subtree } => {
                let query = [
                    ("target", target),
                    ("action", action.as_str().to_owned()),
                    ("subtree", subtree.to_string()),
                ];
                let answer = client.get_from(HMI, &["api", "blast-radius"], &query).await;
                answer.map_err(Failure::from).and_then(|answer| read(&answer)).map(Input::Blast)
            }
            Effect::Act(order) => act(&client, order).await,
        };
        // Whoever has left needs no answer.
        let _ = to.send(outcome.unwrap_or_else(|failure| Input::Refused(failure.message))).await;
    });
}

async fn act(client: &Client, order: Order) -> Result<Input, Failure> {
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
    Ok(Input::Done(read(&answer)?))
}
