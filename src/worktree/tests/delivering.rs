//! A branch for the person, and nothing else.

use std::collections::BTreeSet;
use std::process::Command;

use super::super::testing::*;
use super::super::*;

fn sealed(tree: &WorkTree, path: &str, text: &str) -> CommitId {
    write(&tree.path().join(path), text);
    seal(tree, &order(tree.base(), "A change\n\nwith words")).unwrap().commit
}

#[test]
fn a_delivery_writes_objects_and_one_branch_only() {
    let person = TestPerson::with(&[("a", "a\n")]);
    person.write("a", "dirty\n");
    person.write("stashed", "s\n");
    let mark = person.home.path().join("ran");
    for hook in ["reference-transaction", "post-checkout", "post-merge", "pre-auto-gc"] {
        let path = person.repo().join(".git/hooks").join(hook);
        write(&path, format!("#!/bin/sh\ntouch {}\n", mark.display()));
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let tree = person.tree();
    let commit = sealed(&tree, "b", "b\n");
    let before = person.picture();
    let delivered = deliver(&tree, &commit, "pas/run1").unwrap();
    assert_eq!(delivered.outcome, DeliveryOutcome::Created);
    let after = person.picture();
    let touched: BTreeSet<String> = after
        .iter()
        .filter(|(path, about)| before.get(*path) != Some(about) && path.is_file())
        .map(|(path, _)| path.strip_prefix(person.repo()).unwrap().display().to_string())
        .filter(|path| !path.starts_with(".git/objects/"))
        .collect();
    assert_eq!(
        touched.into_iter().collect::<Vec<_>>(),
        [".git/logs/refs/heads/pas/run1", ".git/refs/heads/pas/run1"]
    );
    assert!(!mark.exists());
    assert_eq!(deliver(&tree, &commit, "pas/run1").unwrap().outcome, DeliveryOutcome::AlreadyThere);
    let shown = person.git(&["log", "-1", "--format=%an|%cn|%B", "pas/run1"]);
    assert_eq!(shown, "code-writer|PAS|A change\n\nwith words\n\nPAS-Run: run1");
    remove_tree(&person.root(), tree.name()).unwrap();
    person.git(&["fsck", "--strict"]);
    person.git(&["checkout", "-q", "a"]);
    person.git(&["merge", "-q", "pas/run1"]);
    assert!(person.repo().join("b").exists());
}

#[test]
fn a_branch_that_the_person_moved_stays_and_our_own_moves() {
    let person = TestPerson::with(&[("a", "a\n")]);
    let tree = person.tree();
    let one = sealed(&tree, "b", "1\n");
    deliver(&tree, &one, "pas/run1").unwrap();
    let two = sealed(&tree, "b", "2\n");
    assert_eq!(deliver(&tree, &two, "pas/run1").unwrap().outcome, DeliveryOutcome::Moved);
    person.git(&["worktree", "add", "-q", "../linked", "pas/run1"]);
    let three = sealed(&tree, "b", "3\n");
    let error = deliver(&tree, &three, "pas/run1").unwrap_err();
    assert!(matches!(error, DeliveryError::CheckedOut { .. }), "{error}");
    person.git(&["worktree", "remove", "../linked"]);
    person.git(&["branch", "-f", "pas/run1", "main"]);
    let error = deliver(&tree, &three, "pas/run1").unwrap_err();
    assert!(matches!(error, DeliveryError::BranchMoved { .. }), "{error}");
    assert_eq!(person.git(&["rev-parse", "pas/run1"]), person.git(&["rev-parse", "main"]));
}

#[test]
fn names_in_the_way_and_a_lost_repository_are_said() {
    let person = TestPerson::with(&[("a", "a\n")]);
    let tree = person.tree();
    let commit = sealed(&tree, "b", "b\n");
    for wrong in ["main", "pas/", "pas/a..b", "pas/-\u{7}", "refs/heads/x"] {
        let error = deliver(&tree, &commit, wrong).unwrap_err();
        assert!(matches!(error, DeliveryError::BranchName(_)), "{wrong}: {error}");
    }
    person.git(&["branch", "pas"]);
    let error = deliver(&tree, &commit, "pas/run1").unwrap_err();
    assert!(matches!(&error, DeliveryError::NameTaken { taken, .. } if taken == "pas"), "{error}");
    std::fs::rename(person.repo(), person.home.path().join("moved")).unwrap();
    let error = deliver(&tree, &commit, "pas/run1").unwrap_err();
    assert!(matches!(error, DeliveryError::SourceGone(_)), "{error}");
}

#[test]
fn a_patch_with_binary_files_applies() {
    let person = TestPerson::with(&[("a", "a\n"), ("gone", "g\n")]);
    let tree = person.tree();
    std::fs::remove_file(tree.path().join("gone")).unwrap();
    write(&tree.path().join("image"), [0, 159, 146, 150]);
    let commit = sealed(&tree, "a", "b\n");
    let patch = person.home.path().join("change.patch");
    write(&patch, change_patch(&tree, tree.base(), &commit).unwrap());
    person.git(&["apply", "--index", patch.to_str().unwrap()]);
    assert_eq!(files_of(&person.repo()), files_of(&tree.path()));
}

#[test]
fn sealing_twice_is_one_commit_and_nothing_is_said_to_be_nothing() {
    let person = TestPerson::with(&[("a", "a\n")]);
    let tree = person.tree();
    let none = seal(&tree, &order(tree.base(), "x")).unwrap_err();
    assert!(matches!(none, TreeError::NothingChanged(_)));
    assert_eq!(sealed(&tree, "b", "b\n"), sealed(&tree, "b", "b\n"));
}

#[test]
fn two_runs_and_a_moved_on_repository_do_not_meet() {
    let person = TestPerson::with(&[("a", "a\n")]);
    let one = person.tree();
    let two = WorkTree::create(&person.root(), &name("run2", "main"), &person.source()).unwrap();
    person.write("a", "meanwhile\n");
    person.commit("meanwhile");
    person.git(&["gc", "-q", "--prune=now"]);
    let first = sealed(&one, "b", "1\n");
    let second = sealed(&two, "b", "2\n");
    deliver(&one, &first, "pas/run1").unwrap();
    deliver(&two, &second, "pas/run2").unwrap();
    person.git(&["fsck", "--strict"]);
    assert_eq!(person.git(&["branch", "--list", "pas/*"]).lines().count(), 2);
}

#[test]
fn a_commit_that_fsck_refuses_is_not_taken() {
    let person = TestPerson::with(&[("a", "a\n")]);
    let tree = person.tree();
    let git = tree.path().parent().unwrap().join("git");
    let script = format!(
        "blob=$(echo x | git --git-dir='{0}' hash-object -w --stdin); \
         inner=$(printf '100644 blob %s\\tconfig\\n' $blob | git --git-dir='{0}' mktree); \
         tree=$(printf '040000 tree %s\\t.git\\n' $inner | git --git-dir='{0}' mktree); \
         git --git-dir='{0}' commit-tree $tree -p {1} -m evil",
        git.display(),
        tree.base()
    );
    let output = Command::new("sh")
        .args(["-c", &script])
        .envs([
            ("GIT_AUTHOR_NAME", "x"),
            ("GIT_AUTHOR_EMAIL", "x"),
            ("GIT_COMMITTER_NAME", "x"),
            ("GIT_COMMITTER_EMAIL", "x"),
        ])
        .output()
        .unwrap();
    let commit = CommitId::parse(String::from_utf8_lossy(&output.stdout).trim()).unwrap();
    let error = deliver(&tree, &commit, "pas/run1").unwrap_err();
    assert!(matches!(error, DeliveryError::FaultyObjects(_)), "{error}");
    assert_eq!(person.git(&["branch", "--list", "pas/*"]), "");
}
