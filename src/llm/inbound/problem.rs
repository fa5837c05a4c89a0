//! Errors in the form of each inbound format.
//!
//! Sources: OpenAI's API reference "Error codes", Anthropic's "Errors", Ollama's `docs/api.md`. The values of
//! `type` and `code` choose the exception in the vendors' SDKs, so they are the vendors' own.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::{Vendor, VendorFailure, VendorFailureKind, VendorRefusal};

/// The error form of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiFormat {
    /// `{"error": {"message", "type", "code", "param"}}`
    OpenAi,
    /// `{"type": "error", "error": {"type", "message"}}`
    Anthropic,
    /// `{"error": {"code", "message", "status"}}`
    Gemini,
    /// `{"error": "…"}`
    Ollama,
}

/// The kind of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    /// The request is not valid in this format.
    Invalid,
    /// The body is larger than the port takes.
    TooLarge,
    /// The daemon's own token is missing or wrong.
    Unauthorized,
    /// The Host or Origin is not this daemon.
    Forbidden,
    /// The path is unknown.
    NoPath,
    /// The model is not known, or nothing fits the requirements.
    NoModel,
    /// A credential is missing in the configuration.
    NotConfigured,
    /// The prompt does not fit the model's context window.
    ContextTooLong,
    /// The vendor's filter refused.
    Filtered,
    /// A budget refuses; a retry is useless until it is raised.
    OverBudget,
    /// The vendor's limit; a later retry helps.
    RateLimited,
    /// No provider is available now.
    Unavailable,
    /// The providers failed, after all retries and fallbacks.
    Provider,
    /// The stream was cut by the vendor or on the way.
    Cut,
    Internal,
}

/// An error answer, independent of the format.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ApiProblem {
    /// What kind of wrong.
    pub kind: ProblemKind,
    pub message: String,
    /// The offending field.
    pub param: Option<String>,
    /// When a retry may help.
    pub retry_after: Option<Duration>,
    /// Extra members: the receipt, the remaining budget.
    pub more: Vec<(String, Value)>,
    /// The vendor's own words, passed unchanged to a client of its protocol.
    pub said: Option<Arc<VendorRefusal>>,
}

