//! The rules of a proving command, case by case.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;

fn tree(files: &[(&str, &str)]) -> TempDir {
    let tree = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = tree.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    tree
}

#[track_caller]
fn finds(files: &[(&str, &str)], script: &str) -> ProvingCommand {
    let tree = tree(files);
    let found = ProvingCommand::find(tree.path()).expect("a command is found");
    assert_eq!(found.script, script);
    found
}

#[test]
fn cargo_is_found() {
    let found = finds(&[("Cargo.toml", "[package]\nname = \"a\"\n")], "cargo test --no-fail-fast");
    assert_eq!(found.to_string(), "cargo test --no-fail-fast (Cargo.toml is there)");
    finds(&[("Cargo.toml", "[workspace]\nmembers = []\n")], "cargo test --no-fail-fast");
    finds(&[("Cargo.toml", "[package]\n[workspace]\n")], "cargo test --workspace --no-fail-fast");
    finds(
        &[("Cargo.toml", "[package]\n"), (".config/nextest.toml", "")],
        "cargo nextest run --workspace --no-fail-fast",
    );
}

#[test]
fn node_is_found_with_its_manager() {
    let manifest = r#"{"scripts":{"test":"jest"}}"#;
    finds(&[("package.json", manifest)], "npm test");
    finds(&[("package.json", manifest), ("pnpm-lock.yaml", "")], "pnpm test");
    finds(&[("package.json", manifest), ("yarn.lock", "")], "yarn test");
    finds(&[("package.json", r#"{"packageManager":"pnpm@9","scripts":{"test":"jest"}}"#)], "pnpm test");
}

#[test]
fn the_script_of_npm_init_is_no_test() {
    let manifest = r#"{"scripts":{"test":"echo \"Error: no test specified\" && exit 1"}}"#;
    finds(&[("package.json", manifest), ("sum.test.js", "")], "node --test");
    finds(&[("package.json", "{}"), ("test/sum.js", "")], "node --test");
    assert_eq!(ProvingCommand::find(tree(&[("package.json", manifest)]).path()), None);
}

#[test]
fn python_is_found_by_settings_and_by_files() {
    finds(&[("pyproject.toml", "[tool.pytest.ini_options]\n")], "python3 -m pytest");
    finds(&[("setup.cfg", "[tool:pytest]\n")], "python3 -m pytest");
    finds(&[("tests/test_a.py", "def test_a(): pass\n")], "python3 -m pytest");
    finds(&[("test_a.py", "import unittest\n")], "python3 -m unittest discover");
    finds(&[("tests/test_a.py", "import unittest\n")], "python3 -m unittest discover -s tests");
    let package = [("tests/test_a.py", "import unittest\n"), ("tests/__init__.py", "")];
    finds(&package, "python3 -m unittest discover -s tests -t .");
    finds(
        &[("test_a.py", "import unittest\n"), ("requirements-dev.txt", "pytest>=8\n")],
        "python3 -m pytest",
    );
    assert_eq!(ProvingCommand::find(tree(&[("pyproject.toml", "[project]\n"), ("a.py", "")]).path()), None);
}

#[test]
fn go_and_make_are_found() {
    finds(&[("go.mod", "module a\n")], "go test -v ./...");
    finds(&[("Makefile", "all: a\n\ntest: all\n\t./run\n")], "make test");
    finds(&[("Makefile", "test := no\nbuild check: a\n")], "make check");
    assert_eq!(ProvingCommand::find(tree(&[("Makefile", "tests:\n\ttest: no\n")]).path()), None);
    assert_eq!(ProvingCommand::find(tree(&[]).path()), None);
}

#[test]
fn the_other_ecosystems_are_named() {
    let found = finds(
        &[("Cargo.toml", "[package]\n"), ("Makefile", "check:\n\ttrue\n")],
        "cargo test --no-fail-fast",
    );
    assert_eq!(found.why, "Cargo.toml is there; `make check` would be possible too, with --prove");
}

#[test]
fn a_given_command_is_run_by_bash_as_it_is() {
    let given = ProvingCommand::given("  cargo test -- 'a b' \n").unwrap();
    assert_eq!(given.argv(), ["bash", "-c", "cargo test -- 'a b'"]);
}

#[test]
fn bad_commands_are_refused_in_words() {
    let refused = |text: &str| ProvingCommand::given(text).unwrap_err().to_string();
    assert_eq!(refused(" "), "the proving command is empty; give one, as --prove \"cargo test\"");
    assert!(refused("cargo test 'a").starts_with("a quote in the proving command is not closed: 'a"));
    assert!(refused("echo \"a").contains("not closed"));
    assert!(refused("a\0b").contains("NUL"));
    assert!(refused(&"a ".repeat(9_000)).contains("17999 characters"));
}

#[test]
fn programs_are_looked_for_where_the_proof_runs() {
    let tree = tree(&[("bin/known", ""), ("run.sh", ""), ("plain.sh", "")]);
    for name in ["bin/known", "run.sh"] {
        fs::set_permissions(tree.path().join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let search = [tree.path().join("bin")];
    let check = |text: &str| {
        ProvingCommand::given(text).unwrap().check(tree.path(), &search).map_err(|e| e.to_string())
    };
    for good in [
        "known",
        "A=1 env B=2 known --x && ! ./run.sh",
        "cd sub && ./elsewhere.sh; known",
        "if [ -f a ]; then known; fi",
        "(known) 2>&1 | known",
        "known > out 2>&1 &",
        "$TOOL x",
        "echo 'missing; tool' \"and | this\"",
        "known # then missing",
    ] {
        assert_eq!(check(good), Ok(()), "{good}");
    }
    for bad in ["missing", "known && missing", "known | missing", "A=1 missing", "known;missing", "! missing"]
    {
        assert!(check(bad).unwrap_err().starts_with("`missing` is not installed"), "{bad}");
    }
    assert_eq!(
        check("./gone.sh").unwrap_err(),
        "`./gone.sh` is not in the repository; --prove runs in its root"
    );
    assert!(check("./plain.sh").unwrap_err().contains("chmod +x"));
}

#[test]
fn a_command_that_cannot_fail_is_doubted() {
    let doubt = |text: &str| ProvingCommand::given(text).unwrap().doubt();
    assert!(doubt("cargo test || true").unwrap().contains("can never fail"));
    assert!(doubt("cargo test; true;").unwrap().contains("can never fail"));
    assert!(doubt("cargo test 2>&1 | tee out.txt").unwrap().contains("that of `tee`"));
    assert_eq!(doubt("set -o pipefail; cargo test | tee out.txt"), None);
    assert_eq!(doubt("cargo test || exit 1"), None);
    assert_eq!(doubt("grep -E 'a|b' x"), None);
}

#[test]
fn scripts_that_the_command_runs_are_named() {
    let files = |text: &str| ProvingCommand::given(text).unwrap().files();
    assert_eq!(files("bash ./scripts/check.sh --fast"), ["scripts/check.sh"]);
    assert_eq!(files("cargo test"), Vec::<String>::new());
}

proptest::proptest! {
    #[test]
    fn any_line_is_read_without_a_panic(text in "(?s)[ -~\né]{0,80}") {
        if let Ok(given) = ProvingCommand::given(&text) {
            given.doubt();
            given.files();
        }
    }
}
