//! The default corpus: the documents of the crates in this build.
//!
//! A build of PAS leaves about a thousand real texts below cargo's home: READMEs, licences, changelogs and
//! manuals. This module copies them into one folder: copies, because the ingest job refuses links that leave
//! the folder, and because cargo may clean up at any time.
//!
//! Invariants: only crates of the `Cargo.lock` this binary was built from; the folder is complete or absent
//! (built beside the final path, then renamed); rebuilt only when the sources change. Failure policy: missing
//! sources are an error that asks for a folder; an unreadable file aborts the copy, since all of cargo's
//! files are readable.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

const CARGO_LOCK: &str = include_str!("../../Cargo.lock");
/// Raise with every change to the rules below, so that existing folders are rebuilt.
const RULES: u32 = 1;
/// People don't write larger texts; a larger file in a crate is test data or a table.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Depth searched below a crate's root: any crate's manual, with room to spare.
const MAX_DEPTH: usize = 8;
/// Files whose names begin with these (in any case), with any ending except [`NOT_TEXT`].
const NAMES: &[&str] = &["readme", "license", "licence", "copying", "notice", "changelog"];
const ENDINGS: &[&str] = &["md", "markdown", "txt", "rst", "adoc", "org"];
/// Endings that make a file with one of [`NAMES`] something else.
const NOT_TEXT: &[&str] = &["rs", "toml", "json", "png", "svg", "gif", "jpg"];
/// Folders with test and program inputs rather than texts for people.
const SKIPPED_FOLDERS: &[&str] = &[
    "bench",
    "benches",
    "data",
    "fixtures",
    "fuzz",
    "proptest-regressions",
    "res",
    "snapshots",
    "test",
    "testdata",
    "tests",
];

/// Contents of the corpus folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorpusSummary {
    /// Contains one folder per crate.
    pub folder: PathBuf,
    /// Crates with at least one document.
    pub crates: usize,
    pub files: usize,
    pub bytes: u64,
    /// False when the folder already existed.
    pub made_now: bool,
}

/// Why there is no default corpus.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// No sources of this build's crates on this machine.
    #[error(
        "no crate sources of this build below {} (built elsewhere, or from vendored crates?): \
         name a folder instead, with `make run CORPUS=path` or `pas run ingest path`",
        .0.display()
    )]
    NoSources(PathBuf),
    /// Neither `CARGO_HOME` nor a home folder is known.
    #[error(
        "cargo's folder is unknown: neither CARGO_HOME nor HOME is set; \
         name a folder instead, with `make run CORPUS=path` or `pas run ingest path`"
    )]
    NoCargoHome,
    #[error("cannot build the default corpus: {what}: {source}")]
    Io {
        /// The failed operation, with the path.
        what: String,
        source: io::Error,
    },
}

/// Fills `target` (usually `<data_dir>/corpus/crates`) with the documents of this build's crates, unless
/// they are there already. A record of the contents is kept beside `target`.
///
/// # Errors
/// [`CorpusError`]; only `Io` is worth a retry.
pub fn crates_corpus(target: &Path) -> Result<CorpusSummary, CorpusError> {
    let from_env = std::env::var_os("CARGO_HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    let from_home = || std::env::home_dir().map(|home| home.join(".cargo"));
    let cargo_home = from_env.or_else(from_home).ok_or(CorpusError::NoCargoHome)?;
    make(target, &cargo_home, CARGO_LOCK)
}

/// Kept beside the folder: sources and contents.
#[derive(Serialize, Deserialize)]
struct CorpusRecord {
    made_from: String,
    crates: usize,
    files: usize,
    bytes: u64,
}

fn make(target: &Path, cargo_home: &Path, lock: &str) -> Result<CorpusSummary, CorpusError> {
    let sources = downloaded(cargo_home, &locked(lock))?;
    let made_from = fingerprint(&sources);
    let record_file = target.with_extension("json");
    if let Some(record) = existing(target, &record_file, &made_from) {
        return Ok(summary(target, &record, false));
    }
    let partial = target.with_extension(format!("partial-{}", std::process::id()));
    let record = copy_all(&sources, &partial, made_from).and_then(|record| {
        // Without a record the folder counts as absent, so a crash between these steps does no harm.
        remove(&record_file)?;
        remove(target)?;
        std::fs::rename(&partial, target).map_err(io("move into place", target))?;
        write_record(&record_file, &record)?;
        Ok(record)
    });
    if record.is_err() {
        // The error that led here is the one to report.
        let _ = remove(&partial);
    }
    record.map(|record| summary(target, &record, true))
}

/// `name-version` of every crate that comes from a registry.
fn locked(lock: &str) -> Vec<String> {
    #[derive(Deserialize)]
    struct CargoLock {
        #[serde(default)]
        package: Vec<LockedPackage>,
    }
    #[derive(Deserialize)]
    struct LockedPackage {
        name: String,
        version: String,
        source: Option<String>,
    }
    let packages = toml::from_str::<CargoLock>(lock).map(|lock| lock.package).unwrap_or_default();
    let from_registry =
        |package: &LockedPackage| package.source.as_ref().is_some_and(|s| s.starts_with("registry+"));
    packages.iter().filter(|p| from_registry(p)).map(|p| format!("{}-{}", p.name, p.version)).collect()
}

/// The source folders of those crates that cargo unpacked (crates for other systems are skipped), sorted.
fn downloaded(cargo_home: &Path, wanted: &[String]) -> Result<Vec<PathBuf>, CorpusError> {
    let unpacked = cargo_home.join("registry").join("src");
    let Ok(registries) = std::fs::read_dir(&unpacked) else {
        return Err(CorpusError::NoSources(unpacked));
    };
    let mut registries: Vec<PathBuf> = registries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    registries.sort();
    let in_any =
        |name: &String| registries.iter().map(|registry| registry.join(name)).find(|path| path.is_dir());
    let mut found: Vec<PathBuf> = wanted.iter().filter_map(in_any).collect();
    found.sort();
    if found.is_empty() { Err(CorpusError::NoSources(unpacked)) } else { Ok(found) }
}

/// Sources never change under a `name-version`, so the names identify the contents.
fn fingerprint(sources: &[PathBuf]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&RULES.to_le_bytes());
    for name in sources.iter().filter_map(|path| path.file_name()) {
        hasher.update(name.as_encoded_bytes()).update(b"\n");
    }
    hasher.finalize().to_hex().to_string()
}

