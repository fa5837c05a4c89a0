//! The types of the settings, a struct a section.
//!
//! Meaning, reason and default of every key stand in `config/pas.toml` and nowhere else; here is only
//! what the rest of PAS sees. Invariants: no field has a default (a key missing in `config/pas.toml`
//! fails the tests), unknown fields are refused, times are [`Duration`]s and "none" is an `Option`,
//! whatever way the file writes it.

use std::fmt;
use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// `[daemon]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Daemon {
    /// Folder that jobs work in; absolute.
    pub workdir: PathBuf,
    /// Folder of PAS's own state; absolute.
    pub data_dir: PathBuf,
}

/// `[http]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Address all services listen on.
    pub bind: IpAddr,
    /// Added to every service's port.
    pub port_offset: u16,
    /// Bearer token every request must carry; always there beyond loopback.
    #[serde(deserialize_with = "non_empty")]
    pub token: Option<Secret>,
    /// Open connections over all ports.
    pub max_connections: NonZeroUsize,
    /// Largest request body in bytes.
    pub max_body_bytes: usize,
    /// For request line and headers.
    #[serde(rename = "header_timeout_ms", deserialize_with = "millis")]
    pub header_timeout: Duration,
    /// Between two requests of a connection.
    #[serde(rename = "idle_timeout_s", deserialize_with = "seconds")]
    pub idle_timeout: Duration,
    /// For a whole body.
    #[serde(rename = "body_timeout_s", deserialize_with = "seconds")]
    pub body_timeout: Duration,
    /// For what is under way at the end.
    #[serde(rename = "shutdown_grace_s", deserialize_with = "seconds")]
    pub shutdown_grace: Duration,
}

/// `[supervision]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Supervision {
    /// Restarts allowed within [`Supervision::period`].
    pub intensity: u32,
    /// The window restarts are counted in.
    #[serde(rename = "period_s", deserialize_with = "seconds")]
    pub period: Duration,
    /// For a child to end by itself.
    #[serde(rename = "shutdown_deadline_s", deserialize_with = "seconds")]
    pub shutdown_deadline: Duration,
    /// For a child to get ready.
    #[serde(rename = "start_deadline_s", deserialize_with = "seconds")]
    pub start_deadline: Duration,
    /// Messages that may wait at one address.
    pub mailbox_capacity: NonZeroUsize,
    /// In place of the interval in every agent's definition.
    #[serde(rename = "heartbeat_interval_s", deserialize_with = "seconds_unless_zero")]
    pub heartbeat_interval: Option<Duration>,
    /// Intervals without heartbeat after which an agent is hung.
    pub hang_factor: NonZeroU32,
}

/// `[trace]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trace {
    /// Spans in all rings together.
    pub ring_records: NonZeroUsize,
    /// Spans kept of a trace in which an actor crashed.
    pub frozen_spans: NonZeroUsize,
    pub otlp: Otlp,
}

/// `[trace.otlp]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Otlp {
    /// Base URL of a collector, `http://…`; none: no export.
    #[serde(deserialize_with = "non_empty")]
    pub endpoint: Option<String>,
    #[serde(rename = "interval_ms", deserialize_with = "millis")]
    pub interval: Duration,
}

/// `[store]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// Bare name of the database file; see [`Config::store_file`](super::Config::store_file).
    pub file: String,
    pub backups: NonZeroUsize,
}

/// `[jobs]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jobs {
    /// Threads for work on documents (a 0 in the file has become the number of cores).
    #[serde(deserialize_with = "threads")]
    pub threads: NonZeroUsize,
    /// When a running step is reported as slow.
    #[serde(rename = "step_soft_timeout_s", deserialize_with = "seconds")]
    pub step_soft_timeout: Duration,
    /// When a running step is stopped; after the soft one.
    #[serde(rename = "step_hard_timeout_s", deserialize_with = "seconds")]
    pub step_hard_timeout: Duration,
    /// How long a cancelled step may take to stop before its agent is killed.
    #[serde(rename = "stop_grace_s", deserialize_with = "seconds")]
    pub stop_grace: Duration,
    /// Attempts at one step, the first included.
    pub max_attempts: NonZeroU32,
    /// Pause before the first retry.
    #[serde(rename = "backoff_base_ms", deserialize_with = "millis")]
    pub backoff_base: Duration,
    /// Longest pause before a retry; not below the first.
    #[serde(rename = "backoff_max_s", deserialize_with = "seconds")]
    pub backoff_max: Duration,
    /// Jobs that may wait.
    pub max_queued: NonZeroUsize,
}

