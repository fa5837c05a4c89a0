//! Stays outside a confined command and ends all processes that the command leaves.
//!
//! The reaper is a separate process and the nearest subreaper of all its descendants, so a double fork with a
//! new session is still its child. Standard error is the control socket: one byte asks for an orderly end,
//! closing the socket (the daemon died) for an immediate one, and the report goes back as one line of JSON.
//! Failure policy: when in doubt, processes are ended; those that outlive even SIGKILL are counted in the
//! report.

mod watch;

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};

use super::processes::{SeenProcess, descendants, is_namespace_init};
use watch::UseWatch;
pub use watch::WatchedLimits;

/// How long a command may tidy up after SIGTERM.
pub const TERM_GRACE: Duration = Duration::from_secs(2);
/// How long the kernel may take to end processes after SIGKILL before they are reported as left. Long,
/// because a fork bomb left behind would take over the machine, and on a loaded machine even dying takes
/// time.
pub const KILL_GRACE: Duration = Duration::from_secs(60);
/// Pause before the second check whether all processes have ended; doubles each time.
const LOOK: Duration = Duration::from_millis(3);
const LONGEST_LOOK: Duration = Duration::from_millis(50);
/// Time between two looks at the number of threads: a fork bomb makes thousands a second.
const TICK: Duration = Duration::from_millis(50);

/// The byte by which the launcher asks for an end.
pub(super) const TERMINATE: u8 = b'T';

/// The reaper's argument, as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReaperRequest {
    /// Whether the command's first two processes are bubblewrap's own.
    pub wrapped: bool,
    pub limits: WatchedLimits,
}

/// The outcome of the command.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ReaperReport {
    pub exit: Option<i32>,
    pub signal: Option<i32>,
    pub seconds: f64,
    /// Processes that had to be ended; unknown where the namespace ended them unseen.
    pub ended: Option<u32>,
    /// Processes that could not be ended.
    pub left: u32,
    /// The broken limit, in words.
    pub breach: Option<String>,
    /// Why the command could not even be started.
    pub failed: Option<String>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReaperError {
    #[error("the request is not readable: {0}")]
    Request(#[from] serde_json::Error),
    #[error("the reaper cannot prepare itself: {0}")]
    Prepare(#[from] io::Error),
}

/// Runs a command until no process of it is left, and reports on the control socket.
///
/// # Errors
/// The reaper could not start; nothing was run.
pub fn reap(request: &str, command: &[String]) -> Result<(), ReaperError> {
    close_inherited()?;
    let request: ReaperRequest = serde_json::from_str(request)?;
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).map_err(io::Error::from)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(supervise(&request, command))
}

/// Closes inherited descriptors: files that a terminal or editor left open in the daemon are not for agents.
fn close_inherited() -> io::Result<()> {
    let folder = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };
    let names = std::fs::read_dir(folder)?.flatten().map(|entry| entry.file_name());
    let open: Vec<i32> = names.filter_map(|name| name.to_str()?.parse().ok()).collect();
    for number in open.into_iter().filter(|number| *number > 2) {
        // The descriptor of the folder itself is among them, and already closed.
        let _ = nix::unistd::close(number);
    }
    Ok(())
}

async fn supervise(request: &ReaperRequest, command: &[String]) -> Result<(), ReaperError> {
    let control = io::stderr().as_fd().try_clone_to_owned()?;
    let control = std::os::unix::net::UnixStream::from(control);
    control.set_nonblocking(true)?;
    let mut control = UnixStream::from_std(control)?;
    let mut children = signal(SignalKind::child())?;
    let mut ends = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
    let [Ok(term), Ok(interrupt), Ok(hangup)] = &mut ends else {
        return Err(io::Error::other("signals cannot be received").into());
    };
    let mut kept = match KeptCommand::start(request, command) {
        Ok(kept) => kept,
        Err(error) => {
            let failed = Some(format!("{}: {error}", command.first().map_or("", String::as_str)));
            return Ok(send(&mut control, &ReaperReport { failed, ..ReaperReport::default() }).await?);
        }
    };
    let mut tick = tokio::time::interval(TICK);
    let mut byte = [0_u8];
    let mut killing = None;
    loop {
        kept.reap();
        if kept.status.is_some() {
            break;
        }
        tokio::select! {
            _ = children.recv() => {}
            read = control.read(&mut byte) => match read {
                Ok(1..) => { killing.get_or_insert_with(|| kept.terminate()); }
                // The launcher is gone, so nobody waits for an orderly end.
                Ok(0) | Err(_) => break,
            },
            _ = term.recv() => { killing.get_or_insert_with(|| kept.terminate()); }
            _ = interrupt.recv() => { killing.get_or_insert_with(|| kept.terminate()); }
            _ = hangup.recv() => { killing.get_or_insert_with(|| kept.terminate()); }
            _ = tick.tick() => {
                kept.look();
                if kept.breach.is_some() || killing.is_some_and(|at| Instant::now() >= at) {
                    break;
                }
            }
        }
    }
    let left = kept.end_all().await;
    Ok(send(&mut control, &kept.report(left)).await?)
}

