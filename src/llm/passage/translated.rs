//! A client's request in the canonical form, for a vendor of another protocol.

use serde::de::DeserializeOwned;

use super::protocol::WireProtocol;
use super::request::OriginalRequest;
use crate::chat::ChatRequest;
use crate::exact_integers;
use crate::inbound::anthropic::MessagesRequest;
use crate::inbound::gemini::GenerateRequest;
use crate::inbound::responses::{ResponsesEcho, ResponsesRequest};
use crate::inbound::{ApiProblem, ProblemKind};

/// The canonical form of a request.
#[derive(Debug, Clone)]
pub struct TranslatedRequest {
    pub chat: ChatRequest,
    /// The members that an answer in the form of Responses repeats.
    pub echo: Option<ResponsesEcho>,
}

pub(super) fn translate(original: &OriginalRequest) -> Result<TranslatedRequest, ApiProblem> {
    let body = original.body();
    let (chat, echo) = match original.protocol() {
        WireProtocol::Chat => (read::<ChatRequest>(body)?, None),
        // Here arguments are values; in the other forms they are texts.
        WireProtocol::Messages => {
            let request = exact_integers::read(body).or_else(|_| read::<MessagesRequest>(body))?;
            (request.into_chat()?, None)
        }
        WireProtocol::Responses => {
            let request = read::<ResponsesRequest>(body)?;
            let echo = request.echo();
            (request.into_chat()?, Some(echo))
        }
        WireProtocol::Completions => {
            let why = "completions of a text (/v1/completions) are served by OpenAI and servers like it only; \
                       ask this model by /v1/chat/completions";
            return Err(ApiProblem::invalid("model", why));
        }
        WireProtocol::Generate => {
            let request = exact_integers::read(body).or_else(|_| read::<GenerateRequest>(body))?;
            let chat = request.into_chat()?;
            (ChatRequest { stream: original.is_stream(), ..chat }, None)
        }
    };
    Ok(TranslatedRequest { chat, echo })
}

/// A body in a form of ours.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiProblem> {
    let mut parser = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut parser).map_err(|error| {
        let field = error.path().to_string();
        let message = in_words(error.inner());
        match field.as_str() {
            "." | "?" => ApiProblem::new(ProblemKind::Invalid, message),
            _ => ApiProblem::invalid(field.clone(), format!("{field}: {message}")),
        }
    })
}

/// What is wrong with a value, without the names of our types and without the parser's position in the text: the
/// member's path is more useful.
pub(super) fn in_words(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(text, _)| text);
    match message.split_once("expected struct ") {
        Some((before, _)) => format!("{before}expected an object"),
        None => message.to_owned(),
    }
}
