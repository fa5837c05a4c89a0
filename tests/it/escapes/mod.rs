//! Attempts to get out of the sandbox, each of which must fail in every backend, as root and as another user.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod attempts;
mod runner;
mod world;

use std::collections::BTreeSet;

use pas::sandbox::SandboxBackend;

use runner::{as_other_user, bubblewrap, escaped};

/// Attempts that succeed with Landlock and seccomp alone: mode, times and extended attributes, and others'
/// command lines.
const OPEN_WITHOUT_NAMESPACES: &[u32] = &[14, 15, 16, 48, 65, 88];
/// The run's own git configuration is in a folder that git has to write.
const OPEN_WITHOUT_MOUNTS: &[u32] = &[86];

fn assert_held(backend: &SandboxBackend, open: &[&[u32]]) {
    let open: BTreeSet<u32> = open.concat().into_iter().collect();
    let out = escaped(backend);
    let unexpected: Vec<_> = out.iter().filter(|escape| !open.contains(&escape.number)).collect();
    assert!(unexpected.is_empty(), "these got out: {unexpected:#?}");
    let closed: Vec<_> =
        open.iter().filter(|number| out.iter().all(|escape| escape.number != **number)).collect();
    assert!(closed.is_empty(), "listed as open, but held: {closed:?}");
}

#[test]
fn nothing_gets_out_of_namespaces_and_landlock() {
    assert_held(&bubblewrap(), &[]);
}

#[test]
fn landlock_and_seccomp_alone_leave_open_only_what_is_listed() {
    assert_held(&SandboxBackend::Landlock, &[OPEN_WITHOUT_NAMESPACES, OPEN_WITHOUT_MOUNTS]);
}

#[test]
fn nothing_gets_out_as_another_user() {
    as_other_user("escapes::nothing_gets_out_of_namespaces_and_landlock");
}

#[test]
fn another_user_finds_open_only_what_is_listed() {
    as_other_user("escapes::landlock_and_seccomp_alone_leave_open_only_what_is_listed");
}

/// Attempts that fail everywhere prove nothing. Never run as root: the attempts would succeed.
#[test]
fn without_confinement_the_attempts_get_out() {
    if rustix::process::getuid().is_root() {
        return as_other_user("escapes::without_confinement_the_attempts_get_out");
    }
    let out: BTreeSet<u32> = escaped(&SandboxBackend::Nothing).iter().map(|escape| escape.number).collect();
    let vain: Vec<_> = attempts::ATTEMPTS.iter().filter(|attempt| !out.contains(&attempt.number)).collect();
    let names: Vec<_> = vain.iter().map(|attempt| (attempt.number, attempt.name)).collect();
    assert!(names.len() <= attempts::VAIN_HERE, "{names:?}");
}
