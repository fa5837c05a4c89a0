//! Trees are made without a trace in the person's repository, and made again after a crash.

use super::super::testing::*;
use super::super::*;

#[test]
fn the_persons_repository_is_not_touched_and_the_agent_has_all_of_git() {
    let person = TestPerson::with(&[("a.txt", "a\n"), ("bin/run", "#!/bin/sh\n")]);
    person.git(&["tag", "v1"]);
    person.git(&["branch", "pas"]);
    person.write("a.txt", "uncommitted\n");
    person.git(&["stash", "-q"]);
    let before = person.picture();
    let tree = person.tree();
    let path = tree.path();
    assert_eq!(git_in(&path, &["status", "--porcelain", "--branch"]), "## pas/run1");
    assert_eq!(git_in(&path, &["describe", "--tags"]), "v1");
    write(&path.join("b.txt"), "b\n");
    git_in(&path, &["add", "-A"]);
    git_in(&path, &["commit", "-qm", "agent"]);
    git_in(&path, &["checkout", "-qb", "other", "main"]);
    git_in(&path, &["rebase", "-q", "pas/run1"]);
    git_in(&path, &["branch", "-D", "pas/run1"]);
    write(&path.join("b.txt"), "c\n");
    git_in(&path, &["stash"]);
    git_in(&path, &["stash", "pop"]);
    tree.snapshot("after").unwrap();
    assert_eq!(person.picture(), before);
}

#[test]
fn making_twice_opens_and_another_base_is_refused() {
    let person = TestPerson::with(&[("a", "a")]);
    let tree = person.tree();
    write(&tree.path().join("work"), "kept");
    assert!(person.tree().path().join("work").exists());
    person.commit("second");
    let error = WorkTree::create(&person.root(), &name("run1", "main"), &person.source()).unwrap_err();
    assert!(matches!(error, TreeError::OtherBase { .. }), "{error}");
    let missing = WorkTree::open(&person.root(), &name("run1", "none")).unwrap_err();
    assert!(matches!(missing, TreeError::NoTree(_)));
}

#[test]
fn a_folder_cut_off_at_any_moment_is_made_anew() {
    let person = TestPerson::with(&[("a", "a"), ("d/b", "b")]);
    let whole = person.tree();
    let wanted = files_of(&whole.path());
    let folder = person.root().join("run1/main");
    // Every subset of the files that a crash can leave, from none to all but the record.
    let parts = [
        "tree/a",
        "tree/d",
        "tree/.git",
        "agent",
        "plain/index",
        "plain",
        "git/index",
        "git/objects",
        "git",
        "tree",
    ];
    for upto in 0..=parts.len() {
        std::fs::remove_file(folder.join("tree.json")).unwrap();
        for part in &parts[..upto] {
            let path = folder.join(part);
            if path.is_dir() {
                std::fs::remove_dir_all(path).unwrap();
            } else {
                drop(std::fs::remove_file(path));
            }
        }
        if folder.join("git").exists() {
            write(&folder.join("git/index.lock"), "");
        }
        let again = person.tree();
        assert_eq!(files_of(&again.path()), wanted, "{upto}");
        assert_eq!(git_in(&again.path(), &["status", "--porcelain"]), "");
        assert_eq!(again.snapshots().len(), 1);
    }
}

#[test]
fn a_lost_tree_folder_comes_back_from_its_last_snapshot() {
    let person = TestPerson::with(&[("a", "a")]);
    let tree = person.tree();
    write(&tree.path().join("b"), "b");
    tree.snapshot("one").unwrap();
    let wanted = files_of(&tree.path());
    std::fs::remove_dir_all(tree.path()).unwrap();
    let again = WorkTree::open(&person.root(), tree.name()).unwrap();
    assert_eq!(files_of(&again.path()), wanted);
}

#[test]
fn locks_that_a_killed_git_left_do_not_stop_the_next() {
    let person = TestPerson::with(&[("a", "a")]);
    let tree = person.tree();
    let folder = person.root().join("run1/main");
    write(&folder.join("git/index.lock"), "");
    write(&folder.join("plain/index.lock"), "");
    write(&tree.path().join("a"), "b");
    assert!(tree.snapshot("one").unwrap().fresh);
    write(&folder.join("git/index.lock"), "");
    write(&folder.join("git/index"), "rubbish");
    write(&tree.path().join("a"), "c");
    let snapshot = tree.snapshot("two").unwrap();
    assert_eq!(tree.changed_files(tree.base(), &snapshot.commit).unwrap().len(), 1);
    seal(&tree, &order(tree.base(), "x")).unwrap();
}

