//! Before a step works: a model is asked for the part of its outcome that is written in words.
//!
//! Skills know no network, so the agent asks in their place and hands over what came of it. Invariant: this
//! never fails a step and never holds it up for longer than [`PATIENCE`]; without a model nothing is asked.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::json;

use super::admission::Door;
use crate::domain::budget::{Label, RunName};
use crate::domain::money::NanoUsd;
use crate::skills::ingest::report::{Text, Written};
use crate::skills::{self, Brief, Control, StepContext};

/// For all attempts together: a small model on a processor without a graphics card writes some ten tokens a
/// second, so 200 words take half of this.
const PATIENCE: Duration = Duration::from_secs(90);

/// Who a text is written for, and who pays.
#[derive(Debug, Clone)]
pub struct Author {
    /// The run that pays.
    pub run: RunName,
    /// The job it is for.
    pub job: Label,
    /// The agent that asks.
    pub agent: Label,
    /// Its lane.
    pub lane: Option<Label>,
}

/// Words, and the receipt for them.
#[derive(Debug, Clone)]
pub struct Words {
    /// What was written.
    pub text: String,
    /// The provider.
    pub provider: String,
    /// Its model.
    pub model: String,
    /// What it cost.
    pub cost: NanoUsd,
    /// The receipt's request id.
    pub request_id: String,
}

/// Who writes a summary of findings.
pub trait Writer: Send + Sync {
    /// Whether there is a model that may be asked now.
    fn is_ready(&self) -> bool;

    /// Has some 200 words written about these findings; or why there are none, in a sentence. Dropped, the
    /// call is given up; what it costs until then is booked all the same.
    fn write(&self, author: Author, findings: String) -> BoxFuture<'_, Result<Words, String>>;
}

/// An attempt that may want words.
pub(super) struct Writing {
    pub(super) writer: Arc<dyn Writer>,
    pub(super) author: Author,
    pub(super) skill: String,
    pub(super) control: Arc<Control>,
    pub(super) door: Door,
}

impl Writing {
    /// The step with what a model wrote for it; as it was where there is nothing to write or nobody to ask.
    pub(super) async fn add_to(self, step: StepContext) -> StepContext {
        let Some(brief) = skills::brief(&self.skill) else { return step };
        if !self.writer.is_ready() {
            return step;
        }
        let reader = step.clone();
        let read = tokio::task::spawn_blocking(move || brief(&reader)).await;
        // What is wrong with the files the step itself finds and reports.
        let Ok(Ok(Brief { digest, hash, known })) = read else { return step };
        if let Some(known) = known {
            return step.with_aside(known);
        }
        self.control.note("waits for a model's summary");
        let asked = tokio::select! {
            asked = tokio::time::timeout(PATIENCE, self.writer.write(self.author.clone(), digest)) => asked,
            () = self.door.closed() => return step,
        };
        let written = match asked
            .unwrap_or_else(|_| Err(format!("it took longer than {} s", PATIENCE.as_secs())))
        {
            Ok(Words { text, provider, model, cost, request_id }) => {
                Written::Text(Text { digest: hash, text, provider, model, cost_nano_usd: cost, request_id })
            }
            Err(why) => {
                tracing::warn!(job = %self.author.job, %why, "no model wrote a summary; the report goes without");
                Written::Failed { why }
            }
        };
        step.with_aside(json!(written))
    }
}
