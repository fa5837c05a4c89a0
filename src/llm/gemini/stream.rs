//! The stream: one answer after the other, each with what is new. It has no last word of its own: it is
//! over when every candidate has a reason why it ended.

use std::collections::BTreeMap;

use serde_json::Map;

use super::SIGNATURES;
use super::response::{Answer, Candidate, Part, call_id, finish_reason};
use crate::domain::usage::Usage;
use crate::llm::chat::Delta;
use crate::llm::dialect::Asked;
use crate::llm::failure::Failure;
use crate::llm::stream::{self, Chunks};
use crate::llm::translate::{self, Head};

/// What has come so far.
pub(in crate::llm) struct Events {
    head: Head,
    candidates: BTreeMap<u32, Progress>,
    usage: Option<Usage>,
}

#[derive(Default)]
struct Progress {
    calls: u32,
    has_ended: bool,
}

impl Events {
    pub(in crate::llm) const fn new(asked: Asked) -> Self {
        let head = Head { id: String::new(), asked };
        Self { head, candidates: BTreeMap::new(), usage: None }
    }

    fn candidate(&mut self, mut candidate: Candidate, chunks: &mut Chunks) {
        let index = candidate.index;
        let head = &self.head;
        let progress = self.candidates.entry(index).or_insert_with(|| {
            chunks.push(head.chunk(index, translate::role(), None));
            Progress::default()
        });
        for part in candidate.parts() {
            let deltas = progress.part(part, &head.id);
            chunks.extend(deltas.into_iter().map(|delta| head.chunk(index, delta, None)));
        }
        if let Some(reason) = candidate.finish_reason
            && !progress.has_ended
        {
            progress.has_ended = true;
            let reason = finish_reason(&reason, progress.calls > 0);
            chunks.push(head.chunk(index, Delta::default(), Some(reason)));
        }
    }

    fn block(&mut self, chunks: &mut Chunks) {
        self.candidates.insert(0, Progress { calls: 0, has_ended: true });
        chunks.push(self.head.chunk(0, translate::role(), Some("content_filter")));
    }
}

impl Progress {
    fn part(&mut self, part: Part, answer: &str) -> Vec<Delta> {
        let mut news = Vec::new();
        match part.text {
            Some(text) if part.thought => news.push(translate::reasoning(&text)),
            Some(text) if !text.is_empty() => news.push(translate::text(&text)),
            _ => {}
        }
        if let Some(call) = part.function_call {
            let id = call_id(&call, answer, usize::try_from(self.calls).unwrap_or(usize::MAX));
            let arguments = call.args.map_or_else(|| "{}".to_owned(), |args| args.to_string());
            let mut delta = translate::call(self.calls, Some((id.clone(), call.name)), arguments);
            if let Some(signature) = part.thought_signature {
                let signatures = Map::from_iter([(id, signature.into())]);
                delta.extra.insert(SIGNATURES.to_owned(), signatures.into());
            }
            self.calls += 1;
            news.push(delta);
        }
        news
    }
}

impl stream::Events for Events {
    fn take(&mut self, _name: &[u8], data: &[u8], chunks: &mut Chunks) -> Result<(), Failure> {
        let answer = Answer::read(data)?;
        if self.head.id.is_empty() {
            self.head.id = answer.response_id.clone().unwrap_or_default();
        }
        self.head.model(answer.model_version.clone().unwrap_or_default());
        let was_over = self.is_over();
        if answer.is_blocked() && self.candidates.is_empty() {
            self.block(chunks);
        }
        let usage = answer.usage_metadata.and_then(|usage| usage.usage());
        self.usage = usage.or(self.usage);
        for candidate in answer.candidates {
            self.candidate(candidate, chunks);
        }
        let is_last_word = self.is_over() && (!was_over || usage.is_some());
        chunks.extend(self.usage.filter(|_| is_last_word).map(|usage| self.head.usage_chunk(usage)));
        Ok(())
    }

    fn is_over(&self) -> bool {
        !self.candidates.is_empty() && self.candidates.values().all(|progress| progress.has_ended)
    }

    fn usage(&self) -> Option<Usage> {
        self.usage
    }
}
