//! Which backend works on this machine, found by running each, and its gaps, in words.
//!
//! "Installed" proves nothing: AppArmor, containers and old kernels let programs start and then refuse.
//! Failure policy: a backend counts only when an attempt to reach outside failed and work inside succeeded.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::bubblewrap::BubblewrapProgram;
use super::launch::{SandboxCommand, SandboxLauncher};
use super::output::OutputLimits;
use super::profile::{SandboxLimits, SandboxPlaces, SandboxProfile};
use super::toolchains::ToolchainSet;
use pas_domain::agent::{AccessLevel, Rights};

/// A probe starts a shell and two programs.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);
const SAYS_INSIDE: &str = "inside";
const SAYS_OUTSIDE: &str = "outside";
/// Tries to write beside the scratch, to read there, and to write in the scratch.
const ATTEMPT: &str = "{ echo x > \"$1/written\"; } 2>/dev/null && echo outside; \
     { read -r _ < \"$1/secret\"; } 2>/dev/null && echo outside; \
     echo x > \"$TMPDIR/probe\" && echo inside";

/// How commands are confined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SandboxBackend {
    /// Landlock and a system call filter in new namespaces.
    LandlockInBubblewrap(BubblewrapProgram),
    /// Landlock and a system call filter.
    Landlock,
    /// The sandbox of macOS.
    Seatbelt,
    /// Commands are refused.
    Nothing,
}

/// The sandbox's guarantees on this machine, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SandboxReport {
    pub backend: &'static str,
    pub holds: Vec<String>,
    /// Gaps, and features that stop working.
    pub degrades: Vec<String>,
    /// Why better backends were not taken.
    pub tried: Vec<String>,
}

impl SandboxReport {
    /// One line, for a job's first event and for its proof.
    #[must_use]
    pub fn summary(&self) -> String {
        match self.degrades.as_slice() {
            [] => format!("commands are confined by {}", self.backend),
            degrades => {
                format!("commands are confined by {}, with limits: {}", self.backend, degrades.join("; "))
            }
        }
    }
}

/// Tries the backends, best first. Takes some 20 ms; the caller should keep the answer.
pub async fn probe_backends(executable: &Path, path: Option<&OsStr>) -> (SandboxBackend, SandboxReport) {
    let mut tried = Vec::new();
    for backend in candidates(path, &mut tried) {
        match attempt(executable, backend.clone()).await {
            Ok(()) => {
                let report = report(&backend, tried);
                return (backend, report);
            }
            Err(why) => tried.push(format!("{}: {why}", name(&backend))),
        }
    }
    (SandboxBackend::Nothing, report(&SandboxBackend::Nothing, tried))
}

#[cfg(target_os = "linux")]
fn candidates(path: Option<&OsStr>, tried: &mut Vec<String>) -> Vec<SandboxBackend> {
    let programs = path.into_iter().flat_map(std::env::split_paths).map(|folder| folder.join("bwrap"));
    // Root started by sudo may have a short PATH.
    let mut programs = programs.chain([PathBuf::from("/usr/bin/bwrap")]).filter(|path| path.is_file());
    let mut backends = Vec::new();
    match programs.next() {
        Some(path) => {
            for disables_user_namespaces in [true, false] {
                let program = BubblewrapProgram { path: path.clone(), disables_user_namespaces };
                backends.push(SandboxBackend::LandlockInBubblewrap(program));
            }
        }
        None => tried.push("bubblewrap is not installed".into()),
    }
    backends.push(SandboxBackend::Landlock);
    backends
}

#[cfg(not(target_os = "linux"))]
fn candidates(_path: Option<&OsStr>, _tried: &mut Vec<String>) -> Vec<SandboxBackend> {
    if cfg!(target_os = "macos") { vec![SandboxBackend::Seatbelt] } else { Vec::new() }
}

async fn attempt(executable: &Path, backend: SandboxBackend) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (outside, scratch) = (folder.path().join("outside"), folder.path().join("scratch"));
    for folder in [&outside, &scratch] {
        std::fs::create_dir(folder).map_err(|error| error.to_string())?;
    }
    std::fs::write(outside.join("secret"), "x\n").map_err(|error| error.to_string())?;
    let places = SandboxPlaces { tree: scratch.clone(), scratch: scratch.clone(), git: None };
    let rights = Rights { filesystem: AccessLevel::None, bash: true, ..Rights::NONE };
    let profile = SandboxProfile::of(rights, &places, &ToolchainSet::default(), SandboxLimits::default());
    let outside = outside.to_string_lossy().into_owned();
    let command = SandboxCommand {
        profile,
        argv: ["/bin/sh", "-c", ATTEMPT, "sh", &outside].map(str::to_owned).into(),
        stdin: None,
        cwd: scratch,
        timeout: PROBE_TIMEOUT,
        output: OutputLimits::default(),
    };
    let launcher = SandboxLauncher::new(executable.to_owned(), backend);
    let end = launcher.run(command, &CancellationToken::new()).await.map_err(|error| error.to_string())?;
    judge(&end.output.text())
}

