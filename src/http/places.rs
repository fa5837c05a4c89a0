//! The places for connections, over all ports together.
//!
//! Idle connections are cheap to open and cost a descriptor each, so on all ports together they could leave none
//! for files. Invariant: no more connections than [`EdgePlaces::new`] was given have a place; when all places are
//! taken, the connection that has been idle for longest gives way; one that gets a request at that very moment stays
//! until it has answered, and counts. Failure policy: if none is idle, the new one is refused.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::process::{Resource, getrlimit};
use tokio_util::sync::CancellationToken;

use super::connection::ConnectionPulse;

/// Descriptors kept for files, the store, providers and child processes.
const KEPT_FOR_FILES: u64 = 256;

/// The places, and who has them.
#[derive(Debug)]
pub(super) struct EdgePlaces {
    most: usize,
    taken: Mutex<TakenPlaces>,
}

#[derive(Debug, Default)]
struct TakenPlaces {
    by_number: HashMap<u64, SeatedConnection>,
    next: u64,
}

#[derive(Debug)]
struct SeatedConnection {
    pulse: ConnectionPulse,
    leave: CancellationToken,
}

/// A connection's place; free when dropped.
#[derive(Debug)]
pub(super) struct EdgePlace {
    places: Arc<EdgePlaces>,
    number: u64,
    /// Cancelled when the connection must give way.
    leave: CancellationToken,
}

/// Tells a connection that its place was given away.
pub(super) struct LeaveNotice {
    places: Arc<EdgePlaces>,
    number: u64,
    leave: CancellationToken,
}

impl EdgePlaces {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, taken: Mutex::default() })
    }

    /// A place for a connection, if need be that of the one idle for longest.
    pub(super) fn take(self: &Arc<Self>, pulse: ConnectionPulse) -> Option<EdgePlace> {
        let mut taken = self.taken.lock();
        if taken.by_number.len() >= self.most {
            let idle =
                taken.by_number.iter().filter_map(|(number, seat)| Some((seat.pulse.idle_since()?, *number)));
            let (_, longest) = idle.min()?;
            taken.by_number.remove(&longest)?.leave.cancel();
        }
        let (number, leave) = (taken.next, CancellationToken::new());
        taken.next += 1;
        taken.by_number.insert(number, SeatedConnection { pulse, leave: leave.clone() });
        Some(EdgePlace { places: Arc::clone(self), number, leave })
    }
}

impl EdgePlace {
    pub(super) fn notice(&self) -> LeaveNotice {
        LeaveNotice { places: Arc::clone(&self.places), number: self.number, leave: self.leave.clone() }
    }
}

impl LeaveNotice {
    /// Ends when the connection must give way.
    pub(super) async fn cancelled(&self) {
        self.leave.cancelled().await;
    }

    /// Takes the place back, for a connection that is to answer a request before it goes.
    pub(super) fn stay(&self, pulse: ConnectionPulse) {
        let seat = SeatedConnection { pulse, leave: self.leave.clone() };
        self.places.taken.lock().by_number.insert(self.number, seat);
    }
}

impl Drop for EdgePlace {
    fn drop(&mut self) {
        self.places.taken.lock().by_number.remove(&self.number);
    }
}

/// As many connections as wanted, or as this process's limit of descriptors allows beside its files.
#[must_use]
pub fn connections_within(wanted: usize) -> usize {
    getrlimit(Resource::Nofile).current.map_or(wanted, |limit| wanted.min(beside_files(limit)))
}

fn beside_files(limit: u64) -> usize {
    usize::try_from(limit - KEPT_FOR_FILES.min(limit / 2)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn files_always_have_descriptors() {
        assert_eq!([100, 256, 1_024, 8_192].map(beside_files), [50, 128, 768, 7_936]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_one_gives_way_and_a_running_one_never() {
        let places = EdgePlaces::new(3);
        let pulses: Vec<_> = (0..3).map(|_| ConnectionPulse::new()).collect();
        let seats: Vec<_> = pulses.iter().map(|pulse| places.take(pulse.clone()).unwrap()).collect();
        let leaving = || seats.iter().map(|seat| seat.leave.is_cancelled()).collect::<Vec<_>>();
        pulses[0].request_started();
        tokio::time::advance(Duration::from_secs(1)).await;
        pulses[1].response_ended();
        let first = places.take(ConnectionPulse::new()).unwrap();
        assert_eq!(leaving(), [false, false, true], "idle since it was opened");
        drop(places.take(ConnectionPulse::new()).unwrap());
        assert_eq!(leaving(), [false, true, true]);
        drop(first);
        let busy: Vec<_> = (0..2).map(|_| ConnectionPulse::new()).collect();
        let _seats: Vec<_> = busy.iter().map(|pulse| places.take(pulse.clone()).unwrap()).collect();
        busy.iter().for_each(ConnectionPulse::request_started);
        assert!(places.take(ConnectionPulse::new()).is_none(), "all are running");
        assert_eq!(places.taken.lock().by_number.len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_asked_while_it_is_chosen_counts_until_it_has_answered() {
        let places = EdgePlaces::new(1);
        let pulse = ConnectionPulse::new();
        let seat = places.take(pulse.clone()).unwrap();
        let next = places.take(ConnectionPulse::new()).unwrap();
        pulse.request_started();
        seat.notice().stay(pulse);
        assert_eq!(places.taken.lock().by_number.len(), 2);
        drop(next);
        assert!(places.take(ConnectionPulse::new()).is_none(), "it has the only place");
        drop(seat);
        assert!(places.take(ConnectionPulse::new()).is_some());
    }
}
