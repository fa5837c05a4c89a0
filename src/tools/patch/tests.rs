//! The rules of `patch`, case by case.

use proptest::prelude::*;

use super::*;
use crate::seen::SeenFiles;
use crate::spill::tests::MemorySpill;
use crate::tree::ToolTree;

struct PatchBench {
    root: tempfile::TempDir,
    seen: SeenFiles,
}

impl PatchBench {
    fn new(files: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let at = root.path().join(name);
            std::fs::create_dir_all(at.parent().unwrap()).unwrap();
            std::fs::write(at, content).unwrap();
        }
        Self { root, seen: SeenFiles::default() }
    }

    fn patch(&mut self, text: &str) -> Result<String, ToolFailure> {
        let tree = ToolTree::open(self.root.path(), &[]).unwrap();
        let context = &mut FileContext {
            tree: &tree,
            seen: &mut self.seen,
            spill: &mut MemorySpill::default(),
            cap: 9_999,
        };
        patch(&PatchArguments { patch: text.to_owned() }, context).map(|answer| answer.text)
    }

    fn text(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.root.path().join(name)).ok()
    }
}

const CODE: &str = "fn a() {\n    one();\n}\n\nfn b() {\n    two();\n}\n";

#[test]
fn a_unified_diff_changes_adds_deletes_and_moves() {
    let mut bench = PatchBench::new(&[("src/a.rs", CODE), ("gone", "x\n"), ("from", "f\n")]);
    let text = "Some words before.\n\
        diff --git a/src/a.rs b/src/a.rs\nindex 1..2 100644\n--- a/src/a.rs\n+++ b/src/a.rs\n\
        @@ -5,3 +5,4 @@ fn b()\n fn b() {\n-    two();\n+    2();\n+    3();\n }\n\
        diff --git a/new.sh b/new.sh\nnew file mode 100755\n--- /dev/null\n+++ b/new.sh\n@@ -0,0 +1 @@\n+#!/bin/sh\n\
        diff --git a/empty b/empty\nnew file mode 100644\n\
        diff --git a/gone b/gone\ndeleted file mode 100644\n--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n\
        diff --git a/from b/to\nsimilarity index 100%\nrename from from\nrename to to\n";
    assert_eq!(
        bench.patch(text).unwrap(),
        "new empty\ndeleted from\ndeleted gone\nnew new.sh\nchanged src/a.rs\nnew to\n"
    );
    assert_eq!(bench.text("src/a.rs").unwrap(), CODE.replace("two();", "2();\n    3();"));
    assert_eq!(bench.text("new.sh").unwrap(), "#!/bin/sh\n");
    let mode = std::os::unix::fs::MetadataExt::mode(&bench.root.path().join("new.sh").metadata().unwrap());
    assert_eq!(mode & 0o777, 0o755);
    assert_eq!((bench.text("gone"), bench.text("from")), (None, None));
    assert_eq!((bench.text("to").unwrap(), bench.text("empty").unwrap()), ("f\n".to_owned(), String::new()));
}

#[test]
fn the_envelope_form_finds_hunks_by_their_text() {
    let mut bench = PatchBench::new(&[("a.rs", CODE), ("gone", "x\n"), ("end", "x\ny\nx\n")]);
    let text = "*** Begin Patch\n*** Update File: a.rs\n*** Move to: lib/b.rs\n@@ fn b() {\n-    two();\n+    2();\n }\n\n\
        *** Add File: new\n+one\n+\n+two\n*** Delete File: gone\n\
        *** Update File: end\n@@\n-x\n+z\n*** End of File\n*** End Patch\n";
    assert_eq!(
        bench.patch(text).unwrap(),
        "deleted a.rs\nchanged end\ndeleted gone\nnew lib/b.rs\nnew new\n"
    );
    assert_eq!(bench.text("lib/b.rs").unwrap(), CODE.replace("two", "2"));
    assert_eq!(bench.text("new").unwrap(), "one\n\ntwo\n");
    assert_eq!(bench.text("end").unwrap(), "x\ny\nz\n");
}

#[test]
fn one_hunk_that_fails_leaves_every_file_alone() {
    let mut bench = PatchBench::new(&[("a", "1\n2\n3\n"), ("b", CODE)]);
    let text = "--- a/a\n+++ b/a\n@@ -1,3 +1,3 @@\n 1\n-2\n+x\n 3\n\
        --- a/b\n+++ b/b\n@@ -1,3 +1,3 @@\n fn a() {\n-    ein();\n+    x();\n }\n@@ -9,1 +9,1 @@\n-nowhere at all\n+x\n\
        --- a/missing\n+++ b/missing\n@@ -1 +1 @@\n-x\n+y\n";
    let failure = bench.patch(text).unwrap_err();
    assert_eq!(failure.class, FailureClass::HunkFailed);
    let why = &failure.why;
    assert!(
        why.contains("b: hunk 1 (@@ -1,3 +1,3 @@): its old lines are not there. The file has now:\n"),
        "{why}"
    );
    assert!(why.contains("     2\t    one();\n"), "{why}");
    assert!(why.contains("hunk 2 (@@ -9,1 +9,1 @@): its old lines are not in the file"), "{why}");
    assert!(why.contains("missing: there is no such file."), "{why}");
    assert!(failure.do_next.starts_with("nothing was changed."));
    assert_eq!((bench.text("a").unwrap().as_str(), bench.text("b").unwrap().as_str()), ("1\n2\n3\n", CODE));
    assert_eq!(std::fs::read_dir(bench.root.path()).unwrap().count(), 2);
}

