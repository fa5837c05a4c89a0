//! The rules of `grep`, case by case.

use super::*;
use crate::seen::SeenFiles;
use crate::spill::{ResultSpill, tests::MemorySpill};
use crate::tree::ToolTree;

fn tree(files: &[(&str, &[u8])]) -> (tempfile::TempDir, ToolTree) {
    let root = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::create_dir_all(root.path().join(name).parent().unwrap()).unwrap();
        std::fs::write(root.path().join(name), content).unwrap();
    }
    let tree = ToolTree::open(root.path(), &[]).unwrap();
    (root, tree)
}

fn arguments(pattern: &str) -> GrepArguments {
    serde_json::from_value(serde_json::json!({ "pattern": pattern })).unwrap()
}

fn grepped(tree: &ToolTree, arguments: &GrepArguments) -> Result<String, ToolFailure> {
    let mut spill = MemorySpill::default();
    let context = &mut FileContext { tree, seen: &mut SeenFiles::default(), spill: &mut spill, cap: 24_000 };
    grep(arguments, context, &|| false).map(|answer| answer.text)
}

#[test]
fn matches_stand_below_their_file_with_context() {
    let (_root, tree) = tree(&[
        ("src/a.rs", b"one\ntwo\nthree\nfour\nfive\nsix\ntwo\n"),
        ("src/b.txt", b"TWO\r\n"),
        ("bin", b"two\0\n"),
    ]);
    assert_eq!(
        grepped(&tree, &GrepArguments { context: 1, ..arguments("^two$") }).unwrap(),
        "src/a.rs\n1-one\n2:two\n3-three\n--\n6-six\n7:two\n[2 matches in 1 of 3 files]\n"
    );
    let text = grepped(&tree, &GrepArguments { ignore_case: true, ..arguments("two") }).unwrap();
    assert!(text.contains("src/b.txt\n1:TWO\n"), "{text}");
    assert!(grepped(&tree, &arguments("^TWO$")).unwrap().starts_with("src/b.txt\n1:TWO\n[1 match"));
    let text = grepped(&tree, &GrepArguments { glob: Some("*.txt".to_owned()), ..arguments("two") }).unwrap();
    assert_eq!(text, "[no match in 1 file searched below `.` with a name like `*.txt`]\n");
    let text =
        grepped(&tree, &GrepArguments { path: Some("src/a.rs".to_owned()), ..arguments("si") }).unwrap();
    assert_eq!(text, "src/a.rs\n6:six\n[1 match in 1 of 1 file]\n");
}

#[test]
fn a_bad_pattern_is_refused_with_its_place() {
    let (_root, tree) = tree(&[]);
    let failure = grepped(&tree, &arguments("a(b")).unwrap_err();
    assert_eq!(failure.class, FailureClass::BadPattern);
    assert!(failure.why.contains('^') && failure.why.contains("unclosed group"), "{failure}");
    assert_eq!(grepped(&tree, &arguments("a\nb")).unwrap_err().class, FailureClass::BadPattern);
    assert_eq!(
        grepped(&tree, &arguments(r"(\w{100}){100}{100}")).unwrap_err().class,
        FailureClass::BadPattern
    );
}

#[test]
fn matches_and_bytes_are_bounded() {
    let many: String = (0..300).map(|_| format!("{}\n", "x".repeat(1000))).collect();
    let (_root, tree) = tree(&[("many", many.as_bytes())]);
    let mut spill = MemorySpill::default();
    let context =
        &mut FileContext { tree: &tree, seen: &mut SeenFiles::default(), spill: &mut spill, cap: 2_000 };
    let answer = grep(&arguments("x"), context, &|| false).unwrap();
    assert!(answer.text.len() < 2_100 && answer.text.contains("read @out:1 from="), "{}", answer.text);
    assert_eq!(answer.full_output, Some(1));
    let whole = String::from_utf8(spill.read(1).unwrap().unwrap()).unwrap();
    assert!(whole.ends_with("[the first 200 matches; narrow the pattern, the path or the glob]\n"));
    assert!(whole.contains("[… 600 more characters]"));
}

#[test]
fn time_that_is_up_is_said_and_found_lines_are_kept() {
    let (_root, tree) = tree(&[("a", b"x\n"), ("b", b"x\n")]);
    let asked = std::cell::Cell::new(0);
    let expired = || {
        asked.set(asked.get() + 1);
        asked.get() > 5
    };
    let context = &mut FileContext {
        tree: &tree,
        seen: &mut SeenFiles::default(),
        spill: &mut MemorySpill::default(),
        cap: 24_000,
    };
    let text = grep(&arguments("x"), context, &expired).unwrap().text;
    assert!(text.starts_with("a\n1:x\n") && text.contains("time was up"), "{text}");
}
