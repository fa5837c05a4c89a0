//! What a person may set: defaults, a TOML file, the environment, flags; the later over the earlier.
//!
//! Owns the types of all settings and the way they are read. `config/pas.toml` is built in; it is the
//! list of all keys, their documentation and their defaults at once: a key that is not in it does not
//! exist. Invariants: a [`Config`] that exists has been checked as a whole ([`limits`] holds every
//! bound, [`credentials`] where secrets may go); paths in it are absolute; secrets never appear in `Debug` or
//! [`Config::explain`]. Failure policy: nothing is guessed or clamped; [`ConfigError`] lists everything that is wrong in one go,
//! each with file and line, variable or flag.

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
    Agents, Daemon, Events, Fsync, Gateway, Http, Ingest, Jobs, Log, LogFormat, LogLevel, Ollama, Otlp,
    Prices, Provider, ProviderRouter, Providers, Quota, Receipts, Registry, Resources, Secret, Store,
    Supervision, Trace,
};

/// The documented defaults, as text (what `pas config --defaults` prints).
pub const DEFAULTS: &str = include_str!("../../config/pas.toml");

/// The file that is read from the working directory when no other is named.
pub const FILE_NAME: &str = "pas.toml";

/// The vendors' own variables, in the working directory.
pub const DOTENV_NAME: &str = ".env";

/// All settings of one daemon, checked.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the daemon works and keeps its state.
    pub daemon: Daemon,
    pub http: Http,
    pub supervision: Supervision,
    /// Spans in memory and their export.
    pub trace: Trace,
    pub store: Store,
    /// How jobs and their steps are run.
    pub jobs: Jobs,
    pub ingest: Ingest,
    /// The user's agent definitions.
    pub agents: Agents,
    pub events: Events,
    pub log: Log,
    pub prices: Prices,
    /// The receipts of model calls.
    pub receipts: Receipts,
    pub gateway: Gateway,
    /// The vendors of models.
    pub providers: Providers,
    pub registry: Registry,
    /// Whom to ask for a model.
    pub provider_router: ProviderRouter,
    /// The machine, shared out.
    pub resources: Resources,
    #[serde(skip)]
    effective: Vec<Effective>,
}

impl Config {
    /// Reads, merges and checks all sources.
    ///
    /// # Errors
    /// [`ConfigError`] with every problem found, at its place.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        layers::load(sources)
    }

    /// Every key with the value in force and where it came from, sorted by key; secrets masked.
    #[must_use]
    pub fn explain(&self) -> &[Effective] {
        &self.effective
    }

    /// Credentials and addresses that files of the working directory have set; secrets masked.
    pub fn from_folder(&self) -> impl Iterator<Item = &Effective> {
        self.effective.iter().filter(|setting| credentials::is_from_folder(setting))
    }

    /// Who has set a key.
    #[must_use]
    pub fn origin(&self, key: &str) -> Option<&Origin> {
        self.effective.iter().find(|setting| setting.key == key).map(|setting| &setting.origin)
    }

    #[must_use]
    pub fn store_file(&self) -> PathBuf {
        self.daemon.data_dir.join(&self.store.file)
    }
}

/// Where settings come from. [`Sources::default`] is the built-in defaults alone.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file named with `--config`; without one, [`FILE_NAME`] in the working directory, if there.
    pub file: Option<PathBuf>,
    /// Whether [`FILE_NAME`] (when `file` is `None`) and `.env` are looked for in the working directory.
    pub look_for_file: bool,
    /// Environment variables: those that begin with `PAS_`, and the vendors' own ([`Providers`]); others
    /// are ignored.
    pub env: Vec<(OsString, OsString)>,
    /// Flags of the command.
    pub flags: Flags,
}

impl Sources {
    /// The sources of this process: its environment and the flags of its command line.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>, flags: Flags) -> Self {
        Self { file, look_for_file: true, env: std::env::vars_os().collect(), flags }
    }
}

/// Settings given as flags; `None` leaves the other sources in force.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--workdir`: [`Daemon::workdir`].
    pub workdir: Option<PathBuf>,
    /// `--data-dir`: [`Daemon::data_dir`].
    pub data_dir: Option<PathBuf>,
    /// `--bind`: [`Http::bind`].
    pub bind: Option<IpAddr>,
    /// `--port-offset`: [`Http::port_offset`].
    pub port_offset: Option<u16>,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Origin {
    /// The built-in `config/pas.toml`.
    #[default]
    Default,
    /// A TOML file that the user has named, at a line counted from 1.
    File(PathBuf, usize),
    /// The TOML file of the working directory, at a line counted from 1.
    FolderFile(PathBuf, usize),
    /// A variable in the `.env` of the working directory.
    Dotenv(PathBuf, String),
    Env(String),
    /// A flag, with its dashes.
    Flag(&'static str),
}

impl Origin {
    /// The file that the value stands in.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path, _) => Some(path),
            _ => self.folder_file(),
        }
    }

    /// The file of the working directory that the value stands in: found there rather than named by the
    /// user, so it may be somebody else's.
    #[must_use]
    pub fn folder_file(&self) -> Option<&Path> {
        match self {
            Self::FolderFile(path, _) | Self::Dotenv(path, _) => Some(path),
            Self::Default | Self::File(..) | Self::Env(_) | Self::Flag(_) => None,
        }
    }
}

impl fmt::Display for Origin {
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

/// One line of [`Config::explain`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// `section.key`.
    pub key: String,
    /// The value as TOML; `"***"` for a secret that is set.
    pub value: String,
    pub origin: Origin,
}

impl Effective {
    /// Whether it is a secret that is set.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        layers::SECRETS.contains(&self.key.as_str()) && self.value != "\"\""
    }
}

/// A line as `pas config` shows it: valid TOML with the origin as a comment.
impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}  # {}", self.key, self.value, self.origin)
    }
}

/// The settings make no sense; everything that is wrong, a line each.
#[derive(Debug, thiserror::Error)]
#[error("the configuration cannot be used:{}", self.lines())]
pub struct ConfigError {
    /// What is wrong, in the order of the sources.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    fn lines(&self) -> String {
        self.problems.iter().map(|problem| format!("\n  {problem}")).collect()
    }
}

/// One thing that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// File, file and line, variable or flag.
    pub place: String,
    /// What is wrong there and what to do.
    pub what: String,
}

impl Problem {
    fn at(place: &Origin, what: impl Into<String>) -> Self {
        Self { place: place.to_string(), what: what.into() }
    }

    fn in_file(path: &Path, what: impl Into<String>) -> Self {
        Self { place: path.display().to_string(), what: what.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}
