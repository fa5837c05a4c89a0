//! The types of the settings, one struct for each section.
//!
//! Meaning, reason and default of every key are in `config/pas.toml` only; these types are the view of the
//! rest of PAS. Invariants: no field has a default (a key missing in `config/pas.toml` fails the tests),
//! unknown fields are refused, times are [`Duration`]s and "none" is an `Option`, however the file writes it.

use std::fmt;
use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// `[daemon]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DaemonConfig {
    /// Folder that jobs work in; absolute.
    pub workdir: PathBuf,
    /// Folder of PAS's own state; absolute.
    pub data_dir: PathBuf,
}

/// `[http]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Address all services listen on.
    pub bind: IpAddr,
    /// Added to every service's port.
    pub port_offset: u16,
    /// Bearer token every request must carry; always set beyond loopback.
    #[serde(deserialize_with = "non_empty")]
    pub token: Option<SecretText>,
    /// Origins of other pages that may use the ports of models.
    pub allowed_origins: Vec<String>,
    /// Who on this machine may connect without a token.
    pub local_users: LocalUsers,
    /// Open connections over all ports.
    pub max_connections: NonZeroUsize,
    /// Largest request body in bytes.
    pub max_body_bytes: usize,
    /// Time for request line and headers.
    #[serde(rename = "header_timeout_ms", deserialize_with = "millis")]
    pub header_timeout: Duration,
    /// Time between two requests of a connection.
    #[serde(rename = "idle_timeout_s", deserialize_with = "seconds")]
    pub idle_timeout: Duration,
    /// Time for a whole body.
    #[serde(rename = "body_timeout_s", deserialize_with = "seconds")]
    pub body_timeout: Duration,
    /// Time for open requests when the daemon stops.
    #[serde(rename = "shutdown_grace_s", deserialize_with = "seconds")]
    pub shutdown_grace: Duration,
}

/// Users of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LocalUsers {
    /// The daemon's own, and root.
    Own,
    Any,
}

/// `[supervision]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupervisionConfig {
    /// Restarts allowed within [`SupervisionConfig::period`].
    pub intensity: u32,
    /// The window in which restarts are counted.
    #[serde(rename = "period_s", deserialize_with = "seconds")]
    pub period: Duration,
    /// Time for a child to end in order.
    #[serde(rename = "shutdown_deadline_s", deserialize_with = "seconds")]
    pub shutdown_deadline: Duration,
    /// Time for a child to get ready.
    #[serde(rename = "start_deadline_s", deserialize_with = "seconds")]
    pub start_deadline: Duration,
    /// Messages that may wait at one address.
    pub mailbox_capacity: NonZeroUsize,
    /// Replaces the interval of every agent's definition.
    #[serde(rename = "heartbeat_interval_s", deserialize_with = "seconds_unless_zero")]
    pub heartbeat_interval: Option<Duration>,
    /// Intervals without heartbeat after which an agent is hung.
    pub hang_factor: NonZeroU32,
}

/// `[sandbox]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SandboxConfig {
    /// Whether agents' commands run unconfined where nothing on the machine can confine them.
    pub unconfined: bool,
}

/// `[trace]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceConfig {
    /// Spans in all rings together.
    pub ring_records: NonZeroUsize,
    /// Spans kept of a trace in which an actor crashed.
    pub frozen_spans: NonZeroUsize,
    pub otlp: OtlpConfig,
}

/// `[trace.otlp]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtlpConfig {
    /// Base URL of a collector, `http://…`; none: no export.
    #[serde(deserialize_with = "non_empty")]
    pub endpoint: Option<String>,
    #[serde(rename = "interval_ms", deserialize_with = "millis")]
    pub interval: Duration,
}

/// `[store]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// Bare name of the database file; see [`SwarmConfig::store_file`](super::SwarmConfig::store_file).
    pub file: String,
    pub backups: NonZeroUsize,
    /// Age of the newest backup at which the next is made; 0: only on request.
    #[serde(rename = "backup_every_s", deserialize_with = "seconds")]
    pub backup_every: Duration,
}

/// `[jobs]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobsConfig {
    /// Threads for work on documents (a 0 in the file has become the number of cores).
    #[serde(deserialize_with = "threads")]
    pub threads: NonZeroUsize,
    /// Age at which a running step is reported as slow.
    #[serde(rename = "step_soft_timeout_s", deserialize_with = "seconds")]
    pub step_soft_timeout: Duration,
    /// Age at which a running step is stopped; above the soft one.
    #[serde(rename = "step_hard_timeout_s", deserialize_with = "seconds")]
    pub step_hard_timeout: Duration,
    /// How long a cancelled step may take to stop before the agent is killed.
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
pub struct IngestConfig {
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
    /// Names of files and folders that are not read.
    pub key_stores: Vec<String>,
}

/// `[agents]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentsConfig {
    /// The user's definitions: an absolute path of an existing folder, or none.
    #[serde(deserialize_with = "non_empty")]
    pub folder: Option<PathBuf>,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
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

/// `[retention]`: days and megabytes of each kind; 0: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionConfig {
    pub jobs_days: u32,
    pub jobs_mb: u32,
    pub traces_days: u32,
    pub traces_mb: u32,
    pub logs_days: u32,
    pub logs_mb: u32,
    /// Days with events.
    pub events_days: NonZeroU32,
    pub events_mb: u32,
}

