//! The rules about guards, case by case.

use super::*;

fn side(text: &str) -> FileSide {
    if text.is_empty() { FileSide::Absent } else { FileSide::Text(text.into()) }
}

fn found(path: &str, old: &str, new: &str) -> Vec<(GuardKind, usize, String)> {
    let file = ChangedPath::new(path, side(old), side(new));
    find_guards(&[file], &TestPaths::default(), None)
        .into_iter()
        .map(|finding| (finding.kind, finding.line, finding.text))
        .collect()
}

#[track_caller]
fn one(path: &str, old: &str, new: &str, kind: GuardKind) {
    let found = found(path, old, new);
    assert_eq!(found.iter().map(|found| found.0).collect::<Vec<_>>(), [kind], "{path}: {found:?}");
}

/// The kinds found, in the order of the file, equal neighbours once.
fn kinds(path: &str, old: &str, new: &str) -> Vec<GuardKind> {
    let mut kinds: Vec<_> = found(path, old, new).iter().map(|found| found.0).collect();
    kinds.dedup();
    kinds
}

#[track_caller]
fn none(path: &str, old: &str, new: &str) {
    assert_eq!(found(path, old, new), [], "{path}");
}

#[test]
fn files_that_decide_are_guards_in_every_line() {
    use GuardKind::*;
    for (path, kind) in [
        (".github/workflows/ci.yml", CiFile),
        (".gitlab-ci.yml", CiFile),
        ("Makefile", BuildRecipe),
        ("justfile", BuildRecipe),
        (".husky/pre-commit", GitHook),
        ("pytest.ini", TestSetting),
        ("tests/conftest.py", TestSetting),
        (".config/nextest.toml", TestSetting),
        ("app/vitest.config.ts", TestSetting),
        ("jest.config.js", TestSetting),
        (".cargo/config.toml", TestSetting),
        (".coveragerc", CoverageSetting),
        (".nycrc.json", CoverageSetting),
        ("clippy.toml", LintSetting),
        (".eslintrc.json", LintSetting),
        (".golangci.yml", LintSetting),
    ] {
        one(path, "a\n", "a\nb\n", kind);
        one(path, "", "b\n", kind);
        none(path, "a\n", "a\n\n");
    }
    none("src/main.rs", "a\n", "b\n");
}

#[test]
fn manifests_are_guards_in_the_sections_that_decide() {
    use GuardKind::*;
    let package = |script: &str, version: &str| {
        format!(
            "{{\n  \"dependencies\": {{\n    \"a\": \"{version}\"\n  }},\n  \"scripts\": {{\n    \"test\": \"{script}\"\n  }}\n}}\n"
        )
    };
    assert_eq!(kinds("package.json", &package("jest", "1"), &package("jest a", "1")), [PackageScript]);
    none("package.json", &package("jest", "1"), &package("jest", "2"));
    assert_eq!(kinds("package.json", "{", "{\n\"a\": 1\n"), [PackageScript]);

    let cargo = "[package]\nname = \"a\"\n[dependencies]\na = \"1\"\n[lib]\n";
    none("Cargo.toml", cargo, &cargo.replace("a = \"1\"", "a = \"2\""));
    one("Cargo.toml", cargo, &format!("{cargo}test = false\n"), TestSetting);
    one("Cargo.toml", cargo, &cargo.replace("[dep", "autotests = false\n[dep"), TestSetting);
    assert_eq!(kinds("Cargo.toml", cargo, &format!("{cargo}[[test]]\nname = \"x\"\n")), [TestSetting]);
    assert_eq!(kinds("Cargo.toml", cargo, &format!("{cargo}[lints.clippy]\nx = \"allow\"\n")), [LintSetting]);

    let python = "[project]\nname = \"a\"\n[tool.pytest.ini_options]\naddopts = \"\"\n[tool.coverage.run]\n[tool.ruff]\n";
    none("pyproject.toml", python, &python.replace("\"a\"", "\"b\""));
    assert_eq!(kinds("pyproject.toml", python, &python.replace("\"\"", "\"-k x\"")), [TestSetting]);
    one("pyproject.toml", python, &python.replace("run]\n", "run]\nomit = 1\n"), CoverageSetting);
    one("pyproject.toml", python, &format!("{python}ignore = 1\n"), LintSetting);
}

