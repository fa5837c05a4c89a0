//! The tool homes of the person's machine, read-only inside, and the variables that make their tools work so:
//! every cache that a tool writes is moved into the scratch.
//!
//! Failure policy: a missing or unreadable tool home is left out. Files with credentials (`credentials.toml`,
//! `.npmrc`) and configuration that may contain tokens are never bound.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::profile::MirroredFolder;

/// One tool home.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolchainPlace {
    pub readable: Vec<PathBuf>,
    /// Folders for `PATH`.
    pub programs: Vec<PathBuf>,
    /// Variables with fixed values.
    pub variables: Vec<(&'static str, String)>,
    /// Variables whose value is a folder of the scratch.
    pub caches: Vec<(&'static str, &'static str)>,
    /// Source folders, and the place in the scratch where their entries are linked.
    pub mirrors: Vec<(PathBuf, String)>,
}

/// All tool homes that a command gets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolchainSet {
    pub places: Vec<ToolchainPlace>,
}

impl ToolchainSet {
    pub(super) fn environment(&self, scratch: &Path) -> BTreeMap<String, String> {
        let mut environment = BTreeMap::new();
        for place in &self.places {
            for (name, value) in &place.variables {
                environment.insert((*name).to_owned(), value.clone());
            }
            for (name, folder) in &place.caches {
                environment.insert((*name).to_owned(), scratch.join(folder).to_string_lossy().into_owned());
            }
        }
        environment
    }

    pub(super) fn folders(&self, scratch: &Path) -> Vec<PathBuf> {
        self.places.iter().flat_map(|place| place.caches.iter().map(|(_, at)| scratch.join(at))).collect()
    }

    pub(super) fn mirrors(&self, scratch: &Path) -> Vec<MirroredFolder> {
        let of_place = |place: &ToolchainPlace| {
            let linked = place.mirrors.iter();
            linked
                .map(|(from, at)| MirroredFolder { from: from.clone(), at: scratch.join(at) })
                .collect::<Vec<_>>()
        };
        self.places.iter().flat_map(of_place).collect()
    }
}

/// Looks for tool homes below a home folder; `variable` reads the person's environment.
#[must_use]
pub fn find_toolchains(home: &Path, variable: impl Fn(&str) -> Option<PathBuf>) -> ToolchainSet {
    let at = |name: &str, usual: &str| variable(name).unwrap_or_else(|| home.join(usual));
    let found = [
        rust(&at("CARGO_HOME", ".cargo"), &at("RUSTUP_HOME", ".rustup")),
        pyenv(&at("PYENV_ROOT", ".pyenv")),
        python_packages(&home.join(".local"), &at("UV_PYTHON_INSTALL_DIR", ".local/share/uv/python")),
        node(&at("NVM_DIR", ".nvm"), &at("VOLTA_HOME", ".volta")),
        go(&at("GOPATH", "go"), variable("GOMODCACHE"), &at("GOROOT", ".local/go")),
    ];
    ToolchainSet { places: found.into_iter().flatten().collect() }
}

fn is_readable_folder(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok()
}

