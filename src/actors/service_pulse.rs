//! The heartbeats of one outside service: soft state, changed in place.
//!
//! A heartbeat changes only this, so beats of thousands of services copy nothing, wait for no actor and are
//! never behind those that end. Invariant: a service that is [condemned](ServicePulse::condemn) takes no beats
//! until it is pardoned, so that nobody is answered "alive" and then removed.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::domain::heartbeat::HeartbeatTiming;
use crate::domain::registry::{ServiceVitals, has_lapsed};
use crate::domain::time::Timestamp;
use crate::supervision::awake_elapsed;

/// The heartbeats of a service; shared by all snapshots of the registry.
#[derive(Debug)]
pub(super) struct ServicePulse(Mutex<PulseState>);

#[derive(Debug)]
struct PulseState {
    last: LastBeat,
    is_condemned: bool,
}

/// The last heartbeat.
#[derive(Debug, Clone)]
pub(super) struct LastBeat {
    pub(super) vitals: ServiceVitals,
    /// Unique in the process, so that a monitor notices a new one; 0 before the first.
    pub(super) number: u64,
    /// `None` until the first heartbeat after a restart of the daemon.
    pub(super) at: Option<Timestamp>,
    /// Start of the silence; ahead of now during the grace after a restart.
    pub(super) silent_from: Instant,
}

impl LastBeat {
    pub(super) fn silence(&self) -> Duration {
        awake_elapsed(self.silent_from)
    }
}

impl ServicePulse {
    pub(super) fn new(last: LastBeat) -> Self {
        Self(Mutex::new(PulseState { last, is_condemned: false }))
    }

    pub(super) fn last(&self) -> LastBeat {
        self.0.lock().last.clone()
    }

    pub(super) fn silence(&self) -> Duration {
        self.0.lock().last.silence()
    }

    /// Takes a heartbeat; false if the service is being removed.
    pub(super) fn beat(&self, beat: LastBeat) -> bool {
        let mut state = self.0.lock();
        if !state.is_condemned {
            state.last = beat;
        }
        !state.is_condemned
    }

    /// Condemns a service that was judged by heartbeat `number` and is still silent; whether it is condemned.
    pub(super) fn condemn(&self, number: u64, timing: HeartbeatTiming) -> bool {
        let mut state = self.0.lock();
        state.is_condemned |= state.last.number == number && has_lapsed(timing, state.last.silence());
        state.is_condemned
    }

    /// The service was not removed after all.
    pub(super) fn pardon(&self) {
        self.0.lock().is_condemned = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(number: u64) -> LastBeat {
        LastBeat { vitals: ServiceVitals::default(), number, at: None, silent_from: Instant::now() }
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_silent_service_is_condemned_and_then_takes_no_beats() {
        let (pulse, timing) = (ServicePulse::new(beat(1)), HeartbeatTiming::new(1, 1));
        assert!(!pulse.condemn(1, timing), "not silent");
        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(!pulse.condemn(7, timing), "judged by another beat");
        assert!(pulse.beat(beat(2)));
        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(pulse.condemn(2, timing) && !pulse.beat(beat(3)));
        pulse.pardon();
        assert!(pulse.beat(beat(4)) && pulse.last().number == 4);
    }
}
