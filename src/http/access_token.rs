//! The secret that clients show when the daemon listens beyond loopback.
//!
//! As a bearer, and on the paths of a vendor's API also where that vendor's clients put their key. It is compared
//! here and goes no further: no such header passes to a vendor, and no log and no trace has the query of a request.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::HeaderName;
use axum::http::header::AUTHORIZATION;
use subtle::ConstantTimeEq;

use super::error::ApiError;
use super::guard::single;
use crate::llm::inbound::ApiFormat;

/// The header in which Anthropic's clients send their key.
const ANTHROPIC_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// The same of Gemini's.
const GEMINI_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// The secret that clients show when the daemon listens beyond loopback.
#[derive(Clone)]
pub struct AccessToken(Arc<str>);

/// Shortest accepted token: 16 characters of base 64 are 96 bits, beyond guessing over a network.
pub const MIN_TOKEN_LEN: usize = 16;

impl AccessToken {
    /// A token, if `secret` is long enough and valid in a header.
    #[must_use]
    pub fn new(secret: &str) -> Option<Self> {
        let usable = secret.len() >= MIN_TOKEN_LEN && secret.bytes().all(|b| b.is_ascii_graphic());
        usable.then(|| Self(secret.into()))
    }

    /// Whether a request of a client of this form shows it.
    pub(super) fn is_shown(&self, request: &Request, form: Option<ApiFormat>) -> Result<bool, ApiError> {
        let bearer = single(request.headers(), &AUTHORIZATION)?.and_then(|value| value.split_once(' '));
        let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let key = match form {
            Some(ApiFormat::Anthropic) => single(request.headers(), &ANTHROPIC_KEY)?,
            Some(ApiFormat::Gemini) => single(request.headers(), &GEMINI_KEY)?,
            Some(ApiFormat::OpenAi | ApiFormat::Ollama) | None => None,
        };
        let in_query = if form == Some(ApiFormat::Gemini) { key_in_query(request) } else { None };
        let shown = [bearer.map(|(_, secret)| secret.trim()), key, in_query.as_deref()];
        Ok(shown.into_iter().flatten().any(|secret| self.matches(secret.as_bytes())))
    }

    /// Compares in constant time for given lengths.
    fn matches(&self, shown: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(shown).into()
    }
}

/// The key in the address, as Google's examples have it.
fn key_in_query(request: &Request) -> Option<String> {
    let query: Vec<(String, String)> = serde_html_form::from_str(request.uri().query()?).ok()?;
    query.into_iter().find_map(|(name, value)| (name == "key").then_some(value))
}

impl std::fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccessToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;
    use crate::http::model::form_of;

    const TOKEN: &str = "0123456789abcdef";

    fn shows(uri: &str, name: &str, value: &str) -> bool {
        let request = Request::builder().uri(uri).header(name, value).body(Body::empty()).unwrap();
        let form = form_of(request.uri().path(), request.headers());
        AccessToken::new(TOKEN).unwrap().is_shown(&request, form).unwrap()
    }

    #[test]
    fn a_vendor_s_client_sends_the_token_as_its_key() {
        let (messages, gemini) = ("/v1/messages", "/v1beta/models/m:generateContent");
        assert!(shows(messages, "x-api-key", TOKEN));
        assert!(shows(gemini, "x-goog-api-key", TOKEN));
        assert!(shows(&format!("{gemini}?alt=sse&key={TOKEN}"), "x-other", ""));
        for path in [messages, gemini, "/v1/chat/completions", "/budgets"] {
            assert!(shows(path, "authorization", &format!("Bearer {TOKEN}")));
        }
        for (uri, name) in [
            (gemini, "x-api-key"),
            (messages, "x-goog-api-key"),
            ("/v1/chat/completions", "x-api-key"),
            ("/budgets", "x-goog-api-key"),
            (&*format!("{messages}?key={TOKEN}"), "x-other"),
            (&*format!("/budgets?key={TOKEN}"), "x-other"),
        ] {
            assert!(!shows(uri, name, TOKEN), "{uri} {name}");
        }
        assert!(!shows(messages, "x-api-key", "0123456789abcdeg"));
        assert!(!shows(&format!("{gemini}?key=0123456789abcdeg"), "x-goog-api-key", ""));
    }

    #[test]
    fn a_token_is_long_and_fits_a_header_and_is_not_printed() {
        assert!(AccessToken::new("short").is_none() && AccessToken::new("has a space, is long").is_none());
        assert_eq!(format!("{:?}", AccessToken::new(TOKEN).unwrap()), "AccessToken(…)");
    }
}
