//! The rules of `edit`, case by case.

use proptest::prelude::*;

use super::*;
use crate::seen::SeenFiles;
use crate::spill::tests::MemorySpill;
use crate::tree::ToolTree;

fn piece(old: &str, new: &str) -> EditPiece {
    EditPiece { old: old.to_owned(), new: new.to_owned(), count: 1 }
}

fn applied(content: &str, pieces: &[EditPiece]) -> String {
    String::from_utf8(apply_edits(content.as_bytes(), pieces).unwrap().bytes).unwrap()
}

fn trouble(content: &str, pieces: &[EditPiece]) -> EditTrouble {
    apply_edits(content.as_bytes(), pieces).unwrap_err()
}

#[test]
fn edits_are_found_in_the_file_as_it_stands() {
    assert_eq!(applied("a b c\n", &[piece("c", "a"), piece("a", "b")]), "b b a\n");
    let twice = EditPiece { count: 2, ..piece("x", "yy") };
    assert_eq!(applied("x-x", &[twice]), "yy-yy");
    let both = [piece("ab", "1"), piece("bc", "2")];
    assert!(trouble("abc", &both).why.contains("both replace text in line 1"));
    assert_eq!(
        trouble("a\nb\na\n", &[piece("a", "c")]).why,
        "the edit: `old` stands 2 times, not 1: in lines 1, 3."
    );
}

#[test]
fn line_ends_of_the_file_are_kept() {
    assert_eq!(applied("a\r\nb\r\nc\r\n", &[piece("a\nb", "x\ny\nz")]), "x\r\ny\r\nz\r\nc\r\n");
    assert_eq!(applied("a\r\nb\r\n", &[piece("b", "x\ny")]), "a\r\nx\r\ny\r\n");
    assert_eq!(applied("a\nb\n", &[piece("a\r\nb", "x\r\ny")]), "x\ny\n");
    // A carriage return named in the old text is removed.
    assert_eq!(applied("a\r\nb\r\n", &[piece("a\r\n", "a\n")]), "a\nb\r\n");
    assert_eq!(applied("a\r\nb\nc", &[piece("a\nb\n", "x\n")]), "x\nc");
}

#[test]
fn blanks_at_line_ends_make_no_difference() {
    assert_eq!(applied("a  \nb\t\nc\n", &[piece("a\nb\n", "x\n")]), "x\nc\n");
    assert_eq!(applied("a\nb\nc", &[piece("b \nc\n", "x\n")]), "a\nx");
    assert_eq!(applied("a \nb\n", &[piece("a\nb", "x")]), "x\n");
    // Never within a line.
    assert_eq!(trouble("a  b\n", &[piece("a b\n", "x\n")]).class, FailureClass::NoMatch);
    assert_eq!(trouble("a\n  \n\nb", &[piece("\n \n \n", "x")]).class, FailureClass::NoMatch);
}

#[test]
fn one_uniform_indent_makes_no_difference() {
    let file = "mod a {\n    if x {\n        y();\n\n    }\n}\n";
    assert_eq!(
        applied(file, &[piece("if x {\n    y();\n\n}\n", "if z {\n\n    w();\n}\n")]),
        "mod a {\n    if z {\n\n        w();\n    }\n}\n"
    );
    let more = "        if x {\n            y();\n\n        }\n";
    assert_eq!(applied(file, &[piece(more, "        z();\n")]), "mod a {\n    z();\n}\n");
    // The shift is not uniform, or the new text cannot be shifted alike.
    assert_eq!(trouble(file, &[piece("if x {\n  y();\n\n}\n", "z")]).class, FailureClass::NoMatch);
    assert_eq!(trouble(file, &[piece(more, "z();\n")]).class, FailureClass::NoMatch);
    assert_eq!(applied("\tif x {\n\t\ty;\n\t}\n", &[piece("if x {\n\ty;\n}", "z;")]), "\tz;\n");
}

#[test]
fn a_text_that_is_not_there_is_shown_where_it_nearly_is() {
    let file = "fn a() {\n    let x = 1;\n    call(x);\n}\n";
    let trouble = trouble(file, &[piece("    let x = 2;\n    call(x);\n", "")]);
    assert_eq!(trouble.class, FailureClass::NoMatch);
    assert!(trouble.why.contains("Nearest is line 2"), "{}", trouble.why);
    assert!(trouble.why.contains("-    let x = 2;\n+    let x = 1;\n     call(x);\n"), "{}", trouble.why);
}

#[test]
fn an_edit_that_stands_already_is_known_and_all_troubles_are_named() {
    let two = [piece("old", "new"), piece("gone", "else")];
    let trouble = trouble("the new text\n", &two);
    assert_eq!(trouble.class, FailureClass::AlreadyApplied);
    assert!(trouble.why.contains("edits[0]: `old` is not there, and `new` stands already, in line 1."));
    assert!(trouble.why.contains("edits[1]: `old` is not in the file."));
}

