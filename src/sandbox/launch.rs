//! Starts a command under a reaper and gathers the output, until the end, the time limit or a cancel.
//!
//! The child's standard error is the control socket, since a child gets no other file without `unsafe`; the
//! command itself writes both streams to one pipe, which keeps their order. Failure policy: a reaper that
//! does not report is killed, which ends the command; a command that could not be confined is an error.

mod bound;
mod started;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::bubblewrap::{BubblewrapProgram, CONFINE_INSIDE, bubblewrap_arguments};
use super::output::{OutputCapture, OutputLimits, SandboxOutput};
use super::probe::SandboxBackend;
use super::profile::SandboxProfile;
use super::reaper::{ReaperReport, ReaperRequest, WatchedLimits};
pub use bound::BoundCommand;
use started::{FollowEnd, StartedReaper};

/// Exit code of a confining process that failed.
pub const CONFINE_FAILED: i32 = 125;
/// Begins the error text of a confining process that failed.
pub const CONFINE_PREFIX: &str = "pas confine: ";
/// A single argument may have 128 KiB on Linux.
const ARGUMENT_BYTES: usize = 96 << 10;

#[derive(Debug, Clone)]
pub struct SandboxCommand {
    pub profile: SandboxProfile,
    pub argv: Vec<String>,
    /// The command's standard input; `None`: empty.
    pub stdin: Option<Vec<u8>>,
    pub cwd: PathBuf,
    pub timeout: Duration,
    pub output: OutputLimits,
}

/// The outcome of a command.
#[derive(Debug, Clone, PartialEq)]
pub struct SandboxEnd {
    pub exit: Option<i32>,
    pub signal: Option<i32>,
    pub seconds: f64,
    pub output: SandboxOutput,
    pub timed_out: bool,
    pub cancelled: bool,
    /// Processes left by the command and ended; unknown where the namespace ended them unseen.
    pub processes_ended: Option<u32>,
    /// The broken limit, in words.
    pub breach: Option<String>,
    /// Whether the command ran without any confinement, as a person allowed.
    pub unconfined: bool,
}

/// Why a command was not run, or why its end is unknown.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error(
        "nothing on this machine can confine a command: use a kernel with Landlock, or set sandbox.unconfined to \
         run commands with all your rights"
    )]
    NothingConfines,
    #[error("the command has {0} bytes; write a script into the tree and run that")]
    TooLong(usize),
    #[error("the command is empty")]
    Empty,
    #[error("a path of the sandbox is no UTF-8: {0}")]
    Encoding(#[from] serde_json::Error),
    #[error("{what}: {source}")]
    System { what: String, source: io::Error },
    #[error("the command was not started, because it could not be confined: {0}")]
    NotConfined(String),
    #[error("the reaper of the command ended without a report ({0}); what the command did is not known")]
    ReaperLost(String),
    #[error("{0} processes of the command could not be ended; look for them with `ps`")]
    Survivors(u32),
}

/// Runs commands by one backend.
#[derive(Debug, Clone)]
pub struct SandboxLauncher {
    executable: PathBuf,
    backend: SandboxBackend,
    unconfined: bool,
}

impl SandboxLauncher {
    /// `executable` handles `confine` and `reap`; usually `std::env::current_exe()`.
    #[must_use]
    pub fn new(executable: PathBuf, backend: SandboxBackend) -> Self {
        Self { executable, backend, unconfined: false }
    }

    /// Lets commands run without confinement where no backend works, as a person allowed.
    #[must_use]
    pub fn allow_unconfined(mut self, allowed: bool) -> Self {
        self.unconfined = allowed;
        self
    }

    /// Whether commands run: confined, or unconfined as a person allowed.
    #[must_use]
    pub fn runs_commands(&self) -> bool {
        self.unconfined || self.backend != SandboxBackend::Nothing
    }

    #[must_use]
    pub fn backend(&self) -> &SandboxBackend {
        &self.backend
    }

    /// Runs a command to the end.
    ///
    /// # Errors
    /// When the command was not started or its end is unknown. A failing command is no error.
    pub async fn run(
        &self,
        command: SandboxCommand,
        cancel: &CancellationToken,
    ) -> Result<SandboxEnd, SandboxError> {
        let mut profile = command.profile.clone();
        profile.confined = self.backend != SandboxBackend::Nothing;
        if !profile.confined && !self.unconfined {
            return Err(SandboxError::NothingConfines);
        }
        profile.hidden = existing(&profile.hidden);
        let wrapped = matches!(self.backend, SandboxBackend::LandlockInBubblewrap(_));
        let argv = self.arguments(&profile, &command, wrapped)?;
        let capture = OutputCapture::new(command.output);
        let mut started = StartedReaper::start(&self.executable, &argv, &profile.environment, command.stdin)
            .map_err(system("the reaper cannot be started"))?;
        let deadline = Instant::now() + command.timeout;
        let (why, capture, report) = started.follow(deadline, cancel, capture).await?;
        let output = capture.finish();
        if let Some(words) = report.failed.clone().or_else(|| refusal(&report, &output, wrapped)) {
            return Err(SandboxError::NotConfined(words));
        }
        if report.left > 0 {
            return Err(SandboxError::Survivors(report.left));
        }
        Ok(SandboxEnd {
            exit: report.exit,
            signal: report.signal,
            seconds: report.seconds,
            output,
            timed_out: why == FollowEnd::TimedOut,
            cancelled: why == FollowEnd::Cancelled,
            processes_ended: report.ended,
            breach: report.breach,
            unconfined: !profile.confined,
        })
    }

