//! Classifies vendors' errors: status, message, and requested wait.
//!
//! Vendors word the same error differently; here each becomes one [`VendorFailureKind`]. The vendor's own
//! sentence is kept, shortened, since it names the field or model at fault; except for credential errors,
//! since some vendors repeat part of the credential.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper::header::HeaderMap;
use serde_json::Value;

use super::failure::{VendorFailure, VendorFailureKind};
use super::passage;
use super::refusal::VendorRefusal;
use super::vendor::Vendor;

/// Longest quotation of a vendor's sentence, in characters: two lines of a terminal.
const MAX_WORDS: usize = 300;
/// Words about our key, in an error that has another status than 401.
const KEY: &[&str] = &["api_key", "api key"];
/// Anthropic's status of an overloaded service.
const OVERLOADED: u16 = 529;

/// Classifies an answer with an error status.
pub(super) fn failure(
    vendor: Vendor,
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    now: SystemTime,
) -> VendorFailure {
    let said = VendorErrorBody::read(vendor, body);
    let mut failure = said.failure(vendor, status);
    failure.status = Some(status);
    let reset = || reset_after(headers).filter(|_| status == 429);
    failure.retry_after = retry_after(headers, now).or(said.retry_after).or_else(reset);
    if let Some(refusal) = &mut failure.said {
        let refusal = Arc::make_mut(refusal);
        refusal.status = Some(status);
        refusal.headers = passage::headers_of_answer(headers);
    }
    failure
}

/// Classifies an error inside an answer that began well; `None` when the body is no error.
pub(super) fn in_answer(vendor: Vendor, body: &[u8]) -> Option<VendorFailure> {
    let said = VendorErrorBody::read(vendor, body);
    let known = !said.kind.is_empty() || !said.words.is_empty() || said.status.is_some();
    known.then(|| {
        let mut failure = said.failure(vendor, said.status.unwrap_or_else(|| said.status_of_kind()));
        failure.retry_after = said.retry_after;
        failure.costing()
    })
}

/// `retry-after-ms`, or `retry-after` in seconds or as a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(millis) = header("retry-after-ms").and_then(|text| text.trim().parse::<f64>().ok()) {
        return Duration::try_from_secs_f64(millis / 1_000.0).ok();
    }
    let text = header("retry-after")?.trim();
    match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => {
            let until = httpdate::parse_http_date(text).ok()?;
            Some(until.duration_since(now).unwrap_or_default())
        }
    }
}

/// `x-ratelimit-reset-requests` and `-tokens` (`1m30.5s`), of the limits that are used up.
fn reset_after(headers: &HeaderMap) -> Option<Duration> {
    let header = |name: String| headers.get(name).and_then(|value| value.to_str().ok());
    let of_kind = |kind: &str| {
        let is_left = header(format!("x-ratelimit-remaining-{kind}")).is_some_and(|left| left.trim() != "0");
        let reset = header(format!("x-ratelimit-reset-{kind}")).filter(|_| !is_left)?;
        wait_of(reset.trim())
    };
    ["requests", "tokens"].into_iter().filter_map(of_kind).max()
}