fn judge(said: &str) -> Result<(), String> {
    match said.trim() {
        SAYS_INSIDE => Ok(()),
        said if said.contains(SAYS_OUTSIDE) => Err("a command got out of it".into()),
        said => Err(format!("a command could not work in it: {said}")),
    }
}

fn name(backend: &SandboxBackend) -> &'static str {
    match backend {
        SandboxBackend::LandlockInBubblewrap(_) => "Landlock, seccomp and bubblewrap",
        SandboxBackend::Landlock => "Landlock and seccomp",
        SandboxBackend::Seatbelt => "sandbox-exec",
        SandboxBackend::Nothing => "nothing",
    }
}

fn report(backend: &SandboxBackend, tried: Vec<String>) -> SandboxReport {
    let mut holds = match backend {
        SandboxBackend::Nothing => Vec::new(),
        _ => vec![
            "files outside the working tree and the scratch can be neither read nor written".to_owned(),
            "no network".to_owned(),
            "the environment is built, not inherited".to_owned(),
        ],
    };
    let mut degrades =
        vec!["a right to the network is not given yet: it needs the daemon's proxy".to_owned()];
    match backend {
        SandboxBackend::LandlockInBubblewrap(program) => {
            holds.push("other processes are not to be seen; loopback is its own".into());
            if !program.disables_user_namespaces {
                degrades
                    .push("this bubblewrap is older than 0.8: only seccomp refuses new namespaces".into());
            }
        }
        SandboxBackend::Landlock => {
            let open = [
                "mode, times and extended attributes of your own files outside can be changed (not their contents)",
                "command lines of other processes can be read",
                "tests that use loopback, unix sockets, POSIX semaphores or /tmp by name fail",
                "the run's own git configuration can be changed by the agent",
                "programs without a right (git, docker, psql) can be started, though nothing can be reached",
            ];
            degrades.extend(open.map(str::to_owned));
        }
        SandboxBackend::Seatbelt => {
            degrades.push("programs that start a sandbox of their own (`swift build`) fail".into());
            degrades.push("limits on memory and processes are not enforced".into());
        }
        SandboxBackend::Nothing => {
            degrades = vec!["bash and python are refused; file tools work".into()];
        }
    }
    degrades.extend(landlock_limits(backend));
    if cfg!(unix) && rustix::process::getuid().is_root() && *backend != SandboxBackend::Nothing {
        degrades.push("the daemon runs as root: the number of processes is watched, not limited".into());
    }
    SandboxReport { backend: name(backend), holds, degrades, tried }
}

#[cfg(target_os = "linux")]
fn landlock_limits(backend: &SandboxBackend) -> Vec<String> {
    let version = super::confine::landlock_version();
    let is_alone = match backend {
        SandboxBackend::Landlock => true,
        SandboxBackend::LandlockInBubblewrap(_) => false,
        SandboxBackend::Seatbelt | SandboxBackend::Nothing => return Vec::new(),
    };
    // Namespaces prevent all of these, so the list matters only without them.
    let limits = [
        (2, "files cannot be moved between folders"),
        (3, "your own files outside can be cut to nothing"),
        (5, "device controls are not refused"),
        (6, "signals reach your other processes"),
    ];
    let missing = limits.iter().filter(|(since, _)| is_alone && version < *since);
    missing.map(|(_, what)| format!("{what} (Landlock {version} of this kernel)")).collect()
}

#[cfg(not(target_os = "linux"))]
fn landlock_limits(_backend: &SandboxBackend) -> Vec<String> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_counts_only_when_it_holds_and_works() {
        assert_eq!(judge("inside\n"), Ok(()));
        assert!(judge("outside\ninside\n").unwrap_err().contains("got out"));
        assert!(judge("").unwrap_err().contains("could not work"));
    }

    #[test]
    fn nothing_says_what_is_refused() {
        let report = report(&SandboxBackend::Nothing, vec!["bubblewrap is not installed".into()]);
        assert!(report.holds.is_empty());
        assert!(report.summary().contains("refused"));
    }
}