impl ApiProblem {
    /// A problem with a message.
    #[must_use]
    pub fn new(kind: ProblemKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), param: None, retry_after: None, more: Vec::new(), said: None }
    }

    /// An unsupported field or value.
    #[must_use]
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..Self::new(ProblemKind::Invalid, message) }
    }

    /// The same, with extra members.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.more.push((name.to_owned(), value));
        self
    }

    #[must_use]
    pub fn status(&self) -> u16 {
        if let Some(status) = self.said.as_ref().and_then(|said| said.status) {
            return status;
        }
        match self.kind {
            ProblemKind::Invalid | ProblemKind::ContextTooLong | ProblemKind::Filtered => 400,
            ProblemKind::TooLarge => 413,
            ProblemKind::Unauthorized => 401,
            ProblemKind::Forbidden => 403,
            ProblemKind::NoPath => 404,
            ProblemKind::NoModel => 404,
            ProblemKind::OverBudget | ProblemKind::RateLimited => 429,
            ProblemKind::Unavailable | ProblemKind::NotConfigured => 503,
            ProblemKind::Provider | ProblemKind::Cut => 502,
            ProblemKind::Internal => 500,
        }
    }

    /// Whether an SDK's automatic retry is useful. PAS has already retried where that can help.
    #[must_use]
    pub const fn is_worth_a_retry(&self) -> bool {
        matches!(self.kind, ProblemKind::RateLimited | ProblemKind::Unavailable)
    }

    /// The vendor's own refusal, if it has the client's form.
    #[must_use]
    pub fn said_in(&self, form: ApiFormat) -> Option<&VendorRefusal> {
        let is_in_form = |said: &&VendorRefusal| match form {
            ApiFormat::OpenAi => said.vendor.is_openai_like(),
            ApiFormat::Anthropic => said.vendor == Vendor::Anthropic,
            ApiFormat::Gemini => said.vendor == Vendor::Gemini,
            ApiFormat::Ollama => false,
        };
        self.said.as_deref().filter(is_in_form)
    }

    /// The body in a client's form.
    #[must_use]
    pub fn body(&self, form: ApiFormat) -> Value {
        let mut body = match form {
            ApiFormat::OpenAi => self.openai(),
            ApiFormat::Anthropic => self.anthropic(),
            ApiFormat::Gemini => self.gemini(),
            ApiFormat::Ollama => json!({ "error": self.message }),
        };
        // The error form of every PAS port, for clients that know only that.
        body["detail"] = json!(self.message);
        body
    }

    fn openai(&self) -> Value {
        let (kind, code) = self.openai_words();
        let mut error = match self.said_in(ApiFormat::OpenAi) {
            Some(said) => Value::Object(said.error.clone()),
            None => json!({
                "message": self.message, "type": kind, "param": self.param, "code": code,
            }),
        };
        if let Some(error) = error.as_object_mut() {
            error.extend(self.more.clone());
        }
        json!({ "error": error })
    }

    const fn openai_words(&self) -> (&'static str, Option<&'static str>) {
        match self.kind {
            ProblemKind::Invalid => ("invalid_request_error", None),
            ProblemKind::TooLarge => ("invalid_request_error", Some("request_too_large")),
            ProblemKind::Unauthorized => ("invalid_request_error", Some("invalid_api_key")),
            ProblemKind::Forbidden => ("invalid_request_error", Some("forbidden")),
            ProblemKind::NoPath => ("invalid_request_error", Some("unknown_url")),
            ProblemKind::NoModel => ("invalid_request_error", Some("model_not_found")),
            ProblemKind::NotConfigured => ("server_error", Some("not_configured")),
            ProblemKind::ContextTooLong => ("invalid_request_error", Some("context_length_exceeded")),
            ProblemKind::Filtered => ("invalid_request_error", Some("content_filter")),
            ProblemKind::OverBudget => ("insufficient_quota", Some("insufficient_quota")),
            ProblemKind::RateLimited => ("rate_limit_error", Some("rate_limit_exceeded")),
            ProblemKind::Unavailable => ("server_error", Some("unavailable")),
            ProblemKind::Provider => ("server_error", Some("provider_failed")),
            ProblemKind::Cut => ("server_error", Some("stream_cut")),
            ProblemKind::Internal => ("server_error", Some("internal_error")),
        }
    }

    fn anthropic(&self) -> Value {
        let kind = match self.kind {
            ProblemKind::Invalid | ProblemKind::ContextTooLong | ProblemKind::Filtered => {
                "invalid_request_error"
            }
            ProblemKind::TooLarge => "request_too_large",
            ProblemKind::Unauthorized => "authentication_error",
            ProblemKind::Forbidden => "permission_error",
            ProblemKind::NoModel | ProblemKind::NoPath => "not_found_error",
            ProblemKind::OverBudget => "billing_error",
            ProblemKind::RateLimited => "rate_limit_error",
            ProblemKind::Unavailable => "overloaded_error",
            ProblemKind::NotConfigured | ProblemKind::Provider | ProblemKind::Cut | ProblemKind::Internal => {
                "api_error"
            }
        };
        let mut error = match self.said_in(ApiFormat::Anthropic) {
            Some(said) => Value::Object(said.error.clone()),
            None => json!({ "type": kind, "message": self.message }),
        };
        if let Some(error) = error.as_object_mut() {
            error.extend(self.more.clone());
        }
        let mut body = json!({ "type": "error", "error": error });
        if let (Some(said), Some(members)) = (self.said_in(ApiFormat::Anthropic), body.as_object_mut()) {
            members.extend(said.beside.clone());
        }
        body
    }
}

/// The form of Google's services, with their canonical status names.
impl ApiProblem {
    fn gemini(&self) -> Value {
        let mut error = match self.said_in(ApiFormat::Gemini) {
            Some(said) => Value::Object(said.error.clone()),
            None => json!({ "code": self.status(), "message": self.message, "status": self.gemini_status() }),
        };
        if let Some(error) = error.as_object_mut() {
            error.extend(self.more.clone());
        }
        json!({ "error": error })
    }

