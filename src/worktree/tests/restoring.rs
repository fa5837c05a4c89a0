//! Snapshot and restore are exact, whatever happens in between.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use proptest::prelude::*;

use super::super::testing::*;
use super::super::*;

#[test]
fn an_unchanged_tree_keeps_its_snapshot() {
    let person = TestPerson::with(&[("a", "a")]);
    let tree = person.tree();
    let first = tree.snapshot("one").unwrap();
    assert!(!first.fresh);
    assert_eq!(first.number, 0);
    write(&tree.path().join("a"), "b");
    let second = tree.snapshot("two").unwrap();
    assert!(second.fresh);
    assert_eq!(second.number, 1);
    assert_eq!(tree.snapshot("three").unwrap().commit, second.commit);
    write(&tree.path().join("a"), "a");
    assert_eq!(tree.snapshot("four").unwrap().tree, first.tree);
}

#[test]
fn a_change_within_one_second_of_the_same_size_is_seen() {
    let person = TestPerson::with(&[("a", "0")]);
    let tree = person.tree();
    let mut seen = std::collections::BTreeSet::new();
    for digit in 1..8 {
        write(&tree.path().join("a"), digit.to_string());
        assert!(seen.insert(tree.snapshot("x").unwrap().tree));
    }
}

#[test]
fn restore_brings_back_files_and_leaves_ignored_output() {
    let person = TestPerson::with(&[(".gitignore", "target/\n"), ("a", "a"), ("d/b", "b")]);
    let tree = person.tree();
    let path = tree.path();
    write(&path.join("target/out"), "built");
    let start = tree.snapshot("start").unwrap();
    let before = files_of(&path);
    std::fs::remove_file(path.join("a")).unwrap();
    std::fs::remove_dir_all(path.join("d")).unwrap();
    write(&path.join("d"), "a file now");
    write(&path.join("a/deep/er"), "a folder now");
    write(&path.join(".gitignore"), "*\n");
    write(&path.join("hidden"), "hidden by the agent's own rule");
    write(&path.join("target/out"), "built again");
    tree.restore(&start.commit).unwrap();
    let mut wanted = before;
    wanted.insert("target/out".into(), TreeThing::File { executable: false, bytes: b"built again".to_vec() });
    assert_eq!(files_of(&path), wanted);
}

#[test]
fn the_agents_git_state_goes_back_with_the_files() {
    let person = TestPerson::with(&[("a", "a\n")]);
    let tree = person.tree();
    let path = tree.path();
    write(&path.join("a"), "b\n");
    git_in(&path, &["commit", "-qam", "agent one"]);
    git_in(&path, &["branch", "side"]);
    write(&path.join("a"), "staged\n");
    git_in(&path, &["add", "a"]);
    let state = |path: &Path| {
        let refs = git_in(path, &["for-each-ref", "--format=%(objectname) %(refname)"]);
        (
            refs,
            git_in(path, &["status", "--porcelain", "--branch"]),
            git_in(path, &["log", "-1", "--format=%s"]),
        )
    };
    let before = state(&path);
    let snapshot = tree.snapshot("one").unwrap();
    git_in(&path, &["commit", "-qm", "agent two"]);
    git_in(&path, &["checkout", "-q", "--detach"]);
    git_in(&path, &["branch", "-D", "side", "pas/run1"]);
    // The worst an agent can do: the objects are gone, too.
    let objects = path.parent().unwrap().join("agent/objects");
    std::fs::remove_dir_all(&objects).unwrap();
    write(&path.parent().unwrap().join("agent/index.lock"), "");
    let restored = tree.restore(&snapshot.commit).unwrap();
    assert!(restored.agent_state);
    git_in(&path, &["fsck", "--connectivity-only"]);
    assert_eq!(state(&path).0, before.0);
    assert_eq!(state(&path).2, before.2);
    assert_eq!(
        files_of(&path)[Path::new("a")],
        TreeThing::File { executable: false, bytes: b"staged\n".to_vec() }
    );
}

#[test]
fn diffs_are_data_and_text() {
    let person = TestPerson::with(&[("a", "1\n2\n"), ("gone", "x\n"), ("run", "#!\n")]);
    let tree = person.tree();
    let path = tree.path();
    write(&path.join("a"), "1\n3\n4\n");
    std::fs::remove_file(path.join("gone")).unwrap();
    std::fs::set_permissions(path.join("run"), std::fs::Permissions::from_mode(0o755)).unwrap();
    write(&path.join("line\nbreak"), "new\n");
    write(&path.join("image"), [0, 1, 2, 255]);
    let now = tree.snapshot("x").unwrap().commit;
    let changes = tree.changed_files(tree.base(), &now).unwrap();
    let short: Vec<_> = changes.iter().map(|f| (f.path.to_string(), f.kind, f.added, f.deleted)).collect();
    assert_eq!(
        short,
        [
            ("a".to_owned(), ChangeKind::Changed, Some(2), Some(1)),
            ("gone".to_owned(), ChangeKind::Deleted, Some(0), Some(1)),
            ("image".to_owned(), ChangeKind::Added, None, None),
            ("line\\nbreak".to_owned(), ChangeKind::Added, Some(1), Some(0)),
            ("run".to_owned(), ChangeKind::Mode, Some(0), Some(0)),
        ]
    );
    assert!(changes[4].executable);
    let whole = tree.diff_text(tree.base(), &now, 1 << 20).unwrap();
    assert!(!whole.cut && whole.text.contains("+3"));
    let part = tree.diff_text(tree.base(), &now, 40).unwrap();
    assert!(part.cut && part.text.len() == 40);
    assert!(tree.diffstat(tree.base(), &now).unwrap().contains("5 files changed"));
}

