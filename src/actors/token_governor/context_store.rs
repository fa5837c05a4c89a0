//! The durable side of the governor: conversations, resets, summaries, each change one transaction.
//!
//! Owns the tables below. Invariants: a reset's row and the stage's data are one write; a repeated write
//! changes nothing the second time; nothing is decided from a read outside the write. Notes are soft until
//! the next durable write (the end of the step, at the latest a second): after a crash that loses them the
//! step runs again.

use serde::{Deserialize, Serialize};

use super::GovernorError;
use super::context_cache::ContextKey;
use crate::actors::jobs::readers;
use crate::domain::ids::RunId;
use crate::domain::job::Job;
use crate::domain::time::Timestamp;
use crate::domain::token_governor::conversation::{
    ContextNote, ConversationHead, OpenStep, PlanStep, SavedFile, SavedState,
};
use crate::domain::token_governor::reset::{ContextReset, ResetStage};
use crate::domain::token_governor::summary::{ContextSummary, SummaryTrigger, new_id};
use crate::domain::token_governor::{AgentContext, RunLabel};
use crate::store::{KeyRange, ScanOrder, Store, StoreChanges, StoreError, StoreTable, StoreView};

/// Agent and run (empty: none named) → context; soft.
const CONTEXTS: StoreTable<(String, String), AgentContext> = StoreTable::new("contexts_by_run");
/// Agent → context: the table from when an agent had one context for all runs.
const OLD_CONTEXTS: StoreTable<String, AgentContext> = StoreTable::new("contexts");
/// Run and agent → head of the conversation.
const CONVERSATIONS: StoreTable<(String, String), ConversationHead> = StoreTable::new("conversations");
/// Run, agent and number → note.
const NOTES: StoreTable<(String, String, u64), ContextNote> = StoreTable::new("conversation_notes");
/// Agent → newest reset.
const RESETS: StoreTable<String, ContextReset> = StoreTable::new("context_resets");
/// Summary's id → summary. Ids sort by time.
const SUMMARIES: StoreTable<String, ContextSummary> = StoreTable::new("summaries");
/// Summary's id → source.
const SOURCES: StoreTable<String, SummarySource> = StoreTable::new("summary_sources");

/// Summaries kept; older ones remain in their files.
pub(super) const KEPT_SUMMARIES: u64 = 1_000;
/// Most rows read for a list, a conversation or a search for old ones.
const MAX_ROWS: usize = 10_000;
/// How long conversations are kept after their run was closed, in milliseconds: a day, so that people can
/// look up the dropped text.
const KEPT_MS: i64 = 24 * 60 * 60 * 1_000;
/// Conversations removed in one write: some thousand rows.
const PRUNED_AT_ONCE: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum SummarySource {
    /// A text in the request.
    Text(String),
    /// The saved state of an own agent, whose notes are in the conversation.
    Saved(SavedState),
}

#[derive(Clone)]
pub(super) struct ContextStore {
    store: Store,
}

impl ContextStore {
    pub(super) fn new(store: Store) -> Self {
        Self { store }
    }

    /// All contexts and all resets in progress. Goes through the writer, to see writes left in the queue by a
    /// killed incarnation.
    pub(super) async fn load(&self) -> Result<(Vec<(String, AgentContext)>, Vec<ContextReset>), StoreError> {
        match self.store.write(stored).await {
            // A later start moves the old table.
            Err(error) if error.is_passing() => self.store.read(|view| Ok(stored(view)?.1)),
            loaded => loaded,
        }
    }

    /// Waits until the store takes writes.
    pub(super) async fn writable(&self) -> Result<(), StoreError> {
        self.store.writable().await
    }

    /// Writes contexts back, softly.
    pub(super) async fn put_contexts(
        &self,
        rows: Vec<(ContextKey, Option<AgentContext>)>,
    ) -> Result<(), StoreError> {
        let change = |changes: StoreChanges, ((agent, run), row): &(ContextKey, Option<AgentContext>)| {
            let run = run.as_ref().map_or("", RunLabel::as_str);
            let key = (agent.to_string(), run.to_owned());
            match row {
                Some(context) => changes.put(&CONTEXTS, &key, context),
                None => changes.delete(&CONTEXTS, &key),
            }
        };
        self.store.write_soft(move |_| Ok((rows.iter().fold(StoreChanges::none(), change), ()))).await
    }

    /// Empties an agent's contexts; durable on return.
    pub(super) async fn empty(&self, agent: String, contexts: Vec<AgentContext>) -> Result<(), StoreError> {
        let change = |changes: StoreChanges, context: AgentContext| {
            let empty = AgentContext { ctx_used: 0, ..context };
            changes.put(&CONTEXTS, &row_key(&agent, &empty), &empty)
        };
        let changes = contexts.into_iter().fold(StoreChanges::none(), change);
        self.store.write(move |_| Ok((changes, ()))).await
    }

