//! Makes a view fit its window.
//!
//! In this order, and only as far as it must: long results of the oldest turns become addresses; the oldest turns are
//! left out whole, call and result together; texts of the last turns lose their middle. Old turns go in blocks, so
//! that the part which vendors cache stays the same for some turns.

use super::{
    BlockBody, ThinkingView, TokenCount, ViewCuts, ViewError, ViewMessage, answer_message, note_block,
    results_message,
};
use crate::thinking::row::BegunRow;
use crate::thinking::state::{KEPT_TURNS, ThinkingState};
use crate::thinking::turn::TurnEntry;

/// Turns that are elided or left out at a time.
const BLOCK: usize = 4;
/// Bytes that texts of the last turns are cut to, tried in this order.
const CAPS: [usize; 6] = [16_384, 8_192, 4_096, 2_048, 1_024, 512];
/// Tokens of the line that names the turns left out, at most.
const DROP_NOTE: u64 = 40;

/// Tokens of a turn, whole and with its long results elided.
struct TurnCost {
    full: u64,
    elided: u64,
    /// Of what persons said after it: it stays when the turn goes.
    words: u64,
}

/// What is to be fitted: these turns, and this end.
pub(super) struct FitPlan<'a> {
    pub(super) state: &'a ThinkingState,
    pub(super) begun: &'a BegunRow,
    pub(super) turns: &'a [TurnEntry],
    pub(super) tools_json: &'a str,
    pub(super) tail: &'a dyn Fn(Option<usize>) -> Vec<BlockBody>,
}

pub(super) fn fit(
    plan: &FitPlan<'_>,
    window: u64,
    count: &dyn TokenCount,
) -> Result<ThinkingView, ViewError> {
    let whole = plan.render(ViewCuts::default(), count);
    if whole.tokens <= window {
        return Ok(whole);
    }
    let old = plan.turns.len().saturating_sub(KEPT_TURNS);
    if let Some(cuts) = plan.cuts_of_old(old, window, count) {
        let view = plan.render(cuts, count);
        if view.tokens <= window {
            return Ok(view);
        }
    }
    let mut needed = whole.tokens;
    for cap in CAPS {
        let cuts = ViewCuts { elided_turns: old, dropped_turns: old, cap: Some(cap) };
        let view = plan.render(cuts, count);
        if view.tokens <= window {
            return Ok(view);
        }
        needed = view.tokens;
    }
    Err(ViewError::WindowTooSmall { needed, window })
}

impl FitPlan<'_> {
    /// How much of the turns before the last ones must go; none where that does not suffice.
    fn cuts_of_old(&self, old: usize, window: u64, count: &dyn TokenCount) -> Option<ViewCuts> {
        let cost = |message: &ViewMessage| message.tokens(count);
        let turn_cost =
            |turn, elide| cost(&answer_message(turn, None)) + cost(&results_message(turn, elide, None));
        let tail: u64 = (self.tail)(None).iter().map(|block| block.tokens(count)).sum();
        let fixed = count.count(&self.begun.system)
            + count.count(self.tools_json)
            + cost(&self.head(&ViewCuts::default()))
            + tail;
        let costs: Vec<TurnCost> = self
            .turns
            .iter()
            .map(|turn| TurnCost {
                full: turn_cost(turn, false),
                elided: turn_cost(turn, true),
                words: turn.words().map(|word| note_block(word, None).tokens(count)).sum(),
            })
            .collect();
        let total = |elided: usize, dropped: usize| {
            let shown = costs.iter().enumerate().skip(dropped);
            let turns: u64 =
                shown.map(|(place, cost)| if place < elided { cost.elided } else { cost.full }).sum();
            let words: u64 = costs.iter().take(dropped).map(|cost| cost.words).sum();
            fixed + turns + words + if dropped > 0 { DROP_NOTE } else { 0 }
        };
        let steps = || (0..=old.div_ceil(BLOCK)).map(|block| (block * BLOCK).min(old));
        if let Some(elided_turns) = steps().find(|elided| total(*elided, 0) <= window) {
            return Some(ViewCuts { elided_turns, ..ViewCuts::default() });
        }
        let dropped_turns = steps().find(|dropped| total(old, *dropped) <= window)?;
        Some(ViewCuts { elided_turns: old, dropped_turns, cap: None })
    }

    fn head(&self, cuts: &ViewCuts) -> ViewMessage {
        let mut head = self.state.head(cuts);
        let dropped = self.turns.get(..cuts.dropped_turns).unwrap_or_default();
        if let (Some(first), Some(last)) = (dropped.first(), dropped.last()) {
            let note = format!("[turns {} to {} are left out here for lack of room]", first.turn, last.turn);
            head.blocks.push(BlockBody::Text(note));
            let words = dropped.iter().flat_map(TurnEntry::words);
            head.blocks.extend(words.map(|word| note_block(word, cuts.cap)));
        }
        head
    }

    fn render(&self, cuts: ViewCuts, count: &dyn TokenCount) -> ThinkingView {
        let mut messages = vec![self.head(&cuts)];
        for (place, turn) in self.turns.iter().enumerate().skip(cuts.dropped_turns) {
            messages.push(answer_message(turn, cuts.cap));
            messages.push(results_message(turn, place < cuts.elided_turns, cuts.cap));
        }
        if let Some(last) = messages.last_mut() {
            last.blocks.extend((self.tail)(cuts.cap));
        }
        let (system, tools_json) = (self.begun.system.clone(), self.tools_json.to_owned());
        let tokens = count.count(&system)
            + count.count(&tools_json)
            + messages.iter().map(|message| message.tokens(count)).sum::<u64>();
        ThinkingView { system, tools_json, messages, tokens, cuts }
    }
}
