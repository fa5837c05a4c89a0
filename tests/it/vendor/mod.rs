//! Test servers that speak the model vendors' protocols as their public documentation has them.
//!
//! [`Vendors::start`] opens five servers on free loopback ports: OpenAI, Anthropic, Gemini, Grok, Ollama.
//! What they answer follows from the request alone (see [`model`]), so that a test knows it beforehand.
//! They check the credential, refuse what the vendor refuses, keep what they saw ([`Server::seen`]) and
//! what they would bill ([`Server::billed`]), and do what a test scripts for the next calls
//! ([`Server::script`], [`Fault`]): errors, stalls, cuts, garbage, odd splits.
//!
//! ```ignore
//! let vendors = Vendors::start().await;
//! let openai = vendors.get(Vendor::OpenAi);
//! openai.script([Fault::RateLimited(RetryAfter::Seconds(1)), Fault::cut_half_way(Cut::Reset)]);
//! // … two calls of {openai.url()}/chat/completions with `Bearer {KEY}` …
//! assert_eq!(openai.calls(), 2);
//! ```
//!
//! The module needs nothing of the test binary around it: a bench takes it in by `#[path]`.
#![allow(dead_code, reason = "tests and benches each use a part of it")]

mod answer;
mod anthropic;
mod body;
mod completions;
mod error;
mod fault;
mod gemini;
mod grok;
mod model;
mod ollama;
mod openai;
pub(crate) mod play;
mod responses;
mod sample;
mod seen;
mod server;
#[cfg(test)]
mod tests;

use std::sync::Arc;

#[allow(unused_imports, reason = "a bench scripts no faults")]
pub(crate) use fault::{At, Cut, FOREVER, Fault, RetryAfter, SaidAnswer};
#[allow(unused_imports, reason = "a bench looks at no request")]
pub(crate) use seen::Heard;
pub(crate) use server::Server;

/// The credential that every server accepts; any other is answered with 401.
pub(crate) const KEY: &str = "sk-test-0123456789abcdef";

/// Whose protocol a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Vendor {
    OpenAi,
    Anthropic,
    Gemini,
    Grok,
    Ollama,
}

impl Vendor {
    pub(crate) const ALL: [Self; 5] = [Self::OpenAi, Self::Anthropic, Self::Gemini, Self::Grok, Self::Ollama];

    /// What base URLs of this vendor end with, after host and port.
    const fn base_path(self) -> &'static str {
        match self {
            Self::OpenAi | Self::Grok => "/v1",
            Self::Anthropic | Self::Gemini | Self::Ollama => "",
        }
    }

    /// The environment variables that name its base URL and its key; Ollama has no key.
    pub(crate) const fn variables(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::OpenAi => ("OPENAI_BASE_URL", Some("OPENAI_API_KEY")),
            Self::Anthropic => ("ANTHROPIC_BASE_URL", Some("ANTHROPIC_API_KEY")),
            Self::Gemini => ("GEMINI_BASE_URL", Some("GEMINI_API_KEY")),
            Self::Grok => ("GROK_BASE_URL", Some("GROK_API_KEY")),
            Self::Ollama => ("OLLAMA_HOST", None),
        }
    }
}

/// One server a vendor.
pub(crate) struct Vendors {
    servers: Vec<Server>,
    stage: Arc<play::PlayStage>,
}

impl Vendors {
    /// Opens all five; they end when this is dropped.
    pub(crate) async fn start() -> Self {
        let mut servers = Vec::new();
        let stage = Arc::<play::PlayStage>::default();
        for vendor in Vendor::ALL {
            servers.push(Server::start_on(vendor, Arc::clone(&stage)).await);
        }
        Self { servers, stage }
    }

    /// The server of a vendor.
    pub(crate) fn get(&self, vendor: Vendor) -> &Server {
        self.servers.iter().find(|server| server.vendor() == vendor).expect("one server a vendor")
    }

    /// The base URL of a vendor, in the form its environment variable takes.
    pub(crate) fn url(&self, vendor: Vendor) -> String {
        self.get(vendor).url()
    }

    /// Adds a play to all servers: it may begin at one vendor's and go on at another's.
    pub(crate) fn perform(&self, play: &play::Play) {
        self.stage.perform(play);
    }

    /// What was wrong with requests for plays, each once.
    pub(crate) fn play_faults(&self) -> Vec<String> {
        self.stage.faults()
    }

    /// The answers of plays that went out, oldest first.
    pub(crate) fn turns_served(&self) -> Vec<play::ServedTurn> {
        self.stage.served()
    }

    /// Panics unless every play came to its last turn and no request lacked anything.
    pub(crate) fn assert_plays(&self) {
        self.stage.assert();
    }

    /// What a daemon needs in its environment to reach all five.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let each = |server: &Server| {
            let (url, key) = server.vendor().variables();
            [Some((url, server.url())), key.map(|key| (key, KEY.to_owned()))]
        };
        self.servers.iter().flat_map(each).flatten().collect()
    }
}
