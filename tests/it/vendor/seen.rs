//! What a server heard, and what it counts.

use std::collections::VecDeque;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method};
use pas::domain::usage::TokenUsage;
use serde_json::Value;

/// Requests that are kept for [`super::Server::seen`]; a bench sends millions.
const KEPT: usize = 4096;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// Without the question mark.
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) raw: Bytes,
    /// `null` when the body is no JSON.
    pub(crate) body: Value,
}

impl Heard {
    /// A header as text; empty when absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// What follows `Bearer ` in the header `authorization`.
    pub(super) fn bearer(&self) -> &str {
        self.header("authorization").strip_prefix("Bearer ").unwrap_or_default()
    }

    /// Eight hex digits that name this body; the same for the same body.
    pub(super) fn digest(&self) -> String {
        blake3::hash(&self.raw).to_hex().as_str()[..8].to_owned()
    }
}

/// Counts and the last requests of one server.
#[derive(Debug, Default)]
pub(super) struct Seen {
    last: VecDeque<Heard>,
    pub(super) requests: u64,
    pub(super) calls: u64,
    pub(super) left_early: u64,
    pub(super) connections: u64,
    pub(super) billed: TokenUsage,
}

impl Seen {
    pub(super) fn hear(&mut self, heard: &Heard, is_call: bool) {
        self.requests += 1;
        self.calls += u64::from(is_call);
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(heard.clone());
    }

    pub(super) fn last(&self) -> Vec<Heard> {
        self.last.iter().cloned().collect()
    }

    pub(super) fn bill(&mut self, used: &TokenUsage) {
        let sum = &mut self.billed;
        sum.input += used.input;
        sum.cache_read += used.cache_read;
        sum.cache_write_5m += used.cache_write_5m;
        sum.cache_write_1h += used.cache_write_1h;
        sum.audio_input += used.audio_input;
        sum.output += used.output;
        sum.reasoning += used.reasoning;
    }
}