#[derive(Clone, Debug)]
enum TreeEdit {
    Write(u8, u8),
    Executable(u8, bool),
    Remove(u8),
    Link(u8, u8),
    RemoveFolder(u8),
    ToFolder(u8),
    Git(u8),
    Odd(u8),
}

fn edits() -> impl Strategy<Value = Vec<TreeEdit>> {
    let one = prop_oneof![
        4 => (any::<u8>(), any::<u8>()).prop_map(|(p, b)| TreeEdit::Write(p, b)),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(p, x)| TreeEdit::Executable(p, x)),
        2 => any::<u8>().prop_map(TreeEdit::Remove),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(p, to)| TreeEdit::Link(p, to)),
        1 => any::<u8>().prop_map(TreeEdit::RemoveFolder),
        1 => any::<u8>().prop_map(TreeEdit::ToFolder),
        1 => any::<u8>().prop_map(TreeEdit::Git),
        1 => any::<u8>().prop_map(TreeEdit::Odd),
    ];
    proptest::collection::vec(one, 1..12)
}

fn place(tree: &Path, number: u8) -> std::path::PathBuf {
    tree.join(format!("d{}/e{}/f{}", number % 3, number / 3 % 2, number / 6 % 4))
}

fn apply(tree: &Path, edit: &TreeEdit) {
    // An edit that does not fit the present tree does nothing, as an agent's would.
    let parent_of = |path: &Path| drop(std::fs::create_dir_all(path.parent().unwrap()));
    match edit {
        TreeEdit::Write(p, byte) => {
            let path = place(tree, *p);
            parent_of(&path);
            if !path.is_symlink() {
                drop(std::fs::write(path, [*byte; 3]));
            }
        }
        TreeEdit::Executable(p, x) => {
            let path = place(tree, *p);
            if path.is_file() && !path.is_symlink() {
                let mode = if *x { 0o755 } else { 0o644 };
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
            }
        }
        TreeEdit::Remove(p) => drop(std::fs::remove_file(place(tree, *p))),
        TreeEdit::Link(p, to) => {
            let path = place(tree, *p);
            parent_of(&path);
            let targets = ["/etc", "../..", "f1", "nowhere", "../../../../.."];
            drop(std::os::unix::fs::symlink(targets[usize::from(*to) % targets.len()], path));
        }
        TreeEdit::RemoveFolder(p) => drop(std::fs::remove_dir_all(tree.join(format!("d{}", p % 3)))),
        TreeEdit::ToFolder(p) => {
            let path = place(tree, *p);
            if !path.is_dir() {
                drop(std::fs::remove_file(&path));
                drop(std::fs::create_dir_all(&path));
                drop(std::fs::write(path.join("inside"), "i"));
            }
        }
        TreeEdit::Git(p) => {
            let dot = tree.join(".git");
            match p % 3 {
                0 => drop(std::fs::remove_file(dot)),
                1 => drop(std::fs::write(dot, "gitdir: /nowhere\n")),
                _ => {
                    drop(std::fs::remove_file(&dot));
                    drop(std::os::unix::fs::symlink("/etc", dot));
                }
            }
        }
        TreeEdit::Odd(p) => {
            let odd: &[u8] =
                [&b"new\nline"[..], b"\xff\xfe", b" -rf", b":(top)x", b"git~1"][usize::from(*p) % 5];
            drop(std::fs::write(tree.join(GitPath::new(odd).as_path()), [*p]));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_restore_is_exact(first in edits(), second in edits()) {
        let person = TestPerson::with(&[("d0/e0/f0", "a"), ("d1/e1/f1", "b"), ("top", "t")]);
        let tree = person.tree();
        first.iter().for_each(|edit| apply(&tree.path(), edit));
        let snapshot = tree.snapshot("first").unwrap();
        let wanted = files_of(&tree.path());
        second.iter().for_each(|edit| apply(&tree.path(), edit));
        let later = tree.snapshot("second").unwrap();
        let after = files_of(&tree.path());
        let restored = tree.restore(&snapshot.commit).unwrap();
        prop_assert_eq!(&restored.tree, &snapshot.tree);
        prop_assert_eq!(files_of(&tree.path()), wanted);
        tree.restore(&later.commit).unwrap();
        prop_assert_eq!(files_of(&tree.path()), after);
    }
}
