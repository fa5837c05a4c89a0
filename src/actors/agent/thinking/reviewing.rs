//! The review of a proved change: a child job for another vendor's model, bound to the commit.
//!
//! The daemon runs the tests that blocking remarks bring; a remark whose test passes does not block. A review that
//! cannot be had ends the step: a change is never called reviewed because nobody looked.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::brief::AskPolicy;
use super::claims::ClaimEnd;
use super::journal::from_store;
use super::questions::ConsentKind;
use super::runner::ThinkingAttempt;
use super::tasks::REVIEW_CHANGE;
use super::workspace::{blocking, until_stopped};
use crate::domain::agent::{AccessLevel, Rights};
use crate::domain::agent_choice::{self, AgentAvailability};
use crate::domain::ids::JobId;
use crate::domain::job::{Job, JobCard, JobState};
use crate::domain::json::JsonValue;
use crate::domain::thinking::{ProofEndedRow, TestTally};
use crate::proof::record::ProofRecord;
use crate::proof::runner::ProofBench as _;
use crate::proof::stage::{ProofStage, StageEnd};
use crate::review::independence::independence;
use crate::review::prompt::{ReviewBrief, reviewer_message};
use crate::review::remark::ReviewRemark;
use crate::review::report::ReviewerReport;
use crate::review::rounds::{ReviewStep, next_step};
use crate::review::verdict::{RemarkTestEnd, ReviewVerdict, SettledRemark, settle_again, settle_remark};
use crate::skills::SkillError;
use crate::tools::{ThinkerRole, ToolBox, ToolExecutors, ToolSession, ToolTree};
use crate::worktree::{CommitId, SealedCommit};

/// The verdicts of a step's reviews, below its folder.
pub(super) const REVIEWS_FILE: &str = "review.json";
/// Longest wait for a reviewer at a time; then the job is looked at again.
const LOOK: Duration = Duration::from_secs(60);
/// Longest diff that is read into a review's message.
const MAX_DIFF: usize = crate::review::prompt::MAX_DIFF;

/// One round of a review.
struct ReviewOrder {
    round: u32,
    /// Remarks that blocked in the round before.
    open: Vec<SettledRemark>,
    /// Whether the tests of the proof could be counted: then a remark's test that is not counted did not run.
    is_counted: bool,
}

impl ThinkingAttempt {
    /// Has the sealed commit reviewed, in the light of earlier rounds.
    pub(super) async fn review(
        &mut self,
        sealed: &SealedCommit,
        record: &ProofRecord,
        tests: Option<TestTally>,
    ) -> Result<ClaimEnd, SkillError> {
        let commit = sealed.commit.to_string();
        loop {
            let mut verdicts = self.verdicts();
            let end = |passed, text: String| {
                let (commit, tests) = (Some(commit.clone()), tests.clone());
                ClaimEnd::Checked(ProofEndedRow { passed, text, out: None, commit, tests, elapsed_ms: 0 })
            };
            let verdict = match next_step(&verdicts, &commit) {
                ReviewStep::Approved(verdict) => {
                    return Ok(end(
                        true,
                        format!("Proved and approved; the review is {}.", verdict.independence),
                    ));
                }
                ReviewStep::Rework(open) => return Ok(end(false, remarks_text(&open))),
                ReviewStep::Director { open } => {
                    let text = format!(
                        "The change `{commit}` is proved, and the reviewer's remarks are open after the last \
                         round:\n{}\nDeliver it all the same?",
                        remarks_text(&open)
                    );
                    if self.has_consent(ConsentKind::Remarks, &text)? {
                        return Ok(end(true, "Proved; a person has let open remarks pass.".to_owned()));
                    }
                    return Ok(match self.brief.ask {
                        AskPolicy::Person => ClaimEnd::Asks(ConsentKind::Remarks, text),
                        AskPolicy::Never => end(false, remarks_text(&open)),
                    });
                }
                ReviewStep::Review { round, since, open } => {
                    let message = self.message(sealed, record, since, &open).await?;
                    let open = open.into_iter().cloned().collect();
                    let child = self.reviewer_job(round, message, &commit).await?;
                    let order = ReviewOrder { round, open, is_counted: tests.is_some() };
                    self.verdict_of(&child, order, sealed).await?
                }
            };
            verdicts.push(verdict);
            let bytes = serde_json::to_vec_pretty(&verdicts);
            let bytes = bytes.map_err(|error| SkillError::Transient(error.to_string()))?;
            self.keep_file(REVIEWS_FILE, &bytes).await?;
        }
    }

