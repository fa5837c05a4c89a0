//! The members of a request that PAS reads.

use hyper::header::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::CONTINUED;
use crate::gemini;
use crate::inbound::ApiProblem;
use crate::passage::generate::{self, ConfigurationGlance};
use crate::passage::members::MemberSpans;
use crate::passage::protocol::WireProtocol;
use crate::passage::translated::in_words;
use pas_domain::usage::ServiceTier;

/// The header in which a client says which output limit is too low to be of use.
const LEAST_OUTPUT: &str = "x-pas-min-tokens";
/// A shorter answer than this, in tokens, is of no use to an agent.
const SHORT_ANSWER: u64 = 1_024;
/// The two spellings of the member that holds a whole request for Gemini, where only its tokens are counted.
const WHOLE: [&str; 2] = ["generateContentRequest", "generate_content_request"];

/// A member of `thinking`.
#[derive(Deserialize)]
struct ThinkingGlance {
    #[serde(default)]
    budget_tokens: Option<u64>,
}

/// A member of `stream_options`.
#[derive(Deserialize)]
pub(super) struct StreamOptionsGlance {
    #[serde(default)]
    pub(super) include_usage: Option<bool>,
}

/// The members of a request while it is read.
pub(super) struct RequestGlance<'t> {
    pub(super) text: &'t str,
    pub(super) spans: &'t MemberSpans,
}

impl<'t> RequestGlance<'t> {
    /// A member's value; SDKs write unset members as `null`.
    pub(super) fn member<T: Deserialize<'t>>(&self, name: &str) -> Result<Option<T>, ApiProblem> {
        let Some(value) = self.spans.get(self.text, name) else { return Ok(None) };
        let mut parser = serde_json::Deserializer::from_str(value);
        serde_path_to_error::deserialize(&mut parser).map_err(|error| {
            let message = in_words(error.inner());
            let place = match error.path().to_string() {
                inner if inner == "." || inner.starts_with('?') => name.to_owned(),
                inner => format!("{name}.{inner}"),
            };
            ApiProblem::invalid(place.clone(), format!("{place}: {message}"))
        })
    }

    /// A whole number; clients in languages without integers write `100.0`.
    pub(super) fn count(&self, name: &str) -> Result<Option<u64>, ApiProblem> {
        let Some(number) = self.member::<serde_json::Number>(name)? else { return Ok(None) };
        let whole = number.as_u64().or_else(|| {
            let value = number.as_f64().filter(|value| value.fract() == 0.0 && *value >= 0.0)?;
            format!("{value:.0}").parse().ok()
        });
        let wrong = || ApiProblem::invalid(name, format!("{name}: a whole number of at least 0 is required"));
        whole.map(Some).ok_or_else(wrong)
    }

    /// Gemini's settings; in the other protocols they are members of the request itself.
    fn configuration(&self) -> Result<ConfigurationGlance, ApiProblem> {
        let mut found = generate::CONFIGURATION.iter().map(|name| self.member(name));
        let found = found.find(|found| !matches!(found, Ok(None)));
        Ok(found.transpose()?.flatten().unwrap_or_default())
    }

    pub(super) fn output_limit(&self, protocol: WireProtocol) -> Result<Option<u64>, ApiProblem> {
        if protocol == WireProtocol::Generate {
            return Ok(self.configuration()?.max_output_tokens);
        }
        let limits = protocol.limits().iter().map(|name| self.count(name));
        Ok(limits.into_iter().find(|limit| !matches!(limit, Ok(None))).transpose()?.flatten())
    }

    /// The number of answers billed.
    pub(super) fn answers(&self, protocol: WireProtocol) -> Result<u64, ApiProblem> {
        let asked = match protocol {
            WireProtocol::Generate => self.configuration()?.candidate_count,
            // Each prompt of a list has its own; of `best_of` only the best are returned, and all are billed.
            WireProtocol::Completions => {
                let each = self.count("best_of")?.max(self.count("n")?).unwrap_or(1);
                Some(each.saturating_mul(self.prompts()?))
            }
            _ => self.count("n")?,
        };
        Ok(asked.unwrap_or(1).max(1))
    }

    /// The prompts of a completion: a text, a list of texts, or of lists of tokens. A list of numbers is one.
    fn prompts(&self) -> Result<u64, ApiProblem> {
        let prompt = self.member::<&RawValue>("prompt")?.map(RawValue::get).unwrap_or_default();
        let list: Vec<&RawValue> = serde_json::from_str(prompt).unwrap_or_default();
        let is_number = |one: &&RawValue| one.get().starts_with(|c: char| c.is_ascii_digit());
        Ok(if list.iter().any(is_number) { 1 } else { list.len().max(1) as u64 })
    }

    /// The client's own header, or enough for an answer after the thinking that was asked for.
    pub(super) fn least_output(&self, headers: &HeaderMap) -> Result<u64, ApiProblem> {
        if let Some(value) = headers.get(LEAST_OUTPUT) {
            let said = value.to_str().ok().and_then(|text| text.trim().parse().ok());
            let wrong = || ApiProblem::invalid(LEAST_OUTPUT, format!("{LEAST_OUTPUT}: a number of tokens"));
            return said.ok_or_else(wrong);
        }
        let thinking = self.member::<ThinkingGlance>("thinking").ok().flatten();
        let of_gemini = || self.configuration().ok().and_then(|settings| settings.thinking_budget());
        let thought = thinking.and_then(|thinking| thinking.budget_tokens).or_else(of_gemini);
        Ok(thought.unwrap_or_default().saturating_add(SHORT_ANSWER))
    }

    /// Anything but a known word is left to the vendor to judge.
    pub(super) fn service_tier(&self, protocol: WireProtocol) -> ServiceTier {
        let mut words = generate::SERVICE_TIER.iter();
        let word = words.find_map(|name| self.member::<String>(name).ok().flatten()).unwrap_or_default();
        match protocol {
            WireProtocol::Generate => gemini::service_tier(&word),
            _ => ServiceTier::from_word(&word.to_lowercase()),
        }
    }

    pub(super) fn check_conversation(&self, protocol: WireProtocol) -> Result<(), ApiProblem> {
        let name = protocol.conversation();
        let value = self.spans.get(self.text, name).filter(|value| *value != "null");
        let is_given = match (protocol, value) {
            (WireProtocol::Responses, Some(_)) => return Ok(()),
            // A stored prompt or an earlier answer may stand in for the input.
            (WireProtocol::Responses, None) => {
                CONTINUED.iter().any(|name| self.spans.get(self.text, name).is_some())
            }
            // OpenAI's default is the beginning of a document.
            (WireProtocol::Completions, _) => return Ok(()),
            (WireProtocol::Generate, None) => {
                WHOLE.iter().any(|name| self.spans.get(self.text, name).is_some())
            }
            (_, None) => false,
            // A list of one, without its brackets.
            (WireProtocol::Generate, Some(value)) if value.starts_with('{') => true,
            (_, Some(value)) if !value.starts_with('[') => {
                return Err(ApiProblem::invalid(name, format!("{name}: a list is required")));
            }
            (_, Some(value)) => !value[1..].trim_start().starts_with(']'),
        };
        let missing = || ApiProblem::invalid(name, format!("{name}: at least one message is required"));
        is_given.then_some(()).ok_or_else(missing)
    }
}