#[test]
fn added_skips_are_found_in_each_language() {
    use GuardKind::*;
    for (path, line) in [
        ("src/a.rs", "#[ignore]"),
        ("src/a.rs", "#[ignore = \"slow\"]"),
        ("src/a.rs", "#[cfg_attr(feature = \"x\", ignore)]"),
        ("src/a.rs", "#[cfg(any())]"),
        ("src/a.rs", "/// ```ignore"),
        ("test_a.py", "@pytest.mark.skip(reason=\"x\")"),
        ("test_a.py", "@pytest.mark.xfail"),
        ("test_a.py", "    self.skipTest(\"x\")"),
        ("test_a.py", "@unittest.skip(\"x\")"),
        ("a.test.js", "it.skip(\"x\", () => {});"),
        ("a.test.js", "xit(\"x\", () => {});"),
        ("a.test.ts", "test.todo(\"x\");"),
        ("a.test.mjs", "test(\"x\", { skip: true }, () => {});"),
        ("a_test.go", "\tt.Skip(\"x\")"),
        ("a_test.go", "//go:build never"),
        ("src/ATest.java", "@Disabled"),
    ] {
        one(path, "a\n", &format!("a\n{line}\n"), SkipAdded);
        none(path, &format!("{line}\na\n"), &format!("a\n{line}\n"));
        assert!(!kinds(path, &format!("{line}\na\n"), "a\n").contains(&SkipAdded), "{line}");
    }
    let old = "#[test]\nfn a() {}\n";
    one("tests/a.rs", old, &format!("#[should_panic]\n{old}"), SkipAdded);
    none("tests/a.rs", old, &format!("{old}#[test]\n#[should_panic]\nfn b() {{}}\n"));
    one("a.test.js", "a\n", "a\ndescribe.only(\"x\", () => {});\n", OnlyAdded);
    one("a.test.js", "a\n", "a\nfit(\"x\", () => {});\n", OnlyAdded);
    none("src/a.js", "a\n", "a\nconst { skip } = page.skip(3);\nprofit(\"x\");\nfind({ skip: 3 });\n");
    none("a.go", "a\n", "//go:build linux\na\n");
}

#[test]
fn hidden_failures_are_found() {
    use GuardKind::*;
    one("run.sh", "cargo test\n", "cargo test\nmake || true\n", FailureHidden);
    one("tools/run", "a\n", "a\nset +e\n", FailureHidden);
    one("Makefile", "test:\n", "test:\n\tcargo test || true\n", FailureHidden);
    one(".github/workflows/ci.yml", "a:\n", "a:\n  continue-on-error: true\n", FailureHidden);
    one("tests/conftest.py", "a\n", "a\n    session.exitstatus = 0\n", FailureHidden);
    one("a.test.js", "a\n", "a\nprocess.exit(0);\n", FailureHidden);
    none("src/main.py", "a\n", "a\nsys.exit(0)\n");
    let package = "{\n  \"scripts\": {\n    \"test\": \"jest\"\n  }\n}\n";
    let hidden = kinds("package.json", package, &package.replace("jest", "jest || true"));
    assert_eq!(hidden, [PackageScript, FailureHidden]);
}

#[test]
fn code_that_looks_for_tests_is_found() {
    for (path, line) in [
        ("src/a.rs", "    if cfg!(test) { return 3; }"),
        ("src/a.rs", "#[cfg(not(test))]"),
        ("src/a.py", "if 'PYTEST_CURRENT_TEST' in os.environ:"),
        ("src/a.py", "if \"pytest\" in sys.modules:"),
        ("src/a.js", "if (process.env.NODE_ENV === 'test') return 3;"),
        ("a.go", "\tif testing.Testing() {"),
    ] {
        one(path, "a\n", &format!("a\n{line}\n"), GuardKind::TestDetected);
    }
    none("src/a.rs", "a\n", "a\n#[cfg(test)]\nmod tests;\n");
}

#[test]
fn deleted_tests_are_named_and_moved_ones_are_not() {
    let test = |name: &str| format!("#[test]\nfn {name}() {{}}\n");
    let both = format!("{}{}", test("a"), test("b"));
    assert_eq!(found("src/x.rs", &both, &test("a")), [(GuardKind::TestDeleted, 4, "test `b`".into())]);
    assert_eq!(found("tests/x.rs", &test("a"), "")[0].2, "test `a`");
    assert_eq!(found("test_a.py", "def test_a():\n    pass\n", "a\n")[0].2, "test `test_a`");
    assert_eq!(found("a_test.go", "func TestA(t *testing.T) {\n", "a\n")[0].2, "test `TestA`");
    assert_eq!(found("a.test.ts", "  it('adds', () => {})\n", "a\n")[0].2, "test `adds`");
    assert_eq!(
        found("tests/data.json", "{}\n", ""),
        [(GuardKind::TestDeleted, 0, "the whole file is deleted".into())]
    );
    let moved = [
        ChangedPath::new("tests/x.rs", side(&test("a")), FileSide::Absent),
        ChangedPath::new("tests/y.rs", FileSide::Absent, side(&test("a"))),
    ];
    assert_eq!(find_guards(&moved, &TestPaths::default(), None), []);
}

