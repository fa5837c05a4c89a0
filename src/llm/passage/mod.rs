//! Calls whose client and vendor speak the same protocol: they pass as they came.
//!
//! A request keeps its bytes: PAS reads a few members (model, limits, stream) and replaces only those it
//! must (the vendor's name of the model, a missing limit, the usage of a stream). An answer and its events
//! keep their data likewise, read for usage, ids and ends. Invariants: unknown members pass; headers
//! pass by name ([`headers`]), credentials and hop-by-hop headers never; an event that ends an answer waits
//! until the call is settled. Failure policy: a request that must go to a vendor of another protocol after
//! all is translated ([`OriginalRequest::translated`]), and only then is anything refused that has no word
//! there.

mod answer;
mod chat_stream;
mod generate;
mod generate_stream;
mod headers;
mod members;
mod messages_stream;
mod protocol;
mod request;
mod responses_stream;
mod searches;
mod translated;
mod weight;

pub use self::answer::PassedAnswer;
pub use self::generate::GenerateTarget;
pub use self::headers::of_answer as headers_of_answer;
pub use self::protocol::WireProtocol;
pub use self::request::{OriginalRequest, PassedRequest};
pub use self::translated::TranslatedRequest;
pub use self::weight::RequestWeight;

use hyper::header::HeaderMap;

use self::chat_stream::PassedChatDecoder;
use self::generate_stream::PassedGenerateDecoder;
use self::messages_stream::PassedMessagesDecoder;
use self::responses_stream::PassedResponsesDecoder;
use super::chat::ChatRequest;
use super::openai;
use super::stream::StreamDecoder;
use super::vendor::Vendor;

/// The most searches that a model runs for a chat and its vendor bills.
#[must_use]
pub fn searches_of_chat(chat: &ChatRequest) -> u32 {
    let parameters = chat.extra.get("search_parameters").map(ToString::to_string);
    openai::searches_of(&chat.model).max(searches::allowed_sources(parameters.as_deref()))
}

pub(super) use self::answer::usage as usage_of_answer;
pub(super) use self::headers::tier as tier_of_answer;

/// A decoder that passes the events of a stream on, whose answer has this head.
#[must_use]
pub fn decoder(vendor: Vendor, passed: &PassedRequest, head: &HeaderMap) -> StreamDecoder {
    match passed.protocol() {
        WireProtocol::Chat | WireProtocol::Completions => {
            StreamDecoder::sse(vendor, PassedChatDecoder::new(vendor, passed))
        }
        WireProtocol::Generate => {
            let tier = headers::tier(head);
            StreamDecoder::sse(vendor, PassedGenerateDecoder::new(passed, tier))
        }
        WireProtocol::Messages => StreamDecoder::sse(vendor, PassedMessagesDecoder::default()),
        WireProtocol::Responses => StreamDecoder::sse(vendor, PassedResponsesDecoder::new(vendor)),
    }
}