#[test]
fn bytes_that_are_no_text_stay() {
    let outcome = apply_edits(b"caf\xe9 old \xff\n", &[piece("old", "new")]).unwrap();
    assert_eq!(outcome.bytes, b"caf\xe9 new \xff\n");
}

#[test]
fn what_others_changed_is_kept_and_shown() {
    let root = tempfile::tempdir().unwrap();
    let tree = ToolTree::open(root.path(), &[]).unwrap();
    let at = root.path().join("f");
    std::fs::write(&at, "one\ntwo\nby another\n").unwrap();
    let mut seen = SeenFiles::default();
    seen.remember(&tree.path("f").unwrap(), b"one\ntwo\n");
    let mut edited = |edits: Vec<EditPiece>| {
        let context =
            &mut FileContext { tree: &tree, seen: &mut seen, spill: &mut MemorySpill::default(), cap: 9_999 };
        edit(&EditArguments { path: "f".to_owned(), edits }, context)
    };
    let failure = edited(vec![piece("two", "2"), piece("three", "3")]).unwrap_err();
    assert!(
        failure.why.contains("changed since you read it:\n@@") && failure.why.contains("+by another"),
        "{failure}"
    );
    assert!(failure.do_next.starts_with("nothing was changed."));
    let answer = edited(vec![piece("two", "2"), piece("one\n", "1\n1.5\n")]).unwrap();
    assert!(answer.text.starts_with("edited f: lines 1-2, line 3.\nOthers changed"), "{}", answer.text);
    assert_eq!(std::fs::read_to_string(&at).unwrap(), "1\n1.5\n2\nby another\n");
    // The file is now known at the new content.
    assert_eq!(edited(vec![piece("2", "two")]).unwrap().text, "edited f: line 3.");
}

fn any_text() -> impl Strategy<Value = String> {
    "([ \t]{0,3}[abc]{0,3}[ \t]{0,2}(\r\n|\n)){0,12}[abc]{0,3}"
}

proptest! {
    #[test]
    fn no_byte_outside_the_replaced_ranges_changes(
        content in any_text(),
        edits in prop::collection::vec((0_usize..50, 1_usize..12, any_text(), 1_usize..3), 1..4),
    ) {
        // Pieces of the file itself, so that most are found.
        let pieces: Vec<_> = edits
            .into_iter()
            .map(|(from, length, new, count)| {
                let from = from.min(content.len());
                let old = content[from..(from + length).min(content.len())].to_owned();
                EditPiece { old, new, count }
            })
            .filter(|piece| !piece.old.is_empty())
            .collect();
        let content = content.as_bytes();
        if let Ok(outcome) = apply_edits(content, &pieces) {
            let (mut old_at, mut new_at) = (0, 0);
            for splice in &outcome.splices {
                let kept = &content[old_at..splice.range.start];
                prop_assert_eq!(kept, &outcome.bytes[new_at..new_at + kept.len()]);
                new_at += kept.len() + splice.with.len();
                old_at = splice.range.end;
                // A replaced range is the text of one of the edits, byte for byte.
                let replaced = &content[splice.range.clone()];
                prop_assert!(pieces.iter().any(|piece| piece.old.as_bytes() == replaced));
            }
            prop_assert_eq!(&content[old_at..], &outcome.bytes[new_at..]);
            prop_assert_eq!(outcome.splices.len(), pieces.iter().map(|piece| piece.count).sum::<usize>());
        }
    }

    #[test]
    fn a_replaced_text_differs_from_the_wanted_one_in_blanks_only(content in any_text(), from in 0_usize..60, length in 1_usize..30, new in "[xyz\n]{0,6}", blank in "[ \t]{0,2}") {
        // A piece of the file itself, with spoilt line ends and blanks before them.
        let start = from.min(content.len());
        let end = (start + length).min(content.len());
        let old = content[start..end].replace("\r\n", "\n").replace('\n', &format!("{blank}\n"));
        prop_assume!(!old.is_empty());
        if let Some(hits) = find_hits(content.as_bytes(), old.as_bytes(), new.as_bytes()) {
            let signs = |text: &[u8]| text.iter().copied().filter(|byte| !b" \t\r\n".contains(byte)).collect::<Vec<_>>();
            for splice in hits.splices {
                prop_assert_eq!(signs(&content.as_bytes()[splice.range.clone()]), signs(old.as_bytes()));
                prop_assert_eq!(signs(&splice.with), signs(new.as_bytes()));
            }
        }
    }

    #[test]
    fn an_edit_and_its_reverse_give_the_same_file(content in "([a-e]{1,4}\n){1,12}", at in 0_usize..12) {
        let lines: Vec<&str> = content.split_inclusive('\n').collect();
        let old = lines[at % lines.len()];
        let there = [piece(old, "Z\n")];
        if let Ok(outcome) = apply_edits(content.as_bytes(), &there) {
            let back = apply_edits(&outcome.bytes, &[piece("Z\n", old)]).unwrap();
            prop_assert_eq!(back.bytes, content.as_bytes());
        }
    }
}