#[test]
fn removed_and_changed_checks_are_found_in_tests_only() {
    use GuardKind::AssertionRemoved;
    for (path, line) in [
        ("tests/a.rs", "    assert_eq!(a, 1);"),
        ("test_a.py", "    assert a == 1"),
        ("test_a.py", "        self.assertEqual(a, 1)"),
        ("a.test.js", "  expect(a).toBe(1);"),
        ("a.test.js", "  assert.equal(a, 1);"),
        ("a_test.go", "\t\tt.Errorf(\"a\")"),
    ] {
        one(path, &format!("a\n{line}\n"), "a\n", AssertionRemoved);
        one(
            path,
            &format!("a\n{line}\n"),
            &format!("a\n{}\n", line.replace('a', "b").replace('1', "2")),
            AssertionRemoved,
        );
        none(path, &format!("a\n{line}\n"), &format!("a\n  if b:\n    {line}\n"));
    }
    none("src/a.py", "assert a == 1\n", "b\n");
    none("src/a.rs", "assert!(a);\n#[cfg(test)]\nmod tests;\n", "#[cfg(test)]\nmod tests;\n");
    one("src/a.rs", "a\n#[cfg(test)]\nassert!(a);\n", "a\n#[cfg(test)]\n", AssertionRemoved);
}

#[test]
fn snapshots_may_grow_and_may_not_change() {
    one("a/__snapshots__/x.snap", "a\nb\n", "a\nc\n", GuardKind::SnapshotChanged);
    none("a/__snapshots__/x.snap", "a\n", "a\nc\n");
    none("a/__snapshots__/x.snap", "", "a\n");
}

#[test]
fn what_the_proving_command_runs_is_a_guard() {
    let command = ProvingCommand::given("bash scripts/check.sh").unwrap();
    let file = ChangedPath::new("scripts/check.sh", side("a\n"), side("a\nb\n"));
    let found = find_guards(&[file], &TestPaths::default(), Some(&command));
    assert_eq!(found[0].kind, GuardKind::ProvingScript);
    assert_eq!(found[0].to_string(), "scripts/check.sh:2: + b (is run by the proving command itself)");
}

#[test]
fn files_that_cannot_be_read_are_listed_whole() {
    let file = |path: &str| ChangedPath::new(path, FileSide::Opaque, FileSide::Opaque);
    let all =
        find_guards(&[file("Makefile"), file("tests/x.bin"), file("logo.png")], &TestPaths::default(), None);
    let paths: Vec<_> = all.iter().map(|finding| (finding.path.as_str(), finding.kind)).collect();
    let fresh = ChangedPath::new("tests/x.bin", FileSide::Absent, FileSide::Opaque);
    assert_eq!(find_guards(&[fresh], &TestPaths::default(), None), []);
    assert_eq!(paths, [("Makefile", GuardKind::Unreadable), ("tests/x.bin", GuardKind::Unreadable)]);
}

#[test]
fn a_long_list_is_cut_and_counted() {
    let new: String = (0..100).map(|n| format!("a{n}\n")).collect();
    let found = found("Makefile", "", &new);
    assert_eq!(found.len(), MAX_FINDINGS_A_FILE + 1);
    assert_eq!(found.last().unwrap().2, "60 more lines of this file");
}

proptest::proptest! {
    #[test]
    fn an_unchanged_file_has_no_guards(
        path in proptest::sample::select(vec!["Makefile", "tests/a.rs", "test_a.py", "package.json", "a.test.ts"]),
        text in "(?s)(#\\[test\\]\nfn a|assert!\\(|it.skip\\(|\\{|\\}|\n|\\|\\| true){0,30}",
    ) {
        for (kind, line, said) in found(path, &text, &text) {
            proptest::prop_assert_eq!((kind, line), (GuardKind::Unreadable, 0));
            proptest::prop_assert_eq!(said, "its mode is changed, not its text");
        }
    }
}
