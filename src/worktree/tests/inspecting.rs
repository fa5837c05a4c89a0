//! Bad and odd repositories.

use super::super::testing::*;
use super::super::*;

fn inspect(person: &TestPerson, base: Option<&str>) -> Result<SourceRepository, SourceError> {
    SourceRepository::inspect(&person.repo(), base)
}

#[test]
fn a_good_repository_has_no_remarks() {
    let person = TestPerson::with(&[("a.txt", "a\n"), ("d/b.txt", "b\n")]);
    let before = person.picture();
    let source = inspect(&person, None).unwrap();
    assert_eq!(source.remarks(), []);
    assert_eq!(source.files(), 2);
    assert_eq!(source.base().as_str(), person.git(&["rev-parse", "HEAD"]));
    assert_eq!(person.picture(), before);
    let below = SourceRepository::inspect(&person.repo().join("d"), None).unwrap();
    assert_eq!(below.base(), source.base());
    assert_eq!(below.checkout(), source.checkout());
}

#[test]
fn no_path_no_repository_no_commit() {
    let home = tempfile::tempdir().unwrap();
    let missing = SourceRepository::inspect(&home.path().join("x"), None).unwrap_err();
    assert!(matches!(missing, SourceError::NotThere(_)));
    let none = SourceRepository::inspect(home.path(), None).unwrap_err();
    assert!(none.to_string().contains("git init"), "{none}");
    git_in(home.path(), &["init", "-q"]);
    let empty = SourceRepository::inspect(home.path(), None).unwrap_err();
    assert!(matches!(empty, SourceError::NoCommit(_)), "{empty}");
}

#[test]
fn a_base_that_is_not_there_names_those_that_are() {
    let person = TestPerson::with(&[("a", "a")]);
    for wrong in ["nope", "--help", "", "main:a", "HEAD~4"] {
        let error = inspect(&person, Some(wrong)).unwrap_err();
        assert!(matches!(error, SourceError::BaseMissing { .. }), "{wrong}: {error}");
        assert!(error.to_string().contains("main"), "{error}");
    }
    person.commit("second");
    let older = inspect(&person, Some("HEAD~1")).unwrap();
    assert_eq!(older.base().as_str(), person.git(&["rev-parse", "HEAD~1"]));
}

#[test]
fn a_bare_and_a_shallow_one_work_and_say_so() {
    let person = TestPerson::with(&[("a", "a")]);
    person.commit("second");
    let from = format!("file://{}", person.repo().display());
    git_in(person.home.path(), &["clone", "-q", "--bare", &from, "bare.git"]);
    git_in(person.home.path(), &["clone", "-q", "--depth", "1", &from, "shallow"]);
    let bare = SourceRepository::inspect(&person.home.path().join("bare.git"), None).unwrap();
    assert_eq!(bare.remarks(), [SourceRemark::Bare]);
    let shallow_path = person.home.path().join("shallow");
    let shallow = SourceRepository::inspect(&shallow_path, None).unwrap();
    assert_eq!(shallow.remarks(), [SourceRemark::Shallow]);
    for (number, source) in [bare, shallow].iter().enumerate() {
        let tree = WorkTree::create(&person.root(), &name(&format!("r{number}"), "main"), source).unwrap();
        write(&tree.path().join("b"), "b");
        git_in(&tree.path(), &["log", "--oneline"]);
        let sealed = seal(&tree, &order(source.base(), "change")).unwrap();
        let delivered = deliver(&tree, &sealed.commit, &format!("pas/r{number}")).unwrap();
        assert_eq!(delivered.outcome, DeliveryOutcome::Created);
        git_in(source.common_dir(), &["fsck", "--strict"]);
    }
}