#[test]
fn uncommitted_work_comes_along_without_being_touched() {
    let person = TestPerson::with(&[("a", "a\n"), ("b", "b\n")]);
    person.write("a", "changed\n");
    person.write("b", "staged\n");
    person.git(&["add", "b"]);
    person.write("new", "new\n");
    let before = person.picture();
    let source = person.source();
    let with = |run: &str, scope| {
        WorkTree::create_with_uncommitted(&person.root(), &name(run, "m"), &source, scope).unwrap()
    };
    let tracked = with("r1", UncommittedScope::Tracked);
    let all = with("r2", UncommittedScope::TrackedAndNew);
    assert_eq!(person.picture(), before);
    assert_eq!(std::fs::read_to_string(tracked.path().join("a")).unwrap(), "changed\n");
    assert_eq!(std::fs::read_to_string(tracked.path().join("b")).unwrap(), "staged\n");
    assert!(!tracked.path().join("new").exists());
    assert!(all.path().join("new").exists());
    assert_eq!(git_in(&tracked.path(), &["status", "--porcelain"]), "");
    assert_eq!(git_in(&tracked.path(), &["rev-parse", "HEAD~1"]), person.git(&["rev-parse", "HEAD"]));
    write(&tracked.path().join("c"), "c\n");
    let sealed = seal(&tracked, &order(tracked.base(), "on top")).unwrap();
    deliver(&tracked, &sealed.commit, "pas/r1").unwrap();
    person.git(&["fsck", "--strict"]);
    assert_eq!(person.git(&["show", "pas/r1:a"]), "changed");
}

#[test]
fn a_base_that_the_person_prunes_is_noticed_and_can_be_kept() {
    let person = TestPerson::with(&[("a", "a\n")]);
    person.commit("doomed");
    person.write("only-here", "x\n");
    person.commit("doomed too");
    let tree = person.tree();
    let kept = WorkTree::create(&person.root(), &name("run2", "main"), &person.source()).unwrap();
    kept.keep_base_objects().unwrap();
    person.git(&["reset", "-q", "--hard", "HEAD~2"]);
    person.git(&["reflog", "expire", "--expire=now", "--all"]);
    person.git(&["gc", "-q", "--prune=now"]);
    assert!(!tree.borrowed_objects_intact().unwrap());
    assert!(kept.borrowed_objects_intact().unwrap());
    write(&kept.path().join("b"), "b\n");
    kept.snapshot("still works").unwrap();
}

#[test]
fn a_sha256_repository_and_a_strange_path_work() {
    let home = tempfile::tempdir().unwrap();
    let repo = home.path().join("od:d \"na\nme\"");
    std::fs::create_dir(&repo).unwrap();
    git_in(&repo, &["init", "-q", "--object-format=sha256"]);
    write(&repo.join("a"), "a");
    git_in(&repo, &["add", "-A"]);
    git_in(&repo, &["commit", "-qm", "first"]);
    let source = SourceRepository::inspect(&repo, None).unwrap();
    let tree = WorkTree::create(&repo.join("../tre:es"), &name("r", "m"), &source).unwrap();
    write(&tree.path().join("b"), "b");
    git_in(&tree.path(), &["add", "-A"]);
    git_in(&tree.path(), &["commit", "-qm", "agent"]);
    let sealed = seal(&tree, &order(source.base(), "x")).unwrap();
    assert_eq!(sealed.commit.as_str().len(), 64);
    deliver(&tree, &sealed.commit, "pas/r").unwrap();
    git_in(&repo, &["fsck", "--strict"]);
}

#[test]
fn line_ends_that_a_checkout_converts_do_not_show_as_changes() {
    let person =
        TestPerson::with(&[(".gitattributes", "*.bat text eol=crlf\n*.id ident\n"), ("x.bat", "one\ntwo\n")]);
    person.write("v.id", "$Id$\n");
    person.commit("more");
    let tree = person.tree();
    assert_eq!(std::fs::read(tree.path().join("x.bat")).unwrap(), b"one\r\ntwo\r\n");
    assert_eq!(git_in(&tree.path(), &["status", "--porcelain"]), "");
    let nothing = seal(&tree, &order(tree.base(), "x")).unwrap_err();
    assert!(matches!(nothing, TreeError::NothingChanged(_)));
    let start = tree.snapshots()[0].1.clone();
    let before = files_of(&tree.path());
    write(&tree.path().join("x.bat"), "three\r\n");
    tree.snapshot("one").unwrap();
    let sealed = seal(&tree, &order(tree.base(), "x")).unwrap();
    tree.restore(&start).unwrap();
    assert_eq!(files_of(&tree.path()), before);
    deliver(&tree, &sealed.commit, "pas/run1").unwrap();
    assert_eq!(person.git(&["cat-file", "blob", "pas/run1:x.bat"]), "three");
    assert_eq!(person.git(&["cat-file", "-s", "pas/run1:x.bat"]), "6");
}