/// Ignores a launcher that is gone, as that is no fault of the command.
async fn send(control: &mut UnixStream, report: &ReaperReport) -> io::Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    match control.write_all(&line).await {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// A command at work.
struct KeptCommand {
    main: Pid,
    wrapped: bool,
    started: Instant,
    status: Option<rustix::process::WaitStatus>,
    ended: BTreeSet<i32>,
    asked_to_end: bool,
    watch: UseWatch,
    breach: Option<String>,
}

impl KeptCommand {
    fn start(request: &ReaperRequest, command: &[String]) -> io::Result<Self> {
        let (program, arguments) =
            command.split_first().ok_or_else(|| io::Error::other("no command was given"))?;
        let output = io::stdout().as_fd().try_clone_to_owned()?;
        let watch = UseWatch::new(request.limits.clone());
        let started = Instant::now();
        let child = Command::new(program).args(arguments).stderr(Stdio::from(output)).spawn()?;
        let main = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let main = main.ok_or_else(|| io::Error::other("the system gave no process id"))?;
        Ok(Self {
            main,
            wrapped: request.wrapped,
            started,
            status: None,
            ended: BTreeSet::new(),
            asked_to_end: false,
            watch,
            breach: None,
        })
    }

    /// Reaps all ended children, adopted ones too. `false` when no child is left.
    fn reap(&mut self) -> bool {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.main => self.status = Some(status),
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    fn look(&mut self) {
        let me = rustix::process::getpid().as_raw_nonzero().get();
        self.breach = self.breach.take().or_else(|| self.watch.look(|| descendants(me)));
    }

    /// Asks all processes to end; returns the end of the grace.
    fn terminate(&mut self) -> Instant {
        self.asked_to_end = true;
        for process in self.own_of_command() {
            self.send(process.pid, Signal::TERM);
        }
        Instant::now() + TERM_GRACE
    }

    /// The command's processes, without the two of bubblewrap: ending the first would end the whole namespace
    /// at once.
    fn own_of_command(&self) -> Vec<SeenProcess> {
        let me = rustix::process::getpid().as_raw_nonzero().get();
        let mut all = descendants(me);
        if self.wrapped {
            all.retain(|process| !self.is_bubblewrap(process));
        }
        all
    }

    /// bubblewrap's second process becomes a child of this process when the first has ended, and is then
    /// ending too.
    fn is_bubblewrap(&self, process: &SeenProcess) -> bool {
        let outer = self.main.as_raw_nonzero().get();
        process.pid == outer || process.parent == outer || is_namespace_init(process.pid)
    }

    /// Ends a namespace whose first process has not ended it.
    fn end_namespace(&self) {
        if self.status.is_none() {
            let _ = kill_process(self.main, Signal::KILL);
            return;
        }
        let me = rustix::process::getpid().as_raw_nonzero().get();
        for process in descendants(me).iter().filter(|process| self.is_bubblewrap(process)) {
            if let Some(pid) = Pid::from_raw(process.pid) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }

    fn send(&mut self, pid: i32, signal: Signal) {
        self.ended.insert(pid);
        if let Some(pid) = Pid::from_raw(pid) {
            // An error means that the process has ended meanwhile.
            let _ = kill_process(pid, signal);
        }
    }

    /// Ends all remaining processes; returns how many could not be ended.
    async fn end_all(&mut self) -> u32 {
        let deadline = Instant::now() + KILL_GRACE;
        let mut pause = LOOK;
        while self.reap() {
            let seen = self.own_of_command();
            self.end_groups(&seen);
            for process in seen {
                self.send(process.pid, Signal::KILL);
            }
            #[cfg(not(target_os = "linux"))]
            let _ = rustix::process::kill_process_group(self.main, Signal::KILL);
            if self.wrapped {
                self.end_namespace();
            }
            if Instant::now() >= deadline {
                return u32::try_from(self.own_of_command().len()).unwrap_or(u32::MAX);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_LOOK);
        }
        0
    }

    /// Kills whole process groups: the kernel lets no member start another process meanwhile, while a walk
    /// over single processes would chase the new ones of a fork bomb.
    fn end_groups(&self, seen: &[SeenProcess]) {
        let own = rustix::process::getpgrp().as_raw_nonzero().get();
        let groups: BTreeSet<i32> = seen.iter().map(|process| process.group).collect();
        for group in groups.into_iter().filter(|group| *group != own && *group > 1) {
            if let Some(group) = Pid::from_raw(group) {
                let _ = rustix::process::kill_process_group(group, Signal::KILL);
            }
        }
    }

    fn report(&self, left: u32) -> ReaperReport {
        let (exit, signal) = match &self.status {
            Some(status) => (status.exit_status(), status.terminating_signal()),
            None => (None, Some(Signal::KILL.as_raw())),
        };
        // bubblewrap turns the signal that ended the command into an exit code, as shells do.
        let by_signal = exit.filter(|exit| self.wrapped && (129..=192).contains(exit)).map(|exit| exit - 128);
        let ended = u32::try_from(self.ended.len()).unwrap_or(u32::MAX);
        let was_seen = !self.wrapped || self.asked_to_end || self.breach.is_some() || ended > 0;
        ReaperReport {
            exit,
            signal: signal.or(by_signal),
            seconds: self.started.elapsed().as_secs_f64(),
            ended: was_seen.then_some(ended),
            left,
            breach: self.breach.clone(),
            failed: None,
        }
    }
}
