//! The course of a context reset: save, summarise, clear, resume.
//!
//! A reset is a row. Each stage is reached by one durable write, and what lies between two stages can
//! be done twice without harm, so a crash anywhere leads back to the stage that was reached:
//!
//! ```text
//! (tracked) ─begin→ Saving ─summary and file→ Summarised ─clear→ Cleared ─start of the worker→ Resumed
//! ```
//!
//! - *begin* stores the saved state and the row in one write: from here on nothing can be lost.
//! - *summary*: the file's section is named by the reset's id, so writing it again replaces it; then the
//!   summary's row and the stage are one write.
//! - *clear* moves the conversation's mark and the stage in one write. Notes that came after the
//!   beginning stay.
//! - *resume* is written by the worker's next incarnation while it starts, whoever caused the start. So a
//!   worker that is up while the row still says `Cleared` started before the clear, and only such a one
//!   is restarted: a restart is never ordered twice.
//!
//! Invariant: the stage only grows.

use serde::{Deserialize, Serialize};

use super::RunLabel;
use super::conversation::SavedState;
use super::summary::Trigger;
use crate::domain::time::Timestamp;

/// How far a reset has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The state is saved.
    Saving,
    /// The summary is stored and written.
    Summarised,
    /// The context is cleared.
    Cleared,
    /// The worker has started from summary and saved state.
    Resumed,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// Make the summary, write it, store it.
    Summarise,
    Clear,
    /// Have the worker restarted.
    Restart,
    /// Wait: the worker is on its way up, and will resume.
    Await,
    /// Nothing: it is over.
    Rest,
}

/// A reset as stored; the newest one of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reset {
    /// Its id, also that of its summary.
    pub id: String,
    pub agent: String,
    pub run_id: RunLabel,
    pub trigger: Trigger,
    /// Tokens in the context when it began.
    pub ctx_before: u64,
    /// How far it has come.
    pub stage: Stage,
    pub saved: SavedState,
    pub begun_at: Timestamp,
}

impl Reset {
    /// What is to be done. `is_up` tells whether the worker was up before this row was read.
    #[must_use]
    pub fn duty(&self, is_up: bool) -> Duty {
        match self.stage {
            Stage::Saving => Duty::Summarise,
            Stage::Summarised => Duty::Clear,
            Stage::Cleared if is_up => Duty::Restart,
            Stage::Cleared => Duty::Await,
            Stage::Resumed => Duty::Rest,
        }
    }

    /// Moves on from `from`; false when that was done before.
    pub fn leave(&mut self, from: Stage) -> bool {
        if self.stage != from {
            return false;
        }
        self.stage = match from {
            Stage::Saving => Stage::Summarised,
            Stage::Summarised => Stage::Cleared,
            Stage::Cleared | Stage::Resumed => Stage::Resumed,
        };
        from != Stage::Resumed
    }

    /// Whether it is still under way.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.stage != Stage::Resumed
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::context::conversation::Conversation;

    /// What outlives every crash: rows and the file; and what happened, for the laws.
    #[derive(Debug)]
    struct World {
        reset: Reset,
        talk: Conversation,
        stored: Option<u64>,
        sections: BTreeMap<String, u64>,
        is_up: bool,
        incarnation: u64,
        restarts: u32,
        cleared: u32,
        /// Incarnations that started from the summary.
        resumed_by: Vec<u64>,
        /// Whether something was cleared before its summary was safe.
        lost: bool,
    }

    fn world(notes: u64) -> World {
        let mut talk = Conversation::default();
        for _ in 0..notes {
            talk.take(None);
        }
        let run_id = RunLabel::new("run").unwrap();
        let saved = SavedState {
            agent: "a".into(),
            run_id: run_id.clone(),
            from: 0,
            until: talk.next,
            previous: None,
            plan: vec![],
            open: vec![],
            artifacts: vec![],
        };
        let reset = Reset {
            id: "s".into(),
            agent: "a".into(),
            run_id,
            trigger: Trigger::HardMaxBreach,
            ctx_before: 9,
            stage: Stage::Saving,
            saved,
            begun_at: Timestamp::from_millis(0),
        };
        World {
            reset,
            talk,
            stored: None,
            sections: BTreeMap::new(),
            is_up: true,
            incarnation: 1,
            restarts: 0,
            cleared: 0,
            resumed_by: vec![],
            lost: false,
        }
    }

