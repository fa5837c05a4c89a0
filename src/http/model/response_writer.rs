//! Reads requests and writes answers in an inbound format, for the edge.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use crate::actors::gateway::{CompletionAnswer, CompletionBody};
use crate::domain::time::Timestamp;
use crate::http::error::ApiError;
use crate::http::extract::{ContractJson, collect_body};
use crate::llm::inbound;
use crate::llm::inbound::openai::ChatWriter;
use crate::llm::inbound::passed::PassedWriter;
use crate::llm::inbound::{
    ApiFormat, ApiProblem, InboundWriter, ProblemKind, anthropic, gemini, ollama, responses, usage,
};
use crate::llm::passage::{GenerateTarget, OriginalRequest, PassedAnswer, WireProtocol};

/// The content type of complete answers.
const JSON: &str = "application/json";

/// The format of one request's answer.
pub(in crate::http) enum ReplyFormat {
    /// That of the client's request.
    Client(Arc<OriginalRequest>),
    /// That of Gemini's request, whose stream is one JSON list.
    GeminiList(Arc<OriginalRequest>),
    /// Ollama's `generate` or `chat`, and the time of the request.
    Ollama(ollama::OllamaShape, Instant),
}

impl ReplyFormat {
    pub(in crate::http) fn ollama(shape: ollama::OllamaShape) -> Self {
        Self::Ollama(shape, Instant::now())
    }

    pub(in crate::http) fn form(&self) -> ApiFormat {
        match self {
            Self::Client(original) | Self::GeminiList(original) => original.protocol().format(),
            Self::Ollama(..) => ApiFormat::Ollama,
        }
    }

    pub(in crate::http) const fn stream_type(&self) -> &'static str {
        match self {
            Self::Ollama(..) => "application/x-ndjson",
            Self::GeminiList(_) => "application/json; charset=UTF-8",
            Self::Client(_) => "text/event-stream; charset=utf-8",
        }
    }

    /// What makes the events of a stream a list, where the client wants one.
    pub(in crate::http) fn list(&self) -> Option<gemini::GenerateList> {
        matches!(self, Self::GeminiList(_)).then(gemini::GenerateList::default)
    }

    /// A complete answer, as JSON.
    pub(in crate::http) fn completion(&self, replied: CompletionAnswer) -> Response {
        let CompletionAnswer { answer, usage: used, .. } = replied;
        let used = used.as_ref();
        let mut answer = match answer {
            CompletionBody::Passed(PassedAnswer { body, headers }) => {
                return (headers, [(CONTENT_TYPE, JSON)], body).into_response();
            }
            CompletionBody::Read(answer) => answer,
        };
        match self {
            Self::Client(original) | Self::GeminiList(original) => match original.protocol() {
                // Completions are never translated, so a read answer is a chat.
                WireProtocol::Chat | WireProtocol::Completions => {
                    if answer.usage.is_none() {
                        answer.usage = used.map(usage::chat);
                    }
                    Json(answer).into_response()
                }
                WireProtocol::Responses => {
                    Json(responses::response(&answer, used, &echo(original))).into_response()
                }
                WireProtocol::Messages => json(&anthropic::message(&answer, used)),
                WireProtocol::Generate => json(&gemini::response(&answer, used)),
            },
            Self::Ollama(shape, begun) => {
                let timing = ollama::AnswerTiming { at: Timestamp::now(), total: begun.elapsed() };
                json(&ollama::complete_answer(*shape, &answer, used, timing))
            }
        }
    }

    /// The writer of a stream that is passed on, or translated.
    pub(in crate::http) fn writer(self, is_passed: bool) -> Box<dyn InboundWriter> {
        match self {
            Self::Client(original) | Self::GeminiList(original) if is_passed => {
                Box::new(PassedWriter::new(original.protocol()))
            }
            Self::Client(original) | Self::GeminiList(original) => match original.protocol() {
                WireProtocol::Chat | WireProtocol::Completions => {
                    Box::new(ChatWriter::new(original.wants_usage()))
                }
                WireProtocol::Responses => Box::new(responses::ResponsesWriter::new(echo(&original))),
                WireProtocol::Messages => Box::new(anthropic::MessagesWriter::default()),
                WireProtocol::Generate => Box::new(gemini::GenerateWriter::default()),
            },
            Self::Ollama(shape, _) => Box::new(ollama::OllamaWriter::new(shape)),
        }
    }
}

/// A value with all digits of its numbers.
fn json(value: &impl serde::Serialize) -> Response {
    ([(CONTENT_TYPE, JSON)], inbound::body(value)).into_response()
}

/// The members of a request that an answer in the form of Responses repeats.
fn echo(original: &OriginalRequest) -> responses::ResponsesEcho {
    original.translated().ok().and_then(|translated| translated.echo.clone()).unwrap_or_default()
}

/// A request as sent by the client.
///
/// # Errors
/// [`ApiProblem`] naming the field, to be answered in the protocol's form.
pub(in crate::http) async fn read_original(
    protocol: WireProtocol,
    request: Request,
) -> Result<OriginalRequest, ApiProblem> {
    let (parts, body) = request.into_parts();
    let body = collect_body(body).await.map_err(|error| problem_of(&error))?;
    OriginalRequest::read(protocol, body, parts.uri.query(), &parts.headers)
}

/// A request for Gemini as sent by the client, whose path names the model.
///
/// # Errors
/// [`ApiProblem`] naming the field.
pub(in crate::http) async fn read_generate(
    target: GenerateTarget,
    request: Request,
) -> Result<OriginalRequest, ApiProblem> {
    let (parts, body) = request.into_parts();
    let body = collect_body(body).await.map_err(|error| problem_of(&error))?;
    OriginalRequest::read_generate(target, body, &parts.headers)
}

/// A request's JSON body.
///
/// # Errors
/// [`ApiProblem`] naming the field, to be answered in the inbound format.
pub(in crate::http) async fn read<T: DeserializeOwned>(request: Request) -> Result<T, ApiProblem> {
    match ContractJson::<T>::from_request(request, &()).await {
        Ok(ContractJson(body)) => Ok(body),
        Err(error) => Err(problem_of(&error)),
    }
}

fn problem_of(error: &ApiError) -> ApiProblem {
    let kind = match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ProblemKind::TooLarge,
        _ => ProblemKind::Invalid,
    };
    let (message, param) = error.sentence_and_field();
    ApiProblem { param, ..ApiProblem::new(kind, message) }
}
