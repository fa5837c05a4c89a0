//! Contexts as anyone reads and reports them: in memory, without a message.
//!
//! Soft state: written back by the governor within a second ([`Board::take_dirty`]), read from the store
//! when the daemon starts, kept through a crash of the governor. Invariants: a report is seen by whoever
//! asks after its answer; at most [`MAX_TRACKED`] contexts are kept, the one that was silent longest goes
//! first. The text of the daemon's own agents is counted lazily: until somebody looks, its bytes stand
//! for its tokens, which are never more.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::domain::agent::TokenBudget;
use crate::domain::context::{Context, RunLabel};
use crate::domain::time::Timestamp;

/// Most contexts kept, some 300 bytes each: a swarm has hundreds of agents.
pub const MAX_TRACKED: usize = 10_000;

#[derive(Debug)]
struct Entry {
    context: Context,
    /// Bytes that came since the tokens were counted last.
    uncounted: u64,
}

#[derive(Debug, Default)]
struct Entries {
    by_agent: BTreeMap<Arc<str>, Entry>,
    dirty: BTreeSet<Arc<str>>,
}

/// The contexts of all agents.
#[derive(Debug, Default)]
pub(super) struct Board {
    entries: Mutex<Entries>,
    changed: Notify,
}

impl Board {
    /// Takes the stored contexts in, where nothing newer is known.
    pub(super) fn load(&self, rows: Vec<(String, Context)>) {
        let mut entries = self.entries.lock();
        for (agent, context) in rows {
            entries.by_agent.entry(Arc::from(agent)).or_insert(Entry { context, uncounted: 0 });
        }
    }

    /// Notes a context as it was reported.
    pub(super) fn report(&self, agent: &str, context: Context) {
        let mut entries = self.entries.lock();
        if let Some(entry) = entries.by_agent.get_mut(agent) {
            *entry = Entry { context, uncounted: 0 };
        } else {
            make_room(&mut entries);
            entries.by_agent.insert(Arc::from(agent), Entry { context, uncounted: 0 });
        }
        self.mark(&mut entries, agent);
    }

    /// Adds text to an own agent's context; in another run than before, its context begins anew. Gives
    /// the context with the bytes that were not counted taken for tokens.
    pub(super) fn add(
        &self,
        agent: &str,
        run: &RunLabel,
        bytes: u64,
        limit: NonZeroU64,
        budget: TokenBudget,
    ) -> Context {
        let mut entries = self.entries.lock();
        let known =
            entries.by_agent.get_mut(agent).filter(|entry| entry.context.run_id.as_ref() == Some(run));
        let upper = if let Some(entry) = known {
            entry.uncounted += bytes;
            entry.context.last_updated = Timestamp::now();
            upper(entry)
        } else {
            let last_updated = Timestamp::now();
            let context =
                Context { run_id: Some(run.clone()), ctx_used: 0, ctx_limit: limit, budget, last_updated };
            let entry = Entry { context, uncounted: bytes };
            let seen = upper(&entry);
            make_room(&mut entries);
            entries.by_agent.insert(Arc::from(agent), entry);
            seen
        };
        self.mark(&mut entries, agent);
        upper
    }

    /// Puts counted tokens in the place of what was there, if the context is still of this run.
    /// `counted` are the bytes that were not counted before and are now.
    pub(super) fn settle(&self, agent: &str, run: &RunLabel, tokens: u64, counted: u64) {
        let mut entries = self.entries.lock();
        let Some(entry) = entries.by_agent.get_mut(agent) else { return };
        if entry.context.run_id.as_ref() == Some(run) {
            entry.context.ctx_used = tokens;
            entry.uncounted = entry.uncounted.saturating_sub(counted);
            self.mark(&mut entries, agent);
        }
    }

    /// Empties a context; the tokens that were in it.
    pub(super) fn clear(&self, agent: &str) -> u64 {
        let mut entries = self.entries.lock();
        let Some(entry) = entries.by_agent.get_mut(agent) else { return 0 };
        let before = std::mem::take(&mut entry.context.ctx_used);
        entry.context.last_updated = Timestamp::now();
        entry.uncounted = 0;
        self.mark(&mut entries, agent);
        before
    }

    /// One context, as far as it is counted.
    pub(super) fn get(&self, agent: &str) -> Option<Context> {
        self.entries.lock().by_agent.get(agent).map(|entry| entry.context.clone())
    }

    /// All contexts, as far as they are counted, by the agents' names.
    pub(super) fn all(&self) -> Vec<(Arc<str>, Context)> {
        let entries = self.entries.lock();
        entries.by_agent.iter().map(|(agent, entry)| (Arc::clone(agent), entry.context.clone())).collect()
    }

    /// All contexts, with the bytes that were not counted taken for tokens.
    pub(super) fn estimates(&self) -> Vec<(Arc<str>, Context)> {
        let entries = self.entries.lock();
        entries.by_agent.iter().map(|(agent, entry)| (Arc::clone(agent), upper(entry))).collect()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.entries.lock().by_agent.len()
    }

