//! Folders of one tree and the files that make a git directory: written by the daemon alone, never by `git
//! init`, so no template or setting of the machine applies. Failure policy: plain I/O errors; every write can
//! be repeated.

use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::ids::TreeName;
use super::source_folder::quote_alternate;

/// Written last, so a folder without this file is half made and has no agent's work.
pub(super) const MADE_FILE: &str = "tree.json";
/// Relative, so valid wherever the sandbox puts the two folders side by side.
const DOT_GIT: &[u8] = b"gitdir: ../agent\n";
/// Bytes go in and out unchanged: no line ends, `$Id$`, encodings or filters, whatever `.gitattributes` says.
const RAW_ATTRIBUTES: &str = "* -text -eol -crlf -ident -filter -working-tree-encoding\n";

/// Paths below `<root>/<run>/<name>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TreeLayout {
    pub(super) folder: PathBuf,
}

impl TreeLayout {
    pub(super) fn new(root: &Path, name: &TreeName) -> Self {
        // git runs in another folder than the daemon, so a relative root would name another place there.
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        Self { folder: root.join(name.run()).join(name.name()) }
    }

    pub(super) fn tree(&self) -> PathBuf {
        self.folder.join("tree")
    }

    pub(super) fn git(&self) -> PathBuf {
        self.folder.join("git")
    }

    pub(super) fn plain(&self) -> PathBuf {
        self.folder.join("plain")
    }

    pub(super) fn agent(&self) -> PathBuf {
        self.folder.join("agent")
    }

    pub(super) fn strays(&self) -> PathBuf {
        self.folder.join("strays")
    }

    pub(super) fn made(&self) -> PathBuf {
        self.folder.join(MADE_FILE)
    }
}

/// Everything that the sandbox has to bind, at the same absolute paths; nothing else may be bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxPaths {
    /// Start directory of the agent, who may fill and break it, and likewise the git directory.
    pub tree: PathBuf,
    pub git: PathBuf,
    /// Files within the two folders, bound read-only where the sandbox can (bubblewrap). Landlock alone
    /// cannot, and no guarantee depends on that: the daemon never runs git on these files and writes them
    /// anew before each call.
    pub protected: Vec<PathBuf>,
    /// Object stores: objects only, no settings, refs or credentials of the person's repository.
    pub borrowed: Vec<PathBuf>,
    pub environment: Vec<(&'static str, &'static str)>,
}

pub(super) fn git_environment() -> Vec<(&'static str, &'static str)> {
    vec![
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        // Inside a user namespace the files may seem to belong to another user.
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "safe.directory"),
        ("GIT_CONFIG_VALUE_0", "*"),
        ("GIT_TERMINAL_PROMPT", "0"),
    ]
}

pub(super) struct GitDirPlan<'a> {
    pub(super) alternates: &'a [PathBuf],
    pub(super) shallow: Option<&'a [u8]>,
    pub(super) object_format: &'a str,
    pub(super) exclude: Option<Vec<u8>>,
    /// Whether files are taken as bytes, without the repository's attributes.
    pub(super) raw: bool,
}

pub(super) fn make_git_dir(dir: &Path, plan: &GitDirPlan<'_>) -> io::Result<()> {
    for part in ["objects/info", "objects/pack", "refs/heads", "info"] {
        make_folder(&dir.join(part))?;
    }
    let mut lines = Vec::new();
    for store in plan.alternates {
        lines.extend(quote_alternate(store));
        lines.push(b'\n');
    }
    replace_file(&dir.join("objects/info/alternates"), &lines)?;
    if let Some(shallow) = plan.shallow {
        replace_file(&dir.join("shallow"), shallow)?;
    }
    if let Some(exclude) = &plan.exclude {
        replace_file(&dir.join("info/exclude"), exclude)?;
    }
    if plan.raw {
        replace_file(&dir.join("info/attributes"), RAW_ATTRIBUTES.as_bytes())?;
    }
    replace_file(&dir.join("config"), settings(plan).as_bytes())?;
    replace_file(&dir.join("HEAD"), b"ref: refs/heads/none\n")
}

fn format_lines(object_format: &str) -> String {
    if object_format == "sha1" {
        return "[core]\n\trepositoryFormatVersion = 0\n".to_owned();
    }
    format!("[core]\n\trepositoryFormatVersion = 1\n[extensions]\n\tobjectFormat = {object_format}\n")
}

