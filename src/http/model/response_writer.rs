//! Reads requests and writes answers in an inbound format, for the edge.

use std::time::Instant;

use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use crate::actors::gateway::CompletionAnswer;
use crate::domain::time::Timestamp;
use crate::http::extract::ContractJson;
use crate::llm::chat::{ChatRequest, CompletionBody};
use crate::llm::inbound::openai::ChatWriter;
use crate::llm::inbound::{
    ApiFormat, ApiProblem, InboundWriter, ProblemKind, anthropic, ollama, responses, usage,
};

/// The content type of complete answers.
const JSON: &str = "application/json";

/// The format of one request's answer.
pub(in crate::http) enum ReplyFormat {
    /// OpenAI's chat completions, with the settings of the stream's writer.
    Chat(ChatWriter),
    Responses(Box<responses::ResponsesEcho>),
    Messages,
    /// Ollama's `generate` or `chat`, and the time of the request.
    Ollama(ollama::OllamaShape, Instant),
}

impl ReplyFormat {
    pub(in crate::http) fn chat(request: &ChatRequest) -> Self {
        Self::Chat(ChatWriter::new(request))
    }

    pub(in crate::http) fn ollama(shape: ollama::OllamaShape) -> Self {
        Self::Ollama(shape, Instant::now())
    }

    pub(in crate::http) const fn form(&self) -> ApiFormat {
        match self {
            Self::Chat(_) | Self::Responses(_) => ApiFormat::OpenAi,
            Self::Messages => ApiFormat::Anthropic,
            Self::Ollama(..) => ApiFormat::Ollama,
        }
    }

    pub(in crate::http) const fn stream_type(&self) -> &'static str {
        match self {
            Self::Ollama(..) => "application/x-ndjson",
            _ => "text/event-stream; charset=utf-8",
        }
    }

    /// Whether this is the canonical form, so that a vendor's body in that form passes unchanged.
    pub(in crate::http) const fn is_canonical(&self) -> bool {
        matches!(self, Self::Chat(_))
    }

    /// A complete answer, as JSON. Only answers to requests in the canonical form come verbatim.
    pub(in crate::http) fn completion(&self, replied: CompletionAnswer) -> Response {
        let CompletionAnswer { answer, usage: used, .. } = replied;
        let used = used.as_ref();
        let mut answer = match answer {
            CompletionBody::Verbatim(json) => return ([(CONTENT_TYPE, JSON)], json).into_response(),
            CompletionBody::Read(answer) => answer,
        };
        match self {
            Self::Chat(_) => {
                if answer.usage.is_none() {
                    answer.usage = used.map(usage::chat);
                }
                Json(answer).into_response()
            }
            Self::Responses(echo) => Json(responses::response(&answer, used, echo)).into_response(),
            Self::Messages => Json(anthropic::message(&answer, used)).into_response(),
            Self::Ollama(shape, begun) => {
                let timing = ollama::AnswerTiming { at: Timestamp::now(), total: begun.elapsed() };
                Json(ollama::complete_answer(*shape, &answer, used, timing)).into_response()
            }
        }
    }

    pub(in crate::http) fn writer(self) -> Box<dyn InboundWriter> {
        match self {
            Self::Chat(writer) => Box::new(writer),
            Self::Responses(echo) => Box::new(responses::ResponsesWriter::new(*echo)),
            Self::Messages => Box::new(anthropic::MessagesWriter::default()),
            Self::Ollama(shape, _) => Box::new(ollama::OllamaWriter::new(shape)),
        }
    }
}

/// A request's JSON body.
///
/// # Errors
/// [`ApiProblem`] naming the field, to be answered in the inbound format.
pub(in crate::http) async fn read<T: DeserializeOwned>(request: Request) -> Result<T, ApiProblem> {
    match ContractJson::<T>::from_request(request, &()).await {
        Ok(ContractJson(body)) => Ok(body),
        Err(error) => {
            let kind = match error.status() {
                StatusCode::PAYLOAD_TOO_LARGE => ProblemKind::TooLarge,
                _ => ProblemKind::Invalid,
            };
            let (message, param) = error.sentence_and_field();
            Err(ApiProblem { param, ..ApiProblem::new(kind, message) })
        }
    }
}