#[test]
fn a_place_that_is_not_sure_is_no_place() {
    let mut bench = PatchBench::new(&[("a", "x\ny\n-\nx\ny\n-\n")]);
    let failure = bench.patch("--- a/a\n+++ b/a\n@@ -3,2 +3,2 @@\n x\n-y\n+z\n").unwrap_err();
    assert!(failure.why.contains("stand 2 times, from lines 1, 4"), "{failure}");
    let failure =
        bench.patch("*** Begin Patch\n*** Update File: a\n@@\n x\n-y\n+z\n*** End Patch").unwrap_err();
    assert!(failure.why.contains("stand 2 times"), "{failure}");
    let failure = bench.patch("--- a/a\n+++ b/a\n@@ -3,0 +3 @@\n+z\n").unwrap_err();
    assert!(failure.why.contains("no line of context"), "{failure}");
    let failure = bench.patch("*** Begin Patch\n*** Update File: a\n@@ x\n+z\n*** End Patch").unwrap_err();
    assert!(failure.why.contains("several lines are `x`"), "{failure}");
    // The header's line decides, and an earlier hunk narrows the search.
    bench.patch("--- a/a\n+++ b/a\n@@ -4,2 +4,2 @@\n x\n-y\n+z\n").unwrap();
    assert_eq!(bench.text("a").unwrap(), "x\ny\n-\nx\nz\n-\n");
    let failure = bench.patch("--- a/a\n+++ b/a\n@@ -4,2 +4,2 @@\n q\n-x\n+z\n").unwrap_err();
    assert_eq!(failure.class, FailureClass::HunkFailed);
    let failure = bench.patch("--- a/a\n+++ b/a\n@@ -4,3 +4,3 @@\n x\n-w\n+z\n -\n").unwrap_err();
    assert!(failure.why.contains("its new lines stand already, from line 4"), "{failure}");
}

#[test]
fn wrong_counts_and_lost_blanks_do_no_harm() {
    let mut bench = PatchBench::new(&[("a.rs", CODE)]);
    bench.patch("--- a/a.rs\n+++ b/a.rs\n@@ -1,9 +1,2 @@\n }\n\n-fn b() {\n+fn c() {\n").unwrap();
    assert_eq!(bench.text("a.rs").unwrap(), CODE.replace("fn b", "fn c"));
}

#[test]
fn line_ends_and_an_open_last_line_are_kept() {
    let mut bench = PatchBench::new(&[("w", "a\r\nb\r\nc"), ("u", "a \nb")]);
    bench.patch("--- a/w\n+++ b/w\n@@ -1,3 +1,4 @@\n a\n-b\n+x\n+y\n c\n").unwrap();
    assert_eq!(bench.text("w").unwrap(), "a\r\nx\r\ny\r\nc");
    bench.patch("--- a/u\r\n+++ b/u\r\n@@ -1,2 +1,3 @@\r\n a\r\n-b\r\n+x\r\n+y\r\n").unwrap();
    assert_eq!(bench.text("u").unwrap(), "a \nx\ny");
}

#[test]
fn what_is_no_patch_is_refused_with_its_line() {
    let mut bench = PatchBench::new(&[("a", "x\n")]);
    for (text, expected) in [
        ("hello", "no file is named"),
        ("@@ -1 +1 @@\n-x\n+y\n", "line 1 of it"),
        ("*** Begin Patch\n*** Update File: a\n@@\n-x\n+y\n", "without `*** End Patch`"),
        ("*** Begin Patch\n*** Update File: a\nx\n*** End Patch", "line 3 of it, `x`"),
        ("*** Begin Patch\n*** Update File: a\n*** End Patch", "no hunk for a"),
        ("--- a/a\n+++ b/a\n@@ 1 @@\n", "hunk header"),
        ("--- a/a\n+++ b/a\n@@ -1,3 +1,3 @@\n-x\n+y\nz\n-q\n", "line 6 of it, `z`"),
        ("diff --git a/a b/a\nBinary files a/a and b/a differ\n", "line 2 of it"),
    ] {
        let failure = bench.patch(text).unwrap_err();
        assert_eq!(failure.class, FailureClass::BadPatch, "{text}");
        assert!(failure.why.contains(expected), "{text}: {failure}");
    }
    for path in ["../a", "/etc/passwd", ".git/config"] {
        let text = format!("*** Begin Patch\n*** Add File: {path}\n+x\n*** End Patch");
        assert!(matches!(
            bench.patch(&text).unwrap_err().class,
            FailureClass::OutsideTree | FailureClass::PathDenied
        ));
    }
    let failure = bench.patch("*** Begin Patch\n*** Add File: a\n+x\n*** End Patch").unwrap_err();
    assert_eq!(failure.class, FailureClass::AlreadyExists);
}

