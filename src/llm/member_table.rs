//! The fate of each member of a client's request at a vendor of another protocol.
//!
//! The one list of the translations' promises, in the order of the vendors' references; its test sends every row
//! through the real translators. Between a client and a vendor of one protocol everything passes, so those pairs
//! have no column. OpenAI's old completions of a text are translated for nobody and have no rows. A member that only
//! tunes or labels is left out where a vendor has no word for it; one that would change the answer is refused.

mod chat;
mod generate;
mod messages;
mod responses;

pub use self::chat::CHAT_MEMBERS;
pub use self::generate::GENERATE_MEMBERS;
pub use self::messages::MESSAGES_MEMBERS;
pub use self::responses::RESPONSES_MEMBERS;
use super::passage::WireProtocol;

/// The fate of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberFate {
    /// The same member with the same value.
    Passed,
    /// In the vendor's words, at this JSON pointer of the body.
    Mapped(&'static str),
    /// The request is refused by a sentence that names the member.
    Refused,
    /// Left out: it only tunes or labels.
    Dropped,
}

/// A member, or one kind of its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberRow {
    /// The protocol of the client.
    pub protocol: WireProtocol,
    pub member: &'static str,
    /// Members that it needs beside it, as a JSON object.
    pub beside: &'static str,
    /// A request's members with it, as a JSON object.
    pub sample: &'static str,
    /// At servers of OpenAI's chat form, Anthropic, Gemini and Ollama; `None`: it passes as it came.
    pub fates: [Option<MemberFate>; 4],
}

const NOTHING: &str = "{}";

const fn row(
    protocol: WireProtocol,
    member: &'static str,
    beside: &'static str,
    sample: &'static str,
    fates: [MemberFate; 4],
) -> MemberRow {
    let [chat, anthropic, gemini, ollama] = fates;
    let mut fates = [Some(chat), Some(anthropic), Some(gemini), Some(ollama)];
    match protocol {
        WireProtocol::Chat => fates[0] = None,
        WireProtocol::Messages => fates[1] = None,
        WireProtocol::Generate => fates[2] = None,
        WireProtocol::Responses | WireProtocol::Completions => {}
    }
    MemberRow { protocol, member, beside, sample, fates }
}

#[cfg(test)]
mod tests;
