//! Fresh trees for proofs, build output in them, and the list of trees.

use std::os::unix::fs::MetadataExt;

use super::super::removal::RemovalError;
use super::super::testing::*;
use super::super::*;

#[test]
fn a_fresh_checkout_has_the_commit_and_nothing_else() {
    let person = TestPerson::with(&[(".gitignore", "target/\n"), ("a", "a\n")]);
    let tree = person.tree();
    write(&tree.path().join("a"), "b\n");
    write(&tree.path().join("target/out"), "built");
    let commit = seal(&tree, &order(tree.base(), "x")).unwrap().commit;
    for _ in 0..2 {
        let proof = fresh_checkout(&person.root(), &name("run1", "proof"), &tree, &commit).unwrap();
        assert_eq!(std::fs::read_to_string(proof.path().join("a")).unwrap(), "b\n");
        assert!(!proof.path().join("target").exists() && !proof.path().join("left").exists());
        assert_eq!(git_in(&proof.path(), &["status", "--porcelain"]), "");
        write(&proof.path().join("left"), "over");
    }
}

#[test]
fn build_output_comes_along_with_times_or_not_at_all() {
    let person =
        TestPerson::with(&[(".gitignore", "target/\nnode_modules/\n"), ("a", "a\n"), ("build/kept", "k\n")]);
    let tree = person.tree();
    write(&tree.path().join("target/debug/out"), "built");
    write(&tree.path().join("web/node_modules/x/y"), "y");
    write(&tree.path().join("web/z"), "z");
    std::os::unix::fs::symlink("/etc", tree.path().join("target/link")).unwrap();
    let commit = seal(&tree, &order(tree.base(), "x")).unwrap().commit;
    let proof = fresh_checkout(&person.root(), &name("run1", "proof"), &tree, &commit).unwrap();
    let refused = bring_build_output(&tree.path(), &proof.path(), &["target"], 1);
    let brought = bring_build_output(&tree.path(), &proof.path(), BUILD_OUTPUT_PATTERNS, BUILD_COPY_LIMIT);
    // On a disk that shares blocks the size does not matter.
    if refused.folders.is_empty() {
        assert!(refused.sentence.contains("not brought along"), "{}", refused.sentence);
        assert!(brought.sentence.contains("copied"), "{}", brought.sentence);
        assert_eq!(brought.folders.len(), 2, "{}", brought.sentence);
    }
    let time = |tree: &WorkTree| {
        tree.path().join("target/debug/out").metadata().map(|a| (a.mtime(), a.mtime_nsec()))
    };
    assert_eq!(time(&proof).unwrap(), time(&tree).unwrap());
    assert!(proof.path().join("target/link").is_symlink());
    assert!(proof.path().join("web/node_modules/x/y").exists());
    let none = bring_build_output(&tree.path(), &proof.path(), &["target"], 1);
    assert!(none.sentence.contains("no build output"), "{}", none.sentence);
}

#[test]
fn a_link_in_the_commit_does_not_lead_build_output_out() {
    let person = TestPerson::with(&[(".gitignore", "target\n"), ("a", "a\n")]);
    let tree = person.tree();
    let outside = person.home.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, tree.path().join("web")).unwrap();
    let commit = seal(&tree, &order(tree.base(), "x")).unwrap().commit;
    std::fs::remove_file(tree.path().join("web")).unwrap();
    write(&tree.path().join("web/target/x"), "x");
    let proof = fresh_checkout(&person.root(), &name("run1", "proof"), &tree, &commit).unwrap();
    bring_build_output(&tree.path(), &proof.path(), &["target"], BUILD_COPY_LIMIT);
    assert_eq!(files_of(&outside).len(), 0);
}

#[test]
fn trees_are_listed_with_stage_and_compared_with_rows() {
    let person = TestPerson::with(&[("a", "a\n")]);
    let tree = person.tree();
    let stage = || {
        list_trees(&person.root())
            .unwrap()
            .into_iter()
            .find(|t| t.name == name("run1", "main"))
            .unwrap()
            .stage
    };
    assert_eq!(stage(), TreeStage::InUse);
    write(&tree.path().join("a"), "b\n");
    let commit = seal(&tree, &order(tree.base(), "x")).unwrap().commit;
    assert_eq!(stage(), TreeStage::Sealed);
    deliver(&tree, &commit, "pas/run1").unwrap();
    assert_eq!(stage(), TreeStage::Delivered);
    std::fs::create_dir_all(person.root().join("run2/half/git")).unwrap();
    let listed = list_trees(&person.root()).unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(
        listed[0].source.as_deref(),
        Some(person.repo().canonicalize().unwrap().join(".git").as_path())
    );
    assert!(listed[0].bytes > 0 && listed[0].files > 2);
    let rows = [name("run3", "lost")];
    let outcome = reconcile_trees(&person.root(), &rows).unwrap();
    assert_eq!(outcome.rows_without_folder, rows);
    assert_eq!(outcome.folders_without_row, [name("run1", "main")]);
    assert_eq!(outcome.unfinished, [name("run2", "half")]);
}

#[test]
fn a_folder_of_trees_that_cannot_be_read_is_not_empty() {
    let person = TestPerson::with(&[("a", "1")]);
    assert_eq!(tree_names(&person.root()).unwrap(), []);
    // A link to itself stands for a disk that fails.
    std::os::unix::fs::symlink(person.root(), person.root()).unwrap();
    tree_names(&person.root()).unwrap_err();
    list_trees(&person.root()).unwrap_err();
    reconcile_trees(&person.root(), &[]).unwrap_err();
    let removed = remove_tree(&person.root(), &name("run1", "main"));
    assert!(matches!(removed, Err(RemovalError::Borrowers { .. })), "{removed:?}");
}
