//! A daemon that ends by SIGKILL at a chosen commit of its store: before a byte of it is written, or once it is durable
//! and before anybody has heard of it.
//!
//! It is the whole daemon, in a process of this test binary; only the store's bytes pass through here. A commit is found
//! by a text in what it writes (the key of a row, a field of a document), so the point is the same in every run.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use pas::config::{ConfigFlags, ConfigSources, SwarmConfig};
use pas::daemon::{DaemonGround, RunningDaemon};
use tokio_util::sync::CancellationToken;

use crate::support::Place;
use crate::watched_disk::{DiskWatch, watched_home};

/// The child's end: a side and a text in hex. No `PAS_…`: daemons read those.
const DOOM_VARIABLE: &str = "CHANGE_DOOM";
/// The test that is the child.
const CHILD: &str = "change::doom::child";
const KILL: i32 = 9;

/// When a daemon ends, by a commit of its store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CommitCut {
    /// Before it is written, or after it is durable.
    pub(super) is_after: bool,
    /// Stands in what the commit writes, and in no commit before it.
    pub(super) mark: Vec<u8>,
}

impl CommitCut {
    fn to_text(&self) -> String {
        let hex: String = self.mark.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}{hex}", if self.is_after { "+" } else { "-" })
    }

    fn from_text(text: &str) -> Option<Self> {
        let (side, hex) = text.split_at_checked(1)?;
        let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
        let mark = (0..hex.len()).step_by(2).map(byte).collect::<Option<_>>()?;
        Some(Self { is_after: side == "+", mark })
    }
}

/// The daemon that will end.
pub(super) struct DoomedDaemon {
    child: Mutex<Child>,
}

impl DoomedDaemon {
    pub(super) fn start(place: &Place, cut: &CommitCut) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let settings = place.command(&[]);
        let settings = settings.get_envs().filter_map(|(name, value)| Some((name, value?)));
        command.args(["--exact", CHILD, "--ignored", "--nocapture"]).envs(settings);
        command.env(DOOM_VARIABLE, cut.to_text()).current_dir(place.dir.path());
        let log = place.dir.path().join("doomed.log");
        let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Self { child: Mutex::new(command.spawn().unwrap()) }
    }

    /// Whether it has ended, as it was to.
    pub(super) fn is_over(&self, place: &Place) -> bool {
        let Some(status) = self.child.lock().try_wait().unwrap() else { return false };
        let log = std::fs::read_to_string(place.dir.path().join("doomed.log")).unwrap_or_default();
        assert_eq!(status.signal(), Some(KILL), "it ended by itself ({status}):\n{log}");
        true
    }
}

impl Drop for DoomedDaemon {
    fn drop(&mut self) {
        // Ended already, mostly.
        let child = self.child.get_mut();
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// The process that is killed: not a test of its own, and without its variable it does nothing.
#[test]
#[ignore = "the daemon of `kill_matrix`, in a process of its own"]
fn child() {
    let Ok(text) = std::env::var(DOOM_VARIABLE) else { return };
    let cut = CommitCut::from_text(&text).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let sources = ConfigSources {
            env: std::env::vars_os().collect(),
            flags: ConfigFlags::default(),
            ..ConfigSources::default()
        };
        let config = SwarmConfig::load(&sources).unwrap();
        let watch = DoomWatch { cut, is_written: AtomicBool::new(false) };
        let store = watched_home(&config.store_file(), Arc::new(watch));
        let ground = DaemonGround { store, program: env!("CARGO_BIN_EXE_pas").into() };
        let daemon = RunningDaemon::start_on(ground, config, CancellationToken::new()).await.unwrap();
        daemon.run().await.unwrap();
    });
}

/// Ends this process at the commit.
#[derive(Debug)]
struct DoomWatch {
    cut: CommitCut,
    /// The commit's bytes are on their way to the disk.
    is_written: AtomicBool,
}

impl DiskWatch for DoomWatch {
    fn before_change(&self, bytes: &[u8]) -> io::Result<()> {
        if bytes.windows(self.cut.mark.len()).any(|part| part == self.cut.mark) {
            if !self.cut.is_after {
                end();
            }
            self.is_written.store(true, Ordering::SeqCst);
        }
        Ok(())
    }

    fn synced(&self) {
        if self.is_written.load(Ordering::SeqCst) {
            end();
        }
    }
}

/// `kill -9` of this very process.
fn end() -> ! {
    let own = rustix::process::getpid();
    rustix::process::kill_process(own, rustix::process::Signal::KILL).unwrap();
    loop {
        std::thread::park();
    }
}