    /// Adds a note; false when the key was used before.
    pub(super) async fn note(
        &self,
        agent: &str,
        run: &RunLabel,
        key: Option<String>,
        note: ContextNote,
    ) -> Result<bool, StoreError> {
        let at = (run.as_str().to_owned(), agent.to_owned());
        self.store
            .write_soft(move |view| {
                let mut talk = view.get(&CONVERSATIONS, &at)?.unwrap_or_default();
                let Some(number) = talk.take(key.as_deref()) else {
                    return Ok((StoreChanges::none(), false));
                };
                let row = (at.0.clone(), at.1.clone(), number);
                Ok((StoreChanges::none().put(&CONVERSATIONS, &at, &talk).put(&NOTES, &row, &note), true))
            })
            .await
    }

    /// An agent's context: the summary that replaces the cleared part, and the notes since.
    pub(super) fn conversation(
        &self,
        agent: &str,
        run: &RunLabel,
    ) -> Result<(Option<ContextSummary>, Vec<ContextNote>), StoreError> {
        let at = (run.as_str().to_owned(), agent.to_owned());
        self.store.read(|view| {
            let talk = view.get(&CONVERSATIONS, &at)?.unwrap_or_default();
            let summary = match &talk.summary {
                Some(id) => view.get(&SUMMARIES, id)?,
                None => None,
            };
            Ok((summary, notes(view, &at, talk.live_from, talk.next)?))
        })
    }

    /// Saves an agent's state and begins a reset; durable on return. A reset in progress is returned
    /// unchanged; none begins when there is nothing to clear.
    pub(super) async fn begin(
        &self,
        agent: String,
        run: RunLabel,
        trigger: SummaryTrigger,
        ctx_before: u64,
    ) -> Result<Option<ContextReset>, StoreError> {
        self.store
            .write(move |view| {
                if let Some(reset) = view.get(&RESETS, &agent)?.filter(ContextReset::is_open) {
                    return Ok((StoreChanges::none(), Some(reset)));
                }
                let saved = saved(view, &agent, &run)?;
                if saved.from == saved.until {
                    return Ok((StoreChanges::none(), None));
                }
                let (id, begun_at) = (new_id(), Timestamp::now());
                let stage = ResetStage::Saving;
                let reset =
                    ContextReset { id, agent, run_id: run, trigger, ctx_before, stage, saved, begun_at };
                Ok((StoreChanges::none().put(&RESETS, &reset.agent, &reset), Some(reset)))
            })
            .await
    }

    /// An agent's current state.
    pub(super) fn state_of(&self, agent: &str, run: &RunLabel) -> Result<SavedState, StoreError> {
        self.store.read(|view| saved(view, agent, run))
    }

    /// A saved state as text; `None` when the notes are no longer kept.
    pub(super) fn text_of(&self, saved: &SavedState) -> Result<Option<String>, StoreError> {
        let at = (saved.run_id.as_str().to_owned(), saved.agent.clone());
        self.store.read(|view| {
            let previous = match &saved.previous {
                Some(id) => view.get(&SUMMARIES, id)?.map(|summary| summary.text),
                None => None,
            };
            let notes = notes(view, &at, saved.from, saved.until)?;
            let is_whole = notes.len() as u64 == saved.until - saved.from;
            Ok(is_whole.then(|| saved.text(previous.as_deref(), &notes)))
        })
    }

    /// Stores a summary with its source; a reset's summary advances the reset.
    pub(super) async fn put_summary(
        &self,
        summary: ContextSummary,
        source: SummarySource,
    ) -> Result<(), StoreError> {
        self.store
            .write(move |view| {
                let id = &summary.summary_id;
                let mut changes =
                    StoreChanges::none().put(&SUMMARIES, id, &summary).put(&SOURCES, id, &source);
                if let Some(mut reset) = view.get(&RESETS, &summary.agent)?.filter(|reset| reset.id == *id) {
                    if !reset.leave(ResetStage::Saving) {
                        return Ok((StoreChanges::none(), ()));
                    }
                    changes = changes.put(&RESETS, &summary.agent, &reset);
                }
                let surplus = (view.count(&SUMMARIES)? + 1).saturating_sub(KEPT_SUMMARIES);
                let surplus = usize::try_from(surplus).unwrap_or(usize::MAX).min(MAX_ROWS);
                for (old, _) in view.range(&SUMMARIES, &KeyRange::all(), ScanOrder::Ascending, surplus)? {
                    changes = changes.delete(&SUMMARIES, &old).delete(&SOURCES, &old);
                }
                Ok((changes, ()))
            })
            .await
    }

