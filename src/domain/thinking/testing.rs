//! Rows in short form, and an actor that carries out a step's commands without a model or tools.

use super::*;

pub(super) fn begun() -> BegunRow {
    BegunRow {
        card: "Fix the sum.\nIt adds one too many.".into(),
        system: "You write code.".into(),
        tools_json: "[]".into(),
        tree: Some("tree-0".into()),
        ..BegunRow::default()
    }
}

pub(super) fn proved() -> BegunRow {
    BegunRow { prove: Some("cargo test".into()), ..begun() }
}

pub(super) fn call(tool: &str, args: &str) -> WrittenCall {
    WrittenCall { vendor_id: String::new(), tool: tool.into(), args: args.into() }
}

pub(super) fn report() -> WrittenCall {
    call("report", r#"{"outcome":"done","summary":"fixed"}"#)
}

pub(super) fn answer(turn: u32, text: &str, calls: Vec<WrittenCall>) -> AnsweredRow {
    AnsweredRow {
        turn,
        text: text.into(),
        calls,
        finish: AnswerFinish::Stop,
        model: "m".into(),
        receipt: u64::from(turn),
        tokens_in: 100,
        tokens_out: 10,
        cost_nano: 1_000,
        money_left_nano: Some(5_000_000_000),
        elapsed_ms: 1_000,
    }
}

/// A step with its log.
#[derive(Debug, Clone, Default)]
pub(super) struct ThinkingBench {
    pub(super) rows: Vec<StepRow>,
    pub(super) state: ThinkingState,
}

impl ThinkingBench {
    pub(super) fn new(begun: BegunRow) -> Self {
        let mut bench = Self::default();
        bench.push(StepRow::Begun(Box::new(begun)));
        bench
    }

    pub(super) fn push(&mut self, row: StepRow) {
        self.state.apply(row.clone()).unwrap();
        self.rows.push(row);
    }

    pub(super) fn refuse(&mut self, row: StepRow) -> FoldError {
        let before = self.state.clone();
        let error = self.state.apply(row).unwrap_err();
        assert_eq!(self.state, before, "a refused row changes nothing");
        error
    }

    pub(super) fn next(&self) -> ThinkingCommand {
        self.state.next(&self.state.limits())
    }

    pub(super) fn ask(&mut self) -> u32 {
        let ThinkingCommand::AskModel { turn, attempt, .. } = self.next() else {
            panic!("not to be asked: {:?}", self.next());
        };
        self.push(StepRow::Asked(AskedRow {
            turn,
            attempt,
            request_hash: "h".into(),
            request_id: "r".into(),
        }));
        turn
    }

    /// Asks and answers.
    pub(super) fn turn(&mut self, calls: Vec<WrittenCall>) -> u32 {
        let turn = self.ask();
        self.push(StepRow::Answered(Box::new(answer(turn, "so", calls))));
        turn
    }

    pub(super) fn returned(&mut self, row: ReturnedRow) {
        self.push(StepRow::Returned(Box::new(row)));
    }

    pub(super) fn order(&self) -> CallOrder {
        match self.next() {
            ThinkingCommand::RunCall(order) => order,
            other => panic!("no call is to be run: {other:?}"),
        }
    }

    /// Runs the next call to a result.
    pub(super) fn run(&mut self, text: &str) -> CallPlace {
        let place = self.order().place;
        self.returned(ReturnedRow::plain(place, text));
        place
    }

    pub(super) fn called(&mut self, class: CallClass) -> CallPlace {
        let place = self.order().place;
        let tree_before = self.state.tree().map(str::to_owned);
        self.push(StepRow::Called(CalledRow { place, class, args_hash: "a".into(), tree_before }));
        place
    }

    pub(super) fn question(&mut self, id: &str) {
        let ThinkingCommand::AskPerson { subject, text } = self.next() else {
            panic!("nothing is to be asked: {:?}", self.next());
        };
        self.push(StepRow::QuestionAsked(QuestionAskedRow { question: id.into(), subject, text }));
    }

    pub(super) fn decide(&mut self, id: &str, choice: DecisionChoice, words: &str) {
        self.push(StepRow::QuestionDecided(QuestionDecidedRow {
            question: id.into(),
            choice,
            words: words.into(),
            by: "Ada".into(),
        }));
    }

    pub(super) fn say(&mut self, text: &str) {
        self.push(StepRow::PersonSaid(PersonSaidRow { by: "Ada".into(), text: text.into() }));
    }

    pub(super) fn proof(&mut self, passed: bool, text: &str) {
        assert!(matches!(self.next(), ThinkingCommand::Prove(_)), "{:?}", self.next());
        self.push(StepRow::ProofEnded(Box::new(ProofEndedRow {
            passed,
            text: text.into(),
            out: None,
            commit: Some("c0ffee".into()),
            tests: None,
            elapsed_ms: 10,
        })));
    }

    /// Carries out commands until the step ends; `model` answers a turn, `tool` runs a call.
    pub(super) fn play(
        &mut self,
        mut model: impl FnMut(u32) -> AnsweredRow,
        mut tool: impl FnMut(&CallOrder) -> ReturnedRow,
    ) -> StepVerdict {
        for _ in 0..5_000 {
            match self.next() {
                ThinkingCommand::AskModel { .. } => {
                    let turn = self.ask();
                    self.push(StepRow::Answered(Box::new(model(turn))));
                }
                ThinkingCommand::RunCall(order) => {
                    let row = tool(&order);
                    self.returned(row);
                }
                ThinkingCommand::Nudge(..) => self.nudge(),
                ThinkingCommand::Summarise { until } => self.summarise(until, "so far so good"),
                ThinkingCommand::Prove(_) => self.proof(true, "ok"),
                ThinkingCommand::AskPerson { .. } => {
                    self.question("q");
                    self.decide("q", DecisionChoice::Answer, "go on");
                }
                ThinkingCommand::End(verdict) => {
                    self.push(StepRow::Ended(Box::new(verdict.clone())));
                    return verdict;
                }
                other => panic!("nobody does {other:?} here"),
            }
        }
        panic!("it does not end");
    }

    pub(super) fn nudge(&mut self) {
        let ThinkingCommand::Nudge(hit, text) = self.next() else { panic!("no nudge: {:?}", self.next()) };
        let RuleHit { rule, count, rows, .. } = hit;
        self.push(StepRow::Nudged(NudgedRow { rule, count, text, rows }));
    }

    pub(super) fn summarise(&mut self, until: u32, text: &str) {
        let row = SummarisedRow { until, text: text.into(), cost_nano: 5, elapsed_ms: 1 };
        self.push(StepRow::Summarised(row));
    }
}

/// Texts of a view's message.
pub(super) fn text_of(message: &ViewMessage) -> String {
    let texts = message.blocks.iter().map(|block| match block {
        BlockBody::Text(text) | BlockBody::Result { text, .. } => text.clone(),
        BlockBody::Call { args, .. } => args.clone(),
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// The laws of every view.
pub(super) fn check_view(state: &ThinkingState, window: u64) -> Result<ThinkingView, ViewError> {
    let view = state.view(window)?;
    assert!(view.tokens <= window, "{} > {window}", view.tokens);
    let card = &state.begun().unwrap().card;
    assert!(text_of(&view.messages[0]).contains(card.as_str()), "the card is in every view");
    assert!(text_of(view.messages.last().unwrap()).contains(state.todo()), "so is the plan");
    let mut ids = std::collections::BTreeSet::new();
    for (place, message) in view.messages.iter().enumerate() {
        let role = if place % 2 == 0 { ViewRole::User } else { ViewRole::Assistant };
        assert_eq!(message.role, role, "users and assistants take turns");
        assert!(!message.blocks.is_empty());
        let calls: Vec<&String> = message
            .blocks
            .iter()
            .filter_map(|block| match block {
                BlockBody::Call { id, args, .. } => {
                    let parsed: serde_json::Value = serde_json::from_str(args).unwrap();
                    assert!(parsed.is_object(), "arguments are one object: {args}");
                    Some(id)
                }
                _ => None,
            })
            .collect();
        let results: Vec<&String> = view.messages.get(place + 1).map_or(vec![], |next| {
            let results = next.blocks.iter().map_while(|block| match block {
                BlockBody::Result { id, .. } => Some(id),
                _ => None,
            });
            results.collect()
        });
        if message.role == ViewRole::Assistant {
            assert_eq!(calls, results, "one result a call, in its order, at the next message's start");
        }
        for id in calls {
            assert!(ids.insert(id.clone()), "ids are unique");
        }
    }
    let count =
        |is: fn(&BlockBody) -> bool| view.messages.iter().flat_map(|m| &m.blocks).filter(|b| is(b)).count();
    let results = count(|block| matches!(block, BlockBody::Result { .. }));
    assert_eq!(results, count(|block| matches!(block, BlockBody::Call { .. })), "no result without its call");
    assert_eq!(view.messages.last().unwrap().role, ViewRole::User);
    Ok(view)
}
