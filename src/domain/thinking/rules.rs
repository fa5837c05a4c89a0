//! The rules by which a step is seen to make no progress: pure functions over its newest calls and trees.
//!
//! Thoughts and texts are ignored, so a reworded loop is a loop. A call counts as the same only in the same tree:
//! running one check after each of five edits is work. Each rule gives how often it holds and which rows show it.

#[cfg(test)]
mod tests;

use super::progress::{CallTrace, StuckRule, TreeVisit};

/// Calls that [`StuckRule::SameCall`] and [`StuckRule::SameError`] look back on.
pub(super) const WINDOW: usize = 12;
/// Longest cycle that is looked for; longer ones are found by the lack of progress.
pub(super) const LONGEST_PERIOD: usize = 6;

/// How often a rule holds, and the rows that show it, the newest last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleHit {
    pub rule: StuckRule,
    pub count: u32,
    pub rows: Vec<u64>,
    /// The evidence in words, for the model.
    pub evidence: String,
}

impl RuleHit {
    fn new(rule: StuckRule, rows: Vec<u64>, evidence: String) -> Self {
        Self { rule, count: u32::try_from(rows.len()).unwrap_or(u32::MAX), rows, evidence }
    }
}

/// Rule 1: the same call with the same result in the same tree, among the last twelve.
#[must_use]
pub(super) fn same_call(calls: &[CallTrace]) -> Option<RuleHit> {
    let window = newest(calls, WINDOW);
    let best = window.iter().max_by_key(|call| window.iter().filter(|other| other.is_same(call)).count())?;
    let rows: Vec<u64> = window.iter().filter(|call| call.is_same(best)).map(|call| call.row).collect();
    let evidence = format!("`{}` has given the same result {} times", best.brief, rows.len());
    Some(RuleHit::new(StuckRule::SameCall, rows, evidence))
}

/// Rule 2: the newest calls repeat a cycle of two to six calls; counted in whole cycles. A cycle of equal calls
/// is the first rule's.
#[must_use]
pub(super) fn cycle(calls: &[CallTrace]) -> Option<RuleHit> {
    let mut best: Option<(usize, usize)> = None;
    for period in 2..=LONGEST_PERIOD {
        let Some(from) = calls.len().checked_sub(period) else { break };
        let is_mixed = calls[from..].windows(2).any(|pair| !pair[0].is_same(&pair[1]));
        let pairs = calls.iter().rev().zip(calls.iter().rev().skip(period));
        let times = pairs.take_while(|(newer, older)| newer.is_same(older)).count() / period + 1;
        if is_mixed && best.is_none_or(|(most, _)| times > most) {
            best = Some((times, period));
        }
    }
    let (times, period) = best?;
    let seen = newest(calls, times * period);
    let names: Vec<&str> = newest(calls, period).iter().map(|call| call.brief.as_str()).collect();
    let evidence = format!("the calls {} have come {times} times with the same results", names.join(", "));
    let rows = seen.iter().map(|call| call.row).collect();
    Some(RuleHit {
        count: u32::try_from(times).unwrap_or(u32::MAX),
        ..RuleHit::new(StuckRule::Cycle, rows, evidence)
    })
}

/// Rule 3: one class of error, whatever the arguments, among the last twelve calls. `since` is the row of the last
/// hard progress: what failed before it does not count.
#[must_use]
pub(super) fn same_error(calls: &[CallTrace], since: u64) -> Option<RuleHit> {
    let errors =
        || newest(calls, WINDOW).iter().filter(|call| call.row > since && !call.error_class.is_empty());
    let of = |class: &str| errors().filter(|call| call.error_class == class).count();
    let worst = errors().max_by_key(|call| of(&call.error_class))?;
    let class = &worst.error_class;
    let rows: Vec<u64> = errors().filter(|call| &call.error_class == class).map(|call| call.row).collect();
    let evidence =
        format!("{} calls have failed in the same way ({class}), the newest `{}`", rows.len(), worst.brief);
    Some(RuleHit::new(StuckRule::SameError, rows, evidence))
}

/// Rule 4: how often the present tree was left and came back.
#[must_use]
pub(super) fn tree_returns(trees: &[TreeVisit]) -> Option<RuleHit> {
    let now = trees.last()?;
    let rows: Vec<u64> =
        trees.iter().filter(|visit| visit.tree == now.tree).skip(1).map(|visit| visit.row).collect();
    let evidence = format!("the working tree has been changed and changed back {} times", rows.len());
    Some(RuleHit::new(StuckRule::TreeReturns, rows, evidence))
}

/// Rule 5: turns since anything new was seen. Three resets without anything new count as the whole measure.
#[must_use]
pub(super) fn no_progress(quiet_turns: u32, resets: u32, rows: [u64; 2]) -> RuleHit {
    let rule = StuckRule::NoProgress;
    let count = if resets >= 3 { quiet_turns.max(rule.stop_at()) } else { quiet_turns };
    let evidence = format!(
        "for {quiet_turns} turns there was no new tree, no new result, no test fewer failing ({resets} summaries since)"
    );
    RuleHit { rule, count, rows: rows.to_vec(), evidence }
}

/// Rules 6 and 7 and that of prose: answers of one sort without another between.
#[must_use]
pub(super) fn run_of(rule: StuckRule, rows: &[u64]) -> RuleHit {
    let sort = match rule {
        StuckRule::EmptyAnswers => "empty",
        StuckRule::CutAnswers => "cut at the token limit",
        _ => "without a call",
    };
    RuleHit::new(rule, rows.to_vec(), format!("answers {sort}, one after the other: {}", rows.len()))
}

fn newest<T>(all: &[T], most: usize) -> &[T] {
    &all[all.len().saturating_sub(most)..]
}