fn existing(target: &Path, record_file: &Path, made_from: &str) -> Option<CorpusRecord> {
    let record: CorpusRecord = serde_json::from_slice(&std::fs::read(record_file).ok()?).ok()?;
    (record.made_from == made_from && target.is_dir()).then_some(record)
}

fn copy_all(sources: &[PathBuf], into: &Path, made_from: String) -> Result<CorpusRecord, CorpusError> {
    remove(into)?;
    let mut record = CorpusRecord { made_from, crates: 0, files: 0, bytes: 0 };
    for source in sources {
        let files_before = record.files;
        copy_crate(source, into, &mut record)?;
        record.crates += usize::from(record.files > files_before);
    }
    Ok(record)
}

fn copy_crate(source: &Path, into: &Path, record: &mut CorpusRecord) -> Result<(), CorpusError> {
    let registry = source.parent().unwrap_or(source);
    let walk = ignore::WalkBuilder::new(source)
        .standard_filters(false)
        .hidden(true)
        .follow_links(false)
        .max_depth(Some(MAX_DEPTH))
        .filter_entry(|entry| entry.depth() == 0 || !is_skipped_folder(entry))
        .build();
    for entry in walk {
        let entry = entry.map_err(|error| CorpusError::Io {
            what: "look for documents".into(),
            source: io::Error::other(error),
        })?;
        if !is_document(&entry) {
            continue;
        }
        let to = into.join(entry.path().strip_prefix(registry).unwrap_or(entry.path()));
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder).map_err(io("make folder", folder))?;
        }
        record.bytes += std::fs::copy(entry.path(), &to).map_err(io("copy", entry.path()))?;
        record.files += 1;
    }
    Ok(())
}

fn is_skipped_folder(entry: &ignore::DirEntry) -> bool {
    entry.file_type().is_some_and(|kind| kind.is_dir())
        && entry.file_name().to_str().is_some_and(|name| SKIPPED_FOLDERS.contains(&name))
}

fn is_document(entry: &ignore::DirEntry) -> bool {
    entry.file_type().is_some_and(|kind| kind.is_file())
        && has_document_name(entry.path())
        && entry.metadata().is_ok_and(|file| file.len() <= MAX_FILE_BYTES)
}

fn has_document_name(path: &Path) -> bool {
    let lower =
        |part: Option<&OsStr>| part.and_then(OsStr::to_str).map(str::to_lowercase).unwrap_or_default();
    let (name, ending) = (lower(path.file_name()), lower(path.extension()));
    let is_named_so = NAMES.iter().any(|start| name.starts_with(start));
    ENDINGS.contains(&&*ending) || (is_named_so && !NOT_TEXT.contains(&&*ending))
}

fn write_record(file: &Path, record: &CorpusRecord) -> Result<(), CorpusError> {
    let text = serde_json::to_vec_pretty(record).map_err(io::Error::other).map_err(io("write", file))?;
    std::fs::write(file, text).map_err(io("write", file))
}

fn remove(path: &Path) -> Result<(), CorpusError> {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io("remove", path)(error)),
        _ => Ok(()),
    }
}

fn io(what: &str, path: &Path) -> impl FnOnce(io::Error) -> CorpusError {
    let what = format!("{what} {}", path.display());
    |source| CorpusError::Io { what, source }
}