fn settings(plan: &GitDirPlan<'_>) -> String {
    // A name such as `git~1` is a plain name here, but harmful on other systems in a delivered commit.
    let strange_names =
        if plan.raw { "\tprotectNTFS = false\n\tprotectHFS = false\n" } else { "\tprotectNTFS = true\n" };
    format!(
        "{}[core]\n\tbare = false\n\tfileMode = true\n\tsymlinks = true\n\tignoreCase = false\n\ttrustCtime = true\n\
         \tcheckStat = default\n\thooksPath = /dev/null\n\tlogAllRefUpdates = false\n\tlooseCompression = 1\n\
         \tautocrlf = false\n\tsafecrlf = false\n\tbigFileThreshold = 16m\n{strange_names}[gc]\n\tauto = 0\n[index]\n\tskipHash = true\n",
        format_lines(plan.object_format)
    )
}

/// The settings that the agent's own git sees.
pub(super) fn agent_settings(object_format: &str) -> String {
    format!(
        "{}[core]\n\tbare = false\n\tfileMode = true\n\tsymlinks = true\n\tlogAllRefUpdates = true\n\
         \thooksPath = /dev/null\n[user]\n\tname = PAS agent\n\temail = agent@pas.localhost\n\
         [commit]\n\tgpgSign = false\n[gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n\
         [init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n",
        format_lines(object_format)
    )
}

/// Private: the tree may contain files that only the person may read.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Whole or not at all, and never through a link at `path`.
pub(super) fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".pas-new");
    replace_by_way_of(Path::new(&beside), path, bytes)
}

/// As [`replace_file`], for folders in which an agent may have put anything beside `path`.
pub(super) fn replace_agent_file(layout: &TreeLayout, path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_by_way_of(&layout.folder.join("staged"), path, bytes)
}

fn replace_by_way_of(beside: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    match std::fs::remove_file(beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(beside)?;
    file.write_all(bytes)?;
    std::fs::rename(beside, path)
}

/// Restores the agent's `.git` file and settings. Files that an agent put in their place are moved to
/// `strays`, as no agent's work is thrown away here.
pub(super) fn mend_agent_view(
    layout: &TreeLayout,
    object_format: &str,
    stores: &[PathBuf],
) -> io::Result<bool> {
    let dot = layout.tree().join(".git");
    let mended = !is_plain_file_with(&dot, DOT_GIT);
    if mended {
        set_aside(layout, &dot)?;
        replace_agent_file(layout, &dot, DOT_GIT)?;
    }
    let agent = layout.agent();
    if !is_plain_folder(&agent) {
        set_aside(layout, &agent)?;
    }
    make_agent_folder(&layout.folder, Path::new("agent"))?;
    for part in ["objects", "objects/info", "objects/pack", "refs", "refs/heads", "info"] {
        if !is_plain_folder(&agent.join(part)) {
            set_aside(layout, &agent.join(part))?;
            make_agent_folder(&agent, Path::new(part))?;
        }
    }
    let mut lines = Vec::new();
    for store in stores {
        lines.extend(quote_alternate(store));
        lines.push(b'\n');
    }
    for (name, bytes) in
        [("config", agent_settings(object_format).into_bytes()), ("objects/info/alternates", lines)]
    {
        let path = agent.join(name);
        if !is_plain_file_with(&path, &bytes) {
            if path.symlink_metadata().is_ok_and(|about| about.is_dir()) {
                set_aside(layout, &path)?;
            }
            replace_agent_file(layout, &path, &bytes)?;
        }
    }
    let head = agent.join("HEAD");
    if !head.symlink_metadata().is_ok_and(|about| about.is_file()) {
        set_aside(layout, &head)?;
        replace_agent_file(layout, &head, b"ref: refs/heads/main\n")?;
    }
    Ok(mended)
}

fn make_agent_folder(within: &Path, part: &Path) -> io::Result<()> {
    match std::fs::create_dir(within.join(part)) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn is_plain_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|about| about.is_dir())
}

fn is_plain_file_with(path: &Path, bytes: &[u8]) -> bool {
    path.symlink_metadata().is_ok_and(|about| about.is_file() && about.len() == bytes.len() as u64)
        && std::fs::read(path).is_ok_and(|found| found == bytes)
}

pub(super) fn set_aside(layout: &TreeLayout, path: &Path) -> io::Result<()> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    let strays = layout.strays();
    make_folder(&strays)?;
    let number = std::fs::read_dir(&strays)?.count();
    std::fs::rename(path, strays.join(format!("{number}")))
}
