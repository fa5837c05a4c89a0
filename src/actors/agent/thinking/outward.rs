//! Acts beyond the tree: shown whole to a person, carried out once by the daemon, never from inside the sandbox.
//!
//! A yes holds for the text that was shown and for one call: the text names everything that decides what happens, and is
//! made anew before the act; where it differs, nothing is done. Failure policy: an act that a crash may have cut is never
//! begun again; a person is asked how it ended, with what the remote says about it.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::calls::elapsed_ms;
use super::deps::SandboxSetup;
use super::runner::ThinkingAttempt;
use super::workspace::blocking;
use crate::domain::thinking::{
    CallClass, CallOrder, CallPlace, CalledRow, QuestionSubject, ReturnedRow, StepRow, plain_line,
};
use crate::sandbox::{BoundCommand, OutputLimits};
use crate::skills::SkillError;
use crate::tools::{
    CheckedCall, OutwardAct, OutwardEnd, OutwardReach, OutwardRefusal, OutwardRunner, ToolReturn,
};
use crate::worktree::{PushCommand, PushError, PushPlan, WorkTree};

/// Bytes of git's words about a push that are kept.
const PUSH_OUTPUT: usize = 64 << 10;
/// Lines of a diffstat that a question shows; the commit, which is bound, has them all.
const MAX_STAT: usize = 40;

/// Pushes for the tools of one step: each as it was approved, once.
pub(super) struct StepPushes {
    pub(super) tree: Arc<WorkTree>,
    pub(super) sandbox: Arc<SandboxSetup>,
    pub(super) approved: ApprovedPush,
}

/// The push that a person has said yes to, until it is begun.
pub(super) type ApprovedPush = Arc<Mutex<Option<PushPlan>>>;

impl OutwardRunner for StepPushes {
    fn reach(&self) -> OutwardReach {
        OutwardReach { push: true, docker: false }
    }

    fn carry_out(&self, act: OutwardAct) -> BoxFuture<'_, Result<OutwardEnd, OutwardRefusal>> {
        let (tree, sandbox) = (Arc::clone(&self.tree), Arc::clone(&self.sandbox));
        let plan = self.approved.lock().take();
        Box::pin(async move {
            let (OutwardAct::GitPush { .. }, Some(plan)) = (act, plan) else {
                return Err(OutwardRefusal::Failed("nobody has approved it".to_owned()));
            };
            // Runs to its end even if the step is stopped: a push that is cut leaves nobody knowing. With its agent or
            // its daemon it ends all the same, so that it is over when a person is asked how it went.
            push(sandbox, tree, plan).await.map_err(OutwardRefusal::Failed)
        })
    }
}

async fn push(sandbox: Arc<SandboxSetup>, tree: Arc<WorkTree>, plan: PushPlan) -> Result<OutwardEnd, String> {
    let PushCommand { argv, environment, patience } = tree.push_command(&plan);
    let output = OutputLimits { head: PUSH_OUTPUT / 2, tail: PUSH_OUTPUT / 2 };
    let command = BoundCommand { argv, environment, timeout: patience, output };
    let why = match sandbox.launcher.run_bound(command).await {
        Ok(end) if !end.timed_out => {
            let output = plan.address.hidden_in(&end.output.text()).into_bytes();
            return Ok(OutwardEnd { output, succeeded: end.exit == Some(0) });
        }
        Ok(_) => format!("`git push` did not end within {} s and was ended", patience.as_secs()),
        Err(error) => plan.address.hidden_in(&error.to_string()),
    };
    let known = tokio::task::spawn_blocking(move || known_of(&tree, &plan)).await;
    let known = known.unwrap_or_else(|error| error.to_string());
    Err(format!("{why}. {known}"))
}

/// The state of a plan's branch at the remote, in words.
fn known_of(tree: &WorkTree, plan: &PushPlan) -> String {
    let PushPlan { address, branch, commit, .. } = plan;
    match tree.pushed_commit(plan) {
        Ok(Some(now)) if now == *commit => format!("{address} has {branch} at {commit}: it was carried out."),
        Ok(Some(now)) => format!("{address} has {branch} at {now} now, not at {commit}."),
        // The other end of a push may still be at it, on a machine of its own.
        Ok(None) => format!("{address} has no {branch} now."),
        Err(error) => format!("{address} could not be asked: {}", address.hidden_in(&error.to_string())),
    }
}

