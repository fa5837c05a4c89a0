//! The arguments of bubblewrap for a profile: an allow-list of binds in new namespaces.
//!
//! Pure. A read-only root with holes is no sandbox: sockets, keys and the daemon's own files would be inside.
//! With root's capabilities and no user namespace, a remount inside would give the whole disk back.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::profile::SandboxProfile;

/// Path of the confining program inside the namespaces.
pub const CONFINE_INSIDE: &str = "/run/pas/confine";
/// `/tmp` and `/dev/shm` are in memory that no limit of a process counts.
const TMP_BYTES: u64 = 512 << 20;

/// A bubblewrap with the abilities found by the probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BubblewrapProgram {
    pub path: PathBuf,
    /// `--disable-userns` came with 0.8; in older versions the system call filter alone refuses new
    /// namespaces.
    pub disables_user_namespaces: bool,
}

/// Everything before the command, the program itself included.
#[must_use]
pub fn bubblewrap_arguments(
    program: &BubblewrapProgram,
    profile: &SandboxProfile,
    executable: &Path,
) -> Vec<OsString> {
    let mut argv = BubblewrapArgv(vec![program.path.clone().into()]);
    argv.flags(&["--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--clearenv"]);
    if program.disables_user_namespaces {
        argv.flags(&["--disable-userns"]);
    }
    argv.flags(&["--cap-drop", "ALL"]);
    // Before the binds: the tree of a test is below the machine's /tmp.
    argv.flags(&["--dev", "/dev", "--proc", "/proc"]);
    for folder in ["/tmp", "/dev/shm"] {
        argv.flags(&["--size", &TMP_BYTES.to_string(), "--perms", "1777", "--tmpfs", folder]);
    }
    for path in &profile.readable {
        argv.bind("--ro-bind-try", path, path);
    }
    argv.bind("--ro-bind", executable, Path::new(CONFINE_INSIDE));
    for path in &profile.writable {
        argv.bind("--bind", path, path);
    }
    for path in &profile.protected {
        argv.bind("--ro-bind-try", path, path);
    }
    // Only existing ones: a bind needs something to cover.
    for path in &profile.hidden {
        argv.bind("--ro-bind", Path::new("/dev/null"), path);
    }
    argv.flags(&["--remount-ro", "/", "--chdir", "/", "--"]);
    argv.0
}

struct BubblewrapArgv(Vec<OsString>);

impl BubblewrapArgv {
    fn flags(&mut self, flags: &[&str]) {
        self.0.extend(flags.iter().map(OsString::from));
    }

    fn bind(&mut self, how: &str, from: &Path, to: &Path) {
        self.0.extend([how.into(), from.into(), to.into()]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{SandboxGit, SandboxLimits, SandboxPlaces, ToolchainSet};
    use super::*;
    use pas_domain::agent::Rights;

    fn arguments(rights: Rights) -> Vec<String> {
        let places = SandboxPlaces {
            tree: "/data/r/tree".into(),
            scratch: "/data/r/scratch".into(),
            git: Some(SandboxGit {
                directory: "/data/r/git".into(),
                borrowed: vec!["/people/p/.git/objects".into()],
                protected: vec!["/data/r/git/config".into()],
            }),
        };
        let profile = SandboxProfile::of(rights, &places, &ToolchainSet::default(), SandboxLimits::default());
        let program = BubblewrapProgram { path: "/usr/bin/bwrap".into(), disables_user_namespaces: true };
        let argv = bubblewrap_arguments(&program, &profile, Path::new("/opt/pas"));
        argv.into_iter().map(|argument| argument.into_string().unwrap()).collect()
    }

    fn place_of(argv: &[String], pattern: &[&str]) -> usize {
        argv.windows(pattern.len()).position(|window| window == pattern).unwrap()
    }

    #[test]
    fn a_root_inside_has_neither_capabilities_nor_namespaces_to_make() {
        let argv = arguments(Rights::ALL);
        for flag in ["--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--clearenv"]
        {
            assert!(argv.iter().any(|argument| argument == flag), "{flag}");
        }
        place_of(&argv, &["--cap-drop", "ALL"]);
        assert!(!argv.windows(2).any(|pair| pair[0].ends_with("bind") && pair[1] == "/"), "no root");
    }

    #[test]
    fn what_protects_comes_after_what_it_protects() {
        let argv = arguments(Rights::ALL);
        let git = place_of(&argv, &["--bind", "/data/r/git", "/data/r/git"]);
        let config = place_of(&argv, &["--ro-bind-try", "/data/r/git/config", "/data/r/git/config"]);
        let tmp = place_of(&argv, &["--tmpfs", "/tmp"]);
        assert!(tmp < git && git < config);
    }

    #[test]
    fn without_the_right_nothing_of_the_person_is_bound() {
        let argv = arguments(Rights::NONE);
        assert!(!argv.iter().any(|argument| argument.starts_with("/home") || argument.contains("/tree")));
    }
}
