//! A change that goes on with the work of an earlier run: whether it may, and its card.
//!
//! Pure. Invariant: the card that comes out says everything itself: the run it continues, the snapshot it begins with,
//! base and proving command. Inputs of the new card go before those of the old one.

use serde_json::{Map, Value};

use super::{Job, JobState};

/// The run whose work a change goes on with.
pub const CONTINUES: &str = "continues";
/// The snapshot of that run with which the tree begins; written by the daemon when it accepts the card.
pub const SNAPSHOT: &str = "snapshot";

/// Inputs that belong to the old run alone.
const OF_ONE_RUN: [&str; 5] = ["retry_of", CONTINUES, SNAPSHOT, "word", "with_uncommitted"];

/// Why a run is not continued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContinuationRefusal {
    #[error("there is no job `{0}`; `pas jobs` lists them")]
    NoJob(String),
    #[error("`{run}` is no change but `{task}`; only a change can be continued")]
    NoChange { run: String, task: String },
    #[error(
        "`{run}` has not ended (it is {}); `pas say {run} …` reaches its agent, `pas cancel {run}` ends it", .state.as_str()
    )]
    NotEnded { run: String, state: JobState },
    #[error(
        "`{run}` was delivered as the branch pas/{run}; start a new change from it with `--base pas/{run}`"
    )]
    Delivered { run: String },
    #[error("`{run}` ended before anything was written; begin it again with `pas retry {run}`")]
    NothingWritten { run: String },
    #[error("the work of `{run}` is gone: {why}; begin it again with `pas retry {run}`")]
    WorkGone { run: String, why: String },
    #[error("`{run}` worked on another repository, {old}; leave out the repository, or name that one")]
    OtherRepository { run: String, old: String },
    #[error("work that is continued starts from its snapshot; leave out `with_uncommitted`")]
    Uncommitted,
    #[error("a snapshot is named by the daemon; give `continues` alone")]
    SnapshotNamed,
}

/// The remains of a run, for its continuation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierWork {
    pub run: String,
    pub snapshot: String,
    /// The commit that it started from.
    pub base: String,
    /// The proving command by which it began; given, or found then.
    pub prove: Option<String>,
}

/// Whether the run below `root` may be continued, as far as its rows say. `lead` is the job that wrote the change.
///
/// # Errors
/// [`ContinuationRefusal`].
pub fn check(root: &Job, is_change: bool, lead: Option<&Job>) -> Result<(), ContinuationRefusal> {
    let run = root.id.to_string();
    if !is_change {
        return Err(ContinuationRefusal::NoChange { run, task: root.card.task.clone() });
    }
    if !root.state.is_terminal() {
        return Err(ContinuationRefusal::NotEnded { run, state: root.state });
    }
    match lead {
        None => Err(ContinuationRefusal::NothingWritten { run }),
        Some(lead) if lead.state == JobState::Done => Err(ContinuationRefusal::Delivered { run }),
        Some(_) => Ok(()),
    }
}

/// The inputs of the new card: its own, completed from the old one.
#[must_use]
pub fn inputs(given: Map<String, Value>, old: &Map<String, Value>, work: &EarlierWork) -> Map<String, Value> {
    let is_named = |name: &str| given.get(name).is_some_and(|value| !value.is_null());
    let taken = |name: &String| !OF_ONE_RUN.contains(&name.as_str()) && !is_named(name);
    let mut inputs: Map<String, Value> = old
        .iter()
        .filter(|(name, _)| taken(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    // A command that was found proves; it does not show the fault before.
    if let (Some(prove), false) = (&work.prove, inputs.contains_key("prove") || is_named("prove")) {
        inputs.insert("prove".to_owned(), prove.as_str().into());
        inputs.entry("expect").or_insert_with(|| "any".into());
    }
    if !is_named("base") {
        inputs.insert("base".to_owned(), work.base.as_str().into());
    }
    inputs.extend(given.into_iter().filter(|(_, value)| !value.is_null()));
    inputs.insert(CONTINUES.to_owned(), work.run.as_str().into());
    inputs.insert(SNAPSHOT.to_owned(), work.snapshot.as_str().into());
    inputs
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::testing::job;
    use super::*;

    fn object(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn work() -> EarlierWork {
        EarlierWork {
            run: "change-1".into(),
            snapshot: "5".repeat(40),
            base: "b".repeat(40),
            prove: Some("make test".into()),
        }
    }

    #[test]
    fn a_continuation_takes_over_what_it_does_not_name_and_nothing_of_one_run() {
        let old = object(&json!({
            "goal": "mend it", "repository": "/r", "base": "main", "prove": "cargo test", "budget_usd": 1,
            "retry_of": "change-0", "continues": "change-0", "snapshot": "0", "word": "faster", "with_uncommitted": true,
        }));
        let given =
            object(&json!({ "continues": "change-1.code.lane.write", "budget_usd": 2, "goal": null }));
        let made = inputs(given, &old, &work());
        let wanted = json!({
            "goal": "mend it", "repository": "/r", "base": "b".repeat(40), "prove": "cargo test", "budget_usd": 2,
            "continues": "change-1", "snapshot": "5".repeat(40),
        });
        assert_eq!(Value::Object(made), wanted);
    }

    #[test]
    fn a_command_that_was_found_stays_the_one_that_proves() {
        let old = object(&json!({ "goal": "mend it" }));
        let made = inputs(Map::new(), &old, &work());
        assert_eq!((&made["prove"], &made["expect"]), (&json!("make test"), &json!("any")));
        let made = inputs(object(&json!({ "prove": "npm test", "base": "main" })), &old, &work());
        assert_eq!((&made["prove"], made.get("expect")), (&json!("npm test"), None));
        assert_eq!(made["base"], "main");
    }

    #[test]
    fn each_run_that_cannot_be_continued_is_refused_in_words() {
        let of = |state: JobState| Job { state, ..job("change-1", "architect", "change") };
        let (ended, written) = (of(JobState::Failed), of(JobState::Failed));
        assert_eq!(check(&ended, true, Some(&written)), Ok(()));
        assert_eq!(check(&of(JobState::Cancelled), true, Some(&of(JobState::Cancelled))), Ok(()));
        let refused = |root: &Job, is_change: bool, lead: Option<&Job>| {
            check(root, is_change, lead).unwrap_err().to_string()
        };
        assert!(refused(&ended, false, None).contains("is no change"));
        assert!(refused(&of(JobState::Running), true, None).contains("has not ended (it is running)"));
        assert!(refused(&ended, true, None).contains("pas retry"));
        let delivered = refused(&of(JobState::Done), true, Some(&of(JobState::Done)));
        assert!(delivered.contains("--base pas/"), "{delivered}");
    }
}
