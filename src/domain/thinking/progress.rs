//! The recent past of a step, kept as far back as the rules of progress look.
//!
//! It outlives resets, restarts and messages, because it is folded from rows. Progress is a tree not seen before, a
//! result not seen before, fewer failing tests, a child's end, a person's word. All but a mere new result is *hard*
//! progress: it takes back earlier nudges. Memory is bounded by the step's turns and calls.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::rules::{self, RuleHit};

/// Calls kept: four of the longest cycles.
const MAX_CALLS: usize = 4 * rules::LONGEST_PERIOD;
/// Changes of the tree kept.
const MAX_VISITS: usize = 64;

/// A rule of no progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StuckRule {
    SameCall,
    Cycle,
    SameError,
    TreeReturns,
    NoProgress,
    EmptyAnswers,
    CutAnswers,
    /// Text where a call is due.
    ProseAnswers,
}

impl StuckRule {
    /// All of them, in the order in which they are looked at.
    pub const ALL: [Self; 8] = [
        Self::SameCall,
        Self::Cycle,
        Self::SameError,
        Self::TreeReturns,
        Self::NoProgress,
        Self::EmptyAnswers,
        Self::CutAnswers,
        Self::ProseAnswers,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SameCall => "same_call",
            Self::Cycle => "cycle",
            Self::SameError => "same_error",
            Self::TreeReturns => "tree_returns",
            Self::NoProgress => "no_progress",
            Self::EmptyAnswers => "empty_answers",
            Self::CutAnswers => "cut_answers",
            Self::ProseAnswers => "prose_answers",
        }
    }

    /// The count at which the model is nudged.
    #[must_use]
    pub const fn nudge_at(self) -> u32 {
        match self {
            Self::SameCall | Self::Cycle => 3,
            Self::SameError => 4,
            Self::TreeReturns => 2,
            Self::NoProgress => 12,
            Self::EmptyAnswers | Self::CutAnswers | Self::ProseAnswers => 1,
        }
    }

    /// The count at which the step ends, once it was nudged and went on.
    #[must_use]
    pub const fn stop_at(self) -> u32 {
        match self {
            Self::SameCall => 5,
            Self::Cycle => 4,
            Self::SameError => 6,
            Self::TreeReturns | Self::ProseAnswers => 3,
            Self::NoProgress => 20,
            Self::EmptyAnswers | Self::CutAnswers => 2,
        }
    }

    const fn place(self) -> usize {
        self as usize
    }
}

/// A call with its result, as far as the rules look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CallTrace {
    /// The row of its result.
    pub(super) row: u64,
    /// Of tool, arguments and the tree it was called in.
    pub(super) act: u128,
    /// Of the result.
    pub(super) result: u128,
    /// Empty where it was no error.
    pub(super) error_class: String,
    /// Tool and arguments, short.
    pub(super) brief: String,
}

impl CallTrace {
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (self.act, self.result) == (other.act, other.result)
    }
}

/// The tree after a change of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TreeVisit {
    pub(super) row: u64,
    pub(super) tree: u128,
}

/// The verdict of the rules at the end of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ProgressCheck {
    /// Warn the model.
    Nudge(RuleHit),
    /// It was warned, and went on.
    Stop(RuleHit),
}

/// Trees, calls, answers and nudges so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ProgressWatch {
    calls: Vec<CallTrace>,
    visits: Vec<TreeVisit>,
    trees: BTreeSet<u128>,
    results: BTreeSet<u128>,
    least_failing: Option<u32>,
    /// The turn of the last progress, and its row.
    last_turn: u32,
    last_row: u64,
    /// The row of the last hard progress.
    hard_row: u64,
    resets: u32,
    empty: Vec<u64>,
    cut: Vec<u64>,
    prose: Vec<u64>,
    answered_row: u64,
    /// The row of each rule's last nudge since the last hard progress.
    nudged: [Option<u64>; 8],
    nudged_in: Option<u32>,
}

/// A short hash, to compare by.
pub(super) fn digest(parts: &[&str]) -> u128 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        // The length before each part, so that no two lists of parts run together.
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let hash = hasher.finalize();
    hash.as_bytes().iter().take(16).fold(0, |sum, byte| (sum << 8) | u128::from(*byte))
}

impl ProgressWatch {
    /// A result came in. `novelty` is the hash by which a result counts as seen before.
    pub(super) fn saw_call(&mut self, trace: CallTrace, novelty: u128, turn: u32) {
        if trace.error_class.is_empty() && self.results.insert(novelty) {
            (self.last_turn, self.last_row, self.resets) = (turn, trace.row, 0);
            self.nudged[StuckRule::NoProgress.place()] = None;
        }
        if self.calls.len() == MAX_CALLS {
            self.calls.remove(0);
        }
        self.calls.push(trace);
    }

