//! Limits that the kernel does not enforce for a group of processes, watched from outside.
//!
//! Failure policy: an unreadable figure counts as nothing used; the kernel's own limits on each process apply
//! as well.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::super::processes::{SeenProcess, threads_of_machine};

/// Time between two looks at each process.
const CLOSE_LOOK: Duration = Duration::from_millis(500);
/// Threads of the whole machine may come and go; only a rise by more than this brings the closer look
/// forward.
const RISE: u64 = 128;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchedLimits {
    pub processes: u64,
    pub memory_bytes: u64,
    pub growth_bytes: u64,
    pub writable: Vec<PathBuf>,
}

impl WatchedLimits {
    /// For a program of the daemon's own.
    pub const NONE: Self =
        Self { processes: u64::MAX, memory_bytes: u64::MAX, growth_bytes: u64::MAX, writable: Vec::new() };
}

/// A command's observed use of the machine.
pub(super) struct UseWatch {
    limits: WatchedLimits,
    threads_before: u64,
    free_before: Vec<(PathBuf, u64)>,
    looked: Instant,
}

impl UseWatch {
    pub(super) fn new(limits: WatchedLimits) -> Self {
        let free =
            limits.writable.iter().filter_map(|path| Some((path.clone(), free_bytes(path)?))).collect();
        let threads_before = threads_of_machine().unwrap_or(0);
        Self { limits, threads_before, free_before: free, looked: Instant::now() }
    }

    /// The first broken limit, in words.
    pub(super) fn look(&mut self, processes: impl FnOnce() -> Vec<SeenProcess>) -> Option<String> {
        let has_risen = threads_of_machine().is_some_and(|now| now > self.threads_before + RISE);
        if !has_risen && self.looked.elapsed() < CLOSE_LOOK {
            return None;
        }
        self.looked = Instant::now();
        let seen = processes();
        let threads: u64 = seen.iter().map(|process| process.threads).sum();
        let pages: u64 = seen.iter().map(|process| process.resident_pages).sum();
        let bytes = pages * rustix::param::page_size() as u64;
        if threads > self.limits.processes {
            return Some(format!("{threads} processes and threads; {} are allowed", self.limits.processes));
        }
        if bytes > self.limits.memory_bytes {
            return Some(format!("{bytes} bytes of memory; {} are allowed", self.limits.memory_bytes));
        }
        self.growth().map(|bytes| {
            format!("{bytes} bytes written to the disk; {} are allowed", self.limits.growth_bytes)
        })
    }

    /// Others write to the same disk, so lost space is a reason to measure the folders, not the measure
    /// itself.
    fn growth(&mut self) -> Option<u64> {
        let limit = self.limits.growth_bytes;
        let lost = |(path, before): &(PathBuf, u64)| {
            free_bytes(path).is_some_and(|now| before.saturating_sub(now) > limit)
        };
        if !self.free_before.iter().any(lost) {
            return None;
        }
        let used: u64 = self.free_before.iter().map(|(path, _)| used_bytes(path)).sum();
        if used > limit {
            return Some(used);
        }
        for (path, before) in &mut self.free_before {
            *before = free_bytes(path).unwrap_or(*before);
        }
        None
    }
}

fn free_bytes(path: &Path) -> Option<u64> {
    let system = rustix::fs::statvfs(path).ok()?;
    Some(system.f_bavail.saturating_mul(system.f_frsize))
}

/// Bytes on the disk below a folder; links are not followed.
fn used_bytes(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let (mut open, mut bytes) = (vec![path.to_owned()], 0);
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            bytes += metadata.blocks() * 512;
            if metadata.is_dir() {
                open.push(entry.path());
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(processes: u64, memory_bytes: u64) -> UseWatch {
        let limits = WatchedLimits { processes, memory_bytes, growth_bytes: u64::MAX, writable: Vec::new() };
        let mut watch = UseWatch::new(limits);
        watch.looked -= CLOSE_LOOK;
        watch
    }

    fn process(threads: u64, resident_pages: u64) -> SeenProcess {
        SeenProcess { pid: 1, parent: 0, group: 1, threads, resident_pages, is_zombie: false }
    }

    #[test]
    fn threads_and_memory_count_together() {
        let seen = || vec![process(3, 10), process(2, 10)];
        assert_eq!(watch(5, u64::MAX).look(seen), None);
        assert!(watch(4, u64::MAX).look(seen).unwrap().starts_with("5 processes"));
        let mut small = watch(5, 1 << 10);
        assert!(small.look(seen).unwrap().contains("bytes of memory"));
    }

    #[test]
    fn links_are_not_counted_as_what_they_lead_to() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), vec![1; 8192]).unwrap();
        std::os::unix::fs::symlink("/usr", folder.path().join("b")).unwrap();
        let used = used_bytes(folder.path());
        assert!((8192..32768).contains(&used), "{used}");
    }
}
