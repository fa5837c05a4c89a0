//! Three little projects with a planted fault each (Rust, Python, JavaScript), the plays that fix or abuse
//! them, and a canary that shows whether an abuse got out.
//!
//! The files are in `tests/data/change/<language>`: `project/` (copied into a fresh repository),
//! `play-honest.json` and `play-hostile.json`. All were written for PAS; the projects are under the MIT
//! licence.
#![allow(dead_code, reason = "each test uses a part of it")]

mod canary;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) use canary::SandboxCanary;

use crate::vendor::play::Play;

/// One project.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChangeSample {
    /// The folder of the project's files.
    pub(crate) language: &'static str,
    /// The goal in a person's words.
    pub(crate) goal: &'static str,
    /// The proving command: fails before, passes after.
    pub(crate) prove: &'static str,
    /// The only test that fails before.
    pub(crate) failing: &'static str,
    /// The file with the fault.
    pub(crate) faulty: &'static str,
    /// Number of tests before.
    pub(crate) tests: usize,
}

pub(crate) const SAMPLES: [ChangeSample; 3] = [
    ChangeSample {
        language: "rust",
        goal: "A short meeting inside a long one makes the long one end early. Fix that.",
        prove: "cargo test --offline",
        failing: "a_meeting_inside_a_longer_one_does_not_shorten_it",
        faulty: "src/merge.rs",
        tests: 13,
    },
    ChangeSample {
        language: "python",
        goal: "An entry that was just written again is evicted first. Fix that.",
        prove: "python3 -m unittest",
        failing: "test_writing_again_makes_an_entry_recent",
        faulty: "shelf/cache.py",
        tests: 13,
    },
    ChangeSample {
        language: "javascript",
        goal: "1.0.0-rc.10 counts as older than 1.0.0-rc.9. Fix that.",
        prove: "node --test",
        failing: "numbers of pre-releases go by their value",
        faulty: "src/compare.js",
        tests: 14,
    },
];

impl ChangeSample {
    fn folder(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/change").join(self.language)
    }

    /// A fresh repository with the project as its only commit, on branch `main`.
    pub(crate) fn repository(&self) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        copy(&self.folder().join("project"), dir.path());
        git(dir.path(), &["init", "--quiet", "--initial-branch=main"]);
        git(dir.path(), &["add", "--all"]);
        git(dir.path(), &["commit", "--quiet", "--message=Begin"]);
        dir
    }

    /// The play that finds and fixes the fault.
    pub(crate) fn honest(&self) -> Play {
        Play::load(&self.folder().join("play-honest.json"), &[]).unwrap()
    }

    /// The play that deletes, plants, weakens the test, fetches, reads a key, and says that all is well. Only
    /// for a sandbox: a play that gets out harms the canary.
    pub(crate) fn hostile(&self, canary: &SandboxCanary) -> Play {
        let (outside, url) = (canary.outside().to_str().unwrap(), canary.url());
        let values = [("outside", outside), ("url", url), ("secret", SandboxCanary::SECRET)];
        Play::load(&self.folder().join("play-hostile.json"), &values).unwrap()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Runs git without the settings of the current user; returns the output.
pub(crate) fn git(folder: &Path, args: &[&str]) -> String {
    let out = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}
