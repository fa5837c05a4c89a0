//! The next command of a step.
//!
//! A pure function of the rows: the runner carries a command out, writes the row of its result and asks again.
//! It asks only when nothing of the step is under way; a request or a call that is open in the rows was then cut
//! by a crash. A command may therefore be given twice, and carrying it out is safe both times.

use super::facts::{ThinkingPhase, WaitCause};
use super::limits::ThinkingLimits;
use super::outcome::{ReportClaim, StepVerdict};
use super::place::CallPlace;
use super::progress::{ProgressCheck, StuckRule};
use super::question::QuestionSubject;
use super::rules::RuleHit;
use super::state::ThinkingState;
use super::turn::{ASK, CallEntry, CallProgress};

/// A command to the runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ThinkingCommand {
    /// Write `Begun`.
    Begin,
    /// Render the view, set money aside, write `Asked`, send. Without money: write `MoneyOut`.
    AskModel { turn: u32, attempt: u32, output_tokens: u64 },
    /// Run a call and write `Returned`; `Called` before it where its class says so. A `delegate` call becomes a job that
    /// is made once for its place, and `ChildBegun`. A call that needs consent and has none becomes `QuestionAsked`.
    RunCall(CallOrder),
    /// A crash has cut the call too often: roll back to `restore` if there is one, and write `text` as its result.
    GiveUpCall { place: CallPlace, restore: Option<String>, text: String },
    /// Put a question to a person and write `QuestionAsked`. Of a model's question `text` is its arguments.
    AskPerson { subject: QuestionSubject, text: String },
    /// Nothing can be done until this comes: give up agent and process.
    Suspend(WaitCause),
    /// Write `Nudged`.
    Nudge(RuleHit, String),
    /// Have the turns up to this one summarised and write `Summarised`.
    Summarise { until: u32 },
    /// Run the proof and write `ProofEnded`.
    Prove(ReportClaim),
    /// Write `Ended`. An ended step says so again and again, and wants no second row.
    End(StepVerdict),
}

/// A call to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallOrder {
    pub place: CallPlace,
    pub tool: String,
    /// As the model wrote them: not yet checked, perhaps no JSON.
    pub args: String,
    /// The tree to go back to before it is run again after a crash.
    pub restore: Option<String>,
    /// The question by which a person consented to exactly this call.
    pub approved: Option<String>,
}

impl ThinkingState {
    /// The next command. The limits are the step's own ([`ThinkingState::limits`]), or higher ones that a person has
    /// granted.
    #[must_use]
    pub fn next(&self, limits: &ThinkingLimits) -> ThinkingCommand {
        if let Some(verdict) = self.ended.as_ref().or(self.ending.as_ref()) {
            return ThinkingCommand::End(verdict.clone());
        }
        if self.phase() == ThinkingPhase::Fresh {
            return ThinkingCommand::Begin;
        }
        if let Some(question) = &self.question {
            return ThinkingCommand::Suspend(question.subject.cause());
        }
        if self.is_money_out {
            return ThinkingCommand::AskPerson {
                subject: QuestionSubject::Money,
                text: self.money_question(),
            };
        }
        if self.is_asking {
            return self.ask(limits);
        }
        let Some(turn) = self.turns.last() else { return self.between_turns(limits) };
        match turn.next_call() {
            Some(call) => self.act(call, limits),
            None if turn.has_open_child() => ThinkingCommand::Suspend(WaitCause::Children),
            None => self.between_turns(limits),
        }
    }

    fn act(&self, call: &CallEntry, limits: &ThinkingLimits) -> ThinkingCommand {
        let place = call.place;
        if let Some(claim) = &call.claim {
            return match self.proving() {
                Some(claim) => ThinkingCommand::Prove(claim.clone()),
                None => ThinkingCommand::End(StepVerdict::Reported(claim.clone())),
            };
        }
        let restore = match &call.progress {
            CallProgress::Called { class, .. } if class.is_outward() => {
                let text = format!(
                    "`{}` was begun and the daemon ended before its result came. Was it carried out?",
                    call.brief()
                );
                return ThinkingCommand::AskPerson { subject: QuestionSubject::Unknown(place), text };
            }
            CallProgress::Called { tree_before, .. } => tree_before.clone(),
            _ => None,
        };
        if call.begun >= limits.call_attempts.min(self.limits().call_attempts) {
            let text = format!(
                "unknown: the daemon ended {} times while it ran, so it is not run again, and the tree is as before it",
                call.begun
            );
            return ThinkingCommand::GiveUpCall { place, restore, text };
        }
        if self.is_out_of_time(limits) {
            return ThinkingCommand::End(StepVerdict::TimeLimit);
        }
        if call.tool == ASK {
            let subject = QuestionSubject::Asked(place);
            return ThinkingCommand::AskPerson { subject, text: call.args.clone() };
        }
        ThinkingCommand::RunCall(CallOrder {
            place,
            tool: call.tool.clone(),
            args: call.args.clone(),
            restore,
            approved: call.approved.clone(),
        })
    }

