//! The stream: a sequence of answers, each with the new part. There is no end marker: the stream is over when
//! every candidate that was asked for has a finish reason.

use std::collections::BTreeMap;

use serde_json::Map;

use super::response::{
    GeminiCandidate, GeminiPart, GeminiResponse, aborted, call_id, finish_reason, is_aborted,
};
use super::{EXTRA, IMAGES, signed};
use crate::chat::ChatDelta;
use crate::dialect::AnswerDefaults;
use crate::exact_integers;
use crate::failure::VendorFailure;
use crate::message_parts::{self, ChunkHead};
use crate::stream::{self, DecodedItems};
use pas_domain::usage::TokenUsage;

/// The state so far.
pub(crate) struct GeminiDecoder {
    head: ChunkHead,
    /// The number of candidates asked for.
    answers: u64,
    candidates: BTreeMap<u32, CandidateProgress>,
    usage: Option<TokenUsage>,
    is_blocked: bool,
}

#[derive(Default)]
struct CandidateProgress {
    calls: u32,
    has_ended: bool,
}

impl GeminiDecoder {
    pub(crate) const fn new(asked: AnswerDefaults, answers: u64) -> Self {
        let head = ChunkHead { id: String::new(), asked };
        Self { head, answers, candidates: BTreeMap::new(), usage: None, is_blocked: false }
    }

    fn candidate(&mut self, mut candidate: GeminiCandidate, chunks: &mut DecodedItems) {
        let index = candidate.index;
        let head = &self.head;
        let progress = self.candidates.entry(index).or_insert_with(|| {
            chunks.push(head.chunk(index, message_parts::role(), None));
            CandidateProgress::default()
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
            chunks.push(head.chunk(index, ChatDelta::default(), Some(reason)));
        }
    }

    fn block(&mut self, chunks: &mut DecodedItems) {
        self.is_blocked = true;
        self.candidates.insert(0, CandidateProgress { calls: 0, has_ended: true });
        chunks.push(self.head.chunk(0, message_parts::role(), Some("content_filter")));
    }
}

impl CandidateProgress {
    fn part(&mut self, part: GeminiPart, answer: &str) -> Vec<ChatDelta> {
        let mut news = Vec::new();
        let extra = part.thought_signature.as_deref().map(signed);
        match part.text {
            Some(text) if part.thought => news.push(message_parts::reasoning(&text)),
            Some(text) if !text.is_empty() => news.push(message_parts::text(&text)),
            _ => {}
        }
        if let Some(blob) = part.inline_data {
            let extra = Map::from_iter([(IMAGES.to_owned(), vec![blob.image()].into())]);
            news.push(ChatDelta { extra, ..ChatDelta::default() });
        }
        if let Some(call) = part.function_call {
            let id = call_id(&call, answer, usize::try_from(self.calls).unwrap_or(usize::MAX));
            let arguments = call.args.map_or_else(|| "{}".to_owned(), |args| exact_integers::text_of(&args));
            let mut delta = message_parts::call(self.calls, Some((id, call.name)), arguments);
            if let Some(call) = delta.tool_calls.first_mut() {
                call.extra_content = extra;
            }
            self.calls += 1;
            news.push(delta);
        } else if let Some(extra) = extra {
            let extra = Map::from_iter([(EXTRA.to_owned(), extra)]);
            news.push(ChatDelta { extra, ..ChatDelta::default() });
        }
        news
    }
}

impl stream::EventDecoder for GeminiDecoder {
    fn take(&mut self, _name: &[u8], data: &[u8], chunks: &mut DecodedItems) -> Result<(), VendorFailure> {
        let answer = GeminiResponse::read(data)?;
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
            if let Some(reason) = candidate.finish_reason.as_deref().filter(|reason| is_aborted(reason)) {
                return Err(aborted(reason, self.usage));
            }
            self.candidate(candidate, chunks);
        }
        let is_last_word = self.is_over() && (!was_over || usage.is_some());
        chunks.extend(self.usage.filter(|_| is_last_word).map(|usage| self.head.usage_chunk(usage)));
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.may_end() && (self.is_blocked || self.candidates.len() as u64 >= self.answers)
    }

    /// The vendor may make fewer candidates than were asked for.
    fn may_end(&self) -> bool {
        !self.candidates.is_empty() && self.candidates.values().all(|progress| progress.has_ended)
    }

    fn usage(&self) -> Option<TokenUsage> {
        self.usage
    }
}
