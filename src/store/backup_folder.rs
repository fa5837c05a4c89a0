//! The folder of a store's backups: the names, and how many are kept.
//!
//! Invariants: every backup that PAS makes on request is directly in this folder; once a backup is whole, the
//! oldest beyond the number kept are deleted, never the new one; only files that end in `.redb` are counted
//! or deleted. One backup at a time, because each copies the whole store. Failure policy: an old backup that
//! cannot be deleted is logged and counted again at the next backup.

use std::io;
use std::num::NonZeroUsize;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use parking_lot::Mutex;

use super::Store;
use super::backup::{BackupError, BackupReport, backup};
use super::open::inspect;
use pas_domain::time::Timestamp;

/// The file name ending of backups; other files in the folder are not touched.
const EXTENSION: &str = "redb";
/// Names tried for backups of one millisecond.
const MAX_NAMES: u32 = 100;

/// One backup at a time in this process, so none is deleted while being counted.
static WRITING: Mutex<()> = Mutex::new(());

/// The folder of a store's backups, and the number kept.
#[derive(Debug, Clone)]
pub struct BackupFolder {
    folder: PathBuf,
    kept: NonZeroUsize,
}

impl BackupFolder {
    /// The folder `backups` below a data folder.
    #[must_use]
    pub fn below(data_dir: &Path, kept: NonZeroUsize) -> Self {
        let folder = data_dir.join("backups");
        // A caller in another working directory must find the file.
        Self { folder: std::path::absolute(&folder).unwrap_or(folder), kept }
    }

    /// Copies the store into a new file of this folder, then deletes the oldest backups beyond the number
    /// kept. `name` is a bare file name or a path in this folder; without it the file is named by `now`.
    ///
    /// Blocks while copying: call from a blocking thread.
    ///
    /// # Errors
    /// [`BackupError`]; then nothing was deleted either.
    pub fn back_up(
        &self,
        store: &Store,
        name: Option<&Path>,
        now: Timestamp,
    ) -> Result<BackupReport, BackupError> {
        let _alone = WRITING.lock();
        let report = match name {
            Some(name) => backup(store, &self.target(name)?)?,
            None => self.by_date(store, now)?,
        };
        if let Err(error) = self.expire(&report.path) {
            tracing::warn!(folder = %self.folder.display(), %error, "old backups could not be deleted");
        }
        Ok(report)
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// When the newest backup was made.
    #[must_use]
    pub fn newest_time(&self) -> Option<SystemTime> {
        self.backups().ok()?.into_iter().map(|(made, _)| made).max()
    }

    /// The newest backup that is whole, and when it was made.
    ///
    /// Blocks for as long as reading it takes.
    #[must_use]
    pub fn newest_good(&self) -> Option<(PathBuf, Timestamp)> {
        let mut all = self.backups().ok()?;
        all.sort();
        let mut good = all.into_iter().rev().filter(|(_, path)| inspect(path).is_ok());
        good.next().map(|(made, path)| {
            let millis = made.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis());
            (path, Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX)))
        })
    }

    fn target(&self, name: &Path) -> Result<PathBuf, BackupError> {
        let bare = name.strip_prefix(&self.folder).unwrap_or(name);
        let mut parts = bare.components();
        let file = match (parts.next(), parts.next()) {
            (Some(Component::Normal(file)), None) => Some(Path::new(file)),
            _ => None,
        };
        let is_backup = |file: &Path| file.extension().is_some_and(|found| found == EXTENSION);
        let file = file.filter(|file| is_backup(file) && !is_hidden(file));
        file.map(|file| self.folder.join(file))
            .ok_or_else(|| BackupError::Outside { name: name.to_owned(), folder: self.folder.clone() })
    }

    fn by_date(&self, store: &Store, now: Timestamp) -> Result<BackupReport, BackupError> {
        let date = now.to_string().replace([':', '.'], "-");
        let mut number = 1;
        loop {
            let suffix = if number == 1 { String::new() } else { format!("-{number}") };
            let report = backup(store, &self.folder.join(format!("pas-{date}{suffix}.{EXTENSION}")));
            match report {
                Err(BackupError::Exists(_)) if number < MAX_NAMES => number += 1,
                report => return report,
            }
        }
    }

    /// Deletes the oldest backups beyond the number kept, but never `newest`: a clock set back would make
    /// that the oldest.
    fn expire(&self, newest: &Path) -> io::Result<()> {
        let mut older = self.backups()?;
        older.retain(|(_, path)| path != newest);
        older.sort();
        let surplus = (older.len() + 1).saturating_sub(self.kept.get());
        for (_, path) in older.into_iter().take(surplus) {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            tracing::info!(path = %path.display(), "an old backup was deleted: newer ones are kept");
        }
        Ok(())
    }

    /// The backups and when they were made.
    fn backups(&self) -> io::Result<Vec<(SystemTime, PathBuf)>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let path = entry.path();
            let facts = match entry.metadata() {
                Ok(facts) => facts,
                // Deleted meanwhile, as drafts are.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let is_backup = facts.is_file() && path.extension().is_some_and(|found| found == EXTENSION);
            if is_backup && !is_hidden(Path::new(&entry.file_name())) {
                found.push((facts.modified()?, path));
            }
        }
        Ok(found)
    }
}

