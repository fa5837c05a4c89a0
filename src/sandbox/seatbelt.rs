//! The profile of macOS's own sandbox for a command, in that sandbox's language: everything denied, then the
//! same table of places.
//!
//! Pure text. A path is written as a quoted string, with special characters escaped.

use std::fmt::Write as _;
use std::path::Path;

use super::profile::SandboxProfile;

/// Places that programs on macOS need to start, beside the profile's own.
const MAC_READABLE: &[&str] = &[
    "/System",
    "/Library/Developer",
    "/Library/Apple",
    "/Applications/Xcode.app",
    "/opt/homebrew",
    "/usr",
    "/bin",
    "/sbin",
    "/private/etc/ssl/cert.pem",
    "/private/etc/ssl/openssl.cnf",
    "/private/etc/localtime",
    "/private/etc/passwd",
    "/private/var/db/timezone",
    "/private/var/db/dyld",
    "/private/var/select",
];

const PREAMBLE: &str = "\
(version 1)
(deny default)
(allow process-fork)
(allow process-info* (target same-sandbox))
(allow signal (target same-sandbox))
(allow sysctl-read)
(allow ipc-posix-sem)
(allow mach-lookup (global-name \"com.apple.system.opendirectoryd.libinfo\"))
(allow file-read-metadata)
(allow file-read* (literal \"/\"))
(allow file-read* file-write* (literal \"/dev/null\") (literal \"/dev/zero\"))
(allow file-read* (literal \"/dev/random\") (literal \"/dev/urandom\"))
(allow file-ioctl (literal \"/dev/null\"))
";

/// The text for `sandbox-exec -p`.
#[must_use]
pub fn seatbelt_profile(profile: &SandboxProfile) -> String {
    let mut text = PREAMBLE.to_owned();
    let readable =
        MAC_READABLE.iter().map(Path::new).chain(profile.readable.iter().map(|path| path.as_path()));
    let mut rule = |acts: &str, path: &Path| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "({acts} (subpath {}))", quoted(path));
    };
    for path in readable {
        rule("allow file-read* process-exec file-map-executable", path);
    }
    for path in &profile.writable {
        rule("allow file-read* file-write* process-exec file-map-executable", path);
    }
    // The last rule that matches decides.
    for path in &profile.protected {
        rule("deny file-write*", path);
    }
    for path in &profile.hidden {
        rule("deny process-exec", path);
    }
    text.push_str("(deny network*)\n");
    text
}

fn quoted(path: &Path) -> String {
    let mut text = String::from("\"");
    for letter in path.to_string_lossy().chars() {
        if matches!(letter, '"' | '\\') {
            text.push('\\');
        }
        text.push(letter);
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::super::{SandboxLimits, SandboxPlaces, ToolchainSet};
    use super::*;
    use pas_domain::agent::{AccessLevel, Rights};

    fn text(tree: &str, rights: Rights) -> String {
        let places = SandboxPlaces { tree: tree.into(), scratch: "/s".into(), git: None };
        let limits = SandboxLimits::default();
        seatbelt_profile(&SandboxProfile::of(rights, &places, &ToolchainSet::default(), limits))
    }

    #[test]
    fn everything_is_denied_first_and_the_network_last() {
        let text = text("/t", Rights::ALL);
        assert!(text.starts_with("(version 1)\n(deny default)\n"));
        assert!(text.ends_with("(deny network*)\n"));
        assert!(
            text.contains("(allow file-read* file-write* process-exec file-map-executable (subpath \"/t\"))")
        );
    }

    #[test]
    fn a_reader_has_no_rule_to_write_the_tree() {
        let text = text("/t", Rights { filesystem: AccessLevel::Read, ..Rights::NONE });
        assert!(text.contains("(allow file-read* process-exec file-map-executable (subpath \"/t\"))"));
        assert!(!text.lines().any(|line| line.contains("file-write") && line.contains("\"/t\"")));
    }

    #[test]
    fn a_path_cannot_end_its_own_quotes() {
        let text = text("/t\")) (allow default) (\"", Rights::ALL);
        assert!(text.contains("\"/t\\\")) (allow default) (\\\"\""));
    }
}
