//! Starting a daemon for a command, and seeing it end.
//!
//! Invariants: the daemon gets the settings this command has, and a process group of its own, so that
//! Ctrl-C in the terminal reaches only the command; its output goes to `<data_dir>/daemon.log`.
//! Failure policy: whoever waits has a deadline; a daemon that does not come up is told with the end of
//! its log.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use super::Context;
use super::args::Global;
use super::client::{Client, ORCHESTRATOR};
use super::exit::{Exit, Failure};

/// A start takes well under a second; more than this on a loaded machine, and something hangs. Above
/// `supervision.start_deadline_s`, so that the daemon's own complaint comes first.
const START: Duration = Duration::from_secs(20);
/// For the deadlines of the tree's children, beyond the grace for requests.
const STOP: Duration = Duration::from_secs(60);
/// For a request by someone who is leaving.
const LAST_WORD: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(25);
/// Lines of the log shown when a start failed.
const LOG_LINES: usize = 15;
/// An older log is kept beside the new one once it is larger.
const LOG_BYTES: u64 = 4 << 20;

/// A daemon that this command has started.
#[derive(Debug)]
pub(super) struct Launched {
    child: Child,
    /// Where its output goes.
    pub(super) log: PathBuf,
}

/// Starts a daemon with this command's settings and waits until it answers.
///
/// # Errors
/// It ended at once, or does not answer in time; with the end of its log.
pub(super) async fn start(context: &Context) -> Result<Launched, Failure> {
    let data_dir = &context.config.daemon.data_dir;
    let log = data_dir.join("daemon.log");
    let child = spawn(&context.global, &log).map_err(|error| {
        Failure::failed(format!("cannot start a daemon with its log at {}: {error}", log.display()))
    })?;
    let mut launched = Launched { child, log };
    let deadline = Instant::now() + START;
    loop {
        if context.client.is_up().await {
            return Ok(launched);
        }
        if let Some(status) = launched.ended() {
            return Err(launched.failure(&format!("the daemon ended as it started ({status})")));
        }
        if Instant::now() > deadline {
            // It may be half up; nobody else knows of it.
            let _ = launched.child.kill();
            return Err(launched.failure(&format!("the daemon did not answer within {} s", START.as_secs())));
        }
        sleep(LOOK).await;
    }
}

impl Launched {
    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Stops it, unless it has ended: then what answers is a daemon that someone else started.
    ///
    /// # Errors
    /// It refuses, or does not end in time.
    pub(super) async fn stop(mut self, context: &Context) -> Result<(), Failure> {
        if self.ended().is_some() {
            return Ok(());
        }
        context.client.post(&["shutdown"], &json!({})).await?;
        let deadline = Instant::now() + STOP + context.config.http.shutdown_grace;
        let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
        while self.ended().is_none() {
            if Instant::now() > deadline {
                return Err(self.failure("the daemon was asked to stop and goes on"));
            }
            tokio::select! {
                () = sleep(LOOK) => {}
                // It has been asked, and stops by itself.
                _ = &mut interrupt => return Ok(()),
            }
        }
        Ok(())
    }

    /// Asks it to stop, without waiting until it has.
    pub(super) async fn let_go(mut self, client: &Client) {
        if self.ended().is_none() {
            // Who leaves at once does not wait for an answer either.
            let _ = client.post_to(ORCHESTRATOR, &["shutdown"], &json!({}), LAST_WORD).await;
        }
    }

    fn failure(&self, what: &str) -> Failure {
        let tail = tail(&self.log).unwrap_or_else(|error| format!("(the log cannot be read: {error})"));
        Failure::new(
            Exit::Unreachable,
            format!(
                "{what}\nthe end of {}:\n{tail}\nwhat to do: `pas doctor` looks for the cause; `pas up` shows the \
                 daemon's own words",
                self.log.display()
            ),
        )
    }
}

/// Waits until the daemon no longer answers and has let go of its store.
///
/// # Errors
/// It does neither in time.
pub(super) async fn wait_until_gone(context: &Context) -> Result<(), Failure> {
    let patience = STOP + context.config.http.shutdown_grace;
    let (deadline, store) = (Instant::now() + patience, context.config.store_file());
    while context.client.identity(ORCHESTRATOR).await.is_some() || is_held(&store) {
        if Instant::now() > deadline {
            let seconds = patience.as_secs();
            return Err(Failure::failed(format!(
                "the daemon still runs {seconds} s after it was asked to stop"
            )));
        }
        sleep(LOOK).await;
    }
    Ok(())
}

/// Whether another process has the store open: redb holds a lock on the file for as long.
#[must_use]
pub(super) fn is_held(store: &Path) -> bool {
    let locked = File::open(store).map(|file| file.try_lock_shared());
    matches!(locked, Ok(Err(std::fs::TryLockError::WouldBlock)))
}

fn spawn(global: &Global, log: &Path) -> io::Result<Child> {
    if let Some(folder) = log.parent() {
        std::fs::create_dir_all(folder)?;
    }
    if log.metadata().is_ok_and(|file| file.len() > LOG_BYTES) {
        std::fs::rename(log, log.with_extension("log.old"))?;
    }
    let out = File::options().create(true).append(true).open(log)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(flags(global)).arg("up");
    command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn()
}

/// The settings flags as given; relative paths mean the same to the child, which starts in the same folder.
pub(super) fn flags(global: &Global) -> Vec<std::ffi::OsString> {
    let paths =
        [("--data-dir", &global.data_dir), ("--workdir", &global.workdir), ("--config", &global.config)];
    let mut flags = Vec::new();
    for (flag, path) in paths {
        if let Some(path) = path {
            flags.extend([flag.into(), path.clone().into_os_string()]);
        }
    }
    if let Some(offset) = global.port_offset {
        flags.extend(["--port-offset".into(), offset.to_string().into()]);
    }
    if let Some(bind) = global.bind {
        flags.extend(["--bind".into(), bind.to_string().into()]);
    }
    flags
}

fn tail(log: &Path) -> io::Result<String> {
    let text = String::from_utf8_lossy(&std::fs::read(log)?).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.iter().skip(lines.len().saturating_sub(LOG_LINES));
    Ok(last.map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemon_gets_the_flags_of_the_command() {
        let global = Global {
            data_dir: Some("state".into()),
            port_offset: Some(1000),
            bind: Some([127, 0, 0, 1].into()),
            json: true,
            ..Global::default()
        };
        let expected = ["--data-dir", "state", "--port-offset", "1000", "--bind", "127.0.0.1"];
        assert_eq!(flags(&global), expected.map(std::ffi::OsString::from));
    }

    #[test]
    fn only_the_end_of_a_log_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("daemon.log");
        std::fs::write(&log, (1..=40).map(|n| format!("line {n}\n")).collect::<String>()).unwrap();
        let shown = tail(&log).unwrap();
        assert_eq!(shown.lines().count(), LOG_LINES);
        assert!(shown.starts_with("  line 26\n") && shown.ends_with("  line 40"));
    }

    #[test]
    fn an_open_store_is_seen_to_be_held() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pas.redb");
        assert!(!is_held(&path), "there is none");
        let store = crate::store::Store::open(&path).unwrap();
        assert!(is_held(&path));
        drop(store);
    }
}
