//! Time during which this process could run.
//!
//! A process that was stopped (`SIGSTOP`, a paused container, a debugger, a virtual machine's snapshot) or got no
//! CPU finds afterwards that everybody was silent: heartbeats wait unread in sockets and mailboxes. So silence and
//! leases are measured by [`awake_elapsed`], which leaves such a stall out. A thread of its own looks at the
//! monotonic clock every [`LOOK_EVERY`]; a gap of [`STALL_FROM`] between two looks is a stall. Whoever asks first
//! after a stall looks too, so that nobody is judged between the stall and the thread's next look.

use std::collections::VecDeque;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Shortest gap that counts: four looks missed; a busy machine delays a thread by milliseconds.
const STALL_FROM: Duration = Duration::from_secs(2);
/// Stalls remembered: more than fit into any silence that is judged.
const KEPT_STALLS: usize = 64;

static PROCESS_CLOCK: LazyLock<Mutex<AwakeClock>> = LazyLock::new(|| {
    let watch = || {
        loop {
            std::thread::sleep(LOOK_EVERY);
            PROCESS_CLOCK.lock().look(Instant::now());
        }
    };
    if let Err(error) = std::thread::Builder::new().name("awake-clock".to_owned()).spawn(watch) {
        tracing::warn!(%error, "stalls of this process go unnoticed; after one, services may be taken for dead");
    }
    Mutex::new(AwakeClock::new(Instant::now()))
});

/// Begins to watch for stalls, unless this process does already. A stall before that is not noticed.
pub(super) fn start_awake_clock() {
    LazyLock::force(&PROCESS_CLOCK);
}

/// The time since `since`, without the stalls of this process; zero for a time ahead.
#[must_use]
pub fn awake_elapsed(since: tokio::time::Instant) -> Duration {
    let stalled = {
        let mut clock = PROCESS_CLOCK.lock();
        clock.look(Instant::now());
        clock.stalled_since(since.into_std())
    };
    since.elapsed().saturating_sub(stalled)
}

struct AwakeClock {
    last_look: Instant,
    /// Beginning and end of each stall, oldest first.
    stalls: VecDeque<(Instant, Instant)>,
}

impl AwakeClock {
    fn new(now: Instant) -> Self {
        Self { last_look: now, stalls: VecDeque::new() }
    }

    fn look(&mut self, now: Instant) {
        if now.saturating_duration_since(self.last_look) >= STALL_FROM {
            if self.stalls.len() == KEPT_STALLS {
                self.stalls.pop_front();
            }
            self.stalls.push_back((self.last_look, now));
        }
        self.last_look = self.last_look.max(now);
    }

    fn stalled_since(&self, since: Instant) -> Duration {
        self.stalls.iter().map(|(from, to)| to.saturating_duration_since(since.max(*from))).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_is_no_silence_of_anybody() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut clock = AwakeClock::new(start);
        let stalled = |clock: &AwakeClock, since| clock.stalled_since(at(since)).as_secs();
        clock.look(at(1));
        assert_eq!(stalled(&clock, 0), 0, "looks in time");
        clock.look(at(61));
        assert_eq!(stalled(&clock, 0), 60);
        assert_eq!(stalled(&clock, 31), 30, "only the part after the time asked about");
        assert_eq!(stalled(&clock, 61), 0);
        clock.look(at(60));
        clock.look(at(62));
        assert_eq!(stalled(&clock, 0), 60, "a look that comes late counts nothing twice");
        clock.look(at(72));
        assert_eq!(stalled(&clock, 0), 70, "stalls add up");
    }

    #[test]
    fn only_the_newest_stalls_are_remembered() {
        let mut now = Instant::now();
        let mut clock = AwakeClock::new(now);
        for _ in 0..2 * KEPT_STALLS {
            now += STALL_FROM;
            clock.look(now);
        }
        assert_eq!(clock.stalls.len(), KEPT_STALLS);
    }
}
