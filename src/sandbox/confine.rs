//! Makes the calling process obey a profile and become the command.
//!
//! Runs in a process of its own with one thread: children inherit every restriction made here, and none can
//! be undone. Order: limits, capabilities, no new privileges, Landlock, folders in the scratch, system call
//! filter. Failure policy: closed. Any step that fails ends the process before the command starts; the probe
//! knows beforehand which steps an older kernel cannot take, and lists them in the report.

use std::convert::Infallible;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd,
    Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus, Scope, make_bitflags,
    path_beneath_rules,
};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, Signal};
use rustix::thread::{CapabilitySet, CapabilitySets};
use serde::{Deserialize, Serialize};

use super::profile::{SandboxLimits, SandboxProfile};
use super::{processes, syscalls};

/// The newest Landlock requested; on an older kernel, that kernel's version is used.
const NEWEST: ABI = ABI::V9;
/// Agents' tests compete with the daemon and the person's own work for the cores.
const NICENESS: i32 = 5;
/// Read and written by nearly every program.
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// The confining process's argument, as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfineRequest {
    pub profile: SandboxProfile,
    pub cwd: PathBuf,
    /// Whether the process is already in namespaces of its own.
    pub wrapped: bool,
}

/// Why a command was not started.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    #[error("the request is not readable: {0}")]
    Request(#[from] serde_json::Error),
    #[error("no command was given")]
    NoCommand,
    #[error("the limit {0} cannot be set: {1}")]
    Limit(&'static str, io::Error),
    #[error("privileges cannot be dropped: {0}")]
    Privileges(io::Error),
    #[error(
        "Landlock cannot be applied: {0}; a kernel from 5.13 on with landlock among its `lsm=` is needed"
    )]
    Landlock(String),
    #[error("the system call filter cannot be installed: {0}")]
    Filter(String),
    #[error("{0} cannot be made: {1}")]
    Folder(PathBuf, io::Error),
    #[error("{0} cannot be started: {1}")]
    Start(String, io::Error),
}

/// Confines this process and execs the command; returns only on failure.
///
/// # Errors
/// The step that failed.
pub fn confine(request: &str, command: &[String]) -> Result<Infallible, ConfineError> {
    let ConfineRequest { profile, cwd, wrapped } = serde_json::from_str(request)?;
    let (program, arguments) = command.split_first().ok_or(ConfineError::NoCommand)?;
    stand_alone(&profile.limits, wrapped)?;
    if profile.confined {
        drop_privileges().map_err(|error| ConfineError::Privileges(error.into()))?;
        restrict_files(&profile, wrapped)?;
    }
    make_folders(&profile)?;
    if profile.confined {
        for filter in syscalls::filters(wrapped).map_err(ConfineError::Filter)? {
            seccompiler::apply_filter(&filter).map_err(|error| ConfineError::Filter(error.to_string()))?;
        }
    }
    let mut next = Command::new(program);
    next.args(arguments).env_clear().envs(&profile.environment).current_dir(&cwd);
    Err(ConfineError::Start(program.clone(), next.exec()))
}

/// Starts a new session, ties this process's life to the reaper's, and sets the limits.
fn stand_alone(limits: &SandboxLimits, wrapped: bool) -> Result<(), ConfineError> {
    // Within bubblewrap the session exists already.
    let _ = rustix::process::setsid();
    if !wrapped {
        // Within bubblewrap the whole process namespace ends with the first process.
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(|error| ConfineError::Limit("death signal", error.into()))?;
    }
    let _ = rustix::process::setpriority_process(None, NICENESS);
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let limit = |name: &'static str, resource: Resource, most: u64| {
        let before = rustix::process::getrlimit(resource);
        let most = before.maximum.map_or(most, |maximum| maximum.min(most));
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        rustix::process::setrlimit(resource, limit).map_err(|error| ConfineError::Limit(name, error.into()))
    };
    limit("core", Resource::Core, 0)?;
    limit("fsize", Resource::Fsize, limits.file_bytes)?;
    limit("nofile", Resource::Nofile, limits.open_files)?;
    // Not the address space: node, Java and sanitizers reserve far more address space than they use.
    limit("data", Resource::Data, limits.memory_bytes)?;
    // Outside a user namespace the kernel counts all threads of the user, so the others come on top.
    let others = if wrapped { 0 } else { processes::threads_of_this_user() };
    limit("nproc", Resource::Nproc, limits.processes + others)
}

