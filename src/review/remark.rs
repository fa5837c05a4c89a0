//! One remark of a reviewer, and the rules for remarks.
//!
//! Failure policy: the first broken rule is named with the remark's number, so that the model can fix that
//! remark.

use serde::{Deserialize, Serialize};

/// Longest text of a field: a remark is read by a person.
pub const MAX_FIELD: usize = 2_000;
/// Longest patch: one test, not a suite.
pub const MAX_PATCH: usize = 32 * 1024;

/// Where the fault is, in the new tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewPlace {
    pub path: String,
    #[serde(default)]
    pub line: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemarkSeverity {
    Blocking,
    Note,
}

/// A fault with the input that triggers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewRemark {
    pub place: ReviewPlace,
    pub severity: RemarkSeverity,
    /// The input or the situation that breaks the code.
    pub input: String,
    pub proposal: String,
    /// A unified diff that adds a test which fails on this commit.
    #[serde(default)]
    pub test: Option<String>,
    /// Without a test: the reason why none can show the fault.
    #[serde(default)]
    pub no_test: Option<String>,
}

/// A rule that a remark breaks.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemarkFault {
    #[error("`place.path` must be a path relative to the repository's root, as `src/lib.rs`; it is `{0}`")]
    BadPath(String),
    #[error("`place.line` counts from 1")]
    LineZero,
    #[error("`{0}` is empty")]
    Empty(&'static str),
    #[error("`{field}` has {length} characters; at most {limit}")]
    TooLong { field: &'static str, length: usize, limit: usize },
    #[error(
        "a blocking remark needs `test`, a unified diff that adds a failing test, or `no_test`, the reason why none can"
    )]
    Unproved,
    #[error("give `test` or `no_test`, not both")]
    BothProofs,
    #[error("`test` is no unified diff: it needs `--- `, `+++ b/PATH` and `@@ … @@` lines")]
    NoPatch,
    #[error("`test` changes `{0}`, which is no test file; a remark's patch may only touch tests")]
    PatchesCode(String),
}

impl ReviewRemark {
    /// `is_test` is the project's rule for test files.
    pub fn check(&self, is_test: &impl Fn(&str) -> bool) -> Result<(), RemarkFault> {
        if !is_relative(&self.place.path) {
            return Err(RemarkFault::BadPath(self.place.path.chars().take(80).collect()));
        }
        if self.place.line == Some(0) {
            return Err(RemarkFault::LineZero);
        }
        let blocking = self.severity == RemarkSeverity::Blocking;
        let fields = [
            ("input", Some(&self.input), blocking, MAX_FIELD),
            ("proposal", Some(&self.proposal), true, MAX_FIELD),
            ("test", self.test.as_ref(), self.test.is_some(), MAX_PATCH),
            ("no_test", self.no_test.as_ref(), self.no_test.is_some(), MAX_FIELD),
        ];
        for (field, text, needed, limit) in fields {
            let text = text.map_or("", String::as_str);
            if needed && text.trim().is_empty() {
                return Err(RemarkFault::Empty(field));
            }
            let length = text.chars().count();
            if length > limit {
                return Err(RemarkFault::TooLong { field, length, limit });
            }
        }
        match (&self.test, &self.no_test) {
            (Some(_), Some(_)) => Err(RemarkFault::BothProofs),
            (None, None) if blocking => Err(RemarkFault::Unproved),
            (Some(patch), None) => check_patch(patch, is_test),
            _ => Ok(()),
        }
    }
}

fn check_patch(patch: &str, is_test: &impl Fn(&str) -> bool) -> Result<(), RemarkFault> {
    let paths = patched_paths(patch).ok_or(RemarkFault::NoPatch)?;
    match paths.into_iter().find(|path| !is_relative(path) || !is_test(path)) {
        Some(path) => Err(RemarkFault::PatchesCode(path)),
        None => Ok(()),
    }
}

/// Every path that a unified diff names, on both sides and in git's own lines; `None` for text that is no
/// diff.
fn patched_paths(patch: &str) -> Option<Vec<String>> {
    let mut paths: Vec<String> = Vec::new();
    let (mut old, mut new, mut hunks, mut left) = (0, 0, 0, [0_u64, 0]);
    for line in patch.lines() {
        if left != [0, 0] {
            // Inside a hunk: a removed line `-- a` looks like a file header but is none.
            match line.as_bytes().first() {
                Some(b'-') => left[0] = left[0].saturating_sub(1),
                Some(b'+') => left[1] = left[1].saturating_sub(1),
                Some(b'\\') => {}
                _ => left = left.map(|count| count.saturating_sub(1)),
            }
        } else if let Some(path) = line.strip_prefix("--- ") {
            old += 1;
            paths.extend(side_path(path));
        } else if let Some(path) = line.strip_prefix("+++ ") {
            new += 1;
            paths.extend(side_path(path));
        } else if let Some(header) = line.strip_prefix("@@ ") {
            hunks += 1;
            left = hunk_lengths(header)?;
        } else if ["rename ", "copy ", "old mode ", "new mode ", "Binary ", "GIT binary"]
            .iter()
            .any(|git| line.starts_with(git))
        {
            return None;
        }
    }
    let named = !paths.is_empty();
    paths.sort_unstable();
    paths.dedup();
    (named && old == new && hunks > 0).then_some(paths)
}

fn side_path(path: &str) -> Option<String> {
    let path = path.split('\t').next().unwrap_or(path).trim_end();
    let path = path.strip_prefix("a/").or_else(|| path.strip_prefix("b/")).unwrap_or(path);
    (path != "/dev/null").then(|| path.to_owned())
}

/// Old and new length, from `-1,2 +1,3 @@`.
fn hunk_lengths(header: &str) -> Option<[u64; 2]> {
    let mut ranges = header.split(' ');
    let length = |range: &str, sign: char| {
        let range = range.strip_prefix(sign)?;
        range.split_once(',').map_or(Some(1), |(_, length)| length.parse().ok())
    };
    let lengths = [length(ranges.next()?, '-')?, length(ranges.next()?, '+')?];
    (ranges.next()? == "@@").then_some(lengths)
}

fn is_relative(path: &str) -> bool {
    !path.is_empty()
        && !path.starts_with('/')
        && !path.contains(['\\', '\0', '\n'])
        && path.split('/').all(|part| !part.is_empty() && part != ".." && part != "." && part != ".git")
}