#[test]
fn what_was_put_in_place_before_a_failure_is_taken_back() {
    let mut bench = PatchBench::new(&[("a", "x\n"), ("b", "y\n")]);
    // `c` is to be both file and folder, which shows only when the files are put in place.
    let text = "*** Begin Patch\n*** Update File: a\n@@\n-x\n+z\n*** Delete File: b\n\
        *** Add File: c\n+1\n*** Add File: c/d\n+2\n*** End Patch";
    let failure = bench.patch(text).unwrap_err();
    assert!(failure.do_next.starts_with("nothing was changed."), "{failure}");
    assert_eq!((bench.text("a").unwrap(), bench.text("b").unwrap()), ("x\n".to_owned(), "y\n".to_owned()));
    assert_eq!(std::fs::read_dir(bench.root.path().join("c")).unwrap().count(), 0);
}

#[test]
fn equal_lines_by_the_million_cost_no_hours() {
    let content = "a\n".repeat(1_000_000);
    let hunk = format!("--- a/f\n+++ b/f\n@@ -1,9 +1,9 @@\n{} b\n-c\n+d\n", " a\n".repeat(20_000));
    let patches = parse_patch(&hunk).unwrap();
    let failures = apply_hunks(content.as_bytes(), &patches[0].hunks).unwrap_err();
    assert!(failures[0].contains("too much would have to be compared"), "{}", failures[0]);
}

#[test]
fn files_written_by_a_patch_are_known() {
    let mut bench = PatchBench::new(&[("a", "x\n")]);
    bench.patch("--- a/a\n+++ b/a\n@@ -1 +1 @@\n-x\n+y\n").unwrap();
    let tree = ToolTree::open(bench.root.path(), &[]).unwrap();
    let standing = bench.seen.standing(&tree.path("a").unwrap(), b"y\n");
    assert_eq!(standing, crate::seen::SeenStanding::Same);
}

fn any_file() -> impl Strategy<Value = String> {
    // Few different lines, so that hunks are ambiguous; some look like headers of a patch.
    let line = prop_oneof![
        Just("a"),
        Just("b"),
        Just("-- a/x"),
        Just("++ b/x"),
        Just(""),
        Just("@@ -1 +1 @@"),
        Just(" ")
    ];
    (prop::collection::vec(line, 0..30), any::<bool>(), any::<bool>()).prop_map(
        |(lines, is_open, is_crlf)| {
            let end = if is_crlf { "\r\n" } else { "\n" };
            let mut text: String = lines.iter().map(|line| format!("{line}{end}")).collect();
            if is_open {
                text.truncate(text.trim_end_matches(['\r', '\n']).len());
            }
            text
        },
    )
}

proptest! {
    #[test]
    fn a_difference_applied_gives_the_other_file(old in any_file(), new in any_file(), radius in 1_usize..4) {
        let diff = similar::TextDiff::from_lines(&*old, &*new);
        let text = diff.unified_diff().context_radius(radius).header("a/f", "b/f").to_string();
        if old != new {
            let patches = parse_patch(&text).unwrap();
            let applied = apply_hunks(old.as_bytes(), &patches[0].hunks);
            prop_assert_eq!(applied.map(|bytes| String::from_utf8(bytes).unwrap()), Ok(new), "{}", text);
        }
    }

    #[test]
    fn a_difference_finds_its_place_in_a_file_that_grew(
        old in "([a-z]{8}\n){1,20}", new in "([a-z]{8}\n){1,20}", cut in 0_usize..20, above in "([A-Z]{4}\n){0,30}"
    ) {
        // Both share a part, and no line occurs twice, so that each place is unique.
        let shared: String = old.split_inclusive('\n').take(cut).collect();
        let new = format!("{shared}{new}");
        let diff = similar::TextDiff::from_lines(&*old, &*new);
        let text = diff.unified_diff().header("a/f", "b/f").to_string();
        prop_assume!(old != new);
        let patches = parse_patch(&text).unwrap();
        let grown = format!("{above}{old}");
        let applied = apply_hunks(grown.as_bytes(), &patches[0].hunks);
        prop_assert_eq!(applied.map(|bytes| String::from_utf8(bytes).unwrap()), Ok(format!("{above}{new}")));
    }

    #[test]
    fn nothing_that_is_sent_as_a_patch_panics(text in "((---|\\+\\+\\+) (a/|b/|/dev/null)?f?\n|@@ -[0-9],[0-9] \\+[0-9] @@\n|[-+ \\\\][abé]?\r?\n|\\*\\*\\* (Begin Patch|Update File: f|End Patch)\n|@@ ?[a-z]?\n){0,12}") {
        if let Ok(patches) = parse_patch(&text) {
            for patch in patches {
                let _ = apply_hunks("a\nb\né\n\na".as_bytes(), &patch.hunks);
            }
        }
    }
}
