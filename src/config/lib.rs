//! Configuration: defaults, a TOML file, the environment, flags; later sources override earlier ones.
//!
//! Owns the types of all settings and their reading. `config/pas.toml` is built in, and is at once the list
//! of all keys, their documentation and their defaults: a key missing there does not exist. Invariants: an
//! existing [`SwarmConfig`] has been checked as a whole ([`limits`] has every bound, [`credentials`] decides
//! where secrets may go); all paths are absolute; secrets never appear in `Debug` or
//! [`SwarmConfig::explain`]. Failure policy: nothing is guessed or clamped; [`ConfigError`] lists every
//! mistake at once, each with file and line, variable or flag.

mod compatible;
mod credentials;
mod layers;
mod limits;
mod providers;
mod sections;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use self::sections::{
    AgentsConfig, CompatibleConfig, DaemonConfig, FsyncTiming, GatewayConfig, HttpConfig, IngestConfig,
    JobsConfig, LocalUsers, LogConfig, LogFormat, LogLevel, OllamaConfig, OtlpConfig, PricesConfig,
    ProviderConfig, ProviderRouterConfig, ProvidersConfig, QuotaSetting, ReceiptsConfig, RegistryConfig,
    ResourcesConfig, RetentionConfig, SandboxConfig, SecretText, StoreConfig, SupervisionConfig, TraceConfig,
};

/// The documented defaults, as text (printed by `pas config --defaults`).
pub const DEFAULTS: &str = include_str!("../../config/pas.toml");

/// The file read from the working directory when no other is named.
pub const FILE_NAME: &str = "pas.toml";

/// The vendors' own variables, in the working directory.
pub const DOTENV_NAME: &str = ".env";

/// All settings of one daemon, checked.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwarmConfig {
    /// The daemon's folders.
    pub daemon: DaemonConfig,
    pub http: HttpConfig,
    pub supervision: SupervisionConfig,
    /// Spans in memory and their export.
    pub trace: TraceConfig,
    pub store: StoreConfig,
    /// How jobs and their steps run.
    pub jobs: JobsConfig,
    pub ingest: IngestConfig,
    pub sandbox: SandboxConfig,
    /// The user's agent definitions.
    pub agents: AgentsConfig,
    pub retention: RetentionConfig,
    pub log: LogConfig,
    pub prices: PricesConfig,
    /// The receipts of model calls.
    pub receipts: ReceiptsConfig,
    pub gateway: GatewayConfig,
    /// The vendors of models.
    pub providers: ProvidersConfig,
    pub registry: RegistryConfig,
    /// Which providers may be called.
    pub provider_router: ProviderRouterConfig,
    /// The machine's resources.
    pub resources: ResourcesConfig,
    #[serde(skip)]
    effective: Vec<EffectiveSetting>,
}

impl SwarmConfig {
    /// Reads, merges and checks all sources.
    ///
    /// # Errors
    /// [`ConfigError`] with every problem found, and its place.
    pub fn load(sources: &ConfigSources) -> Result<Self, ConfigError> {
        layers::load(sources)
    }

    /// Every key with the value in force and the value's origin, sorted by key; secrets masked.
    #[must_use]
    pub fn explain(&self) -> &[EffectiveSetting] {
        &self.effective
    }

    /// Credentials and addresses set by files of the working directory; secrets masked.
    pub fn from_folder(&self) -> impl Iterator<Item = &EffectiveSetting> {
        self.effective.iter().filter(|setting| credentials::is_from_folder(setting))
    }

    /// The source that set a key.
    #[must_use]
    pub fn origin(&self, key: &str) -> Option<&ConfigOrigin> {
        self.effective.iter().find(|setting| setting.key == key).map(|setting| &setting.origin)
    }

    #[must_use]
    pub fn store_file(&self) -> PathBuf {
        self.daemon.data_dir.join(&self.store.file)
    }
}

