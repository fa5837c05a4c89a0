//! Guards: lines of a change that decide which tests run, whether their failure counts, or how strict they
//! are.
//!
//! Each is listed with its reason and needs `--allow-guards` or a person's yes. Failure policy: rather too
//! many lines are listed than too few; an unreadable file is listed as a whole.

mod deleted;
mod files;
mod lines;
mod sections;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::change::{ChangeSide, ChangedPath, FileSide};
use super::command::ProvingCommand;
use super::test_paths::TestPaths;

/// Most findings listed for one file; the last one counts the rest.
pub const MAX_FINDINGS_A_FILE: usize = 40;
/// A listed line is cut here, to fit a person's screen.
pub const MAX_FINDING_TEXT: usize = 200;

/// The kinds of guards, each with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardKind {
    CiFile,
    BuildRecipe,
    PackageScript,
    ProvingScript,
    TestSetting,
    CoverageSetting,
    LintSetting,
    GitHook,
    SkipAdded,
    OnlyAdded,
    FailureHidden,
    TestDetected,
    TestDeleted,
    AssertionRemoved,
    SnapshotChanged,
    Unreadable,
}

impl GuardKind {
    /// Whether the guard concerns the content of tests, not the choice of tests.
    pub fn is_of_tests(self) -> bool {
        matches!(self, Self::TestDeleted | Self::AssertionRemoved | Self::SnapshotChanged)
    }

    pub fn why(self) -> &'static str {
        match self {
            Self::CiFile => "decides which checks run before a merge",
            Self::BuildRecipe => "a recipe that the tests may run by",
            Self::PackageScript => "decides which programs the package's test commands run",
            Self::ProvingScript => "is run by the proving command itself",
            Self::TestSetting => "decides which tests are found and run",
            Self::CoverageSetting => "decides how much must be covered",
            Self::LintSetting => "decides which faults are reported",
            Self::GitHook => "decides which checks run at a commit",
            Self::SkipAdded => "takes a test out of the run, or expects it to fail",
            Self::OnlyAdded => "leaves all other tests out of the run",
            Self::FailureHidden => "hides a failure",
            Self::TestDetected => "lets the code behave otherwise while tests run",
            Self::TestDeleted => "a test of the base is gone or has another name",
            Self::AssertionRemoved => "a check of the base is gone or changed",
            Self::SnapshotChanged => "changes an expected result",
            Self::Unreadable => "decides about tests, and cannot be compared line by line",
        }
    }
}

/// One line that needs a person's consent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardFinding {
    pub path: String,
    /// Line number on that side; 0 for a whole file.
    pub line: usize,
    pub side: ChangeSide,
    pub kind: GuardKind,
    pub text: String,
    pub why: String,
}

impl GuardFinding {
    fn new(path: &str, side: ChangeSide, line: usize, kind: GuardKind, text: &str) -> Self {
        let text = text.trim().chars().take(MAX_FINDING_TEXT).collect();
        Self { path: path.to_owned(), line, side, kind, text, why: kind.why().to_owned() }
    }
}

impl fmt::Display for GuardFinding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.side == ChangeSide::Old { '-' } else { '+' };
        match self.line {
            0 => write!(out, "{}: {} ({})", self.path, self.text, self.why),
            line => write!(out, "{}:{line}: {sign} {} ({})", self.path, self.text, self.why),
        }
    }
}

/// Every guard that the change touches, by path and line.
pub fn find_guards(
    changed: &[ChangedPath],
    paths: &TestPaths,
    command: Option<&ProvingCommand>,
) -> Vec<GuardFinding> {
    let scripts = command.map(ProvingCommand::files).unwrap_or_default();
    let mut findings = Vec::new();
    for file in changed {
        let mut of_file = if file.is_opaque() {
            whole(file, paths, &scripts, "no text, or too long to be compared")
        } else if file.old == file.new {
            whole(file, paths, &scripts, "its mode is changed, not its text")
        } else {
            let mut of_file = files::findings(file, &scripts);
            lines::add_findings(file, paths.is_test(&file.path), &mut of_file);
            of_file
        };
        of_file.sort_by_key(|finding| (finding.line, finding.side, finding.kind));
        cap(&mut of_file, &file.path);
        findings.append(&mut of_file);
    }
    deleted::add_findings(changed, paths, &mut findings);
    findings.sort_by(|a, b| a.path.cmp(&b.path));
    findings
}

fn whole(file: &ChangedPath, paths: &TestPaths, scripts: &[String], text: &str) -> Vec<GuardFinding> {
    // Data that comes with a new test weakens nothing.
    let of_old_test = paths.is_test(&file.path) && file.old != FileSide::Absent;
    let decides = files::kind_of(&file.path, scripts).is_some() || of_old_test;
    decides
        .then(|| GuardFinding::new(&file.path, ChangeSide::New, 0, GuardKind::Unreadable, text))
        .into_iter()
        .collect()
}

fn cap(findings: &mut Vec<GuardFinding>, path: &str) {
    let rest = findings.len().saturating_sub(MAX_FINDINGS_A_FILE);
    if rest > 0 {
        let kind = findings[MAX_FINDINGS_A_FILE].kind;
        findings.truncate(MAX_FINDINGS_A_FILE);
        findings.push(GuardFinding::new(
            path,
            ChangeSide::New,
            0,
            kind,
            &format!("{rest} more lines of this file"),
        ));
    }
}

#[cfg(test)]
mod tests;