    const fn gemini_status(&self) -> &'static str {
        match self.kind {
            ProblemKind::Invalid
            | ProblemKind::TooLarge
            | ProblemKind::ContextTooLong
            | ProblemKind::Filtered => "INVALID_ARGUMENT",
            ProblemKind::Unauthorized => "UNAUTHENTICATED",
            ProblemKind::Forbidden => "PERMISSION_DENIED",
            ProblemKind::NoPath | ProblemKind::NoModel => "NOT_FOUND",
            ProblemKind::OverBudget | ProblemKind::RateLimited => "RESOURCE_EXHAUSTED",
            ProblemKind::Unavailable | ProblemKind::NotConfigured => "UNAVAILABLE",
            ProblemKind::Provider | ProblemKind::Cut | ProblemKind::Internal => "INTERNAL",
        }
    }
}

/// The client's view of the failure that ended its call.
impl From<&VendorFailure> for ApiProblem {
    fn from(failure: &VendorFailure) -> Self {
        let kind = match failure.kind {
            VendorFailureKind::RateLimited => ProblemKind::RateLimited,
            VendorFailureKind::Cut | VendorFailureKind::BodyTimeout => ProblemKind::Cut,
            VendorFailureKind::ContentFilter => ProblemKind::Filtered,
            VendorFailureKind::ContextTooLong => ProblemKind::ContextTooLong,
            VendorFailureKind::UnknownModel => ProblemKind::NoModel,
            VendorFailureKind::BadRequest | VendorFailureKind::Unsupported => ProblemKind::Invalid,
            VendorFailureKind::Cancelled => ProblemKind::Unavailable,
            // Overloaded, whoever says it: worth a retry.
            VendorFailureKind::Server if matches!(failure.status, Some(503 | 529)) => {
                ProblemKind::Unavailable
            }
            VendorFailureKind::Server
            | VendorFailureKind::Connect
            | VendorFailureKind::ConnectTimeout
            | VendorFailureKind::FirstByteTimeout
            | VendorFailureKind::Malformed
            | VendorFailureKind::MissingUsage
            | VendorFailureKind::Credential => ProblemKind::Provider,
        };
        let (retry_after, said) = (failure.retry_after, failure.said.clone());
        Self { retry_after, said, ..Self::new(kind, failure.message.clone()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_has_its_own_body() {
        let problem = ApiProblem::invalid("tools[0].type", "`web_search` is not served here");
        assert_eq!(
            problem.body(ApiFormat::OpenAi),
            json!({"error": {"message": "`web_search` is not served here", "type": "invalid_request_error",
                "param": "tools[0].type", "code": null}, "detail": "`web_search` is not served here"})
        );
        assert_eq!(
            problem.body(ApiFormat::Anthropic),
            json!({"type": "error", "error": {"type": "invalid_request_error",
                "message": "`web_search` is not served here"}, "detail": "`web_search` is not served here"})
        );
        assert_eq!(
            problem.body(ApiFormat::Ollama),
            json!({"error": "`web_search` is not served here", "detail": "`web_search` is not served here"})
        );
    }

    #[test]
    fn what_a_budget_leaves_is_told_beside_the_message() {
        let problem = ApiProblem::new(ProblemKind::OverBudget, "the run may spend 0.01 USD more")
            .with("remaining_usd", json!(0.01));
        assert_eq!(problem.status(), 429);
        assert!(!problem.is_worth_a_retry());
        assert_eq!(problem.body(ApiFormat::OpenAi)["error"]["remaining_usd"], json!(0.01));
        assert_eq!(problem.body(ApiFormat::Anthropic)["error"]["remaining_usd"], json!(0.01));
    }

    #[test]
    fn a_failure_becomes_the_clients_own_fault_only_where_it_is() {
        for (kind, status) in [
            (VendorFailureKind::ContextTooLong, 400),
            (VendorFailureKind::ContentFilter, 400),
            (VendorFailureKind::BadRequest, 400),
            (VendorFailureKind::RateLimited, 429),
            (VendorFailureKind::UnknownModel, 404),
            (VendorFailureKind::Credential, 502),
            (VendorFailureKind::Server, 502),
            (VendorFailureKind::Cut, 502),
        ] {
            assert_eq!(ApiProblem::from(&VendorFailure::new(kind, "x")).status(), status, "{kind:?}");
        }
    }
}
