//! Where a vendor is reached, and with which credential.

use crate::config::{Providers, Secret};

use super::vendor::Vendor;

/// A vendor's address and our credential there. `Debug` masks the credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Whose dialect is spoken there.
    pub vendor: Vendor,
    /// `http(s)://…` without a slash at the end; OpenAI's and Grok's with `/v1`.
    pub base_url: String,
    /// The key; without one only Ollama is called.
    pub credential: Option<Secret>,
}

impl Endpoint {
    /// The vendor's endpoint as the settings have it.
    #[must_use]
    pub fn configured(vendor: Vendor, providers: &Providers) -> Self {
        let settings = match vendor {
            Vendor::OpenAi => &providers.openai,
            Vendor::Anthropic => &providers.anthropic,
            Vendor::Gemini => &providers.gemini,
            Vendor::Grok => &providers.grok,
            Vendor::Ollama => {
                return Self { vendor, base_url: providers.ollama.host.clone(), credential: None };
            }
        };
        let base_url = settings.base_url.trim_end_matches('/').to_owned();
        Self { vendor, base_url, credential: settings.api_key.clone() }
    }

    /// Whether a call makes sense: the key is there, or none is needed.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        self.credential.is_some() || self.vendor.key_variable().is_none()
    }
}
