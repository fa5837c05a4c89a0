//! Which files are tests, by the conventions of languages and by the person's own globs.
//!
//! A Rust source file with an inline `#[cfg(test)] mod tests` is no test file: `inline_tests` moves such
//! tests. Failure policy: a glob that does not parse is refused before anything runs.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// A person's `--tests` that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("`{glob}` is no glob ({cause}); write it relative to the repository's root, as `checks/**/*.rb`")]
pub struct TestGlobError {
    pub glob: String,
    cause: globset::Error,
}

/// The rule for one project.
#[derive(Clone, Debug, Default)]
pub struct TestPaths {
    extra: GlobSet,
}

/// A folder of such a name contains tests, helpers and test data, in any language.
const FOLDERS: [&str; 13] = [
    "tests",
    "test",
    "__tests__",
    "__snapshots__",
    "__mocks__",
    "spec",
    "specs",
    "testdata",
    "test_data",
    "fixtures",
    "e2e",
    "cypress",
    "snapshots",
];

/// Endings of a JavaScript or TypeScript file's name after `.test` or `.spec`.
const SCRIPTS: [&str; 8] = ["js", "jsx", "ts", "tsx", "mjs", "cjs", "mts", "cts"];

impl TestPaths {
    pub fn new<S: AsRef<str>>(globs: &[S]) -> Result<Self, TestGlobError> {
        let refused = |glob: &str, cause| TestGlobError { glob: glob.to_owned(), cause };
        let mut set = GlobSetBuilder::new();
        for glob in globs {
            let glob = glob.as_ref().trim_start_matches("./");
            let built = GlobBuilder::new(glob)
                .literal_separator(true)
                .build()
                .map_err(|cause| refused(glob, cause))?;
            set.add(built);
        }
        Ok(Self { extra: set.build().map_err(|cause| refused("--tests", cause))? })
    }

    /// `path` is relative to the tree's root, with `/`.
    pub fn is_test(&self, path: &str) -> bool {
        self.extra.is_match(path) || is_conventional(path)
    }
}

fn is_conventional(path: &str) -> bool {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    // Maven's `src/test/…` is such a folder too; `.github/…/test` decides about tests and is a guard.
    if !path.starts_with('.') && folders.split('/').any(|folder| FOLDERS.contains(&folder)) {
        return true;
    }
    let Some((stem, ending)) = name.rsplit_once('.') else { return false };
    match ending {
        "rs" => matches!(stem, "tests" | "test") || stem.ends_with("_test") || stem.ends_with("_tests"),
        "go" => stem.ends_with("_test"),
        "py" => stem.starts_with("test_") || stem.ends_with("_test") || stem == "conftest",
        "java" | "kt" | "scala" | "cs" | "swift" => {
            ["Test", "Tests", "IT", "Spec"].iter().any(|end| stem.ends_with(end))
        }
        "rb" => stem.ends_with("_spec") || stem.ends_with("_test") || stem.starts_with("test_"),
        "php" => stem.ends_with("Test"),
        "ex" | "exs" | "dart" | "c" | "cc" | "cpp" | "bats" => stem.ends_with("_test") || ending == "bats",
        "snap" => true,
        _ if SCRIPTS.contains(&ending) => {
            stem.ends_with(".test")
                || stem.ends_with(".spec")
                || stem.ends_with("-test")
                || stem.ends_with("_test")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conventions() {
        let paths = TestPaths::default();
        for test in [
            "tests/it/main.rs",
            "src/book/tests.rs",
            "src/book_test.rs",
            "pkg/a_test.go",
            "pkg/testdata/in.json",
            "test_sum.py",
            "pkg/conftest.py",
            "app/sum.test.ts",
            "app/sum.spec.mjs",
            "app/__tests__/sum.js",
            "app/__snapshots__/sum.js.snap",
            "src/test/java/SumCheck.java",
            "src/SumTest.java",
            "spec/sum_spec.rb",
            "test/sum.js",
        ] {
            assert!(paths.is_test(test), "{test}");
        }
        for code in [
            "src/lib.rs",
            "src/testing.rs",
            "src/latest.rs",
            "contest.py",
            "src/test.js.map",
            "attest.go",
            "app/test-utils/x.ts",
            ".github/tests/x.yml",
            "Makefile",
        ] {
            assert!(!paths.is_test(code), "{code}");
        }
    }

    #[test]
    fn own_globs_are_added() {
        let paths = TestPaths::new(&["checks/**/*.lua", "./smoke.sh"]).unwrap();
        assert!(paths.is_test("checks/a/b.lua") && paths.is_test("smoke.sh") && paths.is_test("tests/a.rs"));
        assert!(!paths.is_test("checks/a/b.txt"));
    }

    #[test]
    fn a_bad_glob_is_refused_in_words() {
        let error = TestPaths::new(&["a/[b"]).unwrap_err();
        assert!(error.to_string().starts_with("`a/[b` is no glob"), "{error}");
    }
}