impl ThinkingAttempt {
    /// Asks a person first; with their yes, announces the act, carries it out and writes its result.
    pub(super) async fn run_outward(
        &mut self,
        order: CallOrder,
        call: CheckedCall,
    ) -> Result<(), SkillError> {
        let place = order.place;
        let plan = match self.plan_of(&call).await? {
            Ok(plan) => plan,
            Err(why) => return self.refuse_act(place, &why).await,
        };
        let text = self.act_text(place, &call, &plan).await?;
        let Some(question) = order.approved else {
            return self.ask_person(QuestionSubject::Act(place), text).await;
        };
        if !self.is_approved_as_shown(&question, &text)? {
            let why = "not done: what would be pushed is no longer what the person was shown. Call it again.";
            return self.refuse_act(place, why).await;
        }
        let began = std::time::Instant::now();
        self.journal
            .append(StepRow::Called(CalledRow {
                place,
                class: CallClass::Outward,
                args_hash: blake3::hash(call.canonical_arguments().as_bytes()).to_hex().to_string(),
                tree_before: None,
            }))
            .await?;
        self.set_budget();
        *self.approved_push.lock() = Some(plan);
        let running = self.toolbox.run_checked(call, &mut self.session);
        let returned = self.deps.in_span("push", running, |returned: &ToolReturn| !returned.is_error).await;
        self.write_return(place, returned, elapsed_ms(began), None).await
    }

    async fn refuse_act(&mut self, place: CallPlace, why: &str) -> Result<(), SkillError> {
        let row = ReturnedRow::error(place, "not_pushed", why);
        self.journal.append(StepRow::Returned(Box::new(row))).await
    }

    /// The push that a call asks for, by the tree and the remote's settings of now.
    async fn plan_of(&self, call: &CheckedCall) -> Result<Result<PushPlan, String>, SkillError> {
        let Some(OutwardAct::GitPush { remote, reference }) = call.outward().cloned() else {
            return Ok(Err(
                "This act reaches beyond the tree, and nothing here carries it out. Report it as left to do."
                    .to_owned(),
            ));
        };
        // Brings the agent's newest commits into the daemon's store.
        self.workspace.snapshot("before a push".to_owned()).await?;
        let tree = Arc::clone(&self.workspace.tree);
        match blocking(move || tree.plan_push(&remote, &reference)).await? {
            Ok(plan) => Ok(Ok(plan)),
            Err(error @ (PushError::Git(_) | PushError::Tree(_))) => {
                Err(SkillError::Transient(error.to_string()))
            }
            Err(refusal) => Ok(Err(format!("not pushed: {refusal}"))),
        }
    }

    /// Everything that a yes would let happen.
    async fn act_text(
        &self,
        place: CallPlace,
        call: &CheckedCall,
        plan: &PushPlan,
    ) -> Result<String, SkillError> {
        let stat = self.workspace.diffstat(&plan.commit).await?;
        let mut lines = vec![
            format!("{} asks to push from its private tree:", self.agent.display_name),
            format!("git push {} {}:{}", plan.remote, plan.commit, plan.branch),
            format!("to {}", plan.address),
            format!("commits that the base has not: {}", plan.ahead),
        ];
        lines.extend(plan.commits.iter().map(|commit| format!("  {commit}")));
        let all = stat.lines().count();
        // The sum is the last line.
        lines.extend(stat.lines().take(MAX_STAT.min(all.saturating_sub(1))).map(str::to_owned));
        if all > MAX_STAT + 1 {
            lines.push(format!("  … and {} more files", all - 1 - MAX_STAT));
        }
        lines.extend(stat.lines().last().map(str::to_owned));
        lines.push(
            "The daemon runs it once, as you, with your keys and without hooks; it never forces. The commit has not been \
             proved: that is done when the agent reports."
                .to_owned(),
        );
        lines.push(format!("act {}", self.act_hash(place, call, plan)));
        Ok(lines.iter().map(|line| plain_line(line)).collect::<Vec<_>>().join("\n"))
    }

    fn act_hash(&self, place: CallPlace, call: &CheckedCall, plan: &PushPlan) -> String {
        let tree = self.workspace.tree.path();
        let parts = [
            self.journal.job().as_str(),
            &place.to_string(),
            call.tool().as_str(),
            call.canonical_arguments(),
            &tree.to_string_lossy(),
            plan.commit.as_str(),
            &plan.branch,
            &plan.address.hash(),
        ];
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// A question about an act that a crash may have cut, with the known facts about its end.
    pub(super) async fn with_what_is_known(
        &self,
        place: CallPlace,
        text: String,
    ) -> Result<String, SkillError> {
        let call = self.journal.state.written_call(place);
        let call = call.and_then(|(tool, args)| self.toolbox.check(tool, args).ok());
        let known = match call {
            Some(call) => match self.plan_of(&call).await? {
                Ok(plan) => {
                    let tree = Arc::clone(&self.workspace.tree);
                    blocking(move || known_of(&tree, &plan)).await?
                }
                Err(why) => why,
            },
            None => "The call can no longer be read.".to_owned(),
        };
        Ok(format!(
            "{text}\n{}\nApprove if it was carried out; reject if it was not: it is not begun again by itself.",
            plain_line(&known)
        ))
    }
}
