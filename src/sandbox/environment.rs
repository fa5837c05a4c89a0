//! The environment of a command, built from nothing: the daemon's own variables never reach an agent.

use std::collections::BTreeMap;
use std::path::Path;

use super::profile::SandboxLimits;
use super::toolchains::ToolchainSet;

const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) fn build(
    scratch: &Path,
    toolchains: &ToolchainSet,
    limits: SandboxLimits,
) -> BTreeMap<String, String> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut path: Vec<String> =
        toolchains.places.iter().flat_map(|place| place.programs.iter().map(|folder| text(folder))).collect();
    path.push(SYSTEM_PATH.to_owned());
    let cores = limits.cores.max(1).to_string();
    let mut environment: BTreeMap<String, String> = [
        ("PATH", path.join(":")),
        ("HOME", text(&scratch.join("home"))),
        ("TMPDIR", text(&scratch.join("tmp"))),
        // The C locale with UTF-8 is everywhere; the person's locale may not be bound.
        ("LANG", "C.UTF-8".to_owned()),
        ("TERM", "dumb".to_owned()),
        ("USER", "agent".to_owned()),
        ("LOGNAME", "agent".to_owned()),
        ("SHELL", "/bin/sh".to_owned()),
        ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
        ("GIT_ATTR_NOSYSTEM", "1".to_owned()),
        // A question on a terminal that nobody sees would wait for the time limit.
        ("GIT_TERMINAL_PROMPT", "0".to_owned()),
        ("GIT_PAGER", "cat".to_owned()),
        ("PAGER", "cat".to_owned()),
        ("CARGO_BUILD_JOBS", cores.clone()),
        ("GOMAXPROCS", cores),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    environment.extend(toolchains.environment(scratch));
    environment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_own_environment_is_in_it() {
        let built = build(Path::new("/s"), &ToolchainSet::default(), SandboxLimits::default());
        assert_eq!(built["HOME"], "/s/home");
        assert_eq!(built["TMPDIR"], "/s/tmp");
        assert_eq!(built["GIT_CONFIG_NOSYSTEM"], "1");
        assert_eq!(built["PATH"], SYSTEM_PATH);
        assert!(!built.keys().any(|name| name.contains("KEY") || name.contains("TOKEN")));
    }
}
