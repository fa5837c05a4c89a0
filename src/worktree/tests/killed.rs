//! The daemon is killed at each of its runs of git, one after the other; the end must be that of an
//! undisturbed run.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::testing::*;
use super::super::*;

const REPO: &str = "PAS_KILLED_REPO";
const ROOT: &str = "PAS_KILLED_ROOT";

/// The whole life of a tree; every step can be repeated after a crash.
fn whole_life(repo: &Path, root: &Path) -> CommitId {
    let source = SourceRepository::inspect(repo, None).unwrap();
    let tree = WorkTree::create(root, &name("run1", "main"), &source).unwrap();
    write(&tree.path().join("a"), "first\n");
    std::fs::remove_dir_all(tree.path().join("d")).ok();
    std::fs::remove_file(tree.path().join("more")).ok();
    let first = tree.snapshot("first").unwrap();
    write(&tree.path().join("a"), "second\n");
    write(&tree.path().join("more"), "more\n");
    tree.restore(&first.commit).unwrap();
    assert!(!tree.path().join("more").exists());
    let sealed = seal(&tree, &order(tree.base(), "whole")).unwrap();
    deliver(&tree, &sealed.commit, "pas/run1").unwrap();
    sealed.commit
}

#[test]
#[ignore = "started by the test below, in a process of its own"]
fn lives_until_killed() {
    if let (Some(repo), Some(root)) = (std::env::var_os(REPO), std::env::var_os(ROOT)) {
        whole_life(&PathBuf::from(repo), &PathBuf::from(root));
    }
}

#[test]
fn a_kill_at_any_run_of_git_changes_nothing_in_the_end() {
    let undisturbed = TestPerson::with(&[("a", "a\n"), ("d/b", "b\n")]);
    whole_life(&undisturbed.repo(), &undisturbed.root());
    let wanted = undisturbed.git(&["rev-parse", "pas/run1^{tree}"]);
    let place = module_path!().split_once("::").unwrap().1;
    for number in 1.. {
        let person = TestPerson::with(&[("a", "a\n"), ("d/b", "b\n")]);
        let before = person.git(&["for-each-ref"]);
        // A git that counts its runs, and in run `number` kills its parent.
        let bin = person.home.path().join("bin");
        let count = person.home.path().join("count");
        write(&count, "");
        let real =
            String::from_utf8(Command::new("sh").args(["-c", "command -v git"]).output().unwrap().stdout)
                .unwrap();
        let script = format!(
            "#!/bin/sh\necho >> {0}\nread -r n x <<E\n$(wc -l {0})\nE\n[ $n = {number} ] && kill -9 $PPID\nexec {1} \"$@\"\n",
            count.display(),
            real.trim()
        );
        write(&bin.join("git"), script);
        std::fs::set_permissions(bin.join("git"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", &format!("{place}::lives_until_killed")])
            .env("PATH", path)
            .env(REPO, person.repo())
            .env(ROOT, person.root())
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        if status.success() {
            assert!(number > 15, "only {number} runs of git: was it started at all?");
            return;
        }
        assert_eq!(status.signal(), Some(9), "{number}");
        let now = person.git(&["for-each-ref"]);
        assert!(now == before || now.contains("refs/heads/pas/run1"), "{number}: {now}");
        let commit = whole_life(&person.repo(), &person.root());
        assert_eq!(person.git(&["rev-parse", "pas/run1"]), commit.as_str(), "{number}");
        assert_eq!(person.git(&["rev-parse", "pas/run1^{tree}"]), wanted, "{number}");
        assert_eq!(person.git(&["status", "--porcelain"]), "", "{number}");
        person.git(&["fsck", "--strict"]);
    }
}
