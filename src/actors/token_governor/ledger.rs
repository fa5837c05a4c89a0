//! The durable side of the governor: conversations, resets, summaries, each change one transaction.
//!
//! Owns the tables below. Invariants: a reset's row and what its stage promises are one write; a write
//! that is carried out twice changes nothing the second time; nothing is decided from a read outside the
//! write. Notes are soft until the next durable write (the end of their step, at the latest a second):
//! whoever gave them, a step, is carried out again if that second was lost.

use serde::{Deserialize, Serialize};

use super::GovernorError;
use super::board::ContextKey;
use crate::actors::jobs::readers;
use crate::domain::context::conversation::{Conversation, Note, OpenStep, PlanStep, SavedFile, SavedState};
use crate::domain::context::reset::{Reset, Stage};
use crate::domain::context::summary::{Summary, Trigger, new_id};
use crate::domain::context::{Context, RunLabel};
use crate::domain::ids::RunId;
use crate::domain::job::Job;
use crate::domain::time::Timestamp;
use crate::store::{Changes, Order, Span, Store, StoreError, Table, View};

/// Agent and run (empty: none was said) → context; soft.
const CONTEXTS: Table<(String, String), Context> = Table::new("contexts_by_run");
/// Agent → context: where contexts stood while an agent had one for all its runs.
const OLD_CONTEXTS: Table<String, Context> = Table::new("contexts");
/// Run and agent → head of the conversation.
const CONVERSATIONS: Table<(String, String), Conversation> = Table::new("conversations");
/// Run, agent and number → note.
const NOTES: Table<(String, String, u64), Note> = Table::new("conversation_notes");
/// Agent → its newest reset.
const RESETS: Table<String, Reset> = Table::new("context_resets");
/// Summary's id → summary. Ids sort by time.
const SUMMARIES: Table<String, Summary> = Table::new("summaries");
/// Summary's id → what it was made of.
const SOURCES: Table<String, Source> = Table::new("summary_sources");

/// Summaries kept; older ones remain in their files.
pub(super) const KEPT_SUMMARIES: u64 = 1_000;
/// Most rows read for a list, a conversation or a look for old ones.
const MAX_ROWS: usize = 10_000;
/// How long conversations are kept after their run was closed, in milliseconds: a day, to look into
/// what a summary dropped.
const KEPT_MS: i64 = 24 * 60 * 60 * 1_000;
/// Conversations removed in one write: some thousand rows.
const PRUNED_AT_ONCE: usize = 64;

/// What a summary was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Source {
    /// A text that was brought.
    Text(String),
    /// The saved state of an own agent; its notes are in the conversation.
    Saved(SavedState),
}

#[derive(Clone)]
pub(super) struct Ledger {
    store: Store,
}

impl Ledger {
    pub(super) fn new(store: Store) -> Self {
        Self { store }
    }

    /// All contexts and all resets under way. Through the writer, so that a write which a killed
    /// incarnation left in the queue is seen.
    pub(super) async fn load(&self) -> Result<(Vec<(String, Context)>, Vec<Reset>), StoreError> {
        match self.store.write(stored).await {
            // It is moved by a later start.
            Err(error) if error.is_passing() => self.store.read(|view| Ok(stored(view)?.1)),
            loaded => loaded,
        }
    }

    /// Waits until writes are taken.
    pub(super) async fn writable(&self) -> Result<(), StoreError> {
        self.store.writable().await
    }

    /// Writes contexts back, softly.
    pub(super) async fn put_contexts(
        &self,
        rows: Vec<(ContextKey, Option<Context>)>,
    ) -> Result<(), StoreError> {
        let change = |changes: Changes, ((agent, run), row): &(ContextKey, Option<Context>)| {
            let run = run.as_ref().map_or("", RunLabel::as_str);
            let key = (agent.to_string(), run.to_owned());
            match row {
                Some(context) => changes.put(&CONTEXTS, &key, context),
                None => changes.delete(&CONTEXTS, &key),
            }
        };
        self.store.write_soft(move |_| Ok((rows.iter().fold(Changes::none(), change), ()))).await
    }