    /// Clears the context that a reset has summarised; durable on return.
    pub(super) async fn clear(&self, agent: String) -> Result<(), StoreError> {
        self.store
            .write(move |view| {
                let Some(mut reset) = view.get(&RESETS, &agent)? else {
                    return Ok((StoreChanges::none(), ()));
                };
                if !reset.leave(ResetStage::Summarised) {
                    return Ok((StoreChanges::none(), ()));
                }
                let at = (reset.run_id.as_str().to_owned(), agent.clone());
                let mut talk = view.get(&CONVERSATIONS, &at)?.unwrap_or_default();
                talk.clear(reset.saved.until, &reset.id);
                Ok((StoreChanges::none().put(&RESETS, &agent, &reset).put(&CONVERSATIONS, &at, &talk), ()))
            })
            .await
    }

    /// Notes that an agent's worker starts from the saved state, if the context was cleared. Returns that
    /// state, also for later starts while the run is open, because an incarnation may be killed right here;
    /// and whether this is the first start since the clear.
    pub(super) async fn resume(&self, agent: &str) -> Result<Option<(ContextReset, bool)>, StoreError> {
        let agent = agent.to_owned();
        // Most starts have nothing to resume: those wait for no commit.
        let cleared = match self.reset(&agent)? {
            Some(reset) if reset.stage == ResetStage::Cleared => reset,
            Some(reset) if reset.stage == ResetStage::Resumed => {
                let is_over = self.is_closed(&reset.run_id)?;
                return Ok((!is_over).then_some((reset, false)));
            }
            _ => return Ok(None),
        };
        let written = self.store.write::<_, StoreError>(move |view| {
            let Some(mut reset) = view.get(&RESETS, &agent)? else { return Ok((StoreChanges::none(), None)) };
            let is_first = reset.leave(ResetStage::Cleared);
            Ok((StoreChanges::none().put(&RESETS, &agent, &reset), Some((reset, is_first))))
        });
        match written.await {
            // The worker starts all the same; once the store takes writes again the governor restarts it once
            // more.
            Err(error) if error.is_passing() => Ok(Some((cleared, false))),
            written => written,
        }
    }

    fn is_closed(&self, run: &RunLabel) -> Result<bool, StoreError> {
        let Ok(run) = RunId::new(run.as_str()) else { return Ok(false) };
        self.store.read(|view| Ok(readers::closed_at(view, &run)?.is_some()))
    }

    /// The newest reset of an agent.
    pub(super) fn reset(&self, agent: &str) -> Result<Option<ContextReset>, StoreError> {
        self.store.read(|view| view.get(&RESETS, &agent.to_owned()))
    }

