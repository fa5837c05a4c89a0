//! Contexts in memory, read and reported by anyone without a message.
//!
//! A context is one agent's in one run. Soft state: written back by the governor within a second
//! ([`ContextCache::take_dirty`]), read from the store when the daemon starts, and kept through a crash of
//! the governor. Invariants: a report is visible once answered; a report of one run changes no context of
//! another; at most [`MAX_TRACKED`] contexts are kept, [`MAX_RUNS`] of one agent, and the one silent longest
//! is dropped first. The text of the daemon's own agents is counted lazily: until then bytes stand for
//! tokens, which are never more.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::domain::agent::TokenBudget;
use crate::domain::time::Timestamp;
use crate::domain::token_governor::{AgentContext, RunLabel};

/// Most contexts kept, some 300 bytes each: a swarm has hundreds of agents.
pub const MAX_TRACKED: usize = 10_000;
/// Most contexts kept of one agent: an agent works on a few runs at a time, and older ones are history.
const MAX_RUNS: usize = 16;

/// An agent, and the run if the agent named one.
pub(super) type ContextKey = (Arc<str>, Option<RunLabel>);

#[derive(Debug)]
struct ContextEntry {
    context: AgentContext,
    /// Bytes added since the tokens were last counted.
    uncounted: u64,
}

#[derive(Debug, Default)]
struct ContextEntries {
    by_key: BTreeMap<ContextKey, ContextEntry>,
    dirty: BTreeSet<ContextKey>,
}

impl ContextEntries {
    /// The contexts of one agent, the last reported first.
    fn of_agent(&self, agent: &str) -> Vec<(&ContextKey, &ContextEntry)> {
        let first: ContextKey = (Arc::from(agent), None);
        let mut own: Vec<_> =
            self.by_key.range(first..).take_while(|((name, _), _)| **name == *agent).collect();
        own.sort_by_key(|(_, entry)| Reverse(entry.context.last_updated));
        own
    }

    /// The context of an agent in a run; an agent that named no run has one for all.
    fn in_run(&self, agent: &str, run: &RunLabel) -> Option<(&ContextKey, &ContextEntry)> {
        let key = |run| (Arc::from(agent), run);
        let entry = self.by_key.get_key_value(&key(Some(run.clone())));
        entry.or_else(|| self.by_key.get_key_value(&key(None)))
    }

    fn make_room(&mut self, agent: &str) {
        let own = self.of_agent(agent);
        let silent = if own.len() >= MAX_RUNS {
            own.last().map(|(key, _)| (*key).clone())
        } else if self.by_key.len() >= MAX_TRACKED {
            let oldest = self.by_key.iter().min_by_key(|(_, entry)| entry.context.last_updated);
            oldest.map(|(key, _)| key.clone())
        } else {
            None
        };
        if let Some(key) = silent {
            self.by_key.remove(&key);
            self.dirty.insert(key);
        }
    }
}

/// The contexts of all agents.
#[derive(Debug, Default)]
pub(super) struct ContextCache {
    entries: Mutex<ContextEntries>,
    changed: Notify,
}

impl ContextCache {
    /// Adds the stored contexts, where nothing newer is known.
    pub(super) fn load(&self, rows: Vec<(String, AgentContext)>) {
        let mut entries = self.entries.lock();
        for (agent, context) in rows {
            let key = (Arc::from(agent), context.run_id.clone());
            entries.by_key.entry(key).or_insert(ContextEntry { context, uncounted: 0 });
        }
    }

    /// Stores a reported context.
    pub(super) fn report(&self, agent: &str, context: AgentContext) {
        let mut entries = self.entries.lock();
        let key: ContextKey = (Arc::from(agent), context.run_id.clone());
        if !entries.by_key.contains_key(&key) {
            entries.make_room(agent);
        }
        entries.by_key.insert(key.clone(), ContextEntry { context, uncounted: 0 });
        self.mark(&mut entries, key);
    }

    /// Adds text to an own agent's context in a run. Returns the context with uncounted bytes taken as
    /// tokens.
    pub(super) fn add(
        &self,
        agent: &str,
        run: &RunLabel,
        bytes: u64,
        limit: NonZeroU64,
        budget: TokenBudget,
    ) -> AgentContext {
        let mut entries = self.entries.lock();
        let key: ContextKey = (Arc::from(agent), Some(run.clone()));
        if !entries.by_key.contains_key(&key) {
            entries.make_room(agent);
        }
        let last_updated = Timestamp::now();
        let entry = entries.by_key.entry(key.clone()).or_insert_with(|| {
            let run_id = Some(run.clone());
            let context = AgentContext { run_id, ctx_used: 0, ctx_limit: limit, budget, last_updated };
            ContextEntry { context, uncounted: 0 }
        });
        entry.uncounted += bytes;
        entry.context.last_updated = last_updated;
        let seen = upper(entry);
        self.mark(&mut entries, key);
        seen
    }