fn drop_privileges() -> rustix::io::Result<()> {
    for capability in CapabilitySet::all().iter() {
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // PERM: without the right to drop a capability none can come back, since no new privileges
            // follow. INVAL: the kernel does not know the capability.
            Ok(()) | Err(Errno::PERM | Errno::INVAL) => {}
            Err(error) => return Err(error),
        }
    }
    match rustix::thread::clear_ambient_capability_set() {
        Ok(()) | Err(Errno::INVAL) => {}
        Err(error) => return Err(error),
    }
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    rustix::thread::set_capabilities(None, sets)?;
    rustix::thread::set_no_new_privs(true)
}

fn restrict_files(profile: &SandboxProfile, wrapped: bool) -> Result<(), ConfineError> {
    let failed = |error: &dyn std::fmt::Display| ConfineError::Landlock(error.to_string());
    for place in &profile.writable {
        // Skipping a missing place would leave the command without a right that the profile grants.
        PathFd::new(place).map_err(|error| failed(&error))?;
    }
    let read = AccessFs::from_read(NEWEST);
    let write = AccessFs::from_all(NEWEST) & !make_bitflags!(AccessFs::{MakeChar | MakeBlock | IoctlDev});
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(NEWEST)))
        .map_err(|error| failed(&error))?;
    if !wrapped {
        ruleset = ruleset.handle_access(AccessNet::from_all(NEWEST)).map_err(|error| failed(&error))?;
    }
    let mut rules: Vec<(&Path, BitFlags<AccessFs>)> = Vec::new();
    rules.extend(profile.readable.iter().map(|path| (path.as_path(), read)));
    rules.extend(profile.writable.iter().map(|path| (path.as_path(), write)));
    rules.push((Path::new("/proc"), read));
    let device = make_bitflags!(AccessFs::{ReadFile | WriteFile | Truncate | IoctlDev});
    if wrapped {
        // Private to the namespace, in memory of a limited size, gone with the namespace.
        rules.extend(["/tmp", "/dev/shm"].map(|path| (Path::new(path), write)));
        rules.push((Path::new("/dev"), device | read));
    } else {
        rules.extend(DEVICES.iter().map(|path| (Path::new(path), device)));
    }
    let mut created = ruleset.create().map_err(|error| failed(&error))?;
    for (path, access) in rules {
        let rule = path_beneath_rules([path], access);
        created = created
            .add_rules(rule.map(|rule: Result<PathBeneath<PathFd>, landlock::RulesetError>| rule))
            .map_err(|error| failed(&error))?;
    }
    let status = created.restrict_self().map_err(|error| failed(&error))?;
    match status.ruleset {
        RulesetStatus::NotEnforced => Err(ConfineError::Landlock("the kernel does not enforce it".into())),
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
    }
}

/// Made under the restrictions: the scratch belongs to the command, and a link left there by an earlier
/// command must not lead this process anywhere.
fn make_folders(profile: &SandboxProfile) -> Result<(), ConfineError> {
    let make = |folder: &PathBuf| {
        if folder.is_symlink() {
            // Left by an earlier command; the target may be missing.
            std::fs::remove_file(folder).map_err(|error| ConfineError::Folder(folder.clone(), error))?;
        }
        std::fs::create_dir_all(folder).map_err(|error| ConfineError::Folder(folder.clone(), error))
    };
    profile.folders.iter().try_for_each(make)?;
    for mirror in &profile.mirrors {
        if mirror.at.exists() {
            continue;
        }
        let Ok(entries) = std::fs::read_dir(&mirror.from) else { continue };
        make(&mirror.at)?;
        for entry in entries.flatten() {
            match std::os::unix::fs::symlink(entry.path(), mirror.at.join(entry.file_name())) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(ConfineError::Folder(mirror.at.clone(), error));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// The version of Landlock that this kernel enforces; 0 where there is none.
#[must_use]
pub fn landlock_version() -> u8 {
    let versions = [ABI::V7, ABI::V6, ABI::V5, ABI::V4, ABI::V3, ABI::V2, ABI::V1];
    let known = |version: &ABI| {
        let asked = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(*version));
        let asked = match *version >= ABI::V4 {
            true => asked.and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(*version))),
            false => asked,
        };
        let asked = match *version >= ABI::V6 {
            true => asked.and_then(|ruleset| ruleset.scope(Scope::from_all(*version))),
            false => asked,
        };
        asked.and_then(Ruleset::create).is_ok()
    };
    versions.into_iter().find(known).map_or(0, |version| version as u8)
}