    impl World {
        /// A worker starts: it resumes what is cleared, once.
        fn worker_starts(&mut self) {
            self.incarnation += 1;
            self.is_up = true;
            if self.reset.leave(Stage::Cleared) {
                self.resumed_by.push(self.incarnation);
            }
        }

        /// The governor carries out one duty; a crash may come after any of its effects.
        fn duty(&mut self, crash_after: u8) {
            match self.reset.duty(self.is_up) {
                Duty::Summarise => {
                    // The same saved state gives the same summary: its size stands for it.
                    let summary = self.reset.saved.until;
                    if crash_after == 0 {
                        return;
                    }
                    self.sections.insert(self.reset.id.clone(), summary);
                    if crash_after == 1 {
                        return;
                    }
                    if self.reset.leave(Stage::Saving) {
                        self.stored = Some(summary);
                    }
                }
                Duty::Clear => {
                    if crash_after == 0 {
                        return;
                    }
                    if self.reset.leave(Stage::Summarised) {
                        self.lost |= self.stored.is_none() || self.sections.is_empty();
                        self.talk.clear(self.reset.saved.until, &self.reset.id);
                        self.cleared += 1;
                    }
                }
                Duty::Restart => {
                    if crash_after == 0 {
                        return;
                    }
                    self.restarts += 1;
                    self.worker_starts();
                }
                Duty::Await | Duty::Rest => {}
            }
        }
    }

    #[derive(Debug, Clone)]
    enum Act {
        Governor(u8),
        WorkerDies,
        WorkerStarts,
        Note,
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            4 => (0_u8..4).prop_map(Act::Governor),
            1 => Just(Act::WorkerDies),
            1 => Just(Act::WorkerStarts),
            1 => Just(Act::Note),
        ]
    }

    proptest! {
        #[test]
        fn whatever_crashes_where_nothing_is_lost_and_nothing_repeated(
            notes in 1_u64..5,
            acts in proptest::collection::vec(act(), 0..40),
        ) {
            let mut world = world(notes);
            let mut later = 0;
            for act in acts {
                let before = world.reset.stage;
                match act {
                    Act::Governor(crash_after) => world.duty(crash_after),
                    Act::WorkerDies => world.is_up = false,
                    Act::WorkerStarts if !world.is_up => world.worker_starts(),
                    Act::WorkerStarts => {}
                    Act::Note => { world.talk.take(None); later += 1; }
                }
                prop_assert!(world.reset.stage >= before, "a stage only grows");
                prop_assert!(world.talk.live() + world.stored.unwrap_or(0) >= notes + later, "no note is lost");
            }
            for _ in 0..4 {
                world.duty(u8::MAX);
            }
            if world.reset.is_open() {
                prop_assert!(!world.is_up, "only a worker on its way is waited for");
                world.worker_starts();
            }
            prop_assert_eq!(world.reset.stage, Stage::Resumed);
            prop_assert!(!world.lost, "cleared before the summary was safe");
            prop_assert_eq!((world.cleared, world.sections.len(), world.stored), (1, 1, Some(notes)));
            prop_assert_eq!(world.resumed_by.len(), 1);
            prop_assert!(world.restarts <= 1);
            prop_assert_eq!(world.talk.live(), later, "what came after the beginning is still there");
        }
    }

    #[test]
    fn a_worker_that_started_before_the_clear_is_restarted_and_one_that_starts_after_it_is_not() {
        let mut world = world(2);
        world.worker_starts();
        world.duty(u8::MAX);
        world.duty(u8::MAX);
        assert_eq!(world.reset.duty(world.is_up), Duty::Restart);
        world.is_up = false;
        assert_eq!(world.reset.duty(world.is_up), Duty::Await);
        world.worker_starts();
        assert_eq!((world.reset.duty(world.is_up), world.restarts), (Duty::Rest, 0));
    }
}
