//! Unfinished work goes on in a tree of its own, whatever becomes of the first.

use super::super::testing::*;
use super::super::*;

const FILES: &[(&str, &str)] = &[("a.txt", "one\ntwo\nthree\n"), ("keep.txt", "kept\n")];

/// A tree in which an agent has changed, added and removed files, with its newest snapshot.
fn worked_on(person: &TestPerson) -> (WorkTree, CommitId) {
    let old = person.tree();
    write(&old.path().join("a.txt"), "one\n2\nthree\n");
    write(&old.path().join("new/b.txt"), "new\n");
    std::fs::remove_file(old.path().join("keep.txt")).unwrap();
    old.snapshot("after call 1.0").unwrap();
    let newest = old.newest_snapshot().unwrap();
    (old, newest)
}

fn continued(person: &TestPerson, old: &WorkTree) -> WorkTree {
    WorkTree::create_at_base_of(&person.root(), &name("run2", "main"), &person.source(), old).unwrap()
}

#[test]
fn a_tree_goes_on_where_another_stood_and_outlives_it() {
    let person = TestPerson::with(FILES);
    let (old, snapshot) = worked_on(&person);
    let worked = files_of(&old.path());
    // Written after the newest snapshot: a call that was cut.
    write(&old.path().join("half.txt"), "half");
    let new = continued(&person, &old);
    assert!(new.is_of(&person.source()));
    for _ in 0..2 {
        // Done again after a crash, it is the same.
        let outcome = take_up(&new, &old, &snapshot, &order(old.base(), "go on")).unwrap();
        assert_eq!(outcome, TakeUpOutcome::Begun);
        assert_eq!(files_of(&new.path()), worked);
    }
    assert_eq!(new.base(), old.base());
    remove_tree(&person.root(), old.name()).unwrap();
    let sealed = seal(&new, &order(new.base(), "all of it")).unwrap();
    let changed = new.changed_files(new.base(), &sealed.commit).unwrap();
    assert_eq!(changed.len(), 3, "{changed:?}");
    assert_eq!(git_in(&new.path(), &["diff", "--name-only"]), "a.txt\nkeep.txt");
}

/// A tree that began with a new file of the person's, who has removed it since, and its snapshot with a change.
fn worked_on_beside_a_draft(person: &TestPerson) -> (WorkTree, CommitId) {
    person.write("draft.txt", "uncommitted\n");
    let (root, scope) = (person.root(), UncommittedScope::TrackedAndNew);
    let tree =
        WorkTree::create_with_uncommitted(&root, &name("run1", "main"), &person.source(), scope).unwrap();
    write(&tree.path().join("a.txt"), "changed\n");
    let snapshot = tree.snapshot("after call 1.0").unwrap().commit;
    std::fs::remove_file(person.repo().join("draft.txt")).unwrap();
    (tree, snapshot)
}

#[test]
fn uncommitted_work_that_a_tree_began_with_comes_along() {
    let person = TestPerson::with(FILES);
    let (old, snapshot) = worked_on_beside_a_draft(&person);
    let new = continued(&person, &old);
    take_up(&new, &old, &snapshot, &order(old.base(), "go on")).unwrap();
    remove_tree(&person.root(), old.name()).unwrap();
    let sealed = seal(&new, &order(new.base(), "all of it")).unwrap();
    let changed = new.changed_files(new.base(), &sealed.commit).unwrap();
    assert_eq!(changed.len(), 1, "the uncommitted work is part of the base: {changed:?}");
    assert!(new.path().join("draft.txt").exists());
}

#[test]
fn uncommitted_work_moves_to_another_base_too() {
    let person = TestPerson::with(FILES);
    let (old, snapshot) = worked_on_beside_a_draft(&person);
    person.write("other.txt", "theirs\n");
    person.commit("second");
    let new = WorkTree::create(&person.root(), &name("run2", "main"), &person.source()).unwrap();
    let outcome = take_up(&new, &old, &snapshot, &order(old.base(), "go on")).unwrap();
    assert_eq!(outcome, TakeUpOutcome::Begun);
    assert!(new.path().join("other.txt").exists());
    assert_eq!(std::fs::read_to_string(new.path().join("a.txt")).unwrap(), "changed\n");
}

#[test]
fn work_moves_to_a_newer_base_or_its_conflicts_are_named() {
    let person = TestPerson::with(FILES);
    let (old, snapshot) = worked_on(&person);
    person.write("other.txt", "theirs\n");
    person.commit("second");
    let new = WorkTree::create(&person.root(), &name("run2", "main"), &person.source()).unwrap();
    for _ in 0..2 {
        let outcome = take_up(&new, &old, &snapshot, &order(old.base(), "go on")).unwrap();
        assert_eq!(outcome, TakeUpOutcome::Begun);
    }
    assert!(new.path().join("other.txt").exists() && new.path().join("new/b.txt").exists());
    let sealed = seal(&new, &order(new.base(), "all of it")).unwrap();
    assert_eq!(new.changed_files(new.base(), &sealed.commit).unwrap().len(), 3);

    person.write("a.txt", "one\nzwei\nthree\n");
    person.commit("third");
    let clash = WorkTree::create(&person.root(), &name("run3", "main"), &person.source()).unwrap();
    let outcome = take_up(&clash, &old, &snapshot, &order(old.base(), "go on")).unwrap();
    let TakeUpOutcome::Conflicts(files) = outcome else { panic!("{outcome:?}") };
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].path.as_bytes(), b"a.txt");
}

#[test]
fn a_snapshot_that_is_not_there_is_named() {
    let person = TestPerson::with(FILES);
    let (old, _) = worked_on(&person);
    let new = continued(&person, &old);
    let missing = CommitId::parse(&"0".repeat(40)).unwrap();
    let refused = take_up(&new, &old, &missing, &order(old.base(), "go on")).unwrap_err();
    assert!(matches!(refused, TreeError::NoSnapshot(_)), "{refused}");
}
