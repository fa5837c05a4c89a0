//! The stages of a context reset: save, summarise, clear, resume.
//!
//! A reset is a row. Each stage is entered by one durable write, and the work between two stages is
//! idempotent, so after a crash anywhere the reset continues from the last stage:
//!
//! ```text
//! (tracked) ─begin→ Saving ─summary and file→ Summarised ─clear→ Cleared ─start of the worker→ Resumed
//! ```
//!
//! - *begin* stores the saved state and the row in one write: from here on nothing can be lost.
//! - *summary*: the file's section is named by the reset's id, so writing again replaces the section; then
//!   the summary's row and the stage are one write.
//! - *clear* moves the conversation's mark and the stage in one write. Notes that came after the
//!   beginning stay.
//! - *resume* is written by the worker's next incarnation while starting, for any cause of the start. So a
//!   worker that is up while the row still says `Cleared` started before the clear, and only such a one is
//!   restarted: a restart is never ordered twice.
//!
//! Invariant: the stage only grows.

use serde::{Deserialize, Serialize};

use super::RunLabel;
use super::conversation::SavedState;
use super::summary::SummaryTrigger;
use crate::time::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResetStage {
    /// The state is saved.
    Saving,
    /// The summary is stored and written.
    Summarised,
    /// The context is cleared.
    Cleared,
    /// The worker has started from summary and saved state.
    Resumed,
}

/// The next thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetDuty {
    /// Make, write and store the summary.
    Summarise,
    Clear,
    /// Have the worker restarted.
    Restart,
    /// Wait: the worker is starting, and will resume.
    Await,
    /// Nothing: the reset is over.
    Rest,
}

/// A reset as stored; the newest one of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextReset {
    /// Also the id of the summary.
    pub id: String,
    pub agent: String,
    pub run_id: RunLabel,
    pub trigger: SummaryTrigger,
    /// Tokens in the context when the reset began.
    pub ctx_before: u64,
    pub stage: ResetStage,
    pub saved: SavedState,
    pub begun_at: Timestamp,
}

impl ContextReset {
    /// The next thing to do. `is_up`: the worker was up before this row was read.
    #[must_use]
    pub fn duty(&self, is_up: bool) -> ResetDuty {
        match self.stage {
            ResetStage::Saving => ResetDuty::Summarise,
            ResetStage::Summarised => ResetDuty::Clear,
            ResetStage::Cleared if is_up => ResetDuty::Restart,
            ResetStage::Cleared => ResetDuty::Await,
            ResetStage::Resumed => ResetDuty::Rest,
        }
    }

    /// Moves on from `from`; false when that was done before.
    pub fn leave(&mut self, from: ResetStage) -> bool {
        if self.stage != from {
            return false;
        }
        self.stage = match from {
            ResetStage::Saving => ResetStage::Summarised,
            ResetStage::Summarised => ResetStage::Cleared,
            ResetStage::Cleared | ResetStage::Resumed => ResetStage::Resumed,
        };
        from != ResetStage::Resumed
    }

    /// Whether the reset is still under way.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.stage != ResetStage::Resumed
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::token_governor::conversation::ConversationHead;

    /// The state that survives every crash (rows and the file), and a record of events for the laws.
    #[derive(Debug)]
    struct ResetWorld {
        reset: ContextReset,
        talk: ConversationHead,
        stored: Option<u64>,
        sections: BTreeMap<String, u64>,
        is_up: bool,
        incarnation: u64,
        restarts: u32,
        cleared: u32,
        /// Incarnations that started from the summary.
        resumed_by: Vec<u64>,
        /// Whether notes were cleared before their summary was safe.
        lost: bool,
    }

    fn world(notes: u64) -> ResetWorld {
        let mut talk = ConversationHead::default();
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
        let reset = ContextReset {
            id: "s".into(),
            agent: "a".into(),
            run_id,
            trigger: SummaryTrigger::HardMaxBreach,
            ctx_before: 9,
            stage: ResetStage::Saving,
            saved,
            begun_at: Timestamp::from_millis(0),
        };
        ResetWorld {
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

    impl ResetWorld {
        /// A worker starts and resumes a cleared reset, once.
        fn worker_starts(&mut self) {
            self.incarnation += 1;
            self.is_up = true;
            if self.reset.leave(ResetStage::Cleared) {
                self.resumed_by.push(self.incarnation);
            }
        }

        /// The governor carries out one duty; a crash may come after any of the effects.
        fn duty(&mut self, crash_after: u8) {
            match self.reset.duty(self.is_up) {
                ResetDuty::Summarise => {
                    // The same saved state gives the same summary: its size represents it.
                    let summary = self.reset.saved.until;
                    if crash_after == 0 {
                        return;
                    }
                    self.sections.insert(self.reset.id.clone(), summary);
                    if crash_after == 1 {
                        return;
                    }
                    if self.reset.leave(ResetStage::Saving) {
                        self.stored = Some(summary);
                    }
                }
                ResetDuty::Clear => {
                    if crash_after == 0 {
                        return;
                    }
                    if self.reset.leave(ResetStage::Summarised) {
                        self.lost |= self.stored.is_none() || self.sections.is_empty();
                        self.talk.clear(self.reset.saved.until, &self.reset.id);
                        self.cleared += 1;
                    }
                }
                ResetDuty::Restart => {
                    if crash_after == 0 {
                        return;
                    }
                    self.restarts += 1;
                    self.worker_starts();
                }
                ResetDuty::Await | ResetDuty::Rest => {}
            }
        }
    }

    #[derive(Debug, Clone)]
    enum ResetAct {
        Governor(u8),
        WorkerDies,
        WorkerStarts,
        Note,
    }

    fn act() -> impl Strategy<Value = ResetAct> {
        prop_oneof![
            4 => (0_u8..4).prop_map(ResetAct::Governor),
            1 => Just(ResetAct::WorkerDies),
            1 => Just(ResetAct::WorkerStarts),
            1 => Just(ResetAct::Note),
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
                    ResetAct::Governor(crash_after) => world.duty(crash_after),
                    ResetAct::WorkerDies => world.is_up = false,
                    ResetAct::WorkerStarts if !world.is_up => world.worker_starts(),
                    ResetAct::WorkerStarts => {}
                    ResetAct::Note => { world.talk.take(None); later += 1; }
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
            prop_assert_eq!(world.reset.stage, ResetStage::Resumed);
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
        assert_eq!(world.reset.duty(world.is_up), ResetDuty::Restart);
        world.is_up = false;
        assert_eq!(world.reset.duty(world.is_up), ResetDuty::Await);
        world.worker_starts();
        assert_eq!((world.reset.duty(world.is_up), world.restarts), (ResetDuty::Rest, 0));
    }
}