    pub(super) fn verdicts(&self) -> Vec<ReviewVerdict> {
        let file: PathBuf = self.work_folder().join(REVIEWS_FILE);
        std::fs::read(file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    async fn message(
        &self,
        sealed: &SealedCommit,
        record: &ProofRecord,
        since: Option<&str>,
        open: &[&SettledRemark],
    ) -> Result<String, SkillError> {
        let tree = Arc::clone(&self.workspace.tree);
        let from = since.and_then(CommitId::parse).unwrap_or_else(|| tree.base().clone());
        let (base, to) = (tree.base().to_string(), sealed.commit.clone());
        let diff = blocking(move || tree.diff_text(&from, &to, MAX_DIFF)).await?;
        let diff = diff.map_err(|error| SkillError::Transient(error.to_string()))?;
        Ok(reviewer_message(&ReviewBrief {
            card: &self.brief.goal,
            base_commit: &base,
            commit: sealed.commit.as_str(),
            since,
            diff: &diff.text,
            proving_command: &record.command.script,
            open,
        }))
    }

    /// Hands the review over and waits for its end.
    async fn reviewer_job(&mut self, round: u32, message: String, commit: &str) -> Result<Job, SkillError> {
        let (roster, tasks) = (self.jobs.agents.roster(), self.jobs.tasks);
        let reviewer = agent_choice::for_step(roster, tasks, REVIEW_CHANGE, &self.agent.name, |_| {
            AgentAvailability::IDLE
        });
        let Some(reviewer) = reviewer else {
            return Err(unreviewed("no agent of the roster takes `change.review`"));
        };
        let card = JobCard {
            agent: reviewer.name.clone(),
            task: REVIEW_CHANGE.to_owned(),
            capability: tasks.get(REVIEW_CHANGE).map(|entry| entry.capability.to_string()),
            inputs: JsonValue(json!({
                "goal": self.brief.goal, "change_of": self.journal.job(), "commit": commit,
                "author_vendors": self.author_vendors()?, "message": message, "tests": self.brief.test_globs, "ask": "never",
            })),
            priority: self.card.priority,
            resource_request: None,
            approvals_required: Vec::new(),
            deadline_at: self.card.deadline_at,
            optional: false,
        };
        let steps = vec![(format!("review{round}"), card)];
        let handed = self.jobs.book.hand_over(self.journal.job(), self.fence, steps).await;
        let children = handed.map_err(from_store)?;
        let Some(child) = children.into_iter().next() else {
            return Err(unreviewed("the review could not be handed over"));
        };
        self.jobs.notify(&child);
        self.control.note("waiting for the review");
        let began = Instant::now();
        let ended = self.end_of(&child.id).await?;
        self.waited += began.elapsed();
        Ok(ended)
    }

    /// Waits until a job of this step has ended.
    pub(super) async fn end_of(&self, child: &JobId) -> Result<Job, SkillError> {
        let _wait = self.control.wait();
        loop {
            let wait = self.jobs.wait(child, LOOK);
            let job = tokio::select! {
                biased;
                () = self.control.stopped() => return Err(SkillError::Cancelled),
                job = wait => job.map_err(from_store)?,
            };
            if job.state.is_terminal() {
                return Ok(job);
            }
        }
    }

    async fn verdict_of(
        &mut self,
        child: &Job,
        order: ReviewOrder,
        sealed: &SealedCommit,
    ) -> Result<ReviewVerdict, SkillError> {
        if child.state != JobState::Done {
            return Err(unreviewed(child.error.as_deref().unwrap_or("the reviewer gave no reason")));
        }
        let field = |name: &str| child.outputs.get(name).and_then(Value::as_str).unwrap_or_default();
        let paths = self.test_paths()?;
        let report =
            ReviewerReport::parse(field("review"), sealed.commit.as_str(), |path| paths.is_test(path));
        let report = report.map_err(|fault| unreviewed(&fault.to_string()))?;
        let mut remarks = Vec::with_capacity(report.remarks.len());
        // A remark that blocked in the round before is run again, repeated by the reviewer or not.
        let is_repeated =
            |open: &SettledRemark| report.remarks.iter().any(|new| new.place == open.remark.place);
        let left: Vec<_> = order.open.into_iter().filter(|open| !is_repeated(open)).collect();
        for remark in report.remarks {
            let end = self.run_remark(&remark, sealed, order.is_counted).await?;
            remarks.push(settle_remark(remark, end.as_ref()));
        }
        for SettledRemark { remark, .. } in left {
            let end = self.run_remark(&remark, sealed, order.is_counted).await?;
            remarks.push(settle_again(remark, end.as_ref()));
        }
        Ok(ReviewVerdict {
            commit: sealed.commit.to_string(),
            round: order.round,
            vendor: field("vendor").to_owned(),
            model: field("model").to_owned(),
            independence: independence(&self.author_vendors()?, field("vendor")),
            summary: report.summary,
            remarks,
        })
    }

    /// Runs the test of a remark on the commit; `None` where it brings none.
    async fn run_remark(
        &mut self,
        remark: &ReviewRemark,
        sealed: &SealedCommit,
        is_counted: bool,
    ) -> Result<Option<RemarkTestEnd>, SkillError> {
        let Some(patch) = &remark.test else { return Ok(None) };
        let _reserved = self.reserve().await?;
        let mut bench = self.bench_for(&sealed.commit)?;
        let broken = |error: crate::proof::runner::BenchError| SkillError::Transient(error.to_string());
        let checkout = bench.checkout(sealed.commit.as_str()).await.map_err(broken)?;
        let applied = apply_patch(&checkout.dir, patch).await;
        let end = match applied {
            Err(why) => RemarkTestEnd::DoesNotApply(why),
            Ok(()) => {
                let command = self.proving_command()?;
                let running = bench.run(&command, &checkout.dir, REMARK_TIMEOUT);
                let run = until_stopped(&self.control, &self.cancel, running).await?.map_err(broken)?;
                let end = StageEnd::new(ProofStage::After, checkout.tree.clone(), run);
                RemarkTestEnd::of(&end, is_counted)
            }
        };
        bench.discard(checkout).await;
        Ok(Some(end))
    }
}

/// As long as a proof may take, within the patience for one remark.
const REMARK_TIMEOUT: Duration = Duration::from_secs(600);

async fn apply_patch(dir: &std::path::Path, patch: &str) -> Result<(), String> {
    let tree = ToolTree::open(dir, &[]).map_err(|error| error.to_string())?;
    let rights = Rights { filesystem: AccessLevel::ReadWrite, ..Rights::NONE };
    let tools = ToolBox::new(rights, ThinkerRole::Executor, Some(Arc::new(tree)), ToolExecutors::default());
    let spill = super::outputs::StepOutputs::new(dir, Vec::new());
    let mut session = ToolSession { seen: Default::default(), spill: Box::new(spill), budget: usize::MAX };
    let arguments = json!({ "patch": patch }).to_string();
    let returned = tools.run("patch", &arguments, &mut session).await;
    if returned.is_error { Err(returned.text) } else { Ok(()) }
}

fn unreviewed(why: &str) -> SkillError {
    SkillError::Permanent(format!(
        "the change is proved, and no review of it could be had: {why}; `--review off` goes without one"
    ))
}

fn remarks_text(open: &[&SettledRemark]) -> String {
    let mut text = String::from("A reviewer finds the change wrong:\n");
    for settled in open {
        let remark = &settled.remark;
        let line = remark.place.line.map_or_else(String::new, |line| format!(":{line}"));
        let place = format!("{}{line}", remark.place.path);
        text.push_str(&format!(
            "- {place}: {}\n  proposal: {}\n  {}\n",
            remark.input,
            remark.proposal,
            standing_text(settled)
        ));
    }
    text
}

fn standing_text(settled: &SettledRemark) -> String {
    use crate::review::verdict::RemarkStanding;
    match &settled.standing {
        RemarkStanding::Blocking { because } => format!("it blocks: {because}"),
        RemarkStanding::Note { demoted: Some(why) } => format!("a note: {why}"),
        RemarkStanding::Note { demoted: None } => "a note".to_owned(),
        RemarkStanding::Resolved => "resolved".to_owned(),
    }
}