/// A wait as OpenAI's headers write it: `6m0.5s`, `120ms`.
fn wait_of(mut text: &str) -> Option<Duration> {
    let mut seconds = 0.0;
    while !text.is_empty() {
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        let (number, rest) = text.split_at(text.find(|c| !is_number(c))?);
        let (unit, rest) = rest.split_at(rest.find(is_number).unwrap_or(rest.len()));
        let scale = match unit {
            "d" => 86_400.0,
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * scale;
        text = rest;
    }
    Duration::try_from_secs_f64(seconds).ok()
}

/// The body of an error, in any vendor's form.
#[derive(Debug, Default)]
struct VendorErrorBody {
    /// Type, code and status words, in lower case, with spaces between.
    kind: String,
    words: String,
    status: Option<u16>,
    retry_after: Option<Duration>,
    refusal: Option<VendorRefusal>,
}

impl VendorErrorBody {
    /// `{"error": {…}}`, `{"error": "…"}`, or either in a list (Gemini's streams).
    fn read(vendor: Vendor, body: &[u8]) -> Self {
        let Ok(body) = serde_json::from_slice::<Value>(body) else { return Self::default() };
        let body = body.get(0).unwrap_or(&body);
        let error = match body.get("error") {
            Some(Value::Null) | None => return Self::default(),
            Some(error) => error,
        };
        let mut said = Self { refusal: VendorRefusal::of(vendor, body), ..Self::default() };
        let outside = body.get("code").and_then(Value::as_str);
        let inside = ["type", "code", "status"].into_iter().filter_map(|name| error.get(name)?.as_str());
        said.kind = inside.chain(outside).collect::<Vec<_>>().join(" ").to_lowercase();
        let words = error.as_str().or_else(|| error.get("message")?.as_str());
        words.unwrap_or_default().clone_into(&mut said.words);
        said.status = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
        for detail in error.get("details").and_then(Value::as_array).into_iter().flatten() {
            said.add_detail(detail);
        }
        said
    }

    /// Gemini's details: a reason, and a time to wait such as `34.5s`.
    fn add_detail(&mut self, detail: &Value) {
        if let Some(reason) = detail.get("reason").and_then(Value::as_str) {
            self.kind = format!("{} {}", self.kind, reason.to_lowercase());
        }
        let delay = detail.get("retryDelay").and_then(Value::as_str);
        let seconds = delay.and_then(|text| text.strip_suffix('s')?.parse::<f64>().ok());
        self.retry_after = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()).or(self.retry_after);
    }

    /// The status for an error inside a stream, which has none.
    fn status_of_kind(&self) -> u16 {
        let table = [
            ("invalid_request", 400),
            ("authentication", 401),
            ("permission", 403),
            ("not_found", 404),
            ("too_large", 413),
            ("rate_limit", 429),
            ("overloaded", OVERLOADED),
        ];
        table.into_iter().find(|(word, _)| self.kind.contains(word)).map_or(500, |(_, status)| status)
    }

    fn failure(&self, vendor: Vendor, status: u16) -> VendorFailure {
        let kind = self.kind(status);
        let advice = advice(kind, vendor);
        let who = vendor.title();
        let message = match kind {
            VendorFailureKind::Credential => format!("{who} answered {status}: {advice}"),
            _ => format!("{who} answered {status}: {}{advice}", self.sentence()),
        };
        let mut failure = VendorFailure::new(kind, message);
        // A vendor's words about a credential may repeat a part of it.
        let is_of_credential = status == 401 || kind == VendorFailureKind::Credential && self.says(KEY);
        failure.said = self.refusal.clone().filter(|_| !is_of_credential).map(Arc::new);
        if is_unknown_outcome(status) { failure.costing() } else { failure }
    }

    fn kind(&self, status: u16) -> VendorFailureKind {
        match status {
            300..=399 => VendorFailureKind::Malformed,
            401 | 402 => VendorFailureKind::Credential,
            403 | 404 if self.says(&["model_not_found"]) => VendorFailureKind::UnknownModel,
            403 => VendorFailureKind::Credential,
            404 => VendorFailureKind::UnknownModel,
            408 | 409 => VendorFailureKind::Server,
            429 if self.says(&["insufficient_quota", "billing"]) => VendorFailureKind::Credential,
            429 => VendorFailureKind::RateLimited,
            400..=499 => self.kind_of_fault(),
            _ => VendorFailureKind::Server,
        }
    }

    /// Faults that vendors distinguish only by their wording.
    fn kind_of_fault(&self) -> VendorFailureKind {
        const FILTER: &[&str] = &[
            "content_filter",
            "content_policy",
            "responsibleai",
            "safety system",
            "violating our usage policy",
        ];
        const LONG: &[&str] = &[
            "context_length_exceeded",
            "maximum context length",
            "maximum prompt length",
            "prompt is too long",
            "exceeds the maximum number of tokens",
            "exceed context limit",
            "context window",
        ];
        const INVALID: &[&str] =
            &["api_key_invalid", "api key not valid", "incorrect api key", "credit balance"];
        if self.says(INVALID) {
            VendorFailureKind::Credential
        } else if self.says(FILTER) {
            VendorFailureKind::ContentFilter
        } else if self.says(LONG) {
            VendorFailureKind::ContextTooLong
        } else {
            VendorFailureKind::BadRequest
        }
    }

    fn says(&self, words: &[&str]) -> bool {
        let sentence = self.words.to_lowercase();
        words.iter().any(|word| self.kind.contains(word) || sentence.contains(word))
    }

    /// The vendor's message on one line, shortened, followed by a separator; empty without a message.
    fn sentence(&self) -> String {
        let words: String =
            self.words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_WORDS).collect();
        if words.trim().is_empty() { String::new() } else { format!("{}; ", words.trim()) }
    }
}

