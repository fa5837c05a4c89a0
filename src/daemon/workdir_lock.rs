//! One daemon for each working directory: two would write events, receipts and artifacts into the same files.
//!
//! Owns `.pas/daemon.lock` below the working directory, wherever the state is (`daemon.data_dir`). The lock
//! is the kernel's (flock), so it ends with the process, whatever the cause of death; the text in the file
//! only names the owner. Failure policy: a second daemon is refused with the owner's name and a remedy.

use std::fs::{File, TryLockError};
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::SwarmConfig;

/// Below the working directory.
const FILE: &str = ".pas/daemon.lock";
/// The orchestrator's port, before the offset.
const PORT: u16 = 6100;
/// An ending daemon has the lock until the last file is closed.
const PATIENCE: u32 = 25;
const PAUSE: Duration = Duration::from_millis(20);

/// The daemon named in the lock file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockOwner {
    pub pid: u32,
    /// The daemon's port for jobs.
    pub port: u16,
    /// The daemon's data folder.
    pub data_dir: PathBuf,
}

/// The right to work in a directory, for as long as this value lives.
#[derive(Debug)]
pub struct WorkdirLock(#[expect(dead_code, reason = "the lock ends with the open file")] File);

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum WorkdirLockError {
    /// Another daemon works there.
    #[error(
        "{} is already the working directory of another daemon{}; give jobs to that one, stop it, or choose \
         another with --workdir", workdir.display(), by(holder.as_ref())
    )]
    Held {
        workdir: PathBuf,
        /// The owner, as far as the lock file is readable.
        holder: Option<LockOwner>,
    },
    /// The file cannot be used.
    #[error("{} cannot be locked: {source}; is the working directory writable?", file.display())]
    Unusable { file: PathBuf, source: io::Error },
}

fn by(holder: Option<&LockOwner>) -> String {
    let named = |LockOwner { pid, port, data_dir }: &LockOwner| {
        format!(" (process {pid}, port {port}, state in {})", data_dir.display())
    };
    holder.map(named).unwrap_or_default()
}

impl WorkdirLock {
    /// Locks the working directory of these settings. Blocks for some tenths of a second while another daemon
    /// has the lock.
    ///
    /// # Errors
    /// [`WorkdirLockError`].
    pub fn take(config: &SwarmConfig) -> Result<Self, WorkdirLockError> {
        let workdir = &config.daemon.workdir;
        let path = workdir.join(FILE);
        let unusable = |source| WorkdirLockError::Unusable { file: path.clone(), source };
        let mut file = open(&path).map_err(unusable)?;
        let mut tries = 0;
        while let Err(error) = file.try_lock() {
            match error {
                TryLockError::WouldBlock if tries < PATIENCE => {
                    tries += 1;
                    std::thread::sleep(PAUSE);
                }
                TryLockError::WouldBlock => {
                    return Err(WorkdirLockError::Held { workdir: workdir.clone(), holder: named(&path) });
                }
                TryLockError::Error(source) => return Err(unusable(source)),
            }
        }
        let holder = LockOwner {
            pid: std::process::id(),
            port: PORT.saturating_add(config.http.port_offset),
            data_dir: config.daemon.data_dir.clone(),
        };
        note(&mut file, &holder).map_err(unusable)?;
        Ok(Self(file))
    }

    /// The daemon that works in a directory at this moment.
    #[must_use]
    pub fn holder(workdir: &Path) -> Option<LockOwner> {
        let path = workdir.join(FILE);
        let locked = File::open(&path).map(|file| file.try_lock_shared());
        matches!(locked, Ok(Err(TryLockError::WouldBlock))).then(|| named(&path)).flatten()
    }
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    File::options().create(true).truncate(false).read(true).write(true).open(path)
}

fn note(file: &mut File, holder: &LockOwner) -> io::Result<()> {
    let mut text = serde_json::to_vec(holder)?;
    text.push(b'\n');
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(&text)
}

fn named(path: &Path) -> Option<LockOwner> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigSources;

    fn config(workdir: &Path, data_dir: &str, port_offset: u16) -> SwarmConfig {
        let mut sources = ConfigSources::default();
        sources.flags.workdir = Some(workdir.to_owned());
        sources.flags.data_dir = Some(workdir.join(data_dir));
        sources.flags.port_offset = Some(port_offset);
        SwarmConfig::load(&sources).unwrap()
    }

    #[test]
    fn the_second_daemon_of_a_directory_is_refused_with_the_firsts_name() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(WorkdirLock::holder(folder.path()), None);
        let first = WorkdirLock::take(&config(folder.path(), "one", 7)).unwrap();
        let refused = WorkdirLock::take(&config(folder.path(), "two", 8)).unwrap_err().to_string();
        let (pid, state) = (std::process::id(), folder.path().join("one"));
        let holder = format!("(process {pid}, port 6107, state in {})", state.display());
        assert!(refused.contains(&holder) && refused.contains("--workdir"), "{refused}");
        assert_eq!(WorkdirLock::holder(folder.path()).unwrap().port, 6107);
        drop(first);
        assert_eq!(WorkdirLock::holder(folder.path()), None);
        drop(WorkdirLock::take(&config(folder.path(), "two", 8)).unwrap());
    }

    #[test]
    fn what_a_killed_daemon_has_left_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".pas")).unwrap();
        std::fs::write(
            folder.path().join(FILE),
            "{\"pid\": 1, \"port\": 6100, \"data_dir\": \"x\"} and more",
        )
        .unwrap();
        let _lock = WorkdirLock::take(&config(folder.path(), "one", 0)).unwrap();
        let holder = WorkdirLock::holder(folder.path()).unwrap();
        assert_eq!(holder.pid, std::process::id(), "the old text is gone");
    }
}
