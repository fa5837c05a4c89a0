//! Pushes a commit of a tree to a remote of the person's repository, as the person would: their remote, settings and
//! keys, no hook, one branch, never by force. Failure policy: what cannot be pushed is refused before anything is sent;
//! a push that git declines is an end with git's words; nothing is tried twice.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::agent_state::{AgentFiles, quoted_store, read_agent_files};
use super::git::{GitCommand, GitFailure};
use super::ids::{CommitId, GitPath};
use super::tree::{TreeError, WorkTree};

/// A push of a change's few objects ends within it, or hangs.
const PUSH_PATIENCE: Duration = Duration::from_secs(120);
/// The remote is only asked where a branch stands.
const LOOK_PATIENCE: Duration = Duration::from_secs(20);
/// Commits of a push that are listed.
const MAX_COMMITS: usize = 20;
/// A ref's own name is followed this often.
const MAX_SYMBOLIC: usize = 4;

#[derive(Debug, thiserror::Error)]
pub enum PushError {
    #[error("the repository has no remote {remote:?}{}", there(.known))]
    NoRemote { remote: String, known: Vec<String> },
    #[error("the remote {0:?} pushes to several addresses; name one of them as a remote of its own first")]
    SeveralAddresses(String),
    #[error("{0:?} is no branch to push: give a branch, or `commit:branch`, without `+` and wildcards")]
    Reference(String),
    #[error("there is no branch or commit {0:?} in the tree: `git branch` there lists them")]
    NoCommit(String),
    #[error("the commit {0} has nothing that the base has not: commit the work first")]
    NothingNew(CommitId),
    #[error(transparent)]
    Git(#[from] GitFailure),
    #[error(transparent)]
    Tree(#[from] TreeError),
}

fn there(known: &[String]) -> String {
    if known.is_empty() { ": it has none".to_owned() } else { format!(": it has {}", known.join(", ")) }
}

/// The address of a remote. A password in it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteAddress(String);

impl RemoteAddress {
    /// Names the whole address, its secrets included, without giving them away.
    pub fn hash(&self) -> String {
        blake3::hash(self.0.as_bytes()).to_hex().to_string()
    }

    /// The address in a text of git's is replaced by what may be shown of it.
    pub fn hidden_in(&self, text: &str) -> String {
        text.replace(&self.0, &self.to_string())
    }
}

impl fmt::Display for RemoteAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://") else { return f.write_str(&self.0) };
        let authority = rest.split('/').next().unwrap_or_default();
        let Some((user, host)) = authority.rsplit_once('@') else { return f.write_str(&self.0) };
        let path = &rest[authority.len()..];
        match user.split_once(':') {
            // A token stands in the place of the user, too.
            _ if scheme.starts_with("http") => write!(f, "{scheme}://…@{host}{path}"),
            Some((user, _)) => write!(f, "{scheme}://{user}:…@{host}{path}"),
            None => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for RemoteAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A push with everything that it will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushPlan {
    pub remote: String,
    pub address: RemoteAddress,
    /// The branch there, in full: `refs/heads/…`.
    pub branch: String,
    pub commit: CommitId,
    /// How many of its commits the base has not.
    pub ahead: u64,
    /// The newest of them, a line each.
    pub commits: Vec<String>,
}

/// The git that pushes. Whoever runs it sees to it that it ends with them: a push that outlives its daemon moves the
/// branch after a person was asked how it went. Not to be shown: the address may have a password in it.
pub struct PushCommand {
    pub argv: Vec<OsString>,
    /// The whole environment.
    pub environment: Vec<(OsString, OsString)>,
    pub patience: Duration,
}

impl WorkTree {
    /// Finds out where `reference` (a branch of the tree, or `commit:branch`) of the tree would go. The tree's newest
    /// commits must be in a snapshot.
    ///
    /// # Errors
    /// Why it cannot be pushed.
    pub fn plan_push(&self, remote: &str, reference: &str) -> Result<PushPlan, PushError> {
        let (from, to) = reference.split_once(':').unwrap_or((reference, reference));
        let branch = self.branch_name(to).ok_or_else(|| PushError::Reference(reference.to_owned()))?;
        let address = self.address_of(remote)?;
        let commit = self.commit_of(from)?.ok_or_else(|| PushError::NoCommit(from.to_owned()))?;
        let git = || GitCommand::at(&self.layout.git());
        let range = format!("{}..{commit}", self.base());
        let ahead = git().args(["rev-list", "--count", range.as_str()]).line()?.parse().unwrap_or_default();
        if ahead == 0 {
            return Err(PushError::NothingNew(commit));
        }
        let log = git().args(["log", "--no-color", "--format=%h %s"]);
        let log = log.arg(format!("--max-count={MAX_COMMITS}")).arg(range).line()?;
        let commits = log.lines().map(str::to_owned).collect();
        Ok(PushPlan { remote: remote.to_owned(), address, branch, commit, ahead, commits })
    }

    /// The command of a push.
    #[must_use]
    pub fn push_command(&self, plan: &PushPlan) -> PushCommand {
        let own = self.layout.git().join("objects");
        let (argv, environment) = GitCommand::at(Path::new(&self.made.source))
            .by_person()
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", quoted_store(&own))
            .args(["push", "--porcelain", "--no-verify", "--"])
            .arg(&plan.address.0)
            .arg(format!("{}:{}", plan.commit, plan.branch))
            .parts();
        PushCommand { argv, environment, patience: PUSH_PATIENCE }
    }

    /// Where the branch of a plan stands at the remote now; `None` where it is not there.
    ///
    /// # Errors
    /// When the remote gives no answer.
    pub fn pushed_commit(&self, plan: &PushPlan) -> Result<Option<CommitId>, GitFailure> {
        let source = PathBuf::from(&self.made.source);
        let list = GitCommand::at(&source).by_person().args(["ls-remote", "--"]).arg(&plan.address.0);
        let line = list.arg(&plan.branch).patience(LOOK_PATIENCE).line()?;
        Ok(line.split_ascii_whitespace().next().and_then(CommitId::parse))
    }

    fn branch_name(&self, name: &str) -> Option<String> {
        let short = name.strip_prefix("refs/heads/").unwrap_or(name);
        if short.is_empty() || short == "HEAD" || short.starts_with("refs/") || short.starts_with('-') {
            return None;
        }
        let full = format!("refs/heads/{short}");
        let check = GitCommand::at(&self.layout.git()).args(["check-ref-format", full.as_str()]).answer();
        check.is_ok_and(|answer| answer.code == 0).then_some(full)
    }

    /// The one address that the person's git would push to.
    fn address_of(&self, remote: &str) -> Result<RemoteAddress, PushError> {
        let source = PathBuf::from(&self.made.source);
        let git = || GitCommand::at(&source).by_person();
        let known: Vec<String> = git().arg("remote").line()?.lines().map(str::to_owned).collect();
        if !known.iter().any(|name| name == remote) {
            return Err(PushError::NoRemote { remote: remote.to_owned(), known });
        }
        let addresses = git().args(["remote", "get-url", "--push", "--all", remote]).line()?;
        match addresses.lines().collect::<Vec<_>>()[..] {
            [one] => Ok(RemoteAddress(absolute(one, &source))),
            _ => Err(PushError::SeveralAddresses(remote.to_owned())),
        }
    }

    /// The commit behind a name in the agent's git directory, on which git itself is never run; it must be in the
    /// daemon's own store by now.
    fn commit_of(&self, name: &str) -> Result<Option<CommitId>, PushError> {
        let files = read_agent_files(&self.layout);
        let found = CommitId::parse(name).or_else(|| resolve(&files, name));
        let Some(commit) = found else { return Ok(None) };
        let kind = GitCommand::at(&self.layout.git()).args(["cat-file", "-t", commit.as_str()]).answer()?;
        Ok((kind.stdout == b"commit\n").then_some(commit))
    }
}

/// A path is one of the folder in which the person's git would run.
fn absolute(address: &str, git_dir: &Path) -> String {
    let is_path = address.starts_with("./") || address.starts_with("../");
    let checkout = if git_dir.ends_with(".git") { git_dir.parent().unwrap_or(git_dir) } else { git_dir };
    if is_path { checkout.join(address).to_string_lossy().into_owned() } else { address.to_owned() }
}

fn resolve(files: &AgentFiles, name: &str) -> Option<CommitId> {
    let mut name = match name {
        "HEAD" => name.to_owned(),
        _ if name.starts_with("refs/") => name.to_owned(),
        _ => format!("refs/heads/{name}"),
    };
    for _ in 0..MAX_SYMBOLIC {
        let text = match files.get(&GitPath::new(name.as_bytes())) {
            Some(bytes) => std::str::from_utf8(bytes).ok()?.trim(),
            None => return packed(files, &name),
        };
        match text.strip_prefix("ref: ") {
            Some(next) => name = next.trim().to_owned(),
            None => return CommitId::parse(text),
        }
    }
    None
}

fn packed(files: &AgentFiles, name: &str) -> Option<CommitId> {
    let text = std::str::from_utf8(files.get(&GitPath::new("packed-refs"))?).ok()?;
    let line = text.lines().find_map(|line| line.split_once(' ').filter(|(_, known)| *known == name))?;
    CommitId::parse(line.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_never_shown() {
        for (address, shown) in [
            ("https://ada:s3cret@example.org/a.git", "https://…@example.org/a.git"),
            ("https://ada:p@ss@example.org/a.git", "https://…@example.org/a.git"),
            ("https://t0ken@example.org/a.git", "https://…@example.org/a.git"),
            ("ssh://git:s3cret@example.org/a.git", "ssh://git:…@example.org/a.git"),
            ("https://example.org/a:b@c.git", "https://example.org/a:b@c.git"),
            ("ssh://git@example.org:22/a.git", "ssh://git@example.org:22/a.git"),
            ("git@example.org:a.git", "git@example.org:a.git"),
        ] {
            let address = RemoteAddress(address.to_owned());
            assert_eq!((address.to_string(), format!("{address:?}")), (shown.to_owned(), shown.to_owned()));
            assert_eq!(address.hidden_in(&format!("to {}", address.0)), format!("to {shown}"));
        }
    }

    #[test]
    fn a_branch_is_found_loose_packed_and_by_head() {
        let (one, two) = ("1".repeat(40), "2".repeat(40));
        let packed = format!("# pack-refs\n{two} refs/heads/packed\n");
        let files: AgentFiles = [
            ("HEAD", "ref: refs/heads/topic\n".to_owned()),
            ("refs/heads/topic", format!("{one}\n")),
            ("refs/heads/loop", "ref: refs/heads/loop\n".to_owned()),
            ("packed-refs", packed),
        ]
        .map(|(path, text)| (GitPath::new(path), text.into_bytes()))
        .into();
        for (name, found) in [
            ("HEAD", Some(&one)),
            ("topic", Some(&one)),
            ("refs/heads/topic", Some(&one)),
            ("packed", Some(&two)),
            ("loop", None),
            ("gone", None),
        ] {
            assert_eq!(
                resolve(&files, name).as_ref().map(CommitId::as_str),
                found.map(String::as_str),
                "{name}"
            );
        }
    }
}
