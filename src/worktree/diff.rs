//! Differences between two commits of a tree, as data and as text. Failure policy: git's errors are passed
//! on; text is cut at a named size and says so; no diff program named by a repository is run.

use serde::Serialize;

use super::git::{GitCommand, GitFailure};
use super::ids::{CommitId, GitPath};
use super::source_census::split_once;
use super::tree::{TreeError, WorkTree};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ChangeKind {
    Added,
    Changed,
    Deleted,
    /// The mode differs: executable or not, or a link where a file was.
    Mode,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TreeChange {
    pub path: GitPath,
    pub kind: ChangeKind,
    /// None: binary.
    pub added: Option<u64>,
    pub deleted: Option<u64>,
    /// Runs when called after the change.
    pub executable: bool,
    pub link: bool,
}

/// A diff for reading; unfit for `git apply` when cut or when some bytes were no UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffText {
    pub text: String,
    pub cut: bool,
}

impl WorkTree {
    /// Renames are a deletion and an addition here: a person should see both.
    pub fn changed_files(&self, from: &CommitId, to: &CommitId) -> Result<Vec<TreeChange>, TreeError> {
        let answer = self.diff_git(from, to, &["--raw", "--numstat", "-z", "--no-renames"]).run()?;
        Ok(parse_changes(&answer)?)
    }

    pub fn diff_text(&self, from: &CommitId, to: &CommitId, most: usize) -> Result<DiffText, TreeError> {
        let answer = self.diff_git(from, to, &["-p", "--no-color", "-M"]).cap(most).answer()?;
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        Ok(DiffText { text, cut: answer.cut })
    }

    /// Files with their lines, and a sum, as printed by `git diff --stat`.
    pub fn diffstat(&self, from: &CommitId, to: &CommitId) -> Result<String, TreeError> {
        Ok(self
            .diff_git(from, to, &["--stat=100", "-M"])
            .run()
            .map(|text| String::from_utf8_lossy(&text).into_owned())?)
    }

    fn diff_git(&self, from: &CommitId, to: &CommitId, how: &[&str]) -> GitCommand {
        let git =
            GitCommand::at(&self.layout.git()).args(["diff-tree", "-r", "--no-ext-diff", "--no-textconv"]);
        git.args(how).args([from.as_str(), to.as_str()])
    }
}

fn parse_changes(answer: &[u8]) -> Result<Vec<TreeChange>, GitFailure> {
    let odd =
        |detail: &str| GitFailure::Answer { command: "diff-tree".to_owned(), detail: detail.to_owned() };
    let mut files: Vec<TreeChange> = Vec::new();
    let mut fields = answer.split(|b| *b == 0).filter(|field| !field.is_empty());
    let mut counted = 0;
    while let Some(field) = fields.next() {
        if let Some(raw) = field.strip_prefix(b":") {
            let path = fields.next().ok_or_else(|| odd("a path is missing"))?;
            files.push(parse_raw(raw, path).ok_or_else(|| odd("a raw line"))?);
            continue;
        }
        let (added, rest) = split_once(field, b'\t').ok_or_else(|| odd("a count is missing"))?;
        let (deleted, path) = split_once(rest, b'\t').ok_or_else(|| odd("a count is missing"))?;
        // Counts come in the order of the raw lines.
        let file = files.get_mut(counted).filter(|file| file.path.as_bytes() == path);
        let file = file.ok_or_else(|| odd("counts in another order"))?;
        (file.added, file.deleted) = (number(added), number(deleted));
        counted += 1;
    }
    Ok(files)
}

fn parse_raw(raw: &[u8], path: &[u8]) -> Option<TreeChange> {
    let text = std::str::from_utf8(raw).ok()?;
    let words: Vec<&str> = text.split(' ').collect();
    let [old_mode, new_mode, old, new, status] = words[..] else { return None };
    let kind = match status {
        "A" => ChangeKind::Added,
        "D" => ChangeKind::Deleted,
        _ if old == new || old_mode != new_mode => ChangeKind::Mode,
        _ => ChangeKind::Changed,
    };
    let path = GitPath::new(path);
    let (executable, link) = (new_mode == "100755", new_mode == "120000");
    Some(TreeChange { path, kind, added: None, deleted: None, executable, link })
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
