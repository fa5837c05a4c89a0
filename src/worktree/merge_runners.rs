//! Names the files of a change that run on the person's machine or servers without being called: when the
//! change is merged, opened, built or pushed. Pure, and by names alone. Failure policy: rather one file too
//! many than one too few.

use serde::Serialize;

use super::diff::{ChangeKind, TreeChange};
use super::ids::GitPath;

/// A file that will run, and the occasion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MergeRunner {
    pub path: GitPath,
    pub occasion: &'static str,
}

const HOOK: &str = "runs as a git hook";
const ENTRY: &str = "runs on entering the folder";
const EDITOR: &str = "runs or is obeyed when an editor opens the folder";
const CI: &str = "runs on the CI server";
const INSTALL: &str = "runs when dependencies are installed or scripts are called";
const BUILD: &str = "runs when the project is built";
const TEST: &str = "runs when tests are collected";
const AGENT: &str = "is obeyed by coding agents";
const GIT: &str = "changes how git treats files";

/// File names, in any folder.
const NAMES: &[(&str, &str)] = &[
    (".envrc", ENTRY),
    (".mise.toml", ENTRY),
    ("mise.toml", ENTRY),
    (".tool-versions", ENTRY),
    ("build.rs", BUILD),
    ("makefile", BUILD),
    ("gnumakefile", BUILD),
    ("justfile", BUILD),
    (".justfile", BUILD),
    ("taskfile.yml", BUILD),
    ("taskfile.yaml", BUILD),
    ("cmakelists.txt", BUILD),
    ("meson.build", BUILD),
    ("configure", BUILD),
    ("dockerfile", BUILD),
    ("containerfile", BUILD),
    ("compose.yml", BUILD),
    ("compose.yaml", BUILD),
    ("docker-compose.yml", BUILD),
    ("docker-compose.yaml", BUILD),
    ("build.gradle", BUILD),
    ("build.gradle.kts", BUILD),
    ("settings.gradle", BUILD),
    ("settings.gradle.kts", BUILD),
    ("gradlew", BUILD),
    ("mvnw", BUILD),
    ("pom.xml", BUILD),
    ("build.zig", BUILD),
    ("package.swift", BUILD),
    ("rakefile", BUILD),
    ("gemfile", INSTALL),
    ("binding.gyp", INSTALL),
    ("package.json", INSTALL),
    (".npmrc", INSTALL),
    (".yarnrc", INSTALL),
    (".yarnrc.yml", INSTALL),
    (".pnpmfile.cjs", INSTALL),
    ("composer.json", INSTALL),
    ("setup.py", INSTALL),
    ("setup.cfg", INSTALL),
    ("pyproject.toml", INSTALL),
    ("pip.conf", INSTALL),
    ("conftest.py", TEST),
    ("noxfile.py", TEST),
    ("tox.ini", TEST),
    ("pytest.ini", TEST),
    ("sitecustomize.py", TEST),
    ("usercustomize.py", TEST),
    ("rust-toolchain", BUILD),
    ("rust-toolchain.toml", BUILD),
    (".gitattributes", GIT),
    (".gitmodules", GIT),
    (".gitconfig", GIT),
    (".lfsconfig", GIT),
    (".pre-commit-config.yaml", HOOK),
    ("lefthook.yml", HOOK),
    ("lefthook.yaml", HOOK),
    (".lefthook.yml", HOOK),
    (".lintstagedrc", HOOK),
    (".gitlab-ci.yml", CI),
    (".travis.yml", CI),
    ("appveyor.yml", CI),
    ("azure-pipelines.yml", CI),
    ("bitbucket-pipelines.yml", CI),
    ("jenkinsfile", CI),
    (".drone.yml", CI),
    (".cirrus.yml", CI),
    (".mcp.json", AGENT),
    ("agents.md", AGENT),
    ("claude.md", AGENT),
    (".cursorrules", AGENT),
    (".editorconfig", EDITOR),
    (".exrc", EDITOR),
    (".nvimrc", EDITOR),
    (".nvim.lua", EDITOR),
    (".vimrc", EDITOR),
    (".dir-locals.el", EDITOR),
];

/// Folders below which every file counts.
const FOLDERS: &[(&str, &str)] = &[
    (".husky", HOOK),
    (".githooks", HOOK),
    ("githooks", HOOK),
    (".hooks", HOOK),
    (".github/workflows", CI),
    (".github/actions", CI),
    (".gitea/workflows", CI),
    (".forgejo/workflows", CI),
    (".circleci", CI),
    (".buildkite", CI),
    (".woodpecker", CI),
    (".vscode", EDITOR),
    (".idea", EDITOR),
    (".zed", EDITOR),
    (".fleet", EDITOR),
    (".devcontainer", EDITOR),
    (".cargo", BUILD),
    (".mvn", BUILD),
    ("buildsrc", BUILD),
    (".claude", AGENT),
    (".codex", AGENT),
    (".cursor", AGENT),
    (".gemini", AGENT),
];

/// Endings of file names.
const ENDINGS: &[(&str, &str)] = &[
    (".mk", BUILD),
    (".cmake", BUILD),
    (".gemspec", INSTALL),
    (".pth", TEST),
    (".code-workspace", EDITOR),
    (".csproj", BUILD),
    (".vcxproj", BUILD),
    (".targets", BUILD),
    (".props", BUILD),
];

/// The files that run, except deleted ones.
pub fn runs_on_merge(changes: &[TreeChange]) -> Vec<MergeRunner> {
    let living = changes.iter().filter(|file| file.kind != ChangeKind::Deleted);
    living
        .filter_map(|file| {
            occasion_of(&file.path).map(|occasion| MergeRunner { path: file.path.clone(), occasion })
        })
        .collect()
}

fn occasion_of(path: &GitPath) -> Option<&'static str> {
    // Some file systems ignore case, and `make` reads either.
    let whole = String::from_utf8_lossy(path.as_bytes()).to_lowercase();
    let name = whole.rsplit('/').next().unwrap_or_default();
    let slashed = format!("/{whole}");
    let by_folder = FOLDERS.iter().find(|(folder, _)| slashed.contains(&format!("/{folder}/")));
    let by_name = || NAMES.iter().find(|(known, _)| *known == name);
    let by_ending = || ENDINGS.iter().find(|(ending, _)| name.ends_with(ending));
    let by_start = || {
        let starts = [("dockerfile.", BUILD), (".lintstagedrc.", HOOK), ("lint-staged.config.", HOOK)];
        starts.into_iter().find(|(start, _)| name.starts_with(start)).map(|(_, occasion)| occasion)
    };
    by_folder.or_else(by_name).or_else(by_ending).map(|(_, occasion)| *occasion).or_else(by_start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_decide_and_sources_do_not_count() {
        for (path, runs) in [
            ("build.rs", true),
            ("crates/a/build.rs", true),
            ("src/rebuild.rs", false),
            (".husky/pre-commit", true),
            ("web/.husky/pre-commit", true),
            ("web/husky/x", false),
            (".github/workflows/ci.yml", true),
            (".github/ISSUE_TEMPLATE.md", false),
            ("sub/Makefile", true),
            ("Dockerfile.dev", true),
            ("tests/conftest.py", true),
            ("package.json", true),
            ("src/package.rs", false),
            (".vscode/tasks.json", true),
            (".envrc", true),
            ("README.md", false),
        ] {
            assert_eq!(occasion_of(&GitPath::new(path)).is_some(), runs, "{path}");
        }
    }
}
