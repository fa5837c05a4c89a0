//! Everything a command may reach, as data: a pure function of rights, places, toolchains and limits.
//!
//! Invariants: the environment is built, never inherited; nothing is granted that is not listed; fewer rights
//! never make a longer list of writable places. Failure policy: only the encoding can fail, as it refuses
//! paths that are no UTF-8.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::environment;
use super::toolchains::ToolchainSet;
use pas_domain::agent::{AccessLevel, Rights};

/// Files of the system that programs need to start. Not all of `/etc`, which has keys and passwords of
/// services. Missing places are skipped.
const SYSTEM_READABLE: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/run/current-system",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/passwd",
    "/etc/group",
    "/etc/nsswitch.conf",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/os-release",
    "/etc/hosts",
    "/etc/services",
    "/etc/protocols",
    "/etc/mime.types",
    // Not `/etc/ssl` itself: `/etc/ssl/private` has the machine's own keys.
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust",
    "/etc/crypto-policies",
    "/sys/devices/system/cpu",
];

/// Limits on a command's use of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SandboxLimits {
    /// Writable memory of one process, and resident memory of all processes together.
    pub memory_bytes: u64,
    /// Processes and threads at once.
    pub processes: u64,
    /// The largest file that may be written.
    pub file_bytes: u64,
    /// Most growth of the writable places, in bytes.
    pub growth_bytes: u64,
    pub open_files: u64,
    /// Most jobs that build tools start.
    pub cores: u32,
}

impl Default for SandboxLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 4 << 30,
            processes: 512,
            file_bytes: 1 << 30,
            growth_bytes: 10 << 30,
            // Linkers and test runners open a few thousand; a leak should hit this limit before the
            // machine's.
            open_files: 8192,
            cores: 2,
        }
    }
}

/// A run's own git directory and the borrowed object folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxGit {
    pub directory: PathBuf,
    /// Object folders named by `objects/info/alternates`.
    pub borrowed: Vec<PathBuf>,
    /// Files that configure git, below the places that an agent may write: read-only where a mount can
    /// enforce it.
    pub protected: Vec<PathBuf>,
}

/// Where a command works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxPlaces {
    pub tree: PathBuf,
    /// Outside the tree; contains the command's home, temporary files and caches.
    pub scratch: PathBuf,
    pub git: Option<SandboxGit>,
}

/// A folder whose entries are linked, one by one, into a folder of the scratch that stays writable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MirroredFolder {
    pub from: PathBuf,
    pub at: PathBuf,
}

/// Everything a command may reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SandboxProfile {
    pub readable: Vec<PathBuf>,
    pub writable: Vec<PathBuf>,
    /// Below writable places, yet read-only; only a mount can enforce this.
    pub protected: Vec<PathBuf>,
    /// Programs that the command has no right to; only a mount can enforce this.
    pub hidden: Vec<PathBuf>,
    pub environment: BTreeMap<String, String>,
    /// Made in the scratch before the command starts.
    pub folders: Vec<PathBuf>,
    pub mirrors: Vec<MirroredFolder>,
    pub limits: SandboxLimits,
    /// `false` only as a person allowed, where no backend works.
    pub confined: bool,
}

impl SandboxProfile {
    /// The profile of an agent's commands.
    #[must_use]
    pub fn of(
        rights: Rights,
        places: &SandboxPlaces,
        toolchains: &ToolchainSet,
        limits: SandboxLimits,
    ) -> Self {
        let mut readable: Vec<PathBuf> = SYSTEM_READABLE.iter().map(PathBuf::from).collect();
        readable.extend(toolchains.places.iter().flat_map(|place| place.readable.iter().cloned()));
        let mut writable = vec![places.scratch.clone()];
        let mut protected = Vec::new();
        match rights.filesystem {
            AccessLevel::None => {}
            AccessLevel::Read => readable.push(places.tree.clone()),
            AccessLevel::ReadWrite => writable.push(places.tree.clone()),
        }
        if let Some(git) = places.git.as_ref().filter(|_| rights.filesystem != AccessLevel::None) {
            readable.extend(git.borrowed.iter().cloned());
            if rights.filesystem == AccessLevel::ReadWrite && rights.git {
                writable.push(git.directory.clone());
                protected.extend(git.protected.iter().cloned());
            } else {
                readable.push(git.directory.clone());
            }
        }
        let scratch = &places.scratch;
        let mut folders: Vec<PathBuf> = ["home", "tmp"].map(|name| scratch.join(name)).into();
        folders.extend(toolchains.folders(scratch));
        Self {
            readable,
            writable,
            protected,
            hidden: hidden_programs(rights),
            environment: environment::build(scratch, toolchains, limits),
            folders,
            mirrors: toolchains.mirrors(scratch),
            limits,
            confined: true,
        }
    }
}

fn hidden_programs(rights: Rights) -> Vec<PathBuf> {
    let mut names = Vec::new();
    if !rights.git {
        names.extend(["git"]);
    }
    if !rights.docker {
        names.extend(["docker", "podman", "nerdctl"]);
    }
    if !rights.sql {
        names.extend(["psql", "mysql"]);
    }
    names.into_iter().map(|name| Path::new("/usr/bin").join(name)).collect()
}

#[cfg(test)]
mod tests;