fn folders_in(path: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut folders: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// Cargo locks, unpacks and notes last uses below its home, so that home is in the scratch, with index and
/// archives linked whole and unpacked sources linked one by one: a crate that was fetched but never unpacked
/// is unpacked into the scratch.
fn rust(cargo: &Path, rustup: &Path) -> Option<ToolchainPlace> {
    let programs = cargo.join("bin");
    if !is_readable_folder(&programs) && !is_readable_folder(&rustup.join("toolchains")) {
        return None;
    }
    let registry = cargo.join("registry");
    let git = cargo.join("git");
    let mut mirrors = Vec::new();
    for part in ["index", "cache"] {
        mirrors.push((registry.join(part), format!("cargo/registry/{part}")));
    }
    for source in folders_in(&registry.join("src")) {
        if let Some(name) = source.file_name() {
            mirrors.push((source.clone(), format!("cargo/registry/src/{}", name.to_string_lossy())));
        }
    }
    for part in ["db", "checkouts"] {
        mirrors.push((git.join(part), format!("cargo/git/{part}")));
    }
    let mut place = ToolchainPlace {
        readable: vec![
            programs.clone(),
            registry,
            git,
            rustup.join("toolchains"),
            rustup.join("settings.toml"),
        ],
        programs: vec![programs],
        variables: vec![
            ("CARGO_NET_OFFLINE", "true".into()),
            ("RUSTUP_AUTO_INSTALL", "0".into()),
            // Sources are read-only, and the note of last uses would be written into a linked folder.
            ("CARGO_CACHE_AUTO_CLEAN_FREQUENCY", "never".into()),
        ],
        caches: vec![("CARGO_HOME", "cargo")],
        mirrors,
    };
    if is_readable_folder(rustup) {
        place.variables.push(("RUSTUP_HOME", rustup.to_string_lossy().into_owned()));
    }
    Some(place)
}

fn pyenv(root: &Path) -> Option<ToolchainPlace> {
    let chosen = std::fs::read_to_string(root.join("version")).ok();
    let versions = root.join("versions");
    let all = folders_in(&versions);
    let by_name =
        chosen.as_deref().and_then(|text| text.lines().next()).map(|name| versions.join(name.trim()));
    let version = by_name
        .filter(|path| path.is_dir())
        .or_else(|| all.into_iter().max_by_key(|path| version_of(path)))?;
    // The version's own programs, not pyenv's shims: those are shell scripts that start three processes each.
    Some(ToolchainPlace {
        readable: vec![versions],
        programs: vec![version.join("bin")],
        ..ToolchainPlace::default()
    })
}

/// Packages installed by `pip install --user`, and interpreters of uv, which environments in trees point to.
fn python_packages(local: &Path, uv: &Path) -> Option<ToolchainPlace> {
    let packages = folders_in(&local.join("lib"))
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python")));
    let mut readable: Vec<_> = packages.collect();
    let mut variables = vec![("UV_OFFLINE", "1".to_owned()), ("PIP_NO_INDEX", "1".to_owned())];
    if !readable.is_empty() {
        variables.push(("PYTHONUSERBASE", local.to_string_lossy().into_owned()));
    }
    if is_readable_folder(uv) {
        variables.push(("UV_PYTHON_INSTALL_DIR", uv.to_string_lossy().into_owned()));
        readable.push(uv.to_owned());
    }
    let caches = vec![("UV_CACHE_DIR", "uv"), ("PIP_CACHE_DIR", "pip")];
    Some(ToolchainPlace { readable, variables, caches, ..ToolchainPlace::default() })
}

fn node(nvm: &Path, volta: &Path) -> Option<ToolchainPlace> {
    let mut place = ToolchainPlace {
        variables: vec![
            ("npm_config_offline", "true".into()),
            ("npm_config_update_notifier", "false".into()),
            ("npm_config_audit", "false".into()),
            ("npm_config_fund", "false".into()),
        ],
        caches: vec![("npm_config_cache", "npm")],
        ..ToolchainPlace::default()
    };
    let versions = nvm.join("versions/node");
    if let Some(newest) = folders_in(&versions).into_iter().max_by_key(|path| version_of(path)) {
        place.programs.push(newest.join("bin"));
        place.readable.push(versions);
    }
    let image = volta.join("tools/image");
    if let Some(newest) = folders_in(&image.join("node")).into_iter().max_by_key(|path| version_of(path)) {
        place.programs.push(newest.join("bin"));
        place.readable.push(image);
    }
    Some(place)
}

/// `v20.9.0` before `v20.10.0`.
fn version_of(path: &Path) -> Vec<u64> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.trim_start_matches('v').split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

fn go(path: &Path, modules: Option<PathBuf>, root: &Path) -> Option<ToolchainPlace> {
    let roots = [root.to_owned(), PathBuf::from("/usr/local/go")];
    let root = roots.into_iter().find(|root| root.join("bin/go").exists());
    let on_system = ["/usr/bin/go", "/usr/local/bin/go"].iter().any(|go| Path::new(go).exists());
    if root.is_none() && !on_system {
        return None;
    }
    let modules = modules.unwrap_or_else(|| path.join("pkg/mod"));
    let mut place = ToolchainPlace {
        variables: vec![
            ("GOPROXY", "off".into()),
            ("GOTOOLCHAIN", "local".into()),
            ("GOTELEMETRY", "off".into()),
        ],
        caches: vec![("GOCACHE", "go-build"), ("GOPATH", "go")],
        ..ToolchainPlace::default()
    };
    if is_readable_folder(&modules) {
        place.variables.push(("GOMODCACHE", modules.to_string_lossy().into_owned()));
        place.readable.push(modules);
    }
    if let Some(root) = root {
        place.programs.push(root.join("bin"));
        place.readable.push(root);
    }
    Some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rust_home_is_read_only_and_its_credentials_stay_outside() {
        let home = tempfile::tempdir().unwrap();
        for folder in [".cargo/bin", ".cargo/registry/src/index-1/serde-1", ".rustup/toolchains"] {
            std::fs::create_dir_all(home.path().join(folder)).unwrap();
        }
        let found = find_toolchains(home.path(), |_| None);
        let rust = found
            .places
            .iter()
            .find(|place| place.programs.iter().any(|bin| bin.ends_with(".cargo/bin")))
            .unwrap();
        assert!(!rust.readable.contains(&home.path().join(".cargo")), "credentials.toml lies there");
        let scratch = Path::new("/s");
        assert_eq!(found.environment(scratch)["CARGO_HOME"], "/s/cargo");
        assert!(found.mirrors(scratch).iter().any(|mirror| mirror.at.ends_with("registry/src/index-1")));
    }

    #[test]
    fn the_newest_node_is_chosen_by_number() {
        let home = tempfile::tempdir().unwrap();
        for version in ["v20.9.0", "v20.10.0"] {
            std::fs::create_dir_all(home.path().join(".nvm/versions/node").join(version).join("bin"))
                .unwrap();
        }
        let found = find_toolchains(home.path(), |_| None);
        let node = found
            .places
            .iter()
            .find(|place| place.programs.iter().any(|bin| bin.starts_with(home.path().join(".nvm"))))
            .unwrap();
        assert!(node.programs[0].ends_with("v20.10.0/bin"));
    }
}