/// The sources of settings. [`ConfigSources::default`] is the built-in defaults alone.
#[derive(Debug, Clone, Default)]
pub struct ConfigSources {
    /// The file named with `--config`; without one, [`FILE_NAME`] in the working directory, if present.
    pub file: Option<PathBuf>,
    /// Whether to look for [`FILE_NAME`] (when `file` is `None`) and `.env` in the working directory.
    pub look_for_file: bool,
    /// Environment variables: those that begin with `PAS_`, and the vendors' own ([`ProvidersConfig`]);
    /// others are ignored.
    pub env: Vec<(OsString, OsString)>,
    /// Flags of the command.
    pub flags: ConfigFlags,
}

impl ConfigSources {
    /// The sources of this process: the environment and the flags of the command line.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>, flags: ConfigFlags) -> Self {
        Self { file, look_for_file: true, env: std::env::vars_os().collect(), flags }
    }
}

/// Settings given as flags; `None` leaves the other sources in force.
#[derive(Debug, Clone, Default)]
pub struct ConfigFlags {
    /// `--workdir`: [`DaemonConfig::workdir`].
    pub workdir: Option<PathBuf>,
    /// `--data-dir`: [`DaemonConfig::data_dir`].
    pub data_dir: Option<PathBuf>,
    /// `--bind`: [`HttpConfig::bind`].
    pub bind: Option<IpAddr>,
    /// `--port-offset`: [`HttpConfig::port_offset`].
    pub port_offset: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ConfigOrigin {
    /// The built-in `config/pas.toml`.
    #[default]
    Default,
    /// A TOML file named by the user, at a line counted from 1.
    File(PathBuf, usize),
    /// The TOML file of the working directory, at a line counted from 1.
    FolderFile(PathBuf, usize),
    /// A variable in the `.env` of the working directory.
    Dotenv(PathBuf, String),
    Env(String),
    /// A flag, dashes included.
    Flag(&'static str),
}

impl ConfigOrigin {
    /// The file that contains the value.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path, _) => Some(path),
            _ => self.folder_file(),
        }
    }

    /// The file of the working directory that contains the value: found there rather than named by the user,
    /// so it may be somebody else's.
    #[must_use]
    pub fn folder_file(&self) -> Option<&Path> {
        match self {
            Self::FolderFile(path, _) | Self::Dotenv(path, _) => Some(path),
            Self::Default | Self::File(..) | Self::Env(_) | Self::Flag(_) => None,
        }
    }
}

impl fmt::Display for ConfigOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) | Self::FolderFile(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Dotenv(path, name) => write!(f, "{}: {name}", path.display()),
            Self::Env(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// One line of [`SwarmConfig::explain`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveSetting {
    /// `section.key`.
    pub key: String,
    /// The value as TOML; `"***"` for a secret that is set.
    pub value: String,
    pub origin: ConfigOrigin,
}

impl EffectiveSetting {
    /// Whether this is a secret that is set.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        layers::SECRETS.contains(&self.key.as_str()) && self.value != "\"\""
    }
}

/// A line of `pas config`: valid TOML with the origin as a comment.
impl fmt::Display for EffectiveSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}  # {}", self.key, self.value, self.origin)
    }
}

/// The settings are unusable; one line for each mistake.
#[derive(Debug, thiserror::Error)]
#[error("the configuration cannot be used:{}", self.lines())]
pub struct ConfigError {
    /// The mistakes, in the order of the sources.
    pub problems: Vec<ConfigProblem>,
}

impl ConfigError {
    fn lines(&self) -> String {
        self.problems.iter().map(|problem| format!("\n  {problem}")).collect()
    }
}

/// One mistake in the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// File, file and line, variable or flag.
    pub place: String,
    /// The mistake and its remedy.
    pub what: String,
}

impl ConfigProblem {
    fn at(place: &ConfigOrigin, what: impl Into<String>) -> Self {
        Self { place: place.to_string(), what: what.into() }
    }

    fn in_file(path: &Path, what: impl Into<String>) -> Self {
        Self { place: path.display().to_string(), what: what.into() }
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}