    pub(super) fn saw_tree(&mut self, tree: &str, turn: u32, row: u64) {
        let tree = digest(&[tree]);
        if self.visits.last().is_some_and(|visit| visit.tree == tree) {
            return;
        }
        if self.visits.len() == MAX_VISITS {
            self.visits.remove(0);
        }
        self.visits.push(TreeVisit { row, tree });
        if self.trees.insert(tree) {
            self.saw_progress(turn, row);
        }
    }

    pub(super) fn saw_failing(&mut self, failing: u32, turn: u32, row: u64) {
        if self.least_failing.is_some_and(|least| failing < least) {
            self.saw_progress(turn, row);
        }
        self.least_failing = Some(self.least_failing.map_or(failing, |least| least.min(failing)));
    }

    /// Hard progress of any sort.
    pub(super) fn saw_progress(&mut self, turn: u32, row: u64) {
        (self.last_turn, self.last_row, self.hard_row, self.resets) = (turn, row, row, 0);
        for rule in [StuckRule::SameCall, StuckRule::Cycle, StuckRule::SameError, StuckRule::TreeReturns] {
            self.nudged[rule.place()] = None;
        }
        self.nudged[StuckRule::NoProgress.place()] = None;
    }

    pub(super) fn saw_answer(&mut self, row: u64, is_cut: bool, has_calls: bool, has_text: bool) {
        self.answered_row = row;
        note(&mut self.cut, is_cut, row);
        note(&mut self.prose, !is_cut && !has_calls, row);
        note(&mut self.empty, !is_cut && !has_calls && !has_text, row);
        for (rule, run) in [
            (StuckRule::CutAnswers, &self.cut),
            (StuckRule::ProseAnswers, &self.prose),
            (StuckRule::EmptyAnswers, &self.empty),
        ] {
            if run.is_empty() {
                self.nudged[rule.place()] = None;
            }
        }
    }

    pub(super) fn saw_reset(&mut self) {
        self.resets += 1;
    }

    pub(super) fn saw_nudge(&mut self, rule: StuckRule, turn: u32, row: u64) {
        self.nudged[rule.place()] = Some(row);
        self.nudged_in = Some(turn);
    }

    /// Whether a rule holds at the end of `turn`. A stop needs a nudge before the newest evidence, so a model is
    /// always heard once more; one nudge a turn is enough.
    pub(super) fn check(&self, turn: u32) -> Option<ProgressCheck> {
        let hits: Vec<RuleHit> = StuckRule::ALL.into_iter().filter_map(|rule| self.hit(rule, turn)).collect();
        let is_fresh = |hit: &RuleHit, nudged: u64| hit.rows.last().is_some_and(|row| *row > nudged);
        let is_stop = |hit: &&RuleHit| {
            let nudged = self.nudged[hit.rule.place()];
            hit.count >= hit.rule.stop_at() && nudged.is_some_and(|row| is_fresh(hit, row))
        };
        if let Some(hit) = hits.iter().find(is_stop) {
            return Some(ProgressCheck::Stop(hit.clone()));
        }
        if self.nudged_in == Some(turn) {
            return None;
        }
        let is_due = |hit: &RuleHit| match self.nudged[hit.rule.place()] {
            None => true,
            // Every answer without a call is answered.
            Some(row) => hit.rule == StuckRule::ProseAnswers && is_fresh(hit, row),
        };
        hits.into_iter().find(is_due).map(ProgressCheck::Nudge)
    }

    fn hit(&self, rule: StuckRule, turn: u32) -> Option<RuleHit> {
        let hit = match rule {
            StuckRule::SameCall => rules::same_call(&self.calls)?,
            StuckRule::Cycle => rules::cycle(&self.calls)?,
            StuckRule::SameError => rules::same_error(&self.calls, self.hard_row)?,
            StuckRule::TreeReturns => rules::tree_returns(&self.visits)?,
            StuckRule::NoProgress => {
                let quiet = turn.saturating_sub(self.last_turn);
                rules::no_progress(quiet, self.resets, [self.last_row, self.answered_row])
            }
            StuckRule::EmptyAnswers => rules::run_of(rule, &self.empty),
            StuckRule::CutAnswers => rules::run_of(rule, &self.cut),
            StuckRule::ProseAnswers => rules::run_of(rule, &self.prose),
        };
        (hit.count >= rule.nudge_at()).then_some(hit)
    }
}

fn note(run: &mut Vec<u64>, goes_on: bool, row: u64) {
    if goes_on { run.push(row) } else { run.clear() }
}