    /// Replaces a context's tokens by a counted figure. `counted` are the bytes counted for the first time.
    pub(super) fn settle(&self, agent: &str, run: &RunLabel, tokens: u64, counted: u64) {
        let mut entries = self.entries.lock();
        let key: ContextKey = (Arc::from(agent), Some(run.clone()));
        let Some(entry) = entries.by_key.get_mut(&key) else { return };
        entry.context.ctx_used = tokens;
        entry.uncounted = entry.uncounted.saturating_sub(counted);
        self.mark(&mut entries, key);
    }

    /// Empties a context, unless reported again since it was `seen`.
    pub(super) fn clear(&self, agent: &str, seen: &AgentContext) {
        let mut entries = self.entries.lock();
        let key: ContextKey = (Arc::from(agent), seen.run_id.clone());
        let Some(entry) = entries.by_key.get_mut(&key) else { return };
        if entry.context.last_updated == seen.last_updated && entry.context.ctx_used == seen.ctx_used {
            entry.context.ctx_used = 0;
            entry.context.last_updated = Timestamp::now();
            entry.uncounted = 0;
            self.mark(&mut entries, key);
        }
    }

    /// An agent's contexts with their counted tokens, the last reported first.
    pub(super) fn of_agent(&self, agent: &str) -> Vec<AgentContext> {
        self.entries.lock().of_agent(agent).into_iter().map(|(_, entry)| entry.context.clone()).collect()
    }

    /// An agent's context in a run, with the counted tokens; the one for all runs if the agent named none.
    pub(super) fn in_run(&self, agent: &str, run: &RunLabel) -> Option<AgentContext> {
        self.entries.lock().in_run(agent, run).map(|(_, entry)| entry.context.clone())
    }

    /// Whether any context of an agent is known.
    pub(super) fn knows(&self, agent: &str) -> bool {
        !self.entries.lock().of_agent(agent).is_empty()
    }

    /// All contexts with their counted tokens, by the agents' names, then the last reported first.
    pub(super) fn all(&self) -> Vec<(Arc<str>, AgentContext)> {
        let entries = self.entries.lock();
        let mut all: Vec<_> = entries
            .by_key
            .iter()
            .map(|((agent, _), entry)| (Arc::clone(agent), entry.context.clone()))
            .collect();
        all.sort_by(|(a, of_a), (b, of_b)| a.cmp(b).then(of_b.last_updated.cmp(&of_a.last_updated)));
        all
    }

    /// The last reported context of each agent, with uncounted bytes taken as tokens.
    pub(super) fn estimates(&self) -> Vec<(Arc<str>, AgentContext)> {
        let entries = self.entries.lock();
        let mut newest: BTreeMap<&Arc<str>, &ContextEntry> = BTreeMap::new();
        for ((agent, _), entry) in &entries.by_key {
            let known = newest.entry(agent).or_insert(entry);
            if known.context.last_updated < entry.context.last_updated {
                *known = entry;
            }
        }
        newest.into_iter().map(|(agent, entry)| (Arc::clone(agent), upper(entry))).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.lock().by_key.len()
    }

    /// Own agents' contexts with uncounted bytes: agent, run, bytes.
    pub(super) fn uncounted(&self) -> Vec<(Arc<str>, RunLabel, u64)> {
        let entries = self.entries.lock();
        let open = entries.by_key.iter().filter(|(_, entry)| entry.uncounted > 0);
        open.filter_map(|((agent, run), entry)| Some((Arc::clone(agent), run.clone()?, entry.uncounted)))
            .collect()
    }

    /// The changes since the last call; `None` for a context that was dropped.
    pub(super) fn take_dirty(&self) -> Vec<(ContextKey, Option<AgentContext>)> {
        let mut entries = self.entries.lock();
        let dirty = std::mem::take(&mut entries.dirty);
        let row = |key: ContextKey| {
            let context = entries.by_key.get(&key).map(|entry| entry.context.clone());
            (key, context)
        };
        dirty.into_iter().map(row).collect()
    }

    /// Marks changes that could not be stored as dirty again.
    pub(super) fn give_back(&self, keys: impl IntoIterator<Item = ContextKey>) {
        self.entries.lock().dirty.extend(keys);
    }

    /// Waits until something has changed; returns at once if something has.
    pub(super) async fn changed(&self) {
        let changed = self.changed.notified();
        if self.entries.lock().dirty.is_empty() {
            changed.await;
        }
    }

    fn mark(&self, entries: &mut ContextEntries, key: ContextKey) {
        if entries.dirty.insert(key) {
            self.changed.notify_one();
        }
    }
}

