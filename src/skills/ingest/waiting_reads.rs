//! Reads that may wait for ever: on a network or a user's file system a server can hang, and in the kernel's own
//! file systems even a regular file can wait for something to happen (`/proc/kmsg`).
//!
//! Invariants: files of the kernel's file systems are never opened; a file of another than a local disk is looked
//! at and read by a thread of its own, which is left behind at the deadline. Threads left behind are counted
//! until they end, and bounded: once [`MAX_STUCK`] wait, further such files are not tried.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Longest wait for one file that is not on a local disk: 64 MiB in this time is a slow network.
pub(super) const FILE_DEADLINE: Duration = Duration::from_secs(30);
/// Threads left behind in one process from which no further wait begins. Waits that began before may still
/// be left behind: one for each thread of the running steps.
const MAX_STUCK: usize = 16;

/// The states of a read by a thread of its own.
const WAITED_FOR: u8 = 0;
const DONE: u8 = 1;
const LEFT_BEHIND: u8 = 2;

static STUCK: AtomicUsize = AtomicUsize::new(0);

/// Where a file lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileSystemKind {
    /// On a disk of this machine, or in its memory.
    Local,
    /// Made up by the kernel.
    Kernel,
    /// Served by another machine or process.
    Served,
}

impl FileSystemKind {
    /// The kind of the file system of `path`; an unknown one counts as served.
    #[cfg(target_os = "linux")]
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        // The numbers are Linux's, from `linux/magic.h` and statfs(2).
        const LOCAL: [i64; 10] = [
            0xef53,      // ext2, ext3, ext4
            0x5846_5342, // XFS
            0x9123_683e, // btrfs
            0xf2f5_2010, // F2FS
            0x2fc1_2fc1, // ZFS
            0x0102_1994, // tmpfs
            0x794c_7630, // overlayfs
            0x4d44,      // FAT
            0x2011_bab0, // exFAT
            0x7371_7368, // squashfs
        ];
        const KERNEL: [i64; 10] = [
            0x9fa0,      // procfs
            0x6265_6572, // sysfs
            0x6462_6720, // debugfs
            0x7472_6163, // tracefs
            0x6367_7270, // cgroup2
            0x0027_e0eb, // cgroup
            0x7363_6673, // securityfs
            0xcafe_4a11, // bpf
            0x6165_676c, // pstore
            0xde5e_81e4, // efivarfs
        ];
        #[expect(clippy::useless_conversion, reason = "the type differs between architectures")]
        let magic = i64::from(rustix::fs::statfs(path)?.f_type);
        Ok(match magic {
            magic if LOCAL.contains(&magic) => Self::Local,
            magic if KERNEL.contains(&magic) => Self::Kernel,
            _ => Self::Served,
        })
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn of(_: &Path) -> io::Result<Self> {
        Ok(Self::Served)
    }
}

/// Reads at most `most` bytes of a file.
pub(super) fn read_now(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    // A named pipe that took the file's place is not waited for.
    let file = File::options().read(true).custom_flags(nonblocking()).open(path)?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn nonblocking() -> i32 {
    rustix::fs::OFlags::NONBLOCK.bits().try_into().unwrap_or(0)
}

/// Why nothing came of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WaitFailure {
    /// The deadline passed.
    Late(Duration),
    /// So many waits never ended that no further one was begun.
    NotBegun,
    /// The thread ended without an answer, or none could be had.
    NoThread,
}

impl fmt::Display for WaitFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late(deadline) => write!(f, "its file system did not answer for {} s", deadline.as_secs()),
            Self::NotBegun => f.write_str("not tried, as too many files before it never answered"),
            Self::NoThread => f.write_str("no thread could wait for its file system: try again"),
        }
    }
}

/// Carries out `work`, which may wait for ever, by a thread of its own.
///
/// # Errors
/// [`WaitFailure`] when there is no answer.
pub(super) fn in_time<T: Send + 'static>(
    deadline: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, WaitFailure> {
    if STUCK.load(Ordering::Acquire) >= MAX_STUCK {
        return Err(WaitFailure::NotBegun);
    }
    let (sender, receiver) = mpsc::sync_channel(1);
    let state = Arc::new(AtomicU8::new(WAITED_FOR));
    let ended = EndOfWait(Arc::clone(&state));
    let waiting = move || {
        // Dropped last, also when the work panics.
        let _ended = ended;
        // A caller that has gone has the answer of the deadline.
        let _ = sender.send(work());
    };
    let thread = std::thread::Builder::new().name("ingest-read".to_owned()).spawn(waiting);
    thread.map_err(|_| WaitFailure::NoThread)?;
    match receiver.recv_timeout(deadline) {
        Ok(answer) => Ok(answer),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(WaitFailure::NoThread),
        Err(mpsc::RecvTimeoutError::Timeout) => {
            leave_behind(&state);
            // It may have come between the deadline and now.
            receiver.try_recv().map_err(|_| WaitFailure::Late(deadline))
        }
    }
}