fn summary(target: &Path, record: &CorpusRecord, made_now: bool) -> CorpusSummary {
    let CorpusRecord { crates, files, bytes, .. } = *record;
    CorpusSummary { folder: target.to_owned(), crates, files, bytes, made_now }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
        version = 4
        [[package]]
        name = "alpha"
        version = "1.0.0"
        source = "registry+https://example.org/index"
        [[package]]
        name = "beta"
        version = "2.0.0"
        source = "registry+https://example.org/index"
        [[package]]
        name = "pas"
        version = "0.1.0"
    "#;

    struct FakeCargoHome {
        dir: tempfile::TempDir,
    }

    impl FakeCargoHome {
        fn new() -> Self {
            Self { dir: tempfile::tempdir().unwrap() }
        }

        fn file(&self, path: &str, text: &str) {
            let path = self.home().join("registry/src/example-123").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }

        fn home(&self) -> PathBuf {
            self.dir.path().join("cargo")
        }

        fn target(&self) -> PathBuf {
            self.dir.path().join("data/corpus/crates")
        }

        fn make(&self) -> Result<CorpusSummary, CorpusError> {
            make(&self.target(), &self.home(), LOCK)
        }

        fn copied(&self) -> Vec<String> {
            let walk = ignore::WalkBuilder::new(self.target()).standard_filters(false).build();
            let files = walk.map(Result::unwrap).filter(|entry| entry.path().is_file());
            let relative = |path: &Path| path.strip_prefix(self.target()).unwrap().display().to_string();
            let mut names: Vec<String> = files.map(|entry| relative(entry.path())).collect();
            names.sort();
            names
        }
    }

    #[test]
    fn documents_of_the_locked_crates_are_copied_and_nothing_else() {
        let fake = FakeCargoHome::new();
        for path in [
            "alpha-1.0.0/README.md",
            "alpha-1.0.0/LICENSE-MIT",
            "alpha-1.0.0/COPYING",
            "alpha-1.0.0/docs/deep/er/manual.rst",
            "alpha-1.0.0/Licence.TXT",
            "beta-2.0.0/CHANGELOG",
            // not documents, not ours, or not to be read:
            "alpha-1.0.0/src/license.rs",
            "alpha-1.0.0/tests/fixture.md",
            "alpha-1.0.0/.github/template.md",
            "alpha-1.0.1/README.md",
            "other-1.0.0/README.md",
        ] {
            fake.file(path, "text");
        }
        fake.file("beta-2.0.0/table.txt", &"x".repeat(1 + usize::try_from(MAX_FILE_BYTES).unwrap()));
        let summary = fake.make().unwrap();
        assert_eq!(
            fake.copied(),
            [
                "alpha-1.0.0/COPYING",
                "alpha-1.0.0/LICENSE-MIT",
                "alpha-1.0.0/Licence.TXT",
                "alpha-1.0.0/README.md",
                "alpha-1.0.0/docs/deep/er/manual.rst",
                "beta-2.0.0/CHANGELOG",
            ]
        );
        let folder = fake.target();
        assert_eq!(summary, CorpusSummary { folder, crates: 2, files: 6, bytes: 24, made_now: true });
    }

    #[test]
    fn the_folder_is_made_again_only_when_its_sources_changed() {
        let fake = FakeCargoHome::new();
        fake.file("alpha-1.0.0/README.md", "one");
        assert!(fake.make().unwrap().made_now);
        let again = fake.make().unwrap();
        assert_eq!((again.made_now, again.files, again.bytes), (false, 1, 3));

        fake.file("beta-2.0.0/README.md", "two");
        std::fs::write(fake.target().join("left-over.md"), "").unwrap();
        assert!(fake.make().unwrap().made_now);
        assert_eq!(fake.copied(), ["alpha-1.0.0/README.md", "beta-2.0.0/README.md"]);

        std::fs::remove_dir_all(fake.target()).unwrap();
        assert!(fake.make().unwrap().made_now, "a deleted folder comes back");
        std::fs::write(fake.target().with_extension("json"), "{").unwrap();
        assert!(fake.make().unwrap().made_now, "a damaged record counts as none");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed() {
        let fake = FakeCargoHome::new();
        fake.file("alpha-1.0.0/README.md", "one");
        let krate = fake.home().join("registry/src/example-123/alpha-1.0.0");
        std::os::unix::fs::symlink("README.md", krate.join("LINK.md")).unwrap();
        std::os::unix::fs::symlink("..", krate.join("up")).unwrap();
        assert_eq!(fake.make().unwrap().files, 1);
    }

    #[test]
    fn without_sources_the_error_says_what_to_do() {
        let fake = FakeCargoHome::new();
        let words = fake.make().unwrap_err().to_string();
        assert!(words.contains("registry/src") && words.contains("make run CORPUS=path"), "{words}");
        fake.file("other-1.0.0/README.md", "x");
        assert!(matches!(fake.make(), Err(CorpusError::NoSources(_))));
        assert!(!fake.target().exists());
    }

    #[test]
    fn the_lock_of_this_build_is_understood() {
        let crates = locked(CARGO_LOCK);
        assert!(crates.len() > 100 && crates.iter().any(|name| name.starts_with("tokio-1.")));
        assert!(!crates.iter().any(|name| name.starts_with("pas-")));
    }
}
