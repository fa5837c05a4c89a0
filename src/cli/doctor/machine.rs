//! Disk space, and the sandbox as probed on this machine.

use std::path::{Path, PathBuf};

use super::DoctorCheck;
use crate::cli::render::units;
use crate::sandbox::{SandboxBackend, probe_backends};

/// Below this, ingesting a large folder may not fit.
const LOW: u64 = 2_000_000_000;
/// Below this, even the store's next growth (the file doubles) may not fit.
const TOO_LOW: u64 = 200_000_000;
/// Free space for the daemon's state.
pub(super) fn disk(data_dir: &Path) -> DoctorCheck {
    match available(data_dir) {
        Ok(bytes) => judge(bytes, data_dir),
        Err(why) => DoctorCheck::warn("disk", format!("free space is unknown: {why}"), "check with `df`"),
    }
}

fn judge(bytes: u64, data_dir: &Path) -> DoctorCheck {
    let saw = format!("{} free for {}", units::bytes(bytes), data_dir.display());
    match bytes {
        0..TOO_LOW => DoctorCheck::fail("disk", saw, "free some space, or choose another --data-dir"),
        TOO_LOW..LOW => DoctorCheck::warn("disk", saw, "large folders may not fit; free some space"),
        _ => DoctorCheck::ok("disk", saw),
    }
}

/// Bytes available to an ordinary user below a folder, which need not exist yet.
#[cfg(unix)]
fn available(folder: &Path) -> Result<u64, String> {
    let existing: PathBuf =
        folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/")).to_owned();
    let system = rustix::fs::statvfs(&existing).map_err(|error| error.to_string())?;
    Ok(system.f_bavail.saturating_mul(system.f_frsize))
}

/// PAS does not run on other systems.
#[cfg(not(unix))]
fn available(_folder: &Path) -> Result<u64, String> {
    Err("not known on this system".into())
}

/// How agents' commands are confined here: tried out, because an installed program proves nothing.
pub(super) async fn sandbox() -> DoctorCheck {
    let executable = match std::env::current_exe() {
        Ok(executable) => executable,
        Err(error) => {
            return DoctorCheck::warn(
                "sandbox",
                format!("this program is not found: {error}"),
                "start it by its path",
            );
        }
    };
    let (backend, report) = probe_backends(&executable, std::env::var_os("PATH").as_deref()).await;
    if backend == SandboxBackend::Nothing {
        return DoctorCheck::warn(
            "sandbox",
            format!("nothing confines commands: {}", report.tried.join("; ")),
            "agents' commands are refused; file tools work. Use a kernel with Landlock, or install bubblewrap",
        );
    }
    if report.degrades.is_empty() {
        return DoctorCheck::ok("sandbox", report.summary());
    }
    let advice = if matches!(backend, SandboxBackend::Landlock) {
        "install bubblewrap (`apt install bubblewrap`), and allow user namespaces"
    } else {
        "nothing to do; the sentence stands in each proof, too"
    };
    DoctorCheck::warn("sandbox", report.summary(), advice)
}

#[cfg(test)]
mod tests {
    use super::super::CheckHealth;
    use super::*;

    #[test]
    fn little_room_is_told_and_too_little_fails() {
        let healths = [LOW, LOW - 1, TOO_LOW - 1].map(|bytes| judge(bytes, Path::new("x")).health);
        assert_eq!(healths, [CheckHealth::Ok, CheckHealth::Warn, CheckHealth::Fail]);
        assert!(
            disk(Path::new("not/there/at/all")).saw.contains("free for"),
            "the nearest folder above counts"
        );
    }
}