/// Drafts are hidden files.
fn is_hidden(file: &Path) -> bool {
    file.as_os_str().as_encoded_bytes().starts_with(b".")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_780_000_000_000);

    fn folder(directory: &Path, kept: usize) -> (Store, BackupFolder) {
        let store = Store::open(directory.join("pas.redb")).unwrap();
        (store, BackupFolder::below(directory, NonZeroUsize::new(kept).unwrap()))
    }

    fn names(folder: &BackupFolder) -> Vec<String> {
        let entries = std::fs::read_dir(&folder.folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Sets a backup's modification time to `seconds` after the epoch.
    fn age(path: &Path, seconds: u64) {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).unwrap();
    }

    #[test]
    fn so_many_are_kept_and_the_oldest_go() {
        let directory = tempfile::tempdir().unwrap();
        let (store, folder) = folder(directory.path(), 3);
        for n in 0..5 {
            let name = format!("b{}.redb", 9 - n);
            let made = folder.back_up(&store, Some(Path::new(&name)), NOW).unwrap();
            age(&made.path, 100 + n);
        }
        assert_eq!(names(&folder), ["b5.redb", "b6.redb", "b7.redb"], "by age, not by name");
        std::fs::write(folder.folder.join("notes.txt"), "mine").unwrap();
        std::fs::create_dir(folder.folder.join("old.redb")).unwrap();
        for _ in 0..4 {
            folder.back_up(&store, None, NOW).unwrap();
        }
        let left = names(&folder);
        let backups = left.iter().filter(|name| name.starts_with("pas-")).count();
        assert_eq!((left.len(), backups), (5, 3), "what is no backup stays: {left:?}");
        let open =
            Store::open(folder.folder.join(left.iter().find(|name| name.starts_with("pas-")).unwrap()));
        assert!(open.is_ok());
    }

    #[test]
    fn the_new_one_stays_even_if_the_clock_says_that_it_is_the_oldest() {
        let directory = tempfile::tempdir().unwrap();
        let (store, folder) = folder(directory.path(), 1);
        let first = folder.back_up(&store, Some(Path::new("a.redb")), NOW).unwrap();
        age(&first.path, 99_999_999_999);
        folder.back_up(&store, Some(Path::new("b.redb")), NOW).unwrap();
        assert_eq!(names(&folder), ["b.redb"]);
        let exists = folder.back_up(&store, Some(Path::new("b.redb")), NOW).unwrap_err();
        assert!(matches!(exists, BackupError::Exists(_)) && names(&folder) == ["b.redb"]);
    }

    #[test]
    fn a_file_that_vanishes_meanwhile_is_no_fault() {
        let directory = tempfile::tempdir().unwrap();
        let (_store, folder) = folder(directory.path(), 3);
        std::fs::create_dir(&folder.folder).unwrap();
        let is_over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    for n in 0..20 {
                        let path = folder.folder.join(format!("{n}.redb"));
                        std::fs::write(&path, "").unwrap();
                        std::fs::remove_file(path).unwrap();
                    }
                }
            });
            let looks: Vec<_> = (0..3000).map(|_| folder.backups().map(drop)).collect();
            is_over.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(looks.iter().all(Result::is_ok), "{:?}", looks.iter().find(|look| look.is_err()));
        });
    }

    #[test]
    fn nothing_is_made_elsewhere() {
        let directory = tempfile::tempdir().unwrap();
        let (store, folder) = folder(directory.path(), 3);
        let above = directory.path().join("x.redb");
        for name in [
            "",
            ".",
            "..",
            "../x.redb",
            "a/x.redb",
            "/x.redb",
            "x",
            "x.jsonl",
            ".redb",
            ".x.redb",
            "x.redb/.",
        ]
        .map(Path::new)
        .into_iter()
        .chain([above.as_path()])
        {
            let refused = folder.back_up(&store, Some(name), NOW).map(|report| report.path);
            if name == Path::new("x.redb/.") {
                // The same name in another case.
                assert_eq!(refused.unwrap(), folder.folder.join("x.redb"));
                continue;
            }
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains("only in"), "{}: {refused}", name.display());
        }
        assert!(!above.exists());
        let own = folder.folder.join("own.redb");
        assert_eq!(folder.back_up(&store, Some(&own), NOW).unwrap().path, own, "its own path is one of it");
    }
}
