//! Before a step works: a model writes the prose of the result.
//!
//! Skills know no network, so the agent calls the model and passes the text on. Invariant: a step never fails
//! over this and is delayed by [`PATIENCE`] at most; without a model nothing is asked.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::admission::ResourceGate;
use crate::llm::text_writer::{TextAuthor, TextWriter, WrittenText};
use crate::skills::ingest::report::{ModelText, WritingOutcome};
use crate::skills::{BriefingFn, StepBrief, StepContext, StepControl};

/// Deadline of all attempts together: a small model on a processor without a graphics card writes some ten
/// tokens a second, so 200 words take half of this.
const PATIENCE: Duration = Duration::from_secs(90);

/// An attempt that may need prose.
pub(super) struct AttemptWriter {
    pub(super) writer: Arc<dyn TextWriter>,
    pub(super) author: TextAuthor,
    pub(super) brief: BriefingFn,
    pub(super) control: Arc<StepControl>,
    pub(super) gate: ResourceGate,
}

impl AttemptWriter {
    /// The step with a model's text; unchanged when there is nothing to write or no model.
    pub(super) async fn add_to(self, step: StepContext) -> StepContext {
        if !self.writer.is_ready() {
            return step;
        }
        let (brief, reader) = (self.brief, step.clone());
        let read = tokio::task::spawn_blocking(move || brief(&reader)).await;
        // The step itself finds and reports problems of the files.
        let Ok(Ok(StepBrief { digest, hash, known })) = read else { return step };
        if let Some(known) = known {
            return step.with_aside(known);
        }
        self.control.note("waits for a model's summary");
        let asked = tokio::select! {
            asked = tokio::time::timeout(PATIENCE, self.writer.write(self.author.clone(), digest)) => asked,
            () = self.gate.closed() => return step,
        };
        let written = match asked
            .unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
        {
            Ok(WrittenText { text, provider, model, cost, request_id }) => WritingOutcome::Text(ModelText {
                digest: hash,
                text,
                provider,
                model,
                cost_nano_usd: cost,
                request_id,
            }),
            Err(why) => {
                tracing::warn!(job = %self.author.job, %why, "no model wrote a summary; the report has none");
                WritingOutcome::Failed { why }
            }
        };
        step.with_aside(json!(written))
    }
}
