//! Files in which every changed line, or every changed line of some sections, is a guard.
//!
//! Failure policy: in a manifest that cannot be parsed every line is a guard.

use super::sections::{json_keys, toml_sections};
use super::{ChangeSide, ChangedPath, GuardFinding, GuardKind};

pub(super) fn findings(file: &ChangedPath, scripts: &[String]) -> Vec<GuardFinding> {
    let Some(kind) = kind_of(&file.path, scripts) else { return Vec::new() };
    // A snapshot that only grows weakens nothing: it belongs to new tests.
    let changed = file.lines();
    let sections = [ChangeSide::Old, ChangeSide::New].map(|side| sections_of(file, side));
    changed
        .iter()
        .filter(|line| !line.text.trim().is_empty())
        .filter(|line| kind != GuardKind::SnapshotChanged || line.side == ChangeSide::Old)
        .filter_map(|line| {
            let of_side = &sections[usize::from(line.side == ChangeSide::New)];
            let kind = match of_side {
                Some(sections) => kind_in_manifest(&file.path, sections.get(line.line - 1)?, line.text)?,
                None => kind,
            };
            Some(GuardFinding::new(&file.path, line.side, line.line, kind, line.text))
        })
        .collect()
}

/// The kind of a file that decides about tests, in all lines or some.
pub(super) fn kind_of(path: &str, scripts: &[String]) -> Option<GuardKind> {
    let name = path.rsplit('/').next().unwrap_or(path);
    if scripts.iter().any(|script| script == path) {
        return Some(GuardKind::ProvingScript);
    }
    if is_ci(path, name) {
        return Some(GuardKind::CiFile);
    }
    if path.starts_with(".husky/")
        || path.starts_with(".githooks/")
        || matches!(name, ".pre-commit-config.yaml" | ".lintstagedrc" | ".lintstagedrc.json")
        || starts(name, &["lefthook.", ".lefthook.", "lint-staged.config."])
    {
        return Some(GuardKind::GitHook);
    }
    if path.contains("__snapshots__/")
        || name.ends_with(".snap")
        || name.ends_with(".ambr")
        || name.ends_with(".approved.txt")
    {
        return Some(GuardKind::SnapshotChanged);
    }
    test_setting(path, name).or_else(|| strictness(name))
}

fn test_setting(path: &str, name: &str) -> Option<GuardKind> {
    match name {
        "Makefile" | "makefile" | "GNUmakefile" | "justfile" | "Justfile" | ".justfile" | "Taskfile.yml"
        | "Taskfile.yaml" | "noxfile.py" | "Rakefile" | "Earthfile" => Some(GuardKind::BuildRecipe),
        _ if name.ends_with(".mk") => Some(GuardKind::BuildRecipe),
        "package.json" => Some(GuardKind::PackageScript),
        "pytest.ini" | ".pytest.ini" | "conftest.py" | "sitecustomize.py" | "usercustomize.py"
        | "nextest.toml" | "pyproject.toml" | "setup.cfg" | "tox.ini" | "Cargo.toml" | "phpunit.xml"
        | "phpunit.xml.dist" | ".rspec" | "testng.xml" => Some(GuardKind::TestSetting),
        _ if path.ends_with(".cargo/config.toml") || path.ends_with(".cargo/config") => {
            Some(GuardKind::TestSetting)
        }
        _ if starts(
            name,
            &[
                "jest.config.",
                "jest.setup.",
                "jest-setup.",
                "vitest.config.",
                "vitest.workspace.",
                "vitest.setup.",
                "vite.config.",
                ".mocharc",
                "playwright.config.",
                "cypress.config.",
                "karma.conf",
                "ava.config.",
            ],
        ) =>
        {
            Some(GuardKind::TestSetting)
        }
        _ => None,
    }
}

