//! The error form of a request's client, and the edge's refusals in that form.
//!
//! The edge refuses a request before a handler sees it (a wrong token, a body too large, an unknown path), in
//! the contracts' form. On the paths of the vendors' APIs the clients are the vendors' SDKs, which choose
//! their exceptions by form and wording; there the refusal is rewritten in their form. Invariant: status
//! and headers stay.

use axum::Json;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::http::error::RefusalReason;
use crate::llm::inbound::{ApiFormat, ApiProblem, ProblemKind};

/// Paths of OpenAI's API for clients whose base URL lacks `/v1`.
const SHORT: [&str; 5] = ["/chat/completions", "/completions", "/responses", "/embeddings", "/models"];

/// The API of a path: OpenAI's and Anthropic's below `/v1` (Anthropic's clients send their version in every
/// request), Gemini's below `/v1beta` (OpenAI's below its `openai`), Ollama's below `/api`.
#[must_use]
pub(in crate::http) fn form_of(path: &str, headers: &HeaderMap) -> Option<ApiFormat> {
    let below =
        |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if below("/api") || path == "/generate" {
        return Some(ApiFormat::Ollama);
    }
    if below("/v1beta/openai") {
        return Some(ApiFormat::OpenAi);
    }
    if below("/v1beta") || (below("/v1/models") || below("/models")) && calls_gemini(path) {
        return Some(ApiFormat::Gemini);
    }
    if below("/v1/messages")
        || below("/messages")
        || below("/v1") && headers.contains_key("anthropic-version")
    {
        return Some(ApiFormat::Anthropic);
    }
    let is_short = SHORT.into_iter().any(below);
    (below("/v1") || is_short).then_some(ApiFormat::OpenAi)
}

/// Whether the path ends in a method of Gemini's; other names have colons, too (`llama3.1:8b`).
fn calls_gemini(path: &str) -> bool {
    let method = path.rsplit_once(':').map(|(_, method)| method);
    method.is_some_and(|method| {
        method.ends_with("Content") || matches!(method, "batchEmbedContents" | "countTokens")
    })
}

/// Rewrites a refusal in the contracts' form; any other answer stays.
pub(in crate::http) fn in_form(mut response: Response, form: ApiFormat) -> Response {
    let Some(RefusalReason { sentence, param }) = response.extensions_mut().remove::<RefusalReason>() else {
        return response;
    };
    let problem = ApiProblem { param, ..ApiProblem::new(kind_of(response.status()), sentence) };
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
        for path in
            ["/v1/chat/completions", "/v1/nothing", "/v1", "/chat/completions", "/v1beta/openai/models"]
        {
            assert_eq!(of(path, false), Some(ApiFormat::OpenAi), "{path}");
        }
        for (path, version) in
            [("/v1/messages", false), ("/messages/count_tokens", false), ("/v1/models", true)]
        {
            assert_eq!(of(path, version), Some(ApiFormat::Anthropic), "{path}");
        }
        for path in ["/v1beta/models", "/models/m:generateContent", "/v1/models/m:batchEmbedContents"] {
            assert_eq!(of(path, false), Some(ApiFormat::Gemini), "{path}");
        }
        for path in ["/api/chat", "/api", "/generate"] {
            assert_eq!(of(path, false), Some(ApiFormat::Ollama), "{path}");
        }
        for path in ["/route", "/v10/x", "/health", "/", "/apis"] {
            assert_eq!(of(path, false), None, "{path}");
        }
    }
}
