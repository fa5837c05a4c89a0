//! The peculiarities of Gemini's `generateContent`: model and stream are in the path, limits in a configuration, and
//! every name has two spellings.

use serde::Deserialize;

use super::members::MemberSpans;
use crate::inbound::ApiProblem;
use crate::inbound::gemini::proto;

/// The two spellings of the member that holds the limits.
pub(super) const CONFIGURATION: [&str; 2] = ["generationConfig", "generation_config"];
/// The two spellings of the limit of output tokens.
const LIMIT: [&str; 2] = ["maxOutputTokens", "max_output_tokens"];
/// The two spellings of the service tier.
pub(super) const SERVICE_TIER: [&str; 2] = ["serviceTier", "service_tier"];

/// The model and method in the path of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerateTarget {
    pub model: String,
    pub is_stream: bool,
}

/// The members of a configuration that PAS reads.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigurationGlance {
    #[serde(default, alias = "max_output_tokens", deserialize_with = "proto::whole")]
    pub(super) max_output_tokens: Option<u64>,
    #[serde(default, alias = "candidate_count", deserialize_with = "proto::whole")]
    pub(super) candidate_count: Option<u64>,
    #[serde(default, alias = "thinking_config")]
    thinking_config: Option<ThinkingConfigGlance>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThinkingConfigGlance {
    /// -1: as much as the model likes.
    #[serde(default, alias = "thinking_budget", deserialize_with = "proto::whole")]
    thinking_budget: Option<i64>,
}

impl ConfigurationGlance {
    /// The tokens that may be spent on thoughts, where the client says so.
    pub(super) fn thinking_budget(&self) -> Option<u64> {
        let budget = self.thinking_config.as_ref()?.thinking_budget?;
        u64::try_from(budget).ok()
    }
}

/// Refuses a member that stands there in both of its spellings: PAS must read the one that the vendor reads.
pub(super) fn check_spellings(text: &str, spans: &MemberSpans) -> Result<(), ApiProblem> {
    check_names(spans, "")?;
    for name in CONFIGURATION {
        let Some(inner) = spans.get(text, name).filter(|value| value.starts_with('{')) else { continue };
        let found =
            MemberSpans::of(inner).map_err(|error| ApiProblem::invalid(name, format!("{name}: {error}")))?;
        check_names(&found, &format!("{name}."))?;
    }
    Ok(())
}

fn check_names(spans: &MemberSpans, within: &str) -> Result<(), ApiProblem> {
    let mut known: Vec<(String, &str)> = spans.names().map(|name| (proto::spelled(name), name)).collect();
    known.sort_unstable();
    let Some(twice) = known.windows(2).find(|pair| pair[0].0 == pair[1].0) else { return Ok(()) };
    let place = format!("{within}{}", twice[0].0);
    let why = format!("{place}: the member stands there twice, as `{}` and `{}`", twice[0].1, twice[1].1);
    Err(ApiProblem::invalid(place, why))
}

/// The change of a request that sets its limit of output tokens.
pub(super) fn limited(text: &str, spans: &MemberSpans, limit: u64) -> (&'static str, String) {
    let given = |names: [&'static str; 2], text: &str, spans: &MemberSpans| {
        let is_given = |name: &&str| spans.get(text, name).is_some_and(|value| value != "null");
        names.into_iter().find(is_given)
    };
    let name = given(CONFIGURATION, text, spans);
    let configuration = name.and_then(|name| spans.get(text, name)).unwrap_or("{}");
    let limited = MemberSpans::of(configuration).map(|inner| {
        let member = given(LIMIT, configuration, &inner).unwrap_or(LIMIT[0]);
        inner.with(configuration, &[(member, limit.to_string())])
    });
    (name.unwrap_or(CONFIGURATION[0]), limited.unwrap_or_else(|_| configuration.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_goes_into_the_configuration_in_the_client_s_spelling() {
        for (text, name, configuration) in [
            ("{}", "generationConfig", r#"{"maxOutputTokens":7}"#),
            (r#"{"generationConfig":null}"#, "generationConfig", r#"{"maxOutputTokens":7}"#),
            (
                r#"{"generation_config":{"max_output_tokens": 9, "top_k":1}}"#,
                "generation_config",
                r#"{"max_output_tokens": 7, "top_k":1}"#,
            ),
            (r#"{"generationConfig":{"topK":1}}"#, "generationConfig", r#"{"topK":1,"maxOutputTokens":7}"#),
        ] {
            let spans = MemberSpans::of(text).unwrap();
            assert_eq!(limited(text, &spans, 7), (name, configuration.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_budget_of_thoughts_without_an_end_is_none() {
        let read = |text| serde_json::from_str::<ConfigurationGlance>(text).unwrap().thinking_budget();
        assert_eq!(read(r#"{"thinkingConfig":{"thinkingBudget":-1}}"#), None);
        assert_eq!(read(r#"{"thinking_config":{"thinking_budget":2048}}"#), Some(2_048));
    }
}