/// Something on the way waited for the vendor in vain, so the model may have worked. Any other error says that
/// the request failed (the vendor's own 500 and 503) or that nobody answered it (a proxy's 502): nobody
/// charges for that.
const fn is_unknown_outcome(status: u16) -> bool {
    matches!(status, 408 | 504 | 524)
}

fn advice(kind: VendorFailureKind, vendor: Vendor) -> String {
    match kind {
        VendorFailureKind::Credential => match vendor.key_variable() {
            Some(variable) => format!("authentication or billing failed; check {variable}"),
            None => "authentication is required, but PAS has no key for this vendor; check the base URL"
                .to_owned(),
        },
        VendorFailureKind::RateLimited => "rate limit exceeded; retry later".to_owned(),
        VendorFailureKind::Server => "server error; retry later or use another provider".to_owned(),
        VendorFailureKind::Malformed => "it redirected the request; check the base URL".to_owned(),
        VendorFailureKind::UnknownModel => "unknown model or wrong base URL".to_owned(),
        VendorFailureKind::ContextTooLong => "the prompt exceeds the model's context window".to_owned(),
        VendorFailureKind::ContentFilter => "the content filter refused the prompt".to_owned(),
        _ => "the request is invalid".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use VendorFailureKind::{
        BadRequest, ContentFilter, ContextTooLong, Credential, Malformed, RateLimited, Server, UnknownModel,
    };

    fn judged(vendor: Vendor, status: u16, body: &str) -> VendorFailureKind {
        failure(vendor, status, &HeaderMap::new(), body.as_bytes(), SystemTime::UNIX_EPOCH).kind
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "one table of all vendors")]
    fn each_vendors_words_become_one_kind() {
        for (vendor, status, body, kind) in [
            (
                Vendor::OpenAi,
                429,
                r#"{"error":{"message":"Rate limit reached","type":"requests","code":"rate_limit_exceeded"}}"#,
                RateLimited,
            ),
            (
                Vendor::OpenAi,
                429,
                r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#,
                Credential,
            ),
            (
                Vendor::OpenAi,
                400,
                r#"{"error":{"message":"This model's maximum context length is 16385 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
                ContextTooLong,
            ),
            (
                Vendor::OpenAi,
                400,
                r#"{"error":{"message":"filtered","type":null,"param":"prompt","code":"content_filter"}}"#,
                ContentFilter,
            ),
            (
                Vendor::OpenAi,
                400,
                r#"{"error":{"message":"Unknown parameter: 'x'.","type":"invalid_request_error","code":"unknown_parameter"}}"#,
                BadRequest,
            ),
            (
                Vendor::OpenAi,
                403,
                r#"{"error":{"message":"Project has no access","code":"model_not_found"}}"#,
                UnknownModel,
            ),
            (
                Vendor::OpenAi,
                404,
                r#"{"error":{"message":"The model `x` does not exist","code":"model_not_found"}}"#,
                UnknownModel,
            ),
            (
                Vendor::Anthropic,
                529,
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
                Server,
            ),
            (
                Vendor::Anthropic,
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#,
                ContextTooLong,
            ),
            (
                Vendor::Anthropic,
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}"#,
                Credential,
            ),
            (
                Vendor::Anthropic,
                403,
                r#"{"type":"error","error":{"type":"permission_error","message":"no"}}"#,
                Credential,
            ),
            (
                Vendor::Gemini,
                400,
                r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#,
                Credential,
            ),
            (
                Vendor::Gemini,
                400,
                r#"[{"error":{"code":400,"message":"The input token count (2000000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}]"#,
                ContextTooLong,
            ),
            (
                Vendor::Grok,
                400,
                r#"{"code":"Client specified an invalid argument","error":"This model's maximum prompt length is 131072 but the request contains 200000 tokens."}"#,
                ContextTooLong,
            ),
            (Vendor::Ollama, 404, r#"{"error":"model 'x' not found"}"#, UnknownModel),
            (Vendor::Ollama, 500, "<html>", Server),
            (Vendor::OpenAi, 302, "", Malformed),
        ] {
            assert_eq!(judged(vendor, status, body), kind, "{vendor} {status} {body}");
        }
    }

    #[test]
    fn the_time_to_wait_is_seconds_milliseconds_a_date_or_a_detail() {
        let now = httpdate::parse_http_date("Sun, 22 Nov 2026 19:00:00 GMT").unwrap();
        let wait = |name: &'static str, value: &'static str| {
            let headers = HeaderMap::from_iter([(
                hyper::header::HeaderName::from_static(name),
                hyper::header::HeaderValue::from_static(value),
            )]);
            failure(Vendor::OpenAi, 429, &headers, b"", now).retry_after
        };
        assert_eq!(wait("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("retry-after-ms", "1500"), Some(Duration::from_millis(1_500)));
        assert_eq!(wait("retry-after", "Sun, 22 Nov 2026 19:01:00 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(wait("retry-after", "Sun, 22 Nov 2026 18:00:00 GMT"), Some(Duration::ZERO));
        for (kinds, left, text, waits) in [
            ("tokens", "0", "2s", Some(2_000)),
            ("requests", "0", "1m30.5s", Some(90_500)),
            ("tokens", "0", "120ms", Some(120)),
            ("tokens", "7", "2s", None),
            ("tokens", "0", "soon", None),
        ] {
            let headers = [("remaining", left), ("reset", text)].map(|(what, value)| {
                let name = format!("x-ratelimit-{what}-{kinds}");
                (name.parse::<hyper::header::HeaderName>().unwrap(), value.parse().unwrap())
            });
            let told = failure(Vendor::OpenAi, 429, &HeaderMap::from_iter(headers), b"", now).retry_after;
            assert_eq!(told, waits.map(Duration::from_millis), "{kinds} {left} {text}");
        }
        for nonsense in ["-1", "soon", "1e300", ""] {
            assert_eq!(wait("retry-after", nonsense), None, "{nonsense}");
        }
        let body =
            br#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{"retryDelay":"34.5s"}]}}"#;
        let told = failure(Vendor::Gemini, 429, &HeaderMap::new(), body, now);
        assert_eq!(told.retry_after, Some(Duration::from_millis(34_500)));
    }

    #[test]
    fn only_an_unknown_outcome_may_cost() {
        let may_cost =
            |status| failure(Vendor::OpenAi, status, &HeaderMap::new(), b"", SystemTime::UNIX_EPOCH).may_cost;
        assert!([400, 401, 404, 429, 500, 502, 503, 521, 529].into_iter().all(|status| !may_cost(status)));
        assert!([408, 504, 524].into_iter().all(may_cost));
    }

    #[test]
    fn a_key_that_the_vendor_repeats_is_not_passed_on() {
        let body =
            br#"{"error":{"message":"Incorrect API key provided: sk-abc***xyz.","code":"invalid_api_key"}}"#;
        let failure = failure(Vendor::OpenAi, 401, &HeaderMap::new(), body, SystemTime::UNIX_EPOCH);
        assert_eq!(failure.said, None, "{failure:?}");
        assert!(!failure.message.contains("sk-abc"), "{failure}");
        assert!(failure.message.contains("OPENAI_API_KEY"), "{failure}");
    }

    #[test]
    fn an_error_inside_a_stream_may_cost_and_keeps_its_kind() {
        let body = br#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
        let failure = in_answer(Vendor::Anthropic, body).unwrap();
        assert_eq!((failure.kind, failure.may_cost, failure.status), (Server, true, None));
        assert_eq!(in_answer(Vendor::OpenAi, b"{\"choices\":[]}"), None);
    }
}
