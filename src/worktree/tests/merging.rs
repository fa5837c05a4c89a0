//! Writers' pieces into the manager's tree, and back.

use super::super::testing::*;
use super::super::*;

fn writer(
    person: &TestPerson,
    manager: &WorkTree,
    who: &str,
    path: &str,
    text: &str,
) -> (WorkTree, CommitId) {
    let tree = WorkTree::create_sibling(&person.root(), &name("run1", who), manager, manager.base()).unwrap();
    write(&tree.path().join(path), text);
    let sealed = seal(&tree, &order(manager.base(), who)).unwrap();
    (tree, sealed.commit)
}

#[test]
fn pieces_come_in_one_by_one_and_the_last_goes_back() {
    let person = TestPerson::with(&[("a", "a\n"), ("b", "b\n")]);
    let manager = person.tree();
    let (one, first) = writer(&person, &manager, "w1", "a", "one\n");
    let (two, second) = writer(&person, &manager, "w2", "c/new", "two\n");
    let taken = take_piece(&manager, &one, &first, &order(manager.base(), "w1")).unwrap();
    let PieceOutcome::Taken(at) = taken else { panic!("{taken:?}") };
    let after_first = files_of(&manager.path());
    let taken = take_piece(&manager, &two, &second, &order(&at, "w2")).unwrap();
    let PieceOutcome::Taken(then) = taken else { panic!("{taken:?}") };
    assert_eq!(files_of(&manager.path()).len(), 3);
    assert_eq!(git_in(&manager.path(), &["status", "--porcelain", "--branch"]), "## pas/run1");
    assert_eq!(git_in(&manager.path(), &["rev-parse", "HEAD"]), then.as_str());
    let again = take_piece(&manager, &two, &second, &order(&then, "w2")).unwrap();
    assert_eq!(again, PieceOutcome::AlreadyIn);
    assert_eq!(roll_back_last(&manager).unwrap(), at);
    assert_eq!(files_of(&manager.path()), after_first);
    let borrowed = remove_tree(&person.root(), manager.name()).unwrap_err();
    assert!(borrowed.to_string().contains("run1/w1"), "{borrowed}");
    remove_tree(&person.root(), one.name()).unwrap();
    remove_tree(&person.root(), two.name()).unwrap();
    let done = deliver(&manager, &at, "pas/run1").unwrap();
    assert_eq!(person.git(&["rev-parse", "pas/run1"]), done.commit.as_str());
    assert_eq!(roll_back_last(&manager).unwrap(), *manager.base());
    assert!(matches!(roll_back_last(&manager).unwrap_err(), TreeError::NothingTaken));
}

#[test]
fn conflicts_are_data_and_change_nothing() {
    let person = TestPerson::with(&[("a", "a\n"), ("b", "b\n")]);
    let manager = person.tree();
    let (one, first) = writer(&person, &manager, "w1", "a", "one\n");
    let (two, second) = writer(&person, &manager, "w2", "a", "two\n");
    let PieceOutcome::Taken(at) = take_piece(&manager, &one, &first, &order(manager.base(), "w1")).unwrap()
    else {
        panic!("not taken")
    };
    let before = files_of(&manager.path());
    let outcome = take_piece(&manager, &two, &second, &order(&at, "w2")).unwrap();
    let PieceOutcome::Conflicts(files) = outcome else { panic!("{outcome:?}") };
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].path.to_string(), "a");
    assert!(files[0].words[0].contains("CONFLICT"), "{files:?}");
    assert_eq!(files_of(&manager.path()), before);
}

#[test]
fn work_that_is_not_sealed_is_not_overwritten() {
    let person = TestPerson::with(&[("a", "a\n")]);
    let manager = person.tree();
    let (one, first) = writer(&person, &manager, "w1", "b", "one\n");
    write(&manager.path().join("mine"), "not sealed\n");
    let error = take_piece(&manager, &one, &first, &order(manager.base(), "w1")).unwrap_err();
    assert!(matches!(error, TreeError::Unsealed), "{error}");
    assert!(manager.path().join("mine").exists());
}

#[test]
fn a_piece_cut_off_while_files_were_switched_is_carried_on() {
    let person = TestPerson::with(&[("a", "a\n"), ("z", "z\n")]);
    let manager = person.tree();
    let (one, first) = writer(&person, &manager, "w1", "a", "one\n");
    let place = order(manager.base(), "w1");
    let PieceOutcome::Taken(at) = take_piece(&manager, &one, &first, &place).unwrap() else {
        panic!("not taken")
    };
    let wanted = files_of(&manager.path());
    // The state after a kill: marked, half of the old files, no note of completion.
    let git = manager.path().parent().unwrap().join("git");
    write(&git.join("refs/pas/taking"), format!("{at}\n"));
    std::fs::remove_file(git.join("refs/pas/taken/0")).unwrap();
    write(&manager.path().join("a"), "half");
    assert_eq!(take_piece(&manager, &one, &first, &place).unwrap(), PieceOutcome::Taken(at));
    assert_eq!(files_of(&manager.path()), wanted);
    assert_eq!(roll_back_last(&manager).unwrap(), *manager.base());
}
