//! A step and the world outside it, ended by a crash before and after any row and effect.

use super::*;

/// The world outside a step that edits twice, sends twice, looks, and reports; crashes as they come.
#[derive(Debug, Default)]
pub(super) struct CrashWorld {
    log: Vec<StepRow>,
    pub(super) tree: u32,
    pub(super) sent: u32,
    pub(super) turns: u32,
    pub(super) verdict: Option<StepVerdict>,
}

impl CrashWorld {
    pub(super) fn play(crashes: &[bool]) -> Self {
        let mut world = Self::default();
        let mut crashes = crashes.iter().copied();
        while world.verdict.is_none() {
            // A crash forgets all but log, tree and outside world: each command is made from the log anew.
            let state = ThinkingState::fold(world.log.iter().map(stored)).unwrap();
            world.turns = state.figures().turns;
            let _ = world.carry_out(&state, &mut || crashes.next() == Some(true));
        }
        world
    }

    /// Each `Err` is a crash.
    fn carry_out(&mut self, state: &ThinkingState, crashes: &mut dyn FnMut() -> bool) -> Result<(), ()> {
        let mut crash = || if crashes() { Err(()) } else { Ok(()) };
        crash()?;
        match state.next(&state.limits()) {
            ThinkingCommand::Begin => {
                let limits =
                    ThinkingLimits { ask_attempts: 1_000, call_attempts: 1_000, ..ThinkingLimits::default() };
                self.log.push(StepRow::Begun(Box::new(BegunRow {
                    limits,
                    tree: Some("0".into()),
                    ..proved()
                })));
            }
            ThinkingCommand::AskModel { turn, attempt, .. } => {
                self.log.push(StepRow::Asked(AskedRow {
                    turn,
                    attempt,
                    request_hash: String::new(),
                    request_id: "r".into(),
                }));
                crash()?;
                let calls = match turn {
                    1 => vec![call("edit", "{}"), call("read", "{}"), call("mcp", r#"{"to":1}"#)],
                    2 => vec![call("mcp", r#"{"to":2}"#), call("edit", r#"{"again":1}"#)],
                    _ => vec![report()],
                };
                self.log.push(StepRow::Answered(Box::new(answer(turn, "", calls))));
            }
            ThinkingCommand::RunCall(order) => self.run(&order, &mut crash)?,
            ThinkingCommand::AskPerson { subject, text } => {
                self.log.push(StepRow::QuestionAsked(QuestionAskedRow {
                    question: "q".into(),
                    subject,
                    text,
                }));
            }
            ThinkingCommand::Suspend(WaitCause::Person) => {
                // The person looks whether the message of that turn has arrived.
                let is_there = self.sent >= state.figures().turns;
                let choice = if is_there { DecisionChoice::Approve } else { DecisionChoice::Retry };
                let (question, words, by) = ("q".into(), String::new(), "Ada".into());
                self.log.push(StepRow::QuestionDecided(QuestionDecidedRow { question, choice, words, by }));
            }
            ThinkingCommand::Prove(_) => self.log.push(StepRow::ProofEnded(Box::new(ProofEndedRow {
                passed: true,
                text: "ok".into(),
                out: None,
                commit: None,
                tests: None,
                elapsed_ms: 0,
            }))),
            ThinkingCommand::End(verdict) => {
                self.log.push(StepRow::Ended(Box::new(verdict.clone())));
                self.verdict = Some(verdict);
            }
            other => panic!("nobody does {other:?} here"),
        }
        Ok(())
    }

    fn run(&mut self, order: &CallOrder, crash: &mut dyn FnMut() -> Result<(), ()>) -> Result<(), ()> {
        let place = order.place;
        if let Some(tree) = &order.restore {
            self.tree = tree.parse().unwrap();
            crash()?;
        }
        let class = match order.tool.as_str() {
            "edit" => CallClass::Tree,
            "mcp" => CallClass::Outward,
            _ => CallClass::Pure,
        };
        if class != CallClass::Pure {
            let tree_before = Some(self.tree.to_string());
            self.log.push(StepRow::Called(CalledRow { place, class, args_hash: String::new(), tree_before }));
            crash()?;
        }
        match class {
            CallClass::Tree => self.tree += 1,
            CallClass::Outward => self.sent += 1,
            CallClass::Pure => {}
        }
        crash()?;
        let tree_after = Some(self.tree.to_string());
        let row = ReturnedRow { tree_after, ..ReturnedRow::plain(place, format!("{} ran", order.tool)) };
        self.log.push(StepRow::Returned(Box::new(row)));
        Ok(())
    }
}
