//! Before a step works: a model is asked for the part of its outcome that is written in words.
//!
//! Skills know no network, so the agent asks in their place and hands over what came of it. Invariant: this
//! never fails a step and never holds it up for longer than [`PATIENCE`]; without a model nothing is asked.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::admission::ResourceGate;
use crate::llm::text_writer::{TextAuthor, TextWriter, WrittenText};
use crate::skills::ingest::report::{Text, Written};
use crate::skills::{Brief, Briefing, Control, StepContext};

/// For all attempts together: a small model on a processor without a graphics card writes some ten tokens a
/// second, so 200 words take half of this.
const PATIENCE: Duration = Duration::from_secs(90);

/// An attempt that may want words.
pub(super) struct Writing {
    pub(super) writer: Arc<dyn TextWriter>,
    pub(super) author: TextAuthor,
    pub(super) brief: Briefing,
    pub(super) control: Arc<Control>,
    pub(super) gate: ResourceGate,
}

impl Writing {
    /// The step with what a model wrote for it; as it was where there is nothing to write or nobody to ask.
    pub(super) async fn add_to(self, step: StepContext) -> StepContext {
        if !self.writer.is_ready() {
            return step;
        }
        let (brief, reader) = (self.brief, step.clone());
        let read = tokio::task::spawn_blocking(move || brief(&reader)).await;
        // What is wrong with the files the step itself finds and reports.
        let Ok(Ok(Brief { digest, hash, known })) = read else { return step };
        if let Some(known) = known {
            return step.with_aside(known);
        }
        self.control.note("waits for a model's summary");
        let asked = tokio::select! {
            asked = tokio::time::timeout(PATIENCE, self.writer.write(self.author.clone(), digest)) => asked,
            () = self.gate.closed() => return step,
        };
        let written = match asked
            .unwrap_or_else(|_| Err(format!("it took longer than {} s", PATIENCE.as_secs())))
        {
            Ok(WrittenText { text, provider, model, cost, request_id }) => {
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
