//! A vendor's address and credential.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use url::Url;

use pas_config::{ProvidersConfig, SecretText};

use super::passage::WireProtocol;
use super::vendor::Vendor;

const OPENAI_HOST: &str = "api.openai.com";
/// End of the hosts with data residency, such as `eu.api.openai.com`.
const REGIONS_OF_OPENAI: &str = ".api.openai.com";

/// A vendor's address and our credential there. Cheap to clone. `Debug` masks the credential.
#[derive(Clone, PartialEq, Eq)]
pub struct VendorEndpoint(Arc<EndpointShared>);

struct EndpointShared {
    vendor: Vendor,
    base_url: String,
    /// Parsed once; a call appends its path.
    base: Result<Url, url::ParseError>,
    credential: Option<SecretText>,
    /// The name of a server of the user's, in place of its protocol's vendor.
    label: Option<String>,
    /// Found out by asking: many servers of OpenAI's form have chat completions only.
    lacks_responses: AtomicBool,
}

impl PartialEq for EndpointShared {
    fn eq(&self, other: &Self) -> bool {
        let all = |one: &Self| (one.vendor, one.base_url.clone(), one.label.clone());
        all(self) == all(other) && self.credential == other.credential
    }
}

impl Eq for EndpointShared {}

impl VendorEndpoint {
    /// A vendor at an address: `http(s)://…`; OpenAI's and Grok's with `/v1`. An invalid address fails each
    /// call ([`VendorEndpoint::url`]).
    #[must_use]
    pub fn new(vendor: Vendor, base_url: &str, credential: Option<SecretText>) -> Self {
        Self::labelled(vendor, base_url, credential, None)
    }

    /// A server of the user's that speaks OpenAI's protocol. The address may be written for people, see
    /// [`openai_base`]; a server without a key gets a placeholder, since the protocol has one in every call.
    #[must_use]
    pub fn compatible(name: &str, base_url: &str, key: Option<SecretText>) -> Self {
        let key = key.unwrap_or_else(|| SecretText::from(NO_KEY.to_owned()));
        Self::labelled(Vendor::OpenAi, &openai_base(base_url), Some(key), Some(name.to_owned()))
    }

    fn labelled(
        vendor: Vendor,
        base_url: &str,
        credential: Option<SecretText>,
        label: Option<String>,
    ) -> Self {
        let base_url = base_url.trim_end_matches('/').to_owned();
        let base = Url::parse(&versioned(vendor, &base_url));
        let lacks_responses = AtomicBool::new(false);
        Self(Arc::new(EndpointShared { vendor, base_url, base, credential, label, lacks_responses }))
    }

    /// Its name in prices and for people: the user's, or the vendor's.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.label.as_deref().unwrap_or(self.0.vendor.as_str())
    }

    /// The name of a server of the user's.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        self.0.label.as_deref()
    }

    /// Whether this is OpenAI itself, and no server that only speaks its protocol.
    #[must_use]
    pub fn is_openai_itself(&self) -> bool {
        let host = self.0.base.as_ref().ok().and_then(Url::host_str).unwrap_or_default();
        self.vendor() == Vendor::OpenAi && (host == OPENAI_HOST || host.ends_with(REGIONS_OF_OPENAI))
    }

    /// Whether a request of this protocol passes to it as it came.
    #[must_use]
    pub fn speaks(&self, protocol: WireProtocol) -> bool {
        let lacks = protocol == WireProtocol::Responses && self.0.lacks_responses.load(Ordering::Relaxed);
        protocol.is_spoken_by(self.vendor()) && !lacks
    }

    /// Notes that the server has no Responses; returns whether that is news.
    pub fn note_no_responses(&self) -> bool {
        !self.0.lacks_responses.swap(true, Ordering::Relaxed)
    }

    /// The vendor's endpoint from the settings.
    #[must_use]
    pub fn configured(vendor: Vendor, providers: &ProvidersConfig) -> Self {
        let settings = match vendor {
            Vendor::OpenAi => &providers.openai,
            Vendor::Anthropic => &providers.anthropic,
            Vendor::Gemini => &providers.gemini,
            Vendor::Grok => &providers.grok,
            Vendor::Ollama => return Self::new(vendor, &providers.ollama.host, None),
        };
        Self::new(vendor, &settings.base_url, settings.api_key.clone())
    }

    #[must_use]
    pub fn vendor(&self) -> Vendor {
        self.0.vendor
    }

    /// The address, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.0.base_url
    }

    /// The key; only Ollama needs none.
    #[must_use]
    pub fn credential(&self) -> Option<&SecretText> {
        self.0.credential.as_ref()
    }

    /// Whether calls are possible: the key is set, or none is needed.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.credential.is_some() || self.0.vendor.key_variable().is_none()
    }

    /// The address of one path of the dialect, which may have a query.
    ///
    /// # Errors
    /// The base URL's.
    pub(super) fn url(&self, path: &str) -> Result<Url, url::ParseError> {
        let mut url = self.0.base.clone()?;
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let whole = [url.path().trim_end_matches('/'), path].concat();
        url.set_path(&whole);
        url.set_query(query);
        Ok(url)
    }
}

impl fmt::Debug for VendorEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let EndpointShared { vendor, base_url, credential, .. } = &*self.0;
        let mut shown = f.debug_struct("VendorEndpoint");
        shown.field("vendor", vendor).field("base_url", base_url).field("credential", credential).finish()
    }
}

/// Sent as a key to servers that need none.
pub const NO_KEY: &str = "none";

/// An address of a server of OpenAI's protocol as the base of its paths: forms written for people
/// (`…/chat/completions`, or no path at all) become `…/v1`.
#[must_use]
pub fn openai_base(address: &str) -> String {
    let base = address.trim_end_matches('/');
    let base = base.strip_suffix("/chat/completions").unwrap_or(base);
    let has_path = base.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    if has_path { base.to_owned() } else { format!("{base}/v1") }
}

/// The base URL with the version that the vendor's paths need: Gemini's lacks one.
fn versioned(vendor: Vendor, base: &str) -> String {
    let has_version = base.rsplit('/').next().is_some_and(|last| last == "v1" || last.starts_with("v1beta"));
    if vendor == Vendor::Gemini && !has_version { format!("{base}/v1beta") } else { base.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_goes_behind_the_base_with_its_version_and_query() {
        for (vendor, base, path, whole) in [
            (Vendor::OpenAi, "http://h:1/v1/", "/chat/completions", "http://h:1/v1/chat/completions"),
            (Vendor::Anthropic, "https://h", "/v1/models?limit=9", "https://h/v1/models?limit=9"),
            (Vendor::Gemini, "https://h", "/models/m:x?alt=sse", "https://h/v1beta/models/m:x?alt=sse"),
            (Vendor::Gemini, "https://h/a/v1", "/models/a%2Fb", "https://h/a/v1/models/a%2Fb"),
            (Vendor::Ollama, "http://[::1]:5", "/api/chat", "http://[::1]:5/api/chat"),
        ] {
            assert_eq!(VendorEndpoint::new(vendor, base, None).url(path).unwrap().as_str(), whole);
        }
        assert!(VendorEndpoint::new(Vendor::OpenAi, "no address", None).url("/x").is_err());
    }
}