fn upper(entry: &ContextEntry) -> AgentContext {
    let ctx_used = entry.context.ctx_used.saturating_add(entry.uncounted);
    AgentContext { ctx_used, ..entry.context.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::token_governor::{ContextStatus, DEFAULT_CTX_LIMIT};

    fn context(used: u64, at: i64) -> AgentContext {
        AgentContext {
            run_id: None,
            ctx_used: used,
            ctx_limit: DEFAULT_CTX_LIMIT,
            budget: TokenBudget::DEFAULT,
            last_updated: Timestamp::from_millis(at),
        }
    }

    fn run(name: &str) -> RunLabel {
        RunLabel::new(name).unwrap()
    }

    #[test]
    fn bytes_stand_for_tokens_until_they_are_counted() {
        let board = ContextCache::default();
        let add = |run_id: &str, bytes| {
            board.add("a", &run(run_id), bytes, DEFAULT_CTX_LIMIT, TokenBudget::DEFAULT)
        };
        assert_eq!(add("r1", 100).ctx_used, 100);
        assert_eq!(board.in_run("a", &run("r1")).unwrap().ctx_used, 0, "not counted yet");
        assert_eq!(board.estimates()[0].1.ctx_used, 100);
        assert_eq!(board.uncounted(), [(Arc::from("a"), run("r1"), 100)]);
        assert_eq!(add("r1", 10).ctx_used, 110);
        board.settle("a", &run("r1"), 25, 100);
        assert_eq!(add("r1", 0).ctx_used, 35, "text added meanwhile still stands as bytes");
        board.settle("a", &run("other"), 99, 99);
        assert_eq!(board.in_run("a", &run("r1")).unwrap().ctx_used, 25);
        assert_eq!(add("r2", 7).ctx_used, 7, "another run is another context");
        assert_eq!(add("r2", DEFAULT_CTX_LIMIT.get()).status(), ContextStatus::Breach);
        assert_eq!(add("r1", 0).ctx_used, 35, "which leaves the first as it was");
    }

    #[test]
    fn a_context_is_one_agents_in_one_run() {
        let board = ContextCache::default();
        let report = |agent: &str, run_id: Option<&str>, used, at| {
            board.report(agent, AgentContext { run_id: run_id.map(run), ..context(used, at) });
        };
        report("a", Some("r1"), 1, 1);
        report("a", Some("r2"), 2, 2);
        report("b", None, 3, 3);
        report("a-b", Some("r1"), 4, 4);
        let used = |agent, run_id| board.in_run(agent, &run(run_id)).map(|context| context.ctx_used);
        assert_eq!((used("a", "r1"), used("a", "r2"), used("a", "r3")), (Some(1), Some(2), None));
        assert_eq!(used("b", "any"), Some(3), "it said no run, so it has one context for all");
        let of_a: Vec<_> = board.of_agent("a").iter().map(|context| context.ctx_used).collect();
        assert_eq!(of_a, [2, 1], "newest first");
        let all: Vec<_> =
            board.all().iter().map(|(agent, context)| (agent.to_string(), context.ctx_used)).collect();
        assert_eq!(all, [("a".into(), 2), ("a".into(), 1), ("a-b".into(), 4), ("b".into(), 3)]);
        let newest: Vec<_> = board.estimates().iter().map(|(_, context)| context.ctx_used).collect();
        assert_eq!(newest, [2, 4, 3]);

        let seen = board.in_run("a", &run("r1")).unwrap();
        report("a", Some("r1"), 9, 9);
        board.clear("a", &seen);
        assert_eq!(used("a", "r1"), Some(9), "a report that came meanwhile counts");
        board.clear("a", &board.in_run("a", &run("r1")).unwrap());
        assert_eq!((used("a", "r1"), used("a", "r2")), (Some(0), Some(2)));

        for n in 0..MAX_RUNS {
            report("a", Some(&format!("later-{n}")), 1, 100 + n as i64);
        }
        assert_eq!((board.of_agent("a").len(), used("a", "r2")), (MAX_RUNS, None), "the silent ones went");
    }

    #[test]
    fn what_changed_is_taken_once_and_the_silent_one_makes_room() {
        let board = ContextCache::default();
        for n in 0..MAX_TRACKED {
            board.report(&format!("a{n}"), context(1, n as i64));
        }
        assert_eq!(board.take_dirty().len(), MAX_TRACKED);
        assert!(board.take_dirty().is_empty());
        board.report("a0", context(2, 1_000_000));
        board.report("new", context(3, 1_000_001));
        let used = |agent: &str| board.of_agent(agent).first().map(|context| context.ctx_used);
        assert_eq!((board.len(), used("a1"), used("a0")), (MAX_TRACKED, None, Some(2)));
        let dirty: Vec<_> = board
            .take_dirty()
            .into_iter()
            .map(|((agent, _), row)| (agent.to_string(), row.is_some()))
            .collect();
        assert_eq!(dirty, [("a0".into(), true), ("a1".into(), false), ("new".into(), true)]);
        board.give_back([(Arc::from("a0"), None)]);
        assert_eq!(board.take_dirty().len(), 1);
        board.load(vec![("a0".into(), context(77, 0)), ("old".into(), context(5, 0))]);
        assert_eq!((used("a0"), used("old")), (Some(2), Some(5)));
    }

    #[tokio::test]
    async fn a_change_is_noticed_whenever_it_came() {
        let board = ContextCache::default();
        board.report("a", context(1, 0));
        board.changed().await;
        board.take_dirty();
        let (report, waits) = (async { board.report("a", context(2, 0)) }, board.changed());
        tokio::join!(waits, report);
        assert_eq!(board.take_dirty().len(), 1);
    }
}
