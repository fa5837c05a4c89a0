//! File descriptors of the daemon: every connection takes one, and default limits are low.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that a daemon with a thousand clients of the event stream and full other ports needs; macOS
/// allows no more than 10,240.
const WANTED: u64 = 8_192;

/// Raises this process's limit as far as allowed, at most to [`WANTED`]. Failure is logged; the ports then
/// refuse connections beyond the limit, as they do at any limit.
pub(super) fn raise() {
    let now = getrlimit(Resource::Nofile);
    let wanted = raised(now);
    if wanted != now
        && let Err(error) = setrlimit(Resource::Nofile, wanted)
    {
        tracing::warn!(%error, limit = ?now.current, "cannot raise the limit of open files");
    }
}

/// `None` is "no limit".
fn raised(now: Rlimit) -> Rlimit {
    let most = now.maximum.map_or(WANTED, |most| most.min(WANTED));
    Rlimit { current: now.current.map(|current| current.max(most)), ..now }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_it_may_and_never_lowered() {
        let of = |current, maximum| raised(Rlimit { current, maximum }).current;
        assert_eq!(of(Some(1_024), Some(1_048_576)), Some(WANTED));
        assert_eq!(of(Some(256), None), Some(WANTED));
        assert_eq!(of(Some(1_024), Some(4_096)), Some(4_096));
        assert_eq!(of(Some(65_536), Some(65_536)), Some(65_536));
        assert_eq!(of(None, None), None);
    }
}