    /// An agent's contexts, emptied: durable when it returns.
    pub(super) async fn empty(&self, agent: String, contexts: Vec<Context>) -> Result<(), StoreError> {
        let change = |changes: Changes, context: Context| {
            let empty = Context { ctx_used: 0, ..context };
            changes.put(&CONTEXTS, &row_key(&agent, &empty), &empty)
        };
        let changes = contexts.into_iter().fold(Changes::none(), change);
        self.store.write(move |_| Ok((changes, ()))).await
    }

    /// Takes a note in; false when its key was given before.
    pub(super) async fn note(
        &self,
        agent: &str,
        run: &RunLabel,
        key: Option<String>,
        note: Note,
    ) -> Result<bool, StoreError> {
        let at = (run.as_str().to_owned(), agent.to_owned());
        self.store
            .write_soft(move |view| {
                let mut talk = view.get(&CONVERSATIONS, &at)?.unwrap_or_default();
                let Some(number) = talk.take(key.as_deref()) else { return Ok((Changes::none(), false)) };
                let row = (at.0.clone(), at.1.clone(), number);
                Ok((Changes::none().put(&CONVERSATIONS, &at, &talk).put(&NOTES, &row, &note), true))
            })
            .await
    }

    /// What is in an agent's context: the summary that stands for what was cleared, and the notes since.
    pub(super) fn conversation(
        &self,
        agent: &str,
        run: &RunLabel,
    ) -> Result<(Option<Summary>, Vec<Note>), StoreError> {
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

    /// Saves an agent's state and begins its reset: durable when it returns. One that is under way is
    /// given as it stands; none begins where there is nothing to clear.
    pub(super) async fn begin(
        &self,
        agent: String,
        run: RunLabel,
        trigger: Trigger,
        ctx_before: u64,
    ) -> Result<Option<Reset>, StoreError> {
        self.store
            .write(move |view| {
                if let Some(reset) = view.get(&RESETS, &agent)?.filter(Reset::is_open) {
                    return Ok((Changes::none(), Some(reset)));
                }
                let saved = saved(view, &agent, &run)?;
                if saved.from == saved.until {
                    return Ok((Changes::none(), None));
                }
                let (id, begun_at) = (new_id(), Timestamp::now());
                let stage = Stage::Saving;
                let reset = Reset { id, agent, run_id: run, trigger, ctx_before, stage, saved, begun_at };
                Ok((Changes::none().put(&RESETS, &reset.agent, &reset), Some(reset)))
            })
            .await
    }

    /// An agent's state as it is now.
    pub(super) fn state_of(&self, agent: &str, run: &RunLabel) -> Result<SavedState, StoreError> {
        self.store.read(|view| saved(view, agent, run))
    }

    /// A saved state as text; `None` when its notes are not kept any more.
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

    /// Stores a summary with its source; one that belongs to a reset moves that on.
    pub(super) async fn put_summary(&self, summary: Summary, source: Source) -> Result<(), StoreError> {
        self.store
            .write(move |view| {
                let id = &summary.summary_id;
                let mut changes = Changes::none().put(&SUMMARIES, id, &summary).put(&SOURCES, id, &source);
                if let Some(mut reset) = view.get(&RESETS, &summary.agent)?.filter(|reset| reset.id == *id) {
                    if !reset.leave(Stage::Saving) {
                        return Ok((Changes::none(), ()));
                    }
                    changes = changes.put(&RESETS, &summary.agent, &reset);
                }
                let surplus = (view.count(&SUMMARIES)? + 1).saturating_sub(KEPT_SUMMARIES);
                let surplus = usize::try_from(surplus).unwrap_or(usize::MAX).min(MAX_ROWS);
                for (old, _) in view.range(&SUMMARIES, &Span::all(), Order::Ascending, surplus)? {
                    changes = changes.delete(&SUMMARIES, &old).delete(&SOURCES, &old);
                }
                Ok((changes, ()))
            })
            .await
    }

    /// Clears the context that a reset has summarised: durable when it returns.
    pub(super) async fn clear(&self, agent: String) -> Result<(), StoreError> {
        self.store
            .write(move |view| {
                let Some(mut reset) = view.get(&RESETS, &agent)? else { return Ok((Changes::none(), ())) };
                if !reset.leave(Stage::Summarised) {
                    return Ok((Changes::none(), ()));
                }
                let at = (reset.run_id.as_str().to_owned(), agent.clone());
                let mut talk = view.get(&CONVERSATIONS, &at)?.unwrap_or_default();
                talk.clear(reset.saved.until, &reset.id);
                Ok((Changes::none().put(&RESETS, &agent, &reset).put(&CONVERSATIONS, &at, &talk), ()))
            })
            .await
    }

    /// Notes that an agent's worker starts from its saved state, if it was cleared. That state, also for
    /// the starts after this one, as long as the run is open: an incarnation may be killed right here.
    /// Beside it, whether this is the first start since the clear.
    pub(super) async fn resume(&self, agent: &str) -> Result<Option<(Reset, bool)>, StoreError> {
        let agent = agent.to_owned();
        // Most starts have nothing to resume: those wait for no commit.
        let cleared = match self.reset(&agent)? {
            Some(reset) if reset.stage == Stage::Cleared => reset,
            Some(reset) if reset.stage == Stage::Resumed => {
                let is_over = self.is_closed(&reset.run_id)?;
                return Ok((!is_over).then_some((reset, false)));
            }
            _ => return Ok(None),
        };
        let written = self.store.write::<_, StoreError>(move |view| {
            let Some(mut reset) = view.get(&RESETS, &agent)? else { return Ok((Changes::none(), None)) };
            let is_first = reset.leave(Stage::Cleared);
            Ok((Changes::none().put(&RESETS, &agent, &reset), Some((reset, is_first))))
        });
        match written.await {
            // It starts all the same; when the store takes writes again the governor has it restarted once more.
            Err(error) if error.is_passing() => Ok(Some((cleared, false))),
            written => written,
        }
    }

    fn is_closed(&self, run: &RunLabel) -> Result<bool, StoreError> {
        let Ok(run) = RunId::new(run.as_str()) else { return Ok(false) };
        self.store.read(|view| Ok(readers::closed_at(view, &run)?.is_some()))
    }

    /// The newest reset of an agent.
    pub(super) fn reset(&self, agent: &str) -> Result<Option<Reset>, StoreError> {
        self.store.read(|view| view.get(&RESETS, &agent.to_owned()))
    }

    pub(super) fn summaries(&self, agent: Option<&str>, limit: usize) -> Result<Vec<Summary>, StoreError> {
        self.store.read(|view| {
            let all = if agent.is_some() { MAX_ROWS } else { limit };
            let rows = view.range(&SUMMARIES, &Span::all(), Order::Descending, all)?;
            let fits = |summary: &Summary| agent.is_none_or(|agent| summary.agent == agent);
            Ok(rows.into_iter().map(|(_, summary)| summary).filter(fits).take(limit).collect())
        })
    }

    /// One summary, with what it was made of.
    pub(super) fn summary(&self, id: &str) -> Result<(Summary, Option<Source>), GovernorError> {
        let id = id.to_owned();
        self.store.read(|view| {
            let summary = view.get(&SUMMARIES, &id)?;
            let summary = summary.ok_or_else(|| GovernorError::NoSummary(id.clone()))?;
            Ok((summary, view.get(&SOURCES, &id)?))
        })
    }

    /// Removes conversations of runs that were closed a day ago.
    pub(super) async fn prune(&self, now: Timestamp) -> Result<(), StoreError> {
        let before = now.as_millis() - KEPT_MS;
        self.store
            .write_soft(move |view| {
                let mut changes = Changes::none();
                let all = view.range(&CONVERSATIONS, &Span::all(), Order::Ascending, MAX_ROWS)?;
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

fn row_key(agent: &str, context: &Context) -> (String, String) {
    (agent.to_owned(), context.run_id.as_ref().map_or_else(String::new, |run| run.as_str().to_owned()))
}

type StoredContexts = (Vec<(String, Context)>, Vec<Reset>);

/// All contexts and all resets under way, and the contexts moved that an older table holds.
fn stored(view: &View<'_>) -> Result<(Changes, StoredContexts), StoreError> {
    let old = view.range(&OLD_CONTEXTS, &Span::all(), Order::Ascending, MAX_ROWS)?;
    let moved = |changes: Changes, (agent, context): &(String, Context)| {
        changes.put(&CONTEXTS, &row_key(agent, context), context).delete(&OLD_CONTEXTS, agent)
    };
    let changes = old.iter().fold(Changes::none(), moved);
    let contexts = view.range(&CONTEXTS, &Span::all(), Order::Ascending, MAX_ROWS)?;
    let contexts = contexts.into_iter().map(|((agent, _), context)| (agent, context));
    let resets = view.range(&RESETS, &Span::all(), Order::Ascending, MAX_ROWS)?;
    let open = resets.into_iter().map(|(_, reset)| reset).filter(Reset::is_open).collect();
    Ok((changes, (contexts.chain(old).collect(), open)))
}

fn notes(view: &View<'_>, at: &(String, String), from: u64, until: u64) -> Result<Vec<Note>, StoreError> {
    let key = |number| (at.0.clone(), at.1.clone(), number);
    let rows = view.range(&NOTES, &Span::of(key(from)..key(until)), Order::Ascending, MAX_ROWS)?;
    Ok(rows.into_iter().map(|(_, note)| note).collect())
}

/// The state of an agent in a run: its notes by their marks, the run's plan, its own open steps and files.
fn saved(view: &View<'_>, agent: &str, run: &RunLabel) -> Result<SavedState, StoreError> {
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

/// All jobs of a run of the daemon; an outside agent's run has none.
fn jobs_of(view: &View<'_>, run: &RunLabel) -> Result<Vec<Job>, StoreError> {
    RunId::new(run.as_str()).map_or_else(|_| Ok(Vec::new()), |run| readers::run_jobs(view, &run))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::agent::TokenBudget;
    use crate::domain::context::DEFAULT_CTX_LIMIT;

    #[tokio::test]
    async fn contexts_of_an_older_store_move_to_the_table_by_run_once() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pas.redb");
        let store = tokio::task::spawn_blocking(move || Store::open(file)).await.unwrap().unwrap();
        let context = |run: Option<&str>, ctx_used| Context {
            run_id: run.map(|run| RunLabel::new(run).unwrap()),
            ctx_used,
            ctx_limit: DEFAULT_CTX_LIMIT,
            budget: TokenBudget::DEFAULT,
            last_updated: Timestamp::from_millis(1),
        };
        let rows = [("a".to_owned(), context(Some("r1"), 7)), ("b".to_owned(), context(None, 8))];
        let old = rows.clone();
        let write = move |_: &View<'_>| {
            let put =
                |changes: Changes, (agent, row): &(String, Context)| changes.put(&OLD_CONTEXTS, agent, row);
            Ok::<_, StoreError>((old.iter().fold(Changes::none(), put), ()))
        };
        store.write(write).await.unwrap();
        let ledger = Ledger::new(store.clone());
        for _ in 0..2 {
            assert_eq!(ledger.load().await.unwrap().0, rows, "the second time from the new table");
            assert_eq!(store.read(|view| view.count(&OLD_CONTEXTS)), Ok(0));
            assert_eq!(store.read(|view| view.count(&CONTEXTS)), Ok(2));
        }
        store.close().await.unwrap();
    }
}
