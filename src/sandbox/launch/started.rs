//! A reaper at work: its control socket, the command's output and the three ways in which waiting ends.
//!
//! Failure policy: a reaper that neither reports nor answers in time is killed, and the command dies too.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf, pipe};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::super::output::OutputCapture;
use super::super::reaper::{KILL_GRACE, ReaperReport, TERM_GRACE, TERMINATE};
use super::{SandboxError, system};

/// How much longer than its grace periods a reaper may take before counting as lost.
const KEEPER_SLACK: Duration = Duration::from_secs(5);
/// Time to read the rest of the pipe after the last process has ended.
const DRAIN: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FollowEnd {
    ByItself,
    TimedOut,
    Cancelled,
}

pub(super) struct StartedReaper {
    child: Child,
    /// Asks the reaper for an end.
    asks: OwnedWriteHalf,
    /// Cancel-safe, unlike `read_line`: a report may come in parts.
    reports: Lines<BufReader<OwnedReadHalf>>,
    output: pipe::Receiver,
}

impl StartedReaper {
    pub(super) fn start<N: AsRef<OsStr>, V: AsRef<OsStr>>(
        executable: &Path,
        argv: &[OsString],
        environment: impl IntoIterator<Item = (N, V)>,
        stdin: Option<Vec<u8>>,
    ) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let (own, theirs) = std::os::unix::net::UnixStream::pair()?;
        own.set_nonblocking(true)?;
        let mut command = Command::new(executable);
        command.args(argv).env_clear().envs(environment).current_dir("/");
        command.stdin(input(stdin)?).stdout(writer).stderr(std::os::fd::OwnedFd::from(theirs));
        // Not killed when dropped: the control socket closes then, and the reaper ends everything in order.
        // Ctrl+C in the daemon's terminal is for the daemon, which then ends the commands in order.
        command.process_group(0);
        let child = command.spawn()?;
        // `command` has copies of the write ends; undropped, they would keep the streams open here.
        drop(command);
        let (reports, asks) = UnixStream::from_std(own)?.into_split();
        let reports = BufReader::new(reports).lines();
        let output = pipe::Receiver::from_owned_fd(reader.into())?;
        Ok(Self { child, asks, reports, output })
    }

    pub(super) async fn follow(
        &mut self,
        deadline: Instant,
        cancel: &CancellationToken,
        mut capture: OutputCapture,
    ) -> Result<(FollowEnd, OutputCapture, ReaperReport), SandboxError> {
        let mut why = FollowEnd::ByItself;
        let mut lost_at = None;
        let (mut buffer, mut is_open) = (vec![0_u8; 64 << 10], true);
        let line;
        loop {
            tokio::select! {
                biased;
                read = self.reports.next_line() => {
                    line = read.map_err(system("the reaper's report"))?.unwrap_or_default();
                    break;
                }
                () = cancel.cancelled(), if lost_at.is_none() => {
                    (why, lost_at) = (FollowEnd::Cancelled, Some(self.terminate().await));
                }
                () = sleep_until(deadline), if lost_at.is_none() => {
                    (why, lost_at) = (FollowEnd::TimedOut, Some(self.terminate().await));
                }
                () = sleep_until(lost_at.unwrap_or(deadline)), if lost_at.is_some() => {
                    return Err(self.lost("it did not answer").await);
                }
                read = self.output.read(&mut buffer), if is_open => match read {
                    Ok(bytes @ 1..) => capture.take(&buffer[..bytes]),
                    Ok(0) | Err(_) => is_open = false,
                },
            }
        }
        let Ok(report) = serde_json::from_str(&line) else {
            return Err(self.lost(line.trim()).await);
        };
        let drained = async {
            while let Ok(bytes @ 1..) = self.output.read(&mut buffer).await {
                capture.take(&buffer[..bytes]);
            }
        };
        // All processes have ended, so the pipe ends soon.
        let _ = timeout(DRAIN, drained).await;
        let _: Result<Result<ExitStatus, _>, _> = timeout(KEEPER_SLACK, self.child.wait()).await;
        Ok((why, capture, report))
    }

    async fn terminate(&mut self) -> Instant {
        // A reaper that has already ended has left a report, which is read next.
        let _ = self.asks.write_all(&[TERMINATE]).await;
        Instant::now() + TERM_GRACE + KILL_GRACE + KEEPER_SLACK
    }

    async fn lost(&mut self, why: &str) -> SandboxError {
        let _ = self.child.kill().await;
        SandboxError::ReaperLost(why.to_owned())
    }
}

/// An input larger than a pipe's buffer would need a writer task, so all input goes through an unnamed file.
fn input(bytes: Option<Vec<u8>>) -> io::Result<Stdio> {
    use std::io::{Seek as _, Write as _};
    let Some(bytes) = bytes else { return Ok(Stdio::null()) };
    let mut file = unnamed_file()?;
    file.write_all(&bytes)?;
    file.rewind()?;
    Ok(Stdio::from(file))
}

#[cfg(target_os = "linux")]
fn unnamed_file() -> io::Result<std::fs::File> {
    use rustix::fs::{MemfdFlags, memfd_create};
    Ok(memfd_create("input", MemfdFlags::CLOEXEC)?.into())
}

#[cfg(not(target_os = "linux"))]
fn unnamed_file() -> io::Result<std::fs::File> {
    tempfile::tempfile()
}