/// `[ingest]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ingest {
    /// Larger files are left out; bytes.
    pub max_file_bytes: u64,
    /// Files a job takes.
    pub max_files: NonZeroUsize,
    /// SPDX ids reported as violations.
    pub deny_licences: Vec<String>,
    /// Jaccard similarity of near-duplicates, 1 to 100.
    pub near_duplicate_percent: u8,
    /// Share of documents from which a repeated paragraph is boilerplate, 1 to 100.
    pub boilerplate_percent: u8,
}

/// `[agents]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agents {
    /// The user's definitions: an absolute path of a folder that was there, or none.
    #[serde(deserialize_with = "non_empty")]
    pub folder: Option<PathBuf>,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Least severity that is logged.
    pub level: LogLevel,
    /// Form of the lines.
    pub format: LogFormat,
}

/// Severity of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl From<LogLevel> for tracing::Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

/// Form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    /// One JSON object a line.
    Json,
}

/// `[events]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// Days for which the files of the event stream are kept.
    pub keep_days: NonZeroU32,
}

/// `[registry]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registry {
    /// Between two looks for expired services.
    #[serde(rename = "sweep_s", deserialize_with = "seconds")]
    pub sweep: Duration,
}

/// `[prices]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// The user's table of prices: an absolute path, or none.
    #[serde(deserialize_with = "non_empty")]
    pub file: Option<PathBuf>,
}

/// `[receipts]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipts {
    /// When a receipt must be on the disk.
    pub fsync: Fsync,
}

/// When a receipt must be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fsync {
    /// Soon after the answer left.
    After,
    /// Before the answer leaves.
    BeforeAnswer,
}

/// `[gateway]`: time limits of calls of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// For name, connection and TLS.
    #[serde(rename = "connect_timeout_ms", deserialize_with = "millis")]
    pub connect_timeout: Duration,
    /// From the request to the first byte of the answer.
    #[serde(rename = "first_byte_timeout_ms", deserialize_with = "millis")]
    pub first_byte_timeout: Duration,
    /// Between two pieces of the answer.
    #[serde(rename = "idle_timeout_ms", deserialize_with = "millis")]
    pub idle_timeout: Duration,
    /// For a whole call with its retries and fallbacks.
    #[serde(rename = "overall_timeout_ms", deserialize_with = "millis")]
    pub overall_timeout: Duration,
}

/// `[provider_router]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderRouter {
    /// Hosts beyond this machine at which a provider may answer without TLS.
    pub plain_http_hosts: Vec<String>,
}

/// `[providers]`: the vendors of models.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Providers {
    pub openai: Provider,
    pub anthropic: Provider,
    pub gemini: Provider,
    pub grok: Provider,
    pub ollama: Ollama,
}

/// `[providers.<vendor>]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The key; none: the vendor's port is up and says `degraded`.
    #[serde(deserialize_with = "non_empty")]
    pub api_key: Option<Secret>,
    /// `http(s)://…`; a `/` at the end does not matter.
    pub base_url: String,
}

/// `[providers.ollama]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ollama {
    /// `http(s)://host:port`, whatever of the forms that Ollama knows was set.
    #[serde(deserialize_with = "ollama_host")]
    pub host: String,
}

/// `[resources]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    pub cpu: Quota,
    /// Memory in megabytes.
    pub mem_mb: Quota,
    pub gpu: Quota,
    /// Memory of all accelerators in megabytes.
    pub gpu_mem_mb: Quota,
    /// Agents that train at once.
    pub trainers: NonZeroU32,
    /// Agents that embed at once.
    pub embedders: NonZeroU32,
    /// How long a client's reservation holds without a job of this daemon.
    #[serde(rename = "lease_s", deserialize_with = "seconds")]
    pub lease: Duration,
}

/// How much there is of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    Number(u64),
    /// What the machine has.
    Auto,
}

/// The word for [`Quota::Auto`].
pub(super) const AUTO: &str = "auto";

impl<'de> Deserialize<'de> for Quota {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Word(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(number) => Ok(Self::Number(number)),
            Written::Word(word) if word == AUTO => Ok(Self::Auto),
            Written::Word(word) => {
                let message = format!("must be a whole number or \"{AUTO}\", found \"{word}\"");
                Err(serde::de::Error::custom(message))
            }
        }
    }
}

/// A value that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value itself, for comparing or sending; never for logs.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_secs)
}

fn millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_millis)
}

fn seconds_unless_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    Ok(Some(seconds(deserializer)?).filter(|duration| !duration.is_zero()))
}

fn non_empty<'de, D: Deserializer<'de>, T: From<String>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(Some(text).filter(|text| !text.is_empty()).map(T::from))
}

fn ollama_host<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|host| super::providers::ollama_url(&host))
}

/// 0 stands for as many threads as the machine runs at once; 1 where that cannot be told.
fn threads<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NonZeroUsize, D::Error> {
    let asked = NonZeroUsize::new(usize::deserialize(deserializer)?);
    Ok(asked.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN))
}
