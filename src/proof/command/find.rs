//! Finds the proving command in the files of a tree: Cargo, Node, Python, Go, make, in this order.
//!
//! Failure policy: a file that cannot be read or parsed suggests nothing; of several ecosystems the first is
//! taken and `why` names the others.

use std::fs;
use std::path::Path;

use super::{CommandEcosystem, ProvingCommand};

/// Manifests are small; a longer file is no manifest.
const MAX_MANIFEST: u64 = 1024 * 1024;
/// Most names considered in a folder when searching for tests by name.
const MAX_NAMES: usize = 2_000;

pub(super) fn find(tree: &Path) -> Option<ProvingCommand> {
    let mut found = [cargo, node, python, go, make].into_iter().filter_map(|look| look(tree));
    let mut first = found.next()?;
    let others: Vec<String> = found.map(|other| format!("`{}`", other.script)).collect();
    if !others.is_empty() {
        first.why = format!("{}; {} would be possible too, with --prove", first.why, others.join(", "));
    }
    Some(first)
}

fn command(script: impl Into<String>, ecosystem: CommandEcosystem, why: impl Into<String>) -> ProvingCommand {
    ProvingCommand { script: script.into(), ecosystem, why: why.into() }
}

fn text(tree: &Path, name: &str) -> Option<String> {
    let path = tree.join(name);
    let meta = path.metadata().ok()?;
    (meta.is_file() && meta.len() <= MAX_MANIFEST).then(|| fs::read_to_string(path).ok())?
}

fn cargo(tree: &Path) -> Option<ProvingCommand> {
    let manifest = text(tree, "Cargo.toml")?;
    let has = |section: &str| manifest.lines().any(|line| line.trim() == section);
    if !has("[package]") && !has("[workspace]") {
        return None;
    }
    if tree.join(".config/nextest.toml").is_file() {
        let why =
            "Cargo.toml and .config/nextest.toml are there; documentation tests are not among nextest's";
        return Some(command("cargo nextest run --workspace --no-fail-fast", CommandEcosystem::Cargo, why));
    }
    // In a root package `cargo test` alone leaves the other members out.
    let both = has("[package]") && has("[workspace]");
    // All binaries have to run, so that counts before and after can be compared.
    let script = if both { "cargo test --workspace --no-fail-fast" } else { "cargo test --no-fail-fast" };
    Some(command(script, CommandEcosystem::Cargo, "Cargo.toml is there"))
}

fn node(tree: &Path) -> Option<ProvingCommand> {
    let manifest: serde_json::Value = serde_json::from_str(&text(tree, "package.json")?).ok()?;
    let script = manifest.pointer("/scripts/test").and_then(serde_json::Value::as_str);
    // The script that `npm init` writes tests nothing.
    if script.is_some_and(|script| !script.trim().is_empty() && !script.contains("no test specified")) {
        let named = manifest.get("packageManager").and_then(serde_json::Value::as_str).unwrap_or("");
        let manager = if named.starts_with("pnpm") || tree.join("pnpm-lock.yaml").is_file() {
            "pnpm"
        } else if named.starts_with("yarn") || tree.join("yarn.lock").is_file() {
            "yarn"
        } else {
            "npm"
        };
        return Some(command(
            format!("{manager} test"),
            CommandEcosystem::Node,
            "package.json has a script `test`",
        ));
    }
    let is_test = |name: &str| [".test.js", ".test.mjs", ".test.cjs"].iter().any(|end| name.ends_with(end));
    let by_name = ["", "test", "tests", "src"].iter().any(|folder| any_name(&tree.join(folder), is_test));
    let in_folder = any_name(&tree.join("test"), |name| name.ends_with("js"));
    let why = "package.json has no script `test`, but there are test files";
    (by_name || in_folder).then(|| command("node --test", CommandEcosystem::Node, why))
}

fn python(tree: &Path) -> Option<ProvingCommand> {
    let found = |why: &str| Some(command("python3 -m pytest", CommandEcosystem::Python, why));
    let settings = [
        ("pytest.ini", "[pytest]"),
        ("pyproject.toml", "[tool.pytest"),
        ("setup.cfg", "[tool:pytest]"),
        ("tox.ini", "[pytest]"),
    ];
    for (name, section) in settings {
        if text(tree, name).is_some_and(|text| text.lines().any(|line| line.trim().starts_with(section))) {
            return found(&format!("{name} has settings of pytest"));
        }
    }
    if tree.join("conftest.py").is_file() || tree.join("tests/conftest.py").is_file() {
        return found("conftest.py is there");
    }
    let is_test =
        |name: &str| name.ends_with(".py") && (name.starts_with("test_") || name.ends_with("_test.py"));
    let folder = ["tests", "test", ""].into_iter().find(|folder| any_name(&tree.join(folder), is_test))?;
    let requirements = ["requirements.txt", "requirements-dev.txt", "pyproject.toml", "setup.py"];
    if requirements.iter().any(|name| text(tree, name).is_some_and(|text| text.contains("pytest"))) {
        return found("there are test files, and pytest is among the requirements");
    }
    if uses_unittest_only(&tree.join(folder), is_test) {
        let mut script = "python3 -m unittest discover".to_owned();
        if !folder.is_empty() {
            script = format!("{script} -s {folder}");
        }
        // Tests in a package import each other from the root.
        if !folder.is_empty() && tree.join(folder).join("__init__.py").is_file() {
            script.push_str(" -t .");
        }
        return Some(command(script, CommandEcosystem::Python, "the test files use unittest only"));
    }
    found("there are test files of pytest's names")
}

fn uses_unittest_only(folder: &Path, is_test: impl Fn(&str) -> bool) -> bool {
    names(folder).into_iter().filter(|name| is_test(name)).all(|name| {
        text(folder, &name).is_some_and(|text| text.contains("unittest") && !text.contains("import pytest"))
    })
}

fn go(tree: &Path) -> Option<ProvingCommand> {
    text(tree, "go.mod")?;
    Some(command("go test -v ./...", CommandEcosystem::Go, "go.mod is there; with -v tests can be counted"))
}

fn make(tree: &Path) -> Option<ProvingCommand> {
    let (name, makefile) = ["GNUmakefile", "makefile", "Makefile"]
        .into_iter()
        .find_map(|name| Some((name, text(tree, name)?)))?;
    let target = ["test", "check"].into_iter().find(|target| has_target(&makefile, target))?;
    Some(command(format!("make {target}"), CommandEcosystem::Make, format!("{name} has a target `{target}`")))
}

fn has_target(makefile: &str, target: &str) -> bool {
    makefile.lines().any(|line| {
        let Some((names, rest)) = line.split_once(':') else { return false };
        let is_rule = !line.starts_with(['\t', '#', '.']) && !rest.starts_with('=');
        is_rule && names.split_whitespace().any(|name| name == target)
    })
}

fn any_name(folder: &Path, wanted: impl Fn(&str) -> bool) -> bool {
    names(folder).iter().any(|name| wanted(name))
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.take(MAX_NAMES).filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}
