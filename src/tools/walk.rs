//! A walk over the tree's files through the directory handle, honouring `.gitignore`.
//!
//! Invariants: no link is followed; `.git` is never entered; a folder's entries come in byte order, so that
//! the same tree gives the same walk. Failure policy: a folder that cannot be read is counted and skipped;
//! the walk ends early at a bound or when the time is up, and the tally says so.

use std::ffi::OsString;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::failure::ToolFailure;
use super::tree::{ToolTree, TreePath, open_regular};

/// Most entries of one walk; a tree with more has to be searched by folder.
const MAX_ENTRIES: usize = 200_000;
/// Greatest depth of a walk; each level keeps a directory open.
const MAX_DEPTH: usize = 100;
/// The largest `.gitignore` read.
const MAX_IGNORE_FILE: u64 = 1024 * 1024;

/// A regular file met by the walk.
pub(super) struct WalkedFile<'a> {
    /// The file's folder, and the name there.
    pub(super) dir: &'a Dir,
    pub(super) name: &'a Path,
    /// The file's path from the tree's root.
    pub(super) path: &'a Path,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct WalkTally {
    pub(super) ignored: usize,
    pub(super) unreadable: usize,
    entries: usize,
    /// The walk ended early.
    pub(super) is_cut: bool,
}

/// One walk: its bounds and the rules in force.
pub(super) struct TreeWalk<'a> {
    tree: &'a ToolTree,
    takes_ignored: bool,
    expired: &'a dyn Fn() -> bool,
    /// The rules of the folders on the way, with their folders; the deepest is last and decides.
    rules: Vec<(PathBuf, Gitignore)>,
    tally: WalkTally,
}