    /// The reaper's command line.
    fn arguments(
        &self,
        profile: &SandboxProfile,
        command: &SandboxCommand,
        wrapped: bool,
    ) -> Result<Vec<OsString>, SandboxError> {
        if command.argv.is_empty() {
            return Err(SandboxError::Empty);
        }
        let limits = profile.limits;
        let keep = ReaperRequest {
            wrapped,
            limits: WatchedLimits {
                processes: limits.processes,
                memory_bytes: limits.memory_bytes,
                growth_bytes: limits.growth_bytes,
                writable: profile.writable.clone(),
            },
        };
        let mut argv: Vec<OsString> = vec!["reap".into(), serde_json::to_string(&keep)?.into(), "--".into()];
        argv.extend(self.confining(profile, &command.cwd, wrapped)?);
        argv.extend(command.argv.iter().map(OsString::from));
        match argv.iter().map(|argument| argument.len()).max() {
            Some(longest) if longest > ARGUMENT_BYTES => Err(SandboxError::TooLong(longest)),
            _ => Ok(argv),
        }
    }

    #[cfg(target_os = "linux")]
    fn confining(
        &self,
        profile: &SandboxProfile,
        cwd: &Path,
        wrapped: bool,
    ) -> Result<Vec<OsString>, SandboxError> {
        let request =
            super::confine::ConfineRequest { profile: profile.clone(), cwd: cwd.to_owned(), wrapped };
        let request = serde_json::to_string(&request)?;
        let mut argv = match &self.backend {
            SandboxBackend::LandlockInBubblewrap(program) => self.bubblewrap(program, profile),
            _ => vec![self.executable.clone().into()],
        };
        argv.extend(["confine".into(), request.into(), "--".into()]);
        Ok(argv)
    }

    #[cfg(target_os = "linux")]
    fn bubblewrap(&self, program: &BubblewrapProgram, profile: &SandboxProfile) -> Vec<OsString> {
        let mut argv = bubblewrap_arguments(program, profile, &self.executable);
        argv.push(CONFINE_INSIDE.into());
        argv
    }

    /// The system's own program confines, so no process of ours is needed in between.
    #[cfg(not(target_os = "linux"))]
    fn confining(
        &self,
        profile: &SandboxProfile,
        _cwd: &Path,
        _wrapped: bool,
    ) -> Result<Vec<OsString>, SandboxError> {
        for folder in &profile.folders {
            std::fs::create_dir_all(folder).map_err(system("the scratch"))?;
        }
        match profile.confined {
            true => Ok(["/usr/bin/sandbox-exec", "-p", &super::seatbelt::seatbelt_profile(profile)]
                .map(OsString::from)
                .into()),
            false => Ok(Vec::new()),
        }
    }
}

fn system(what: &str) -> impl FnOnce(io::Error) -> SandboxError {
    move |source| SandboxError::System { what: what.to_owned(), source }
}

/// The existing files of these programs, to be covered: nothing can be bound over a link, and where `/bin` is
/// a separate folder, its copy needs covering too.
fn existing(programs: &[PathBuf]) -> Vec<PathBuf> {
    let files = programs.iter().flat_map(|path| {
        if path.is_symlink() {
            return path.canonicalize().into_iter().collect::<Vec<_>>();
        }
        let short = path.strip_prefix("/usr").map(|rest| Path::new("/").join(rest));
        std::iter::once(path.clone()).chain(short.ok()).filter(|path| path.is_file()).collect()
    });
    files.collect()
}

/// The error text of a confining process that failed. An agent's command can imitate that text, which only
/// turns the command's own result into an error.
fn refusal(report: &ReaperReport, output: &SandboxOutput, wrapped: bool) -> Option<String> {
    let text = String::from_utf8_lossy(&output.head);
    let words = match report.exit {
        Some(CONFINE_FAILED) => text.strip_prefix(CONFINE_PREFIX)?,
        Some(1) if wrapped => text.starts_with("bwrap: ").then_some(text.as_ref())?,
        _ => return None,
    };
    Some(words.trim().to_owned())
}
