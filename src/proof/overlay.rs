//! Which tests of one side of a change are laid over the code of the other, and how. Pure; the runner only
//! carries the plan out.
//!
//! Failure policy: a Rust file whose inline tests cannot be separated from the code is listed in `unread` and
//! mentioned by the verdict.

use serde::{Deserialize, Serialize};

use super::change::{ChangeSide, ChangedPath, FileSide};
use super::inline_tests::graft_inline_tests;
use super::test_paths::TestPaths;

/// One file of an overlay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverlayEdit {
    /// Take the file, mode included, from the commit whose tests are laid over.
    Restore { path: String },
    /// The commit whose tests are laid over has no such file.
    Remove { path: String },
    /// A source file with the inline tests of the other commit.
    Write { path: String, text: String },
}

/// The files to lay over a checkout, and those that could not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestOverlay {
    pub acts: Vec<OverlayEdit>,
    pub unread: Vec<String>,
}

impl TestOverlay {
    /// Lays one side's tests over the other side's code.
    pub fn plan(files: &[ChangedPath], paths: &TestPaths, tests: ChangeSide) -> Self {
        let mut overlay = Self::default();
        for file in files {
            let (ours, theirs) = match tests {
                ChangeSide::Old => (&file.old, &file.new),
                ChangeSide::New => (&file.new, &file.old),
            };
            if paths.is_test(&file.path) {
                let path = file.path.clone();
                overlay.acts.push(match ours {
                    FileSide::Absent => OverlayEdit::Remove { path },
                    FileSide::Text(_) | FileSide::Opaque => OverlayEdit::Restore { path },
                });
            } else if file.path.ends_with(".rs") {
                overlay.add_inline(&file.path, theirs, ours);
            }
        }
        overlay
    }

    /// Whether any edit brings tests; removals alone give nothing new to run.
    pub fn brings_tests(&self) -> bool {
        self.acts.iter().any(|act| !matches!(act, OverlayEdit::Remove { .. }))
    }

    fn add_inline(&mut self, path: &str, code: &FileSide, tests: &FileSide) {
        // A file missing on the code's side stays away: inline tests cannot compile without the file's code.
        if *code == FileSide::Absent {
            return;
        }
        let (code, tests) = (code.text(), tests.text());
        match graft_inline_tests(code, tests) {
            Some(text) if same_lines(&text, code) => {}
            Some(text) => self.acts.push(OverlayEdit::Write { path: path.to_owned(), text }),
            None if code.contains("#[cfg(test)]") || tests.contains("#[cfg(test)]") => {
                self.unread.push(path.to_owned());
            }
            None => {}
        }
    }
}

/// Compares without order and blank lines, as grafting moves the tests to the end and may change blank lines.
fn same_lines(a: &str, b: &str) -> bool {
    fn sorted(text: &str) -> Vec<&str> {
        let mut lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        lines.sort_unstable();
        lines
    }
    sorted(a) == sorted(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> FileSide {
        FileSide::Text(text.into())
    }

    #[test]
    fn whole_files_are_restored_or_removed() {
        let files = [
            ChangedPath::new("tests/new.rs", FileSide::Absent, text("n")),
            ChangedPath::new("tests/both.rs", text("o"), text("n")),
            ChangedPath::new("tests/gone.rs", text("o"), FileSide::Absent),
            ChangedPath::new("tests/data.bin", FileSide::Opaque, FileSide::Opaque),
            ChangedPath::new("src/lib.rs", text("a"), text("b")),
        ];
        let old = TestOverlay::plan(&files, &TestPaths::default(), ChangeSide::Old);
        let restore = |path: &str| OverlayEdit::Restore { path: path.into() };
        let remove = |path: &str| OverlayEdit::Remove { path: path.into() };
        assert_eq!(
            old.acts,
            [
                remove("tests/new.rs"),
                restore("tests/both.rs"),
                restore("tests/gone.rs"),
                restore("tests/data.bin")
            ]
        );
        let new = TestOverlay::plan(&files, &TestPaths::default(), ChangeSide::New);
        assert_eq!(
            new.acts,
            [
                restore("tests/new.rs"),
                restore("tests/both.rs"),
                remove("tests/gone.rs"),
                restore("tests/data.bin")
            ]
        );
    }

    #[test]
    fn inline_tests_are_grafted_where_they_differ() {
        let with =
            |code: &str, test: &str| text(&format!("{code}\n\n#[cfg(test)]\nmod tests {{\n{test}\n}}\n"));
        let files = [
            ChangedPath::new("src/a.rs", with("fn a() {}", "// old"), with("fn b() {}", "// new")),
            ChangedPath::new("src/same.rs", with("fn a() {}", "// one"), with("fn b() {}", "// one")),
            ChangedPath::new("src/bad.rs", with("fn a() {}", "// old"), text("#[cfg(test)]\nmod tests {\n")),
            ChangedPath::new("src/fresh.rs", FileSide::Absent, with("fn b() {}", "// new")),
        ];
        let new = TestOverlay::plan(&files, &TestPaths::default(), ChangeSide::New);
        let [OverlayEdit::Write { path, text }] = new.acts.as_slice() else { panic!("{new:?}") };
        assert!(path == "src/a.rs" && text.contains("fn a()") && text.contains("// new"));
        assert_eq!(new.unread, ["src/bad.rs"]);
        assert!(new.brings_tests());
    }

    #[test]
    fn a_change_without_tests_has_no_overlay() {
        let files = [ChangedPath::new("src/a.py", text("a"), text("b"))];
        assert!(TestOverlay::plan(&files, &TestPaths::default(), ChangeSide::New).acts.is_empty());
    }
}
