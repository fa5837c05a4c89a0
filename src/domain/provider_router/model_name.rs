//! The forms of a requested model name.

use super::optimization::RoutingOptimization;
use super::provider::RegisteredProvider;

/// In a provider's metadata: `false` keeps `auto` from it.
pub const AUTO: &str = "auto";
/// In a provider's metadata: `true` says that its vendor has shut the model down.
pub const RETIRED: &str = "retired";

/// A requested model: any, by name, or of one provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelName<'a> {
    /// `auto`: any that fits; `auto:cost`, `auto:latency` and `auto:balanced` set the ranking.
    Auto(Option<RoutingOptimization>),
    /// A model, or `provider/model`.
    Named(&'a str),
}

impl<'a> ModelName<'a> {
    /// Parses any text: anything but a form of `auto` names a model.
    #[must_use]
    pub fn parse(text: &'a str) -> Self {
        match text {
            "auto" => Self::Auto(None),
            "auto:cost" => Self::Auto(Some(RoutingOptimization::Cost)),
            "auto:latency" => Self::Auto(Some(RoutingOptimization::Latency)),
            "auto:balanced" => Self::Auto(Some(RoutingOptimization::Balanced)),
            name => Self::Named(name),
        }
    }

    /// Whether a provider serves this model.
    ///
    /// A name fits the model of exactly that name (which may contain a `/`), or as `provider/model` the model
    /// at the provider of that name, of that vendor (`metadata.provider`), or of the name that adapters
    /// register under: `provider-model` with `-` for each `:` and `.`.
    #[must_use]
    pub fn fits(self, provider: &RegisteredProvider) -> bool {
        let name = match self {
            Self::Auto(_) => {
                return provider.metadata.get(AUTO).and_then(|value| value.as_bool()) != Some(false);
            }
            Self::Named(name) => name,
        };
        if provider.model == name {
            return true;
        }
        name.split_once('/').is_some_and(|(who, model)| {
            provider.model == model
                && (provider.name == who
                    || provider.vendor() == Some(who)
                    || provider.name == adapter_name(who, model))
        })
    }
}

/// The name under which the adapter for a vendor's model registers (the contract).
#[must_use]
pub fn adapter_name(vendor: &str, model: &str) -> String {
    format!("{vendor}-{model}").replace([':', '.'], "-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider_router::testing::provider;

    #[test]
    fn names_of_models_fit_in_every_documented_form() {
        let mut served = provider("openai-gpt-4-1", "gpt-4.1");
        let fits = |served: &RegisteredProvider, name| ModelName::parse(name).fits(served);
        for name in ["auto", "auto:cost", "gpt-4.1", "openai/gpt-4.1", "openai-gpt-4-1/gpt-4.1"] {
            assert!(fits(&served, name), "{name}");
        }
        for name in ["gpt-4", "GPT-4.1", "openai", "azure/gpt-4.1", "openai/gpt-4", "auto:size", ""] {
            assert!(!fits(&served, name), "{name}");
        }
        served.metadata = serde_json::json!({ "provider": "azure" }).into();
        assert!(fits(&served, "azure/gpt-4.1"));
        served.metadata = serde_json::json!({ "auto": false }).into();
        assert!(!fits(&served, "auto") && !fits(&served, "auto:cost") && fits(&served, "gpt-4.1"));
        let nested = provider("local", "meta/llama-3");
        assert!(fits(&nested, "meta/llama-3") && fits(&nested, "local/meta/llama-3"));
    }
}
