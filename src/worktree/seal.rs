//! Turns the present tree into the one commit that is proved, reviewed and delivered. Failure policy: the
//! same tree, parent, message and second give the same commit, so sealing again after a crash does no harm.

use super::difficult::{LeftOutPath, add_everything};
use super::ids::{CommitId, TreeId};
use super::tree::{TreeError, WorkTree};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitSignature {
    pub name: String,
    pub email: String,
}

/// The contents of a sealed commit beside the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealOrder {
    pub author: CommitSignature,
    pub message: String,
    /// `Key: value` lines at the end, such as the run and the agents.
    pub trailers: Vec<(String, String)>,
    /// Seconds since 1970; given by the caller, so that sealing twice gives one commit.
    pub second: u64,
    /// The tree's base, or the manager's last commit.
    pub parent: CommitId,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedCommit {
    pub commit: CommitId,
    pub tree: TreeId,
    /// The snapshot of the same moment.
    pub snapshot: CommitId,
    pub left_out: Vec<LeftOutPath>,
}

/// The repository's `.gitattributes` (line ends, say) apply, as to a person's own commit; submodules keep
/// their commit.
pub fn seal(tree: &WorkTree, order: &SealOrder) -> Result<SealedCommit, TreeError> {
    let _alone = tree.lock()?;
    let snapshot = tree.snapshot_alone("sealed")?;
    let index = tree.layout.plain().join("index");
    drop(std::fs::remove_file(index.with_extension("lock")));
    let left_out = add_everything(&|| tree.plain_git(), &tree.layout.tree(), &index)?;
    put_gitlinks_back(tree)?;
    let sealed = tree.parse_tree(&tree.plain_git().arg("write-tree").line()?)?;
    let before =
        tree.plain_git().args(["rev-parse", "--verify"]).arg(format!("{}^{{tree}}", order.parent)).line()?;
    if sealed.as_str() == before {
        return Err(TreeError::NothingChanged(order.parent.clone()));
    }
    let commit = commit_tree(tree, order, &sealed)?;
    tree.write_ref("refs/pas/sealed", &commit)?;
    Ok(SealedCommit { commit, tree: sealed, snapshot: snapshot.commit, left_out })
}

pub(super) fn commit_tree(tree: &WorkTree, order: &SealOrder, files: &TreeId) -> Result<CommitId, TreeError> {
    let mut git = tree.plain_git();
    let date = format!("{} +0000", order.second);
    for (name, value) in [
        ("GIT_AUTHOR_NAME", one_line(&order.author.name)),
        ("GIT_AUTHOR_EMAIL", one_line(&order.author.email)),
        ("GIT_AUTHOR_DATE", date.clone()),
        ("GIT_COMMITTER_DATE", date),
    ] {
        git = git.env(name, value);
    }
    let message = message_of(order).into_bytes();
    let commit =
        git.args(["commit-tree", files.as_str(), "-p", order.parent.as_str()]).input(message).line()?;
    tree.parse_commit(&commit)
}

fn message_of(order: &SealOrder) -> String {
    let words: String = order.message.chars().filter(|c| *c == '\n' || !c.is_control()).collect();
    let words = if words.trim().is_empty() { "Change made by PAS" } else { words.trim() };
    let mut message = format!("{words}\n");
    if !order.trailers.is_empty() {
        message.push('\n');
    }
    for (key, value) in &order.trailers {
        message.push_str(&format!("{}: {}\n", one_line(key), one_line(value)));
    }
    message
}

/// A name with a line break would begin another header.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).filter(|c| !matches!(c, '<' | '>')).collect()
}

/// Whatever a submodule's folder contains, the commit keeps the base's link.
fn put_gitlinks_back(tree: &WorkTree) -> Result<(), TreeError> {
    let links = &tree.made.gitlinks;
    if links.is_empty() {
        return Ok(());
    }
    let listing = tree.plain_git().args(["ls-files", "-z"]).run()?;
    let mut input = Vec::new();
    let zero = "0".repeat(tree.made.base.as_str().len());
    for path in listing.split(|b| *b == 0) {
        let below = |link: &[u8]| path.strip_prefix(link).is_some_and(|rest| rest.starts_with(b"/"));
        if links.iter().any(|(link, _)| below(link)) {
            input.extend(format!("0 {zero}\t").into_bytes());
            input.extend(path);
            input.push(0);
        }
    }
    for (path, commit) in links {
        // A missing folder means that the agent removed the submodule: a change like any other.
        let folder = tree.layout.tree().join(super::ids::GitPath::new(path.clone()).as_path());
        if folder.symlink_metadata().is_ok_and(|about| about.is_dir()) {
            input.extend(format!("160000 {commit}\t").into_bytes());
            input.extend(path);
            input.push(0);
        }
    }
    tree.plain_git().args(["update-index", "-z", "--index-info"]).input(input).run()?;
    Ok(())
}
