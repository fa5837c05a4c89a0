//! A surface as the edge needs it: how to read its requests, and what its answers look like.

use std::time::Instant;

use axum::Json;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use crate::actors::gateway::Replied;
use crate::domain::time::Timestamp;
use crate::http::extract::ContractJson;
use crate::llm::chat::{ChatRequest, Whole};
use crate::llm::surface::openai::ChunkWriter;
use crate::llm::surface::{Form, Problem, ProblemKind, Writer, anthropic, ollama, responses, usage};

/// The content type of whole answers.
const JSON: &str = "application/json";

/// How the answer to one request is written.
pub(in crate::http) enum Style {
    /// OpenAI's chat completions, with what its stream's writer must know.
    Chat(ChunkWriter),
    Responses(Box<responses::Echo>),
    Messages,
    /// Ollama's `generate` or `chat`, and when it was asked.
    Ollama(ollama::Shape, Instant),
}

impl Style {
    pub(in crate::http) fn chat(request: &ChatRequest) -> Self {
        Self::Chat(ChunkWriter::new(request))
    }

    pub(in crate::http) fn ollama(shape: ollama::Shape) -> Self {
        Self::Ollama(shape, Instant::now())
    }

    pub(in crate::http) const fn form(&self) -> Form {
        match self {
            Self::Chat(_) | Self::Responses(_) => Form::OpenAi,
            Self::Messages => Form::Anthropic,
            Self::Ollama(..) => Form::Ollama,
        }
    }

    /// The content type of its streams.
    pub(in crate::http) const fn stream_type(&self) -> &'static str {
        match self {
            Self::Ollama(..) => "application/x-ndjson",
            _ => "text/event-stream; charset=utf-8",
        }
    }

    /// Whether it is the canonical form, so that what a vendor wrote in it may pass.
    pub(in crate::http) const fn is_canonical(&self) -> bool {
        matches!(self, Self::Chat(_))
    }

    /// A whole answer, as JSON. Only answers to requests in the canonical form come verbatim.
    pub(in crate::http) fn whole(&self, replied: Replied) -> Response {
        let Replied { answer, usage: used, .. } = replied;
        let used = used.as_ref();
        let mut answer = match answer {
            Whole::Verbatim(json) => return ([(CONTENT_TYPE, JSON)], json).into_response(),
            Whole::Read(answer) => answer,
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
                let timing = ollama::Timing { at: Timestamp::now(), total: begun.elapsed() };
                Json(ollama::whole(*shape, &answer, used, timing)).into_response()
            }
        }
    }

    /// The writer of its stream.
    pub(in crate::http) fn writer(self) -> Box<dyn Writer> {
        match self {
            Self::Chat(writer) => Box::new(writer),
            Self::Responses(echo) => Box::new(responses::ResponseWriter::new(*echo)),
            Self::Messages => Box::new(anthropic::MessageWriter::default()),
            Self::Ollama(shape, _) => Box::new(ollama::LineWriter::new(shape)),
        }
    }
}

/// A request's JSON body.
///
/// # Errors
/// [`Problem`] naming the field, to be answered in the surface's form.
pub(in crate::http) async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Problem> {
    match ContractJson::<T>::from_request(request, &()).await {
        Ok(ContractJson(body)) => Ok(body),
        Err(error) => {
            let kind = match error.status() {
                StatusCode::PAYLOAD_TOO_LARGE => ProblemKind::TooLarge,
                _ => ProblemKind::Invalid,
            };
            let (message, param) = error.told();
            Err(Problem { param, ..Problem::new(kind, message) })
        }
    }
}