fn strictness(name: &str) -> Option<GuardKind> {
    match name {
        ".coveragerc"
        | "codecov.yml"
        | ".codecov.yml"
        | "tarpaulin.toml"
        | ".tarpaulin.toml"
        | ".coveralls.yml"
        | "sonar-project.properties" => Some(GuardKind::CoverageSetting),
        _ if starts(name, &[".nycrc", ".c8rc", "nyc.config."]) => Some(GuardKind::CoverageSetting),
        "clippy.toml" | ".clippy.toml" | "rustfmt.toml" | ".rustfmt.toml" | "deny.toml" | "ruff.toml"
        | ".ruff.toml" | ".flake8" | "mypy.ini" | ".mypy.ini" | ".pylintrc" | "pyrightconfig.json"
        | "biome.json" | "biome.jsonc" | ".eslintignore" | "tslint.json" | ".editorconfig" => {
            Some(GuardKind::LintSetting)
        }
        _ if starts(
            name,
            &[".eslintrc", "eslint.config.", ".golangci.", ".rubocop", ".prettierrc", ".stylelintrc"],
        ) =>
        {
            Some(GuardKind::LintSetting)
        }
        _ => None,
    }
}

fn is_ci(path: &str, name: &str) -> bool {
    let folders = [
        ".github/workflows/",
        ".github/actions/",
        ".circleci/",
        ".gitlab/",
        ".buildkite/",
        ".woodpecker/",
        ".forgejo/",
        ".gitea/",
    ];
    let names = [
        ".gitlab-ci.yml",
        ".travis.yml",
        "Jenkinsfile",
        "azure-pipelines.yml",
        "bitbucket-pipelines.yml",
        ".drone.yml",
        "appveyor.yml",
        ".appveyor.yml",
        ".cirrus.yml",
        "cloudbuild.yaml",
    ];
    folders.iter().any(|folder| path.starts_with(folder)) || names.contains(&name)
}

fn starts(name: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| name.starts_with(beginning))
}

/// The section of each line, for manifests with other contents too; `None` where the whole file decides.
fn sections_of(file: &ChangedPath, side: ChangeSide) -> Option<Vec<String>> {
    let text = file.side(side).text();
    match file.path.rsplit('/').next()? {
        "package.json" => json_keys(text),
        "pyproject.toml" | "setup.cfg" | "tox.ini" | "Cargo.toml" => Some(toml_sections(text)),
        _ => None,
    }
}

fn kind_in_manifest(path: &str, section: &str, line: &str) -> Option<GuardKind> {
    match path.rsplit('/').next()? {
        "package.json" => match section {
            "scripts" => Some(GuardKind::PackageScript),
            "jest" | "vitest" | "mocha" | "ava" | "tap" => Some(GuardKind::TestSetting),
            "nyc" | "c8" => Some(GuardKind::CoverageSetting),
            "eslintConfig" | "eslintIgnore" | "lint-staged" | "husky" => Some(GuardKind::LintSetting),
            _ => None,
        },
        "Cargo.toml" => in_cargo(section, line),
        _ => {
            let section =
                section.strip_prefix("tool.").or_else(|| section.strip_prefix("tool:")).unwrap_or(section);
            if starts(section, &["pytest", "tox", "testenv", "hatch.envs", "nox", "poe.tasks", "pdm.scripts"])
            {
                Some(GuardKind::TestSetting)
            } else if section.starts_with("coverage") {
                Some(GuardKind::CoverageSetting)
            } else if starts(
                section,
                &["ruff", "flake8", "mypy", "pylint", "black", "isort", "pyright", "bandit"],
            ) {
                Some(GuardKind::LintSetting)
            } else {
                None
            }
        }
    }
}

fn in_cargo(section: &str, line: &str) -> Option<GuardKind> {
    if section.starts_with("lints") || section.starts_with("workspace.lints") {
        return Some(GuardKind::LintSetting);
    }
    let key = line.split('=').next().unwrap_or("").trim();
    let decides = match section {
        "test" | "bench" | "profile.test" => true,
        "lib" | "bin" | "example" => matches!(key, "test" | "doctest" | "harness" | "bench"),
        "package" => starts(key, &["auto", "build"]),
        "workspace" => !line.trim_start().starts_with("resolver"),
        _ => false,
    };
    decides.then_some(GuardKind::TestSetting)
}
