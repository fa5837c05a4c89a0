//! A person's repository and pictures of folders, for the tests of this module.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use walkdir::WalkDir;

use super::*;

pub(super) struct TestPerson {
    pub(super) home: tempfile::TempDir,
}

impl TestPerson {
    /// A repository with one commit of these files.
    pub(super) fn with(files: &[(&str, &str)]) -> Self {
        let person = Self { home: tempfile::tempdir().unwrap() };
        person.git(&["init", "-q", "-b", "main", "."]);
        for (path, text) in files {
            person.write(path, text);
        }
        person.commit("first");
        person
    }

    pub(super) fn repo(&self) -> PathBuf {
        let repo = self.home.path().join("repo");
        std::fs::create_dir_all(&repo).unwrap();
        repo
    }

    pub(super) fn root(&self) -> PathBuf {
        self.home.path().join("trees")
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        write(&self.repo().join(path), text);
    }

    pub(super) fn commit(&self, words: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", words]);
    }

    pub(super) fn git(&self, args: &[&str]) -> String {
        git_in(&self.repo(), args)
    }

    pub(super) fn source(&self) -> SourceRepository {
        SourceRepository::inspect(&self.repo(), None).unwrap()
    }

    pub(super) fn tree(&self) -> WorkTree {
        WorkTree::create(&self.root(), &name("run1", "main"), &self.source()).unwrap()
    }

    /// Every file of the checkout and `.git`, with times of change. git freshens the time of an object that
    /// is written again, which only keeps the object from being pruned.
    pub(super) fn picture(&self) -> BTreeMap<PathBuf, String> {
        let entries = WalkDir::new(self.repo()).into_iter().flatten();
        let picture = entries.map(|entry| {
            let about = entry.metadata().unwrap();
            let bytes = if about.is_file() { std::fs::read(entry.path()).unwrap() } else { Vec::new() };
            let object = entry.path().starts_with(self.repo().join(".git/objects")) && about.is_file();
            let time = if object { (0, 0) } else { (about.mtime(), about.mtime_nsec()) };
            let text = format!("{:o} {time:?} {}", about.mode(), blake3::hash(&bytes));
            (entry.path().to_owned(), text)
        });
        picture.collect()
    }
}

pub(super) fn name(run: &str, name: &str) -> TreeName {
    TreeName::new(run, name).unwrap()
}

pub(super) fn write(path: &Path, text: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn try_git(folder: &Path, args: &[&str]) -> std::process::Output {
    Command::new("git")
        .current_dir(folder)
        .args(["-c", "protocol.file.allow=always"])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.org")])
        .envs([("GIT_COMMITTER_NAME", "Ada"), ("GIT_COMMITTER_EMAIL", "ada@example.org")])
        .output()
        .unwrap()
}

/// Runs git as a person or an agent does: in the folder, with the folder's settings.
pub(super) fn git_in(folder: &Path, args: &[&str]) -> String {
    let output = try_git(folder, args);
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TreeThing {
    File { executable: bool, bytes: Vec<u8> },
    Link(PathBuf),
}

/// Files and links below a folder, without `.git`.
pub(super) fn files_of(folder: &Path) -> BTreeMap<PathBuf, TreeThing> {
    let walk = WalkDir::new(folder).min_depth(1).into_iter().filter_entry(|e| e.file_name() != ".git");
    let things = walk.flatten().filter_map(|entry| {
        let path = entry.path().strip_prefix(folder).unwrap().to_owned();
        let about = entry.metadata().unwrap();
        if about.is_symlink() {
            return Some((path, TreeThing::Link(std::fs::read_link(entry.path()).unwrap())));
        }
        let executable = about.permissions().mode() & 0o100 != 0;
        about
            .is_file()
            .then(|| (path, TreeThing::File { executable, bytes: std::fs::read(entry.path()).unwrap() }))
    });
    things.collect()
}

pub(super) fn order(parent: &CommitId, message: &str) -> SealOrder {
    SealOrder {
        author: CommitSignature {
            name: "code-writer".to_owned(),
            email: "code-writer@pas.localhost".to_owned(),
        },
        message: message.to_owned(),
        trailers: vec![("PAS-Run".to_owned(), "run1".to_owned())],
        second: 1_700_000_000,
        parent: parent.clone(),
    }
}