/// `[registry]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryConfig {
    /// Time between two sweeps for expired services.
    #[serde(rename = "sweep_s", deserialize_with = "seconds")]
    pub sweep: Duration,
}

/// `[prices]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PricesConfig {
    /// The user's table of prices: an absolute path, or none.
    #[serde(deserialize_with = "non_empty")]
    pub file: Option<PathBuf>,
}

/// `[receipts]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptsConfig {
    /// When a receipt must be on the disk.
    pub fsync: FsyncTiming,
}

/// When a receipt must be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FsyncTiming {
    /// Soon after the answer left.
    After,
    /// Before the answer leaves.
    BeforeAnswer,
}

/// `[gateway]`: time limits of calls of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayConfig {
    /// Time for name lookup, connection and TLS.
    #[serde(rename = "connect_timeout_ms", deserialize_with = "millis")]
    pub connect_timeout: Duration,
    /// Time from the request to the first byte of the answer; `None`: as the kind of answer needs.
    #[serde(rename = "first_byte_timeout_ms", deserialize_with = "millis_unless_zero")]
    pub first_byte_timeout: Option<Duration>,
    /// Time between two chunks of the answer.
    #[serde(rename = "idle_timeout_ms", deserialize_with = "millis")]
    pub idle_timeout: Duration,
    /// Time for a whole call, retries and fallbacks included.
    #[serde(rename = "overall_timeout_ms", deserialize_with = "millis")]
    pub overall_timeout: Duration,
}

/// `[provider_router]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderRouterConfig {
    /// Hosts beyond this machine at which a provider may answer without TLS.
    pub plain_http_hosts: Vec<String>,
}

/// `[providers]`: the vendors of models.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvidersConfig {
    pub openai: ProviderConfig,
    pub anthropic: ProviderConfig,
    pub gemini: ProviderConfig,
    pub grok: ProviderConfig,
    pub ollama: OllamaConfig,
    /// Servers of the user's that speak OpenAI's protocol.
    pub compatible: Vec<CompatibleConfig>,
}

/// `[[providers.compatible]]`: a server that speaks OpenAI's protocol (llama.cpp, vLLM, LM Studio, OpenRouter).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompatibleConfig {
    /// Stands before its models (`name/model`) and in price rows.
    pub name: String,
    /// `http(s)://…`, with or without `/v1`.
    pub base_url: String,
    /// The variable that holds its key; none: it needs no key.
    #[serde(default)]
    pub key_env: Option<String>,
    /// Its models; empty: those that it lists.
    #[serde(default)]
    pub models: Vec<String>,
    /// Whether its models cost nothing; otherwise each needs a price row.
    #[serde(default)]
    pub free: bool,
    /// The key, from the environment or `.env`.
    #[serde(skip)]
    pub key: Option<SecretText>,
}

/// `[providers.<vendor>]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// The key; without one, the vendor's port is up and reports `degraded`.
    #[serde(deserialize_with = "non_empty")]
    pub api_key: Option<SecretText>,
    /// `http(s)://…`; a `/` at the end does not matter.
    pub base_url: String,
}

/// `[providers.ollama]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OllamaConfig {
    /// `http(s)://host:port`, from any of Ollama's own forms.
    #[serde(deserialize_with = "ollama_host")]
    pub host: String,
}

/// `[resources]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourcesConfig {
    pub cpu: QuotaSetting,
    /// Memory in megabytes.
    pub mem_mb: QuotaSetting,
    pub gpu: QuotaSetting,
    /// Memory of all accelerators in megabytes.
    pub gpu_mem_mb: QuotaSetting,
    /// Most agents that train at once.
    pub trainers: NonZeroU32,
    /// Most agents that embed at once.
    pub embedders: NonZeroU32,
    /// How long a client's reservation lasts without a job of this daemon.
    #[serde(rename = "lease_s", deserialize_with = "seconds")]
    pub lease: Duration,
}

/// The capacity of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaSetting {
    Number(u64),
    /// The machine's own capacity.
    Auto,
}

/// The word for [`QuotaSetting::Auto`].
pub(super) const AUTO: &str = "auto";

impl<'de> Deserialize<'de> for QuotaSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum WrittenQuota {
            Number(u64),
            Word(String),
        }
        match WrittenQuota::deserialize(deserializer)? {
            WrittenQuota::Number(number) => Ok(Self::Number(number)),
            WrittenQuota::Word(word) if word == AUTO => Ok(Self::Auto),
            WrittenQuota::Word(word) => {
                let message = format!("must be a whole number or \"{AUTO}\", found \"{word}\"");
                Err(serde::de::Error::custom(message))
            }
        }
    }
}

/// A value that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// The value itself, for comparing or sending; never for logs.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretText {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl fmt::Debug for SecretText {
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

fn millis_unless_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    Ok(Some(millis(deserializer)?).filter(|duration| !duration.is_zero()))
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

/// 0 means the number of threads that the machine runs at once; 1 where that is unknown.
fn threads<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NonZeroUsize, D::Error> {
    let asked = NonZeroUsize::new(usize::deserialize(deserializer)?);
    Ok(asked.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN))
}