    pub(super) fn summaries(
        &self,
        agent: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ContextSummary>, StoreError> {
        self.store.read(|view| {
            let all = if agent.is_some() { MAX_ROWS } else { limit };
            let rows = view.range(&SUMMARIES, &KeyRange::all(), ScanOrder::Descending, all)?;
            let fits = |summary: &ContextSummary| agent.is_none_or(|agent| summary.agent == agent);
            Ok(rows.into_iter().map(|(_, summary)| summary).filter(fits).take(limit).collect())
        })
    }

    pub(super) fn summary(&self, id: &str) -> Result<(ContextSummary, Option<SummarySource>), GovernorError> {
        let id = id.to_owned();
        self.store.read(|view| {
            let summary = view.get(&SUMMARIES, &id)?;
            let summary = summary.ok_or_else(|| GovernorError::NoSummary(id.clone()))?;
            Ok((summary, view.get(&SOURCES, &id)?))
        })
    }

    /// Removes conversations of runs closed a day ago.
    pub(super) async fn prune(&self, now: Timestamp) -> Result<(), StoreError> {
        let before = now.as_millis() - KEPT_MS;
        self.store
            .write_soft(move |view| {
                let mut changes = StoreChanges::none();
                let all = view.range(&CONVERSATIONS, &KeyRange::all(), ScanOrder::Ascending, MAX_ROWS)?;
                let mut left = PRUNED_AT_ONCE;
                for (at, talk) in all {
                    let closed = match RunId::new(at.0.as_str()) {
                        Ok(run) => readers::closed_at(view, &run)?,
                        Err(_) => None,
                    };
                    if closed.is_some_and(|closed| closed < before) && left > 0 {
                        left -= 1;
                        for number in 0..talk.next {
                            changes = changes.delete(&NOTES, &(at.0.clone(), at.1.clone(), number));
                        }
                        changes = changes.delete(&CONVERSATIONS, &at);
                    }
                }
                Ok((changes, ()))
            })
            .await
    }
}

fn row_key(agent: &str, context: &AgentContext) -> (String, String) {
    (agent.to_owned(), context.run_id.as_ref().map_or_else(String::new, |run| run.as_str().to_owned()))
}

type StoredContexts = (Vec<(String, AgentContext)>, Vec<ContextReset>);

/// All contexts and all resets in progress; moves contexts out of the older table.
fn stored(view: &StoreView<'_>) -> Result<(StoreChanges, StoredContexts), StoreError> {
    let old = view.range(&OLD_CONTEXTS, &KeyRange::all(), ScanOrder::Ascending, MAX_ROWS)?;
    let moved = |changes: StoreChanges, (agent, context): &(String, AgentContext)| {
        changes.put(&CONTEXTS, &row_key(agent, context), context).delete(&OLD_CONTEXTS, agent)
    };
    let changes = old.iter().fold(StoreChanges::none(), moved);
    let contexts = view.range(&CONTEXTS, &KeyRange::all(), ScanOrder::Ascending, MAX_ROWS)?;
    let contexts = contexts.into_iter().map(|((agent, _), context)| (agent, context));
    let resets = view.range(&RESETS, &KeyRange::all(), ScanOrder::Ascending, MAX_ROWS)?;
    let open = resets.into_iter().map(|(_, reset)| reset).filter(ContextReset::is_open).collect();
    Ok((changes, (contexts.chain(old).collect(), open)))
}

fn notes(
    view: &StoreView<'_>,
    at: &(String, String),
    from: u64,
    until: u64,
) -> Result<Vec<ContextNote>, StoreError> {
    let key = |number| (at.0.clone(), at.1.clone(), number);
    let rows = view.range(&NOTES, &KeyRange::of(key(from)..key(until)), ScanOrder::Ascending, MAX_ROWS)?;
    Ok(rows.into_iter().map(|(_, note)| note).collect())
}

/// The state of an agent in a run: notes by their marks, the run's plan, the agent's open steps and files.
fn saved(view: &StoreView<'_>, agent: &str, run: &RunLabel) -> Result<SavedState, StoreError> {
    let at = (run.as_str().to_owned(), agent.to_owned());
    let talk = view.get(&CONVERSATIONS, &at)?.unwrap_or_default();
    let jobs = jobs_of(view, run)?;
    let own = || jobs.iter().filter(|job| job.card.agent.as_str() == agent);
    let step = |job: &Job| PlanStep {
        job_id: job.id.to_string(),
        agent: job.card.agent.to_string(),
        state: job.state.as_str().to_owned(),
    };
    let open = |job: &Job| OpenStep {
        job_id: job.id.to_string(),
        task: job.card.task.clone(),
        fence: job.fence,
        attempt: job.attempt,
    };
    let files = own().flat_map(|job| &job.artifacts).map(|file| SavedFile {
        path: file.path.clone(),
        blake3: file.blake3.clone(),
        bytes: file.bytes,
    });
    Ok(SavedState {
        agent: agent.to_owned(),
        run_id: run.clone(),
        from: talk.live_from,
        until: talk.next,
        previous: talk.summary,
        plan: jobs.iter().map(step).collect(),
        open: own().filter(|job| !job.state.is_terminal()).map(open).collect(),
        artifacts: files.collect(),
    })
}

/// All of the daemon's jobs in a run; an outside agent's run has none.
fn jobs_of(view: &StoreView<'_>, run: &RunLabel) -> Result<Vec<Job>, StoreError> {
    RunId::new(run.as_str()).map_or_else(|_| Ok(Vec::new()), |run| readers::run_jobs(view, &run))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::agent::TokenBudget;
    use crate::domain::token_governor::DEFAULT_CTX_LIMIT;

    #[tokio::test]
    async fn contexts_of_an_older_store_move_to_the_table_by_run_once() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pas.redb");
        let store = tokio::task::spawn_blocking(move || Store::open(file)).await.unwrap().unwrap();
        let context = |run: Option<&str>, ctx_used| AgentContext {
            run_id: run.map(|run| RunLabel::new(run).unwrap()),
            ctx_used,
            ctx_limit: DEFAULT_CTX_LIMIT,
            budget: TokenBudget::DEFAULT,
            last_updated: Timestamp::from_millis(1),
        };
        let rows = [("a".to_owned(), context(Some("r1"), 7)), ("b".to_owned(), context(None, 8))];
        let old = rows.clone();
        let write = move |_: &StoreView<'_>| {
            let put = |changes: StoreChanges, (agent, row): &(String, AgentContext)| {
                changes.put(&OLD_CONTEXTS, agent, row)
            };
            Ok::<_, StoreError>((old.iter().fold(StoreChanges::none(), put), ()))
        };
        store.write(write).await.unwrap();
        let ledger = ContextStore::new(store.clone());
        for _ in 0..2 {
            assert_eq!(ledger.load().await.unwrap().0, rows, "the second time from the new table");
            assert_eq!(store.read(|view| view.count(&OLD_CONTEXTS)), Ok(0));
            assert_eq!(store.read(|view| view.count(&CONTEXTS)), Ok(2));
        }
        store.close().await.unwrap();
    }
}
