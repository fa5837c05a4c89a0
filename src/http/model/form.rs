//! Whose error form a request's client reads, and refusals of the edge in that form.
//!
//! The edge refuses before a handler has seen the request (a wrong token, a body too large, an unknown path),
//! in the contracts' form. On the paths of the vendors' APIs the clients are the vendors' SDKs, which raise
//! their exceptions by the form and the words; so there the same refusal is said in their form. Invariant:
//! status and headers stay.

use axum::Json;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::http::error::Refused;
use crate::llm::surface::{Form, Problem, ProblemKind};

/// Whose paths these are: OpenAI's and Anthropic's below `/v1` (whose clients name their version in each
/// request), Ollama's below `/api`.
#[must_use]
pub(in crate::http) fn form_of(path: &str, headers: &HeaderMap) -> Option<Form> {
    let below =
        |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if below("/api") || path == "/generate" {
        return Some(Form::Ollama);
    }
    if below("/v1/messages") || below("/v1") && headers.contains_key("anthropic-version") {
        return Some(Form::Anthropic);
    }
    (below("/v1") || path == "/chat/completions").then_some(Form::OpenAi)
}

/// A refusal in the contracts' form, said in this one; any other answer as it is.
pub(in crate::http) fn in_form(mut response: Response, form: Form) -> Response {
    let Some(Refused { sentence, param }) = response.extensions_mut().remove::<Refused>() else {
        return response;
    };
    let problem = Problem { param, ..Problem::new(kind_of(response.status()), sentence) };
    let (mut parts, _) = response.into_parts();
    let said = Json(problem.body(form)).into_response();
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, said.into_body())
}

fn kind_of(status: StatusCode) -> ProblemKind {
    match status {
        StatusCode::UNAUTHORIZED => ProblemKind::Unauthorized,
        StatusCode::FORBIDDEN => ProblemKind::Forbidden,
        StatusCode::NOT_FOUND => ProblemKind::NoPath,
        StatusCode::PAYLOAD_TOO_LARGE => ProblemKind::TooLarge,
        StatusCode::TOO_MANY_REQUESTS => ProblemKind::RateLimited,
        StatusCode::SERVICE_UNAVAILABLE => ProblemKind::Unavailable,
        status if status.is_server_error() => ProblemKind::Internal,
        _ => ProblemKind::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_whose_client_asks() {
        let of = |path, version: bool| {
            let mut headers = HeaderMap::new();
            if version {
                headers.insert("anthropic-version", "2023-06-01".parse().unwrap());
            }
            form_of(path, &headers)
        };
        for path in ["/v1/chat/completions", "/v1/nothing", "/v1", "/chat/completions"] {
            assert_eq!(of(path, false), Some(Form::OpenAi), "{path}");
        }
        for (path, version) in
            [("/v1/messages", false), ("/v1/messages/count_tokens", false), ("/v1/models", true)]
        {
            assert_eq!(of(path, version), Some(Form::Anthropic), "{path}");
        }
        for path in ["/api/chat", "/api", "/generate"] {
            assert_eq!(of(path, false), Some(Form::Ollama), "{path}");
        }
        for path in ["/route", "/v10/x", "/health", "/", "/apis"] {
            assert_eq!(of(path, false), None, "{path}");
        }
    }
}