#[test]
fn dirty_links_names_submodules_and_lfs_are_counted() {
    let inner = TestPerson::with(&[("in", "in")]);
    let pointer =
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n", "0".repeat(64));
    let person = TestPerson::with(&[
        (".gitattributes", "*.bin filter=lfs diff=lfs\n"),
        ("a.bin", &pointer),
        ("t", "t"),
    ]);
    std::os::unix::fs::symlink("/etc/passwd", person.repo().join("out")).unwrap();
    std::os::unix::fs::symlink("t", person.repo().join("in")).unwrap();
    let odd = std::ffi::OsStr::new("x");
    let odd = [odd.as_encoded_bytes(), b"\xff"].concat();
    write(&person.repo().join(GitPath::new(odd).as_path()), "odd");
    person.git(&["submodule", "--quiet", "add", inner.repo().to_str().unwrap(), "sub"]);
    person.commit("more");
    person.write("t", "changed");
    person.write("new", "new");
    let before = person.picture();
    let source = inspect(&person, None).unwrap();
    assert_eq!(person.picture(), before);
    let remarks = source.remarks();
    for expected in [
        SourceRemark::Submodules(1),
        SourceRemark::LargeFileStorage(1),
        SourceRemark::NamesNotUtf8(1),
        SourceRemark::LinksLeadingOut(1),
        SourceRemark::Uncommitted { changed: 1, untracked: 1 },
    ] {
        assert!(remarks.contains(&expected), "{expected:?} not in {remarks:?}");
    }
    assert_eq!(remarks.len(), 5, "{remarks:?}");
}

#[test]
fn a_linked_working_tree_and_a_borrowing_clone_resolve_their_objects() {
    let person = TestPerson::with(&[("a", "a")]);
    person.git(&["worktree", "add", "-q", "../linked", "-b", "side"]);
    write(&person.home.path().join("linked/b"), "b");
    git_in(&person.home.path().join("linked"), &["add", "-A"]);
    git_in(&person.home.path().join("linked"), &["commit", "-qm", "side"]);
    let linked = SourceRepository::inspect(&person.home.path().join("linked"), None).unwrap();
    assert_eq!(linked.files(), 2);
    git_in(person.home.path(), &["clone", "-q", "--shared", "repo", "borrower"]);
    let borrower = SourceRepository::inspect(&person.home.path().join("borrower"), None).unwrap();
    for (run, source) in [("r1", linked), ("r2", borrower)] {
        let tree = WorkTree::create(&person.root(), &name(run, "main"), &source).unwrap();
        assert!(tree.path().join("a").exists());
        assert_eq!(git_in(&tree.path(), &["status", "--porcelain"]), "");
    }
}

#[test]
fn a_partial_clone_without_its_files_is_refused_in_words() {
    let person = TestPerson::with(&[("a", "a")]);
    person.git(&["config", "uploadpack.allowFilter", "true"]);
    let from = format!("file://{}", person.repo().display());
    git_in(person.home.path(), &["clone", "-q", "--filter=blob:none", "--no-checkout", &from, "partial"]);
    let error = SourceRepository::inspect(&person.home.path().join("partial"), None).unwrap_err();
    assert!(matches!(error, SourceError::PartialClone { missing: 1, .. }), "{error}");
}

#[test]
fn nothing_of_a_repository_is_run_by_looking_at_it() {
    let person = TestPerson::with(&[("a", "a\n"), (".gitattributes", "a filter=evil\n")]);
    let mark = person.home.path().join("ran");
    let script = format!("touch {}; cat", mark.display());
    person.git(&["config", "filter.evil.clean", &script]);
    person.git(&["config", "filter.evil.smudge", &script]);
    person.git(&["config", "core.fsmonitor", &script]);
    person.write(".git/hooks/post-index-change", &format!("#!/bin/sh\ntouch {}\n", mark.display()));
    person.write("a", "other\n");
    let source = inspect(&person, None).unwrap();
    assert_eq!(source.remarks(), [SourceRemark::Uncommitted { changed: 1, untracked: 0 }]);
    WorkTree::create_with_uncommitted(&person.root(), &name("r", "m"), &source, UncommittedScope::Tracked)
        .unwrap();
    assert!(!mark.exists());
}