type VisitFile<'a> = &'a mut dyn FnMut(&WalkedFile<'_>) -> ControlFlow<()>;

impl<'a> TreeWalk<'a> {
    pub(super) fn new(tree: &'a ToolTree, takes_ignored: bool, expired: &'a dyn Fn() -> bool) -> Self {
        Self { tree, takes_ignored, expired, rules: Vec::new(), tally: WalkTally::default() }
    }

    /// Visits every file below `base`.
    pub(super) fn run(mut self, base: &TreePath, visit: VisitFile<'_>) -> Result<WalkTally, ToolFailure> {
        let failed = |error: std::io::Error| ToolFailure::from_io(base.as_str(), &error);
        let start = self.tree.dir().open_dir(base.as_str()).map_err(failed)?;
        // The rules of folders above the base apply too.
        let mut above = PathBuf::new();
        for part in base.parts() {
            let folder = if above.as_os_str().is_empty() { Path::new(".") } else { &above };
            if let Ok(dir) = self.tree.dir().open_dir(folder) {
                self.enter_rules(&dir, &above);
            }
            above.push(part);
        }
        let _ = self.folder(&start, &above, visit);
        Ok(self.tally)
    }

    fn folder(&mut self, dir: &Dir, path: &Path, visit: VisitFile<'_>) -> ControlFlow<()> {
        let Ok(names) = sorted_names(dir) else {
            self.tally.unreadable += 1;
            return ControlFlow::Continue(());
        };
        let rules_before = self.rules.len();
        self.enter_rules(dir, path);
        let flow = names.iter().try_for_each(|name| self.entry(dir, path, name, visit));
        self.rules.truncate(rules_before);
        flow
    }

    fn entry(&mut self, dir: &Dir, folder: &Path, name: &OsString, visit: VisitFile<'_>) -> ControlFlow<()> {
        self.tally.entries += 1;
        if self.tally.entries > MAX_ENTRIES || (self.expired)() {
            self.tally.is_cut = true;
            return ControlFlow::Break(());
        }
        if name == ".git" {
            return ControlFlow::Continue(());
        }
        let path = folder.join(name);
        let Ok(metadata) = dir.symlink_metadata(name) else { return ControlFlow::Continue(()) };
        if !metadata.is_dir() && !metadata.is_file() {
            return ControlFlow::Continue(());
        }
        if !self.takes_ignored && self.is_ignored(&path, metadata.is_dir()) {
            self.tally.ignored += 1;
            return ControlFlow::Continue(());
        }
        if metadata.is_file() {
            return visit(&WalkedFile { dir, name: Path::new(name), path: &path });
        }
        if path.components().count() > MAX_DEPTH {
            self.tally.is_cut = true;
            return ControlFlow::Continue(());
        }
        match dir.open_dir(name) {
            Ok(inner) => self.folder(&inner, &path, visit),
            Err(_) => {
                self.tally.unreadable += 1;
                ControlFlow::Continue(())
            }
        }
    }

    fn enter_rules(&mut self, dir: &Dir, path: &Path) {
        if self.takes_ignored {
            return;
        }
        // Opened like any file of the tree, since an agent may have put a pipe or a link there.
        let Ok((file, _)) = open_regular(dir, Path::new(".gitignore"), ".gitignore") else { return };
        let mut bytes = Vec::new();
        if file.take(MAX_IGNORE_FILE).read_to_end(&mut bytes).is_err() {
            return;
        }
        let mut builder = GitignoreBuilder::new("");
        for line in String::from_utf8_lossy(&bytes).lines() {
            // An invalid pattern is skipped, as git does.
            let _ = builder.add_line(None, line);
        }
        if let Ok(rules) = builder.build() {
            self.rules.push((path.to_owned(), rules));
        }
    }

    fn is_ignored(&self, path: &Path, is_folder: bool) -> bool {
        self.rules
            .iter()
            .rev()
            .filter_map(|(folder, rules)| Some(rules.matched(path.strip_prefix(folder).ok()?, is_folder)))
            .find(|found| !found.is_none())
            .is_some_and(|found| found.is_ignore())
    }
}

fn sorted_names(dir: &Dir) -> std::io::Result<Vec<OsString>> {
    let mut names: Vec<OsString> =
        dir.entries()?.filter_map(Result::ok).map(|entry| entry.file_name()).collect();
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::tree::tests::make_pipe;

    fn walked(root: &Path, base: &str, takes_ignored: bool) -> (Vec<String>, WalkTally) {
        let tree = ToolTree::open(root, &[]).unwrap();
        let mut paths = Vec::new();
        let tally = TreeWalk::new(&tree, takes_ignored, &|| false)
            .run(&tree.path(base).unwrap(), &mut |file| {
                paths.push(file.path.to_str().unwrap().to_owned());
                ControlFlow::Continue(())
            })
            .unwrap();
        (paths, tally)
    }

    fn put(root: &Path, files: &[(&str, &str)]) {
        for (name, content) in files {
            std::fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            std::fs::write(root.join(name), content).unwrap();
        }
    }

    #[test]
    fn ignore_files_hold_as_in_git() {
        let root = tempfile::tempdir().unwrap();
        put(
            root.path(),
            &[
                (".gitignore", "target/\n*.log\n/only_root\n[\n"),
                ("sub/.gitignore", "!keep.log\nlocal\n"),
                ("target/x", ""),
                ("sub/target/x", ""),
                ("a.log", ""),
                ("sub/keep.log", ""),
                ("sub/local", ""),
                ("local", ""),
                ("only_root", ""),
                ("sub/only_root", ""),
                (".git/HEAD", ""),
                (".github/ci.yml", ""),
            ],
        );
        let (paths, tally) = walked(root.path(), ".", false);
        let expected =
            [".github/ci.yml", ".gitignore", "local", "sub/.gitignore", "sub/keep.log", "sub/only_root"];
        assert_eq!(paths, expected);
        assert_eq!(tally.ignored, 5);
        assert_eq!(walked(root.path(), "sub", false).0, expected[3..]);
        assert_eq!(walked(root.path(), ".", true).0.len(), 11);
    }

    #[test]
    fn links_are_not_followed_and_a_pipe_stops_nobody() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), &[("real/a", "")]);
        symlink("real", root.path().join("link")).unwrap();
        symlink("/etc", root.path().join("out")).unwrap();
        make_pipe(&root.path().join(".gitignore"));
        assert_eq!(walked(root.path(), ".", false).0, ["real/a"]);
    }

    #[test]
    fn time_that_is_up_ends_the_walk() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), &[("a", ""), ("b", "")]);
        let tree = ToolTree::open(root.path(), &[]).unwrap();
        let tally = TreeWalk::new(&tree, false, &|| true)
            .run(&TreePath::root(), &mut |_| panic!("no file is visited"))
            .unwrap();
        assert!(tally.is_cut);
    }
}