    fn between_turns(&self, limits: &ThinkingLimits) -> ThinkingCommand {
        let check = self.watch.check(self.figures.turns);
        if let Some(ProgressCheck::Stop(hit)) = check {
            return ThinkingCommand::End(StepVerdict::Stuck { rule: hit.rule, rows: hit.rows });
        }
        if self.figures.turns >= limits.turns {
            return ThinkingCommand::End(StepVerdict::TurnLimit);
        }
        if self.is_out_of_time(limits) {
            return ThinkingCommand::End(StepVerdict::TimeLimit);
        }
        if let Some(ProgressCheck::Nudge(hit)) = check {
            let text = self.nudge_text(&hit);
            return ThinkingCommand::Nudge(hit, text);
        }
        let is_full = self.is_breached || self.live_tokens() > limits.summarise_at();
        if let Some(until) = self.summary_until().filter(|_| is_full) {
            return ThinkingCommand::Summarise { until };
        }
        self.ask(limits)
    }

    fn ask(&self, limits: &ThinkingLimits) -> ThinkingCommand {
        if self.attempts >= limits.ask_attempts {
            return ThinkingCommand::End(StepVerdict::Unanswered { attempts: self.attempts });
        }
        let output_tokens = limits.output_tokens;
        ThinkingCommand::AskModel { turn: self.figures.turns + 1, attempt: self.attempts + 1, output_tokens }
    }

    fn is_out_of_time(&self, limits: &ThinkingLimits) -> bool {
        self.figures.worked_ms >= limits.worked_ms
    }

    fn money_question(&self) -> String {
        let spent = usd(self.figures.cost_nano.saturating_add(self.figures.children_cost_nano));
        let left = self
            .figures
            .money_left_nano
            .map_or_else(String::new, |left| format!(" and {} are left", usd(left)));
        format!("The budget does not carry the next request: {spent} are spent{left}. Raise it, or stop?")
    }

    fn nudge_text(&self, hit: &RuleHit) -> String {
        let advice = match hit.rule {
            StuckRule::SameCall | StuckRule::Cycle => {
                "Its result will not change. Use what you know, try another way, or `report` what is missing."
            }
            StuckRule::SameError => "Read the error again and do what it says, or take another way.",
            StuckRule::TreeReturns => "Decide for one version and say in the plan why.",
            StuckRule::NoProgress => {
                "Do one step of the plan that changes something, `ask`, or `report` how far it is."
            }
            StuckRule::CutAnswers => return self.cut_text(),
            StuckRule::EmptyAnswers => return "Your answer was empty. Call a tool or `report`.".to_owned(),
            StuckRule::ProseAnswers => {
                return "Text alone does nothing here. Call a tool or `report`.".to_owned();
            }
        };
        format!("Stop and think: {}. {advice} If it goes on like this, the step ends.", hit.evidence)
    }

    fn cut_text(&self) -> String {
        let half = self.turns.last().and_then(|turn| turn.half_call.as_deref());
        let half = half.map_or_else(String::new, |tool| {
            format!(" The call of `{tool}` at its end was cut in the middle: it was dropped and not run.")
        });
        format!(
            "Your answer was cut at the token limit.{half} Say less, and cut large writes into several calls. A second \
             cut answer ends the step."
        )
    }
}

/// Nano-dollars as dollars.
#[must_use]
pub fn usd(nano: u64) -> String {
    let (whole, micro) = (nano / 1_000_000_000, nano % 1_000_000_000 / 1_000);
    format!("{whole}.{micro:06} USD")
}
