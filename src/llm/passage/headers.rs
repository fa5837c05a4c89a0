//! The headers that belong to a protocol and pass between client and vendor.
//!
//! Headers pass by name, so that no credential and no hop-by-hop header ever does.

use hyper::header::{HeaderMap, HeaderName};

use crate::gemini;
use pas_domain::usage::ServiceTier;

/// Prefixes of headers that pass from the client to the vendor.
const ASKED: [&str; 4] = ["anthropic-", "openai-", "x-codex-", "x-grok-"];
/// Whole names of further ones.
const ASKED_NAMES: [&str; 4] =
    ["idempotency-key", "x-client-request-id", "x-goog-api-client", "x-server-timeout"];
/// Prefixes of headers that pass from the vendor to the client.
const ANSWERED: [&str; 5] = ["anthropic-", "openai-", "x-codex-", "x-ratelimit-", "x-gemini-"];
/// Whole names of further ones.
const ANSWERED_NAMES: [&str; 5] =
    ["request-id", "x-request-id", "retry-after", "retry-after-ms", "x-should-retry"];

/// The client's headers for the vendor.
#[must_use]
pub(super) fn of_request(headers: &HeaderMap) -> HeaderMap {
    passing(headers, &ASKED, &ASKED_NAMES)
}

/// The vendor's headers for the client.
#[must_use]
pub fn of_answer(headers: &HeaderMap) -> HeaderMap {
    passing(headers, &ANSWERED, &ANSWERED_NAMES)
}

/// The tier that answered, as Gemini's head says it; its usage says it too, but not always.
#[must_use]
pub(crate) fn tier(headers: &HeaderMap) -> Option<ServiceTier> {
    headers.get("x-gemini-service-tier")?.to_str().ok().map(gemini::service_tier)
}

fn passing(headers: &HeaderMap, prefixes: &[&str], names: &[&str]) -> HeaderMap {
    let passes = |name: &HeaderName| {
        let name = name.as_str();
        names.contains(&name) || prefixes.iter().any(|prefix| name.starts_with(prefix))
    };
    let kept = headers.iter().filter(|(name, _)| passes(name));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocols_own_headers_pass_and_no_credential_does() {
        let headers: HeaderMap = [
            ("authorization", "Bearer sk"),
            ("x-api-key", "sk"),
            ("x-goog-api-key", "sk"),
            ("x-goog-api-client", "google-genai-sdk/3"),
            ("cookie", "a=b"),
            ("connection", "close"),
            ("set-cookie", "a=b"),
            ("anthropic-beta", "a"),
            ("anthropic-beta", "b"),
            ("openai-beta", "responses=v1"),
            // Codex's sticky routing: the vendor gives it, the client sends it back.
            ("x-codex-turn-state", "s"),
            ("x-ratelimit-remaining-tokens", "7"),
            ("retry-after", "3"),
        ]
        .into_iter()
        .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
        .fold(HeaderMap::new(), |mut all, (name, value)| {
            all.append(name, value);
            all
        });
        let names = |map: HeaderMap| map.keys().map(ToString::to_string).collect::<Vec<_>>();
        let sent = of_request(&headers);
        assert_eq!(sent.get_all("anthropic-beta").iter().count(), 2, "each of a repeated header");
        assert_eq!(names(sent), ["x-goog-api-client", "anthropic-beta", "openai-beta", "x-codex-turn-state"]);
        let answered = names(of_answer(&headers));
        assert!(answered.contains(&"retry-after".to_owned()) && answered.len() == 5, "{answered:?}");
    }
}