/// Counts a thread as stuck, unless it has ended.
fn leave_behind(state: &AtomicU8) {
    // Counted before the thread can see that it is left behind: it takes away only what was added.
    STUCK.fetch_add(1, Ordering::AcqRel);
    if state.swap(LEFT_BEHIND, Ordering::AcqRel) == DONE {
        STUCK.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Notes the end of a thread, however it ends.
struct EndOfWait(Arc<AtomicU8>);

impl Drop for EndOfWait {
    fn drop(&mut self) {
        if self.0.swap(DONE, Ordering::AcqRel) == LEFT_BEHIND {
            STUCK.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// The tests share the count of one process.
    static ONE_AT_A_TIME: parking_lot::Mutex<()> = parking_lot::Mutex::new(());

    fn pipe(folder: &Path) -> PathBuf {
        let path = folder.join("pipe");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        path
    }

    #[test]
    fn a_read_that_waits_for_ever_ends_at_the_deadline_and_few_threads_are_left_behind() {
        let _alone = ONE_AT_A_TIME.lock();
        let dir = tempfile::tempdir().unwrap();
        let path = pipe(dir.path());
        let waiting = || {
            let path = path.clone();
            // Opening a pipe for reading waits for a writer.
            move || File::open(path).map(drop).is_ok()
        };
        let deadline = Duration::from_millis(1);
        for tried in 1..=MAX_STUCK {
            assert_eq!(in_time(deadline, waiting()), Err(WaitFailure::Late(deadline)));
            assert_eq!(STUCK.load(Ordering::Relaxed), tried);
        }
        assert_eq!(in_time(Duration::from_secs(60), waiting()), Err(WaitFailure::NotBegun));
        // Open until all have ended: a thread may come to its read only now.
        let writer = File::options().write(true).open(&path).unwrap();
        while STUCK.load(Ordering::Relaxed) > 0 {
            std::thread::yield_now();
        }
        drop(writer);
        let file = dir.path().join("file");
        std::fs::write(&file, "text").unwrap();
        let read = in_time(Duration::from_secs(60), move || read_now(&file, 3).unwrap());
        assert_eq!(read.unwrap(), b"tex");
    }

    #[test]
    fn a_thread_that_ends_while_it_is_left_behind_is_not_counted_and_the_count_never_wraps() {
        let _alone = ONE_AT_A_TIME.lock();
        for _ in 0..2_000 {
            let state = Arc::new(AtomicU8::new(WAITED_FOR));
            let ended = EndOfWait(Arc::clone(&state));
            let ending = std::thread::spawn(move || drop(ended));
            leave_behind(&state);
            assert!(STUCK.load(Ordering::Acquire) <= 1);
            ending.join().unwrap();
            assert_eq!(STUCK.load(Ordering::Acquire), 0);
        }
        let ended = EndOfWait(Arc::new(AtomicU8::new(LEFT_BEHIND)));
        STUCK.fetch_add(1, Ordering::AcqRel);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _ended = ended;
            panic!("a reader's fault");
        }));
        assert_eq!((panicked.is_err(), STUCK.load(Ordering::Acquire)), (true, 0));
    }

    #[test]
    fn a_thread_without_an_answer_and_a_deadline_are_told_apart() {
        let _alone = ONE_AT_A_TIME.lock();
        let failed: Result<(), _> = in_time(Duration::from_secs(60), || panic!("a reader's fault"));
        assert_eq!(failed, Err(WaitFailure::NoThread));
        assert_eq!(STUCK.load(Ordering::Acquire), 0);
        let texts = [WaitFailure::Late(FILE_DEADLINE), WaitFailure::NotBegun, WaitFailure::NoThread];
        let texts = texts.map(|failure| failure.to_string());
        assert!(texts[0].contains("for 30 s") && texts[1].contains("not tried"), "{texts:?}");
    }

    #[test]
    fn a_pipe_in_a_files_place_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read_now(&pipe(dir.path()), 9).unwrap(), b"");
    }

    #[test]
    fn the_kernels_files_are_known() {
        assert_eq!(FileSystemKind::of(Path::new("/proc/self/status")).unwrap(), FileSystemKind::Kernel);
        assert_eq!(FileSystemKind::of(Path::new("/sys")).unwrap(), FileSystemKind::Kernel);
    }
}
