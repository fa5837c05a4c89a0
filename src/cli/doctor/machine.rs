//! Disk space and sandbox tools.

use std::path::{Path, PathBuf};

use super::Check;
use crate::cli::render::units;

/// Below this the next ingest of a folder of some size may not fit.
const LOW: u64 = 2_000_000_000;
/// Below this even the store's next growth (it doubles its file) may not fit.
const TOO_LOW: u64 = 200_000_000;
/// Room where the daemon keeps its state.
pub(super) fn disk(data_dir: &Path) -> Check {
    match available(data_dir) {
        Ok(bytes) => judge(bytes, data_dir),
        Err(why) => Check::warn("disk", format!("free space is not known: {why}"), "look with `df`"),
    }
}

fn judge(bytes: u64, data_dir: &Path) -> Check {
    let saw = format!("{} free for {}", units::bytes(bytes), data_dir.display());
    match bytes {
        0..TOO_LOW => Check::fail("disk", saw, "make room, or choose another --data-dir"),
        TOO_LOW..LOW => Check::warn("disk", saw, "large folders may not fit; make room"),
        _ => Check::ok("disk", saw),
    }
}

/// Bytes that an ordinary user may still write below a folder, which need not exist yet.
#[cfg(unix)]
fn available(folder: &Path) -> Result<u64, String> {
    let existing: PathBuf =
        folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/")).to_owned();
    let system = rustix::fs::statvfs(&existing).map_err(|error| error.to_string())?;
    Ok(system.f_bavail.saturating_mul(system.f_frsize))
}

/// Other systems are no home of PAS.
#[cfg(not(unix))]
fn available(_folder: &Path) -> Result<u64, String> {
    Err("not known on this system".into())
}

/// What holds the commands of agents in.
#[cfg(target_os = "linux")]
pub(super) fn sandbox() -> Vec<Check> {
    let bubblewrap = match on_path("bwrap", std::env::var_os("PATH")) {
        Some(path) => Check::ok("sandbox", format!("bubblewrap is at {}", path.display())),
        None => Check::warn(
            "sandbox",
            "bubblewrap (bwrap) is not installed",
            "install it before agents may run commands: `apt install bubblewrap`, or your system's way",
        ),
    };
    let landlock = match landlock_ruleset() {
        Ok(()) => Check::ok("sandbox", "the kernel has Landlock"),
        Err(why) => Check::warn(
            "sandbox",
            format!("no Landlock: {why}"),
            "use a kernel from 5.13 on with landlock among its `lsm=`; agents' commands need it",
        ),
    };
    vec![bubblewrap, landlock]
}

/// Landlock and bubblewrap are Linux's.
#[cfg(not(target_os = "linux"))]
pub(super) fn sandbox() -> Vec<Check> {
    vec![Check::warn(
        "sandbox",
        "bubblewrap and Landlock: not on this system",
        "agents' commands stay refused here; native skills run",
    )]
}

/// Makes a ruleset, without applying it to anyone: the kernel's own word on whether it can.
#[cfg(target_os = "linux")]
fn landlock_ruleset() -> Result<(), String> {
    use landlock::{ABI, Access as _, AccessFs, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _};
    let asked = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1));
    asked.and_then(Ruleset::create).map(drop).map_err(|error| error.to_string())
}

#[cfg(target_os = "linux")]
fn on_path(program: &str, path: Option<std::ffi::OsString>) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let is_program =
        |file: &PathBuf| file.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    std::env::split_paths(&path?).map(|folder| folder.join(program)).find(is_program)
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    #[test]
    fn little_room_is_told_and_too_little_fails() {
        let healths = [LOW, LOW - 1, TOO_LOW - 1].map(|bytes| judge(bytes, Path::new("x")).health);
        assert_eq!(healths, [Health::Ok, Health::Warn, Health::Fail]);
        assert!(
            disk(Path::new("not/there/at/all")).saw.contains("free for"),
            "the nearest folder above counts"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn programs_are_found_where_the_shell_finds_them() {
        assert!(on_path("sh", Some("/nowhere:/bin:/usr/bin".into())).is_some());
        assert_eq!(on_path("no-such-program", Some("/bin".into())), None);
        assert_eq!(on_path("sh", None), None);
    }
}