    /// Own agents whose context is not counted yet: agent, run, bytes.
    pub(super) fn uncounted(&self) -> Vec<(Arc<str>, RunLabel, u64)> {
        let entries = self.entries.lock();
        let open = entries.by_agent.iter().filter(|(_, entry)| entry.uncounted > 0);
        open.filter_map(|(agent, entry)| {
            Some((Arc::clone(agent), entry.context.run_id.clone()?, entry.uncounted))
        })
        .collect()
    }

    /// What changed since the last call; `None` for a context that went.
    pub(super) fn take_dirty(&self) -> Vec<(String, Option<Context>)> {
        let mut entries = self.entries.lock();
        let dirty = std::mem::take(&mut entries.dirty);
        dirty
            .into_iter()
            .map(|agent| (agent.to_string(), entries.by_agent.get(&agent).map(|entry| entry.context.clone())))
            .collect()
    }

    /// What was taken could not be stored: it is to be taken again.
    pub(super) fn give_back(&self, agents: impl IntoIterator<Item = String>) {
        self.entries.lock().dirty.extend(agents.into_iter().map(Arc::from));
    }

    /// Waits until something has changed; at once, if something has.
    pub(super) async fn changed(&self) {
        let changed = self.changed.notified();
        if self.entries.lock().dirty.is_empty() {
            changed.await;
        }
    }

    fn mark(&self, entries: &mut Entries, agent: &str) {
        if !entries.dirty.contains(agent) {
            entries.dirty.insert(Arc::from(agent));
            self.changed.notify_one();
        }
    }
}

fn upper(entry: &Entry) -> Context {
    let ctx_used = entry.context.ctx_used.saturating_add(entry.uncounted);
    Context { ctx_used, ..entry.context.clone() }
}

fn make_room(entries: &mut Entries) {
    if entries.by_agent.len() < MAX_TRACKED {
        return;
    }
    let oldest = entries.by_agent.iter().min_by_key(|(_, entry)| entry.context.last_updated);
    if let Some(agent) = oldest.map(|(agent, _)| Arc::clone(agent)) {
        entries.by_agent.remove(&agent);
        entries.dirty.insert(agent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::context::{DEFAULT_CTX_LIMIT, Status};

    fn context(used: u64, at: i64) -> Context {
        Context {
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
        let board = Board::default();
        let add = |run_id: &str, bytes| {
            board.add("a", &run(run_id), bytes, DEFAULT_CTX_LIMIT, TokenBudget::DEFAULT)
        };
        assert_eq!(add("r1", 100).ctx_used, 100);
        assert_eq!(board.get("a").unwrap().ctx_used, 0, "not counted yet");
        assert_eq!(board.estimates()[0].1.ctx_used, 100);
        assert_eq!(board.uncounted(), [(Arc::from("a"), run("r1"), 100)]);
        assert_eq!(add("r1", 10).ctx_used, 110);
        board.settle("a", &run("r1"), 25, 100);
        assert_eq!(add("r1", 0).ctx_used, 35, "what came meanwhile still stands as bytes");
        board.settle("a", &run("other"), 99, 99);
        assert_eq!(board.get("a").unwrap().ctx_used, 25);
        assert_eq!(add("r2", 7).ctx_used, 7, "another run begins anew");
        assert_eq!(add("r2", DEFAULT_CTX_LIMIT.get()).status(), Status::Breach);
    }

    #[test]
    fn what_changed_is_taken_once_and_the_silent_one_makes_room() {
        let board = Board::default();
        for n in 0..MAX_TRACKED {
            board.report(&format!("a{n}"), context(1, n as i64));
        }
        assert_eq!(board.take_dirty().len(), MAX_TRACKED);
        assert!(board.take_dirty().is_empty());
        board.report("a0", context(2, 1_000_000));
        board.report("new", context(3, 1_000_001));
        assert_eq!((board.len(), board.get("a1"), board.get("a0").unwrap().ctx_used), (MAX_TRACKED, None, 2));
        let dirty: Vec<_> =
            board.take_dirty().into_iter().map(|(agent, row)| (agent, row.is_some())).collect();
        assert_eq!(dirty, [("a0".into(), true), ("a1".into(), false), ("new".into(), true)]);
        board.give_back(["a0".to_owned()]);
        assert_eq!(board.take_dirty().len(), 1);
        board.load(vec![("a0".into(), context(77, 0)), ("old".into(), context(5, 0))]);
        assert_eq!((board.get("a0").unwrap().ctx_used, board.get("old").unwrap().ctx_used), (2, 5));
    }

    #[tokio::test]
    async fn a_change_is_noticed_whenever_it_came() {
        let board = Board::default();
        board.report("a", context(1, 0));
        board.changed().await;
        board.take_dirty();
        let (report, waits) = (async { board.report("a", context(2, 0)) }, board.changed());
        tokio::join!(waits, report);
        assert_eq!(board.take_dirty().len(), 1);
    }
}
