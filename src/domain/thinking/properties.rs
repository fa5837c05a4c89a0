//! The laws: the fold is total, each view keeps its promises, a resumed step goes on as if nothing had happened, and
//! what repeats itself ends.

mod kill;

use proptest::prelude::*;

use self::kill::CrashWorld;
use super::testing::*;
use super::*;

const TOOLS: [&str; 6] = ["read", "edit", "bash", "ask", "delegate", "report"];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-c]{0,6}",
        1 => "\\PC{0,40}",
        1 => (0_usize..2_000).prop_map(|n| "läng ".repeat(n / 5)),
    ]
}

fn args() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (0_u32..3).prop_map(|n| format!("{{\"n\":{n}}}")),
        2 => Just(r#"{"outcome":"done","summary":"x"}"#.to_owned()),
        1 => Just(r#"{"outcome":"partial","summary":"x"}"#.to_owned()),
        1 => word(),
        1 => Just(r#"{"cut": "in the mid"#.to_owned()),
    ]
}

fn place() -> impl Strategy<Value = CallPlace> {
    (0_u32..4, 0_u32..4).prop_map(|(turn, index)| CallPlace { turn, index })
}

fn class() -> impl Strategy<Value = CallClass> {
    prop_oneof![Just(CallClass::Pure), Just(CallClass::Tree), Just(CallClass::Outward)]
}

fn written() -> impl Strategy<Value = WrittenCall> {
    (0..TOOLS.len(), args()).prop_map(|(tool, args)| call(TOOLS[tool], &args))
}

fn answered() -> impl Strategy<Value = AnsweredRow> {
    let finish = prop_oneof![30 => Just(AnswerFinish::Stop), 6 => Just(AnswerFinish::Length), 1 => Just(AnswerFinish::Refused)];
    (1_u32..5, word(), prop::collection::vec(written(), 0..11), finish)
        .prop_map(|(turn, text, calls, finish)| AnsweredRow { finish, ..answer(turn, &text, calls) })
}

fn tests_found() -> impl Strategy<Value = Option<TestTally>> {
    prop::option::of((0_u32..4, prop::collection::vec(word(), 0..3)))
        .prop_map(|found| found.map(|(failed, failing)| TestTally { passed: 1, failed, failing }))
}

fn returned() -> impl Strategy<Value = ReturnedRow> {
    let tree = prop::option::of("[a-c]");
    (
        place(),
        word(),
        any::<bool>(),
        prop::option::of(0_u64..9),
        tree,
        tests_found(),
        prop::option::of(word()),
    )
        .prop_map(|(place, text, is_error, out, tree_after, tests, todo)| ReturnedRow {
            is_error,
            out,
            tree_after,
            tests,
            todo,
            ..ReturnedRow::plain(place, text)
        })
}

fn choice() -> impl Strategy<Value = DecisionChoice> {
    use DecisionChoice::{Answer, Approve, Reject, Retry, Stop};
    prop_oneof![8 => Just(Answer), 8 => Just(Approve), 4 => Just(Reject), 4 => Just(Retry), 1 => Just(Stop)]
}

fn subject() -> impl Strategy<Value = QuestionSubject> {
    prop_oneof![
        place().prop_map(QuestionSubject::Asked),
        place().prop_map(QuestionSubject::Act),
        place().prop_map(QuestionSubject::Unknown),
        Just(QuestionSubject::Money),
        Just(QuestionSubject::Proof),
    ]
}

fn any_rule() -> impl Strategy<Value = StuckRule> {
    (0..StuckRule::ALL.len()).prop_map(|n| StuckRule::ALL[n])
}

fn begun_row() -> impl Strategy<Value = BegunRow> {
    (word(), any::<bool>(), 0_u32..5).prop_map(|(advice, proves, depth)| BegunRow {
        advice,
        depth,
        ..if proves { proved() } else { begun() }
    })
}

fn proof_row() -> impl Strategy<Value = ProofEndedRow> {
    (any::<bool>(), word(), tests_found()).prop_map(|(passed, text, tests)| ProofEndedRow {
        passed,
        text,
        out: Some(3),
        commit: None,
        tests,
        elapsed_ms: 9,
    })
}

fn child_ended() -> impl Strategy<Value = ChildEndedRow> {
    ("[a-c]", any::<bool>(), word()).prop_map(|(child, succeeded, text)| ChildEndedRow {
        child,
        verdict: "ended".into(),
        succeeded,
        text,
        out: None,
        cost_nano: 1,
        tree_after: None,
        diffstat: None,
    })
}

/// Any row at all, with numbers and names from so few that many of them fit.
fn row() -> impl Strategy<Value = StepRow> {
    let ended =
        prop_oneof![Just(StepVerdict::TurnLimit), Just(StepVerdict::Cancelled { reason: "x".into() })];
    prop_oneof![
        1 => begun_row().prop_map(|row| StepRow::Begun(Box::new(row))),
        3 => (1_u32..5, 1_u32..3).prop_map(|(turn, attempt)| StepRow::Asked(AskedRow { turn, attempt, request_hash: "h".into(), request_id: "r".into() })),
        1 => (1_u32..4).prop_map(|turn| StepRow::AskFailed(AskFailedRow { turn, error: "503".into(), elapsed_ms: 1 })),
        3 => answered().prop_map(|row| StepRow::Answered(Box::new(row))),
        3 => (place(), class()).prop_map(|(place, class)| StepRow::Called(CalledRow { place, class, args_hash: "h".into(), tree_before: Some("t".into()) })),
        3 => returned().prop_map(|row| StepRow::Returned(Box::new(row))),
        2 => (place(), "[a-c]").prop_map(|(place, child)| StepRow::ChildBegun(ChildBegunRow { place, child, task: "t".into() })),
        2 => child_ended().prop_map(|row| StepRow::ChildEnded(Box::new(row))),
        2 => (subject(), "[qr]", word()).prop_map(|(subject, question, text)| StepRow::QuestionAsked(QuestionAskedRow { question, subject, text })),
        2 => (choice(), "[qr]", word()).prop_map(|(choice, question, words)| StepRow::QuestionDecided(QuestionDecidedRow { question, choice, words, by: "Ada".into() })),
        2 => word().prop_map(|text| StepRow::PersonSaid(PersonSaidRow { by: "Ada".into(), text })),
        1 => Just(StepRow::MoneyOut(MoneyOutRow { scope: "run".into(), needed_nano: 2, left_nano: 1 })),
        1 => (any_rule(), word()).prop_map(|(rule, text)| StepRow::Nudged(NudgedRow { rule, count: 3, text, rows: vec![1] })),
        1 => Just(StepRow::ContextBreached(ContextBreachedRow { tokens: 1 })),
        1 => (1_u32..5, word()).prop_map(|(until, text)| StepRow::Summarised(SummarisedRow { until, text, cost_nano: 1, elapsed_ms: 1 })),
        1 => proof_row().prop_map(|row| StepRow::ProofEnded(Box::new(row))),
        1 => Just(StepRow::CancelAsked(CancelAskedRow { by: "Ada".into(), reason: "x".into() })),
        1 => ended.prop_map(|verdict| StepRow::Ended(Box::new(verdict))),
    ]
}

/// One thing that happens to a step.
#[derive(Debug, Clone)]
enum PlayEvent {
    /// A row out of nowhere; most are refused.
    Stray(StepRow),
    /// Its command is carried out; the parts say how it comes out.
    Obeyed(Box<PlayOutcomes>),
}

#[derive(Debug, Clone)]
struct PlayOutcomes {
    answer: AnsweredRow,
    returned: ReturnedRow,
    class: CallClass,
    choice: DecisionChoice,
    proof: ProofEndedRow,
    crash: bool,
}

fn happening() -> impl Strategy<Value = PlayEvent> {
    let obeyed = (answered(), returned(), class(), choice(), proof_row(), prop::bool::weighted(0.2))
        .prop_map(|(answer, returned, class, choice, proof, crash)| {
            PlayEvent::Obeyed(Box::new(PlayOutcomes { answer, returned, class, choice, proof, crash }))
        });
    prop_oneof![1 => row().prop_map(PlayEvent::Stray), 6 => obeyed]
}

/// The rows that carrying out a command leads to; with a crash, only the one before the effect.
fn rows_of(state: &ThinkingState, happening: PlayEvent) -> Vec<StepRow> {
    let outcomes = match happening {
        PlayEvent::Stray(row) => return vec![row],
        PlayEvent::Obeyed(outcomes) => *outcomes,
    };
    let PlayOutcomes { mut answer, returned, class, choice, proof, crash } = outcomes;
    let question = || format!("q{}", state.rows());
    let decided = |question: String, words: &str| {
        StepRow::QuestionDecided(QuestionDecidedRow {
            question,
            choice,
            words: words.into(),
            by: "Ada".into(),
        })
    };
    let mut rows = match state.next(&state.limits()) {
        ThinkingCommand::Begin => vec![StepRow::Begun(Box::new(proved()))],
        ThinkingCommand::AskModel { turn, attempt, .. } => {
            answer.turn = turn;
            let asked = AskedRow { turn, attempt, request_hash: "h".into(), request_id: "r".into() };
            vec![StepRow::Asked(asked), StepRow::Answered(Box::new(answer))]
        }
        ThinkingCommand::RunCall(order) if order.tool == DELEGATE => {
            let child = format!("child-{}", order.place);
            let begun = ChildBegunRow { place: order.place, child, task: "t".into() };
            vec![StepRow::ChildBegun(begun)]
        }
        ThinkingCommand::RunCall(order) => {
            let place = order.place;
            let called = CalledRow { place, class, args_hash: "h".into(), tree_before: Some("t".into()) };
            vec![StepRow::Called(called), StepRow::Returned(Box::new(ReturnedRow { place, ..returned }))]
        }
        ThinkingCommand::GiveUpCall { place, text, .. } => {
            vec![StepRow::Returned(Box::new(ReturnedRow::error(place, "crash", text)))]
        }
        ThinkingCommand::AskPerson { subject, text } => {
            let asked = QuestionAskedRow { question: question(), subject, text };
            vec![StepRow::QuestionAsked(asked), decided(question(), "w")]
        }
        ThinkingCommand::Suspend(WaitCause::Children) => {
            let open = state.children().iter().find(|child| child.verdict.is_none()).unwrap();
            let (child, verdict, text) = (open.child.clone(), "done".into(), returned.text);
            let ended = ChildEndedRow {
                child,
                verdict,
                text,
                succeeded: true,
                out: None,
                cost_nano: 1,
                tree_after: None,
                diffstat: None,
            };
            vec![StepRow::ChildEnded(Box::new(ended))]
        }
        ThinkingCommand::Suspend(_) => vec![decided(state.question().unwrap().question.clone(), "later")],
        ThinkingCommand::Nudge(hit, text) => {
            let RuleHit { rule, count, rows, .. } = hit;
            vec![StepRow::Nudged(NudgedRow { rule, count, text, rows })]
        }
        ThinkingCommand::Summarise { until } => {
            vec![StepRow::Summarised(SummarisedRow { until, text: answer.text, cost_nano: 1, elapsed_ms: 1 })]
        }
        ThinkingCommand::Prove(_) => vec![StepRow::ProofEnded(Box::new(proof))],
        ThinkingCommand::End(_) => vec![],
    };
    if crash {
        rows.truncate(1);
    }
    rows
}

fn config() -> bincode::config::Configuration {
    bincode::config::standard()
}

/// Through the store's form and back.
fn stored(row: &StepRow) -> StepRow {
    let bytes = bincode::serde::encode_to_vec(row, config()).unwrap();
    let (back, used) = bincode::serde::decode_from_slice(&bytes, config()).unwrap();
    assert_eq!(used, bytes.len());
    back
}

fn check_all_views(state: &ThinkingState) {
    for window in [300, 1_000, 4_000, 1_000_000] {
        if state.begun().is_none() {
            assert_eq!(state.view(window), Err(ViewError::NotBegun));
            continue;
        }
        let summary = state.summary_request(state.figures().turns, window, &estimate_tokens);
        assert!(summary.is_ok_and(|view| view.tokens <= window) || window < 1_000_000);
        match check_view(state, window) {
            Ok(view) => assert_eq!(view, state.view(window).unwrap()),
            Err(error) => assert!(window < 1_000_000, "{error}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_row_reads_back_from_both_of_its_forms(row in row()) {
        prop_assert_eq!(&stored(&row), &row);
        let text = serde_json::to_string(&row).unwrap();
        prop_assert_eq!(serde_json::from_str::<StepRow>(&text).unwrap(), row);
    }

    #[test]
    fn no_sequence_of_rows_panics_and_a_refused_row_changes_nothing(rows in prop::collection::vec(row(), 0..60)) {
        let mut state = ThinkingState::default();
        for row in rows {
            let before = state.clone();
            if let Err(error) = state.apply(row.clone()) {
                prop_assert_eq!(&state, &before);
                prop_assert_eq!((error.name, error.row), (row.name(), state.rows()));
            }
            let _ = (state.next(&state.limits()), state.phase(), state.account(), state.live_tokens());
        }
        check_all_views(&state);
    }

    #[test]
    fn a_step_among_crashes_and_stray_rows_keeps_the_laws_and_resumes_from_its_rows(
        happenings in prop::collection::vec(happening(), 0..80),
    ) {
        let mut state = ThinkingState::default();
        let mut log: Vec<StepRow> = Vec::new();
        for happening in happenings {
            let is_stray = matches!(happening, PlayEvent::Stray(_));
            for row in rows_of(&state, happening) {
                match state.apply(row.clone()) {
                    Ok(()) => log.push(row),
                    Err(error) => prop_assert!(is_stray, "{} cannot be carried out", error),
                }
            }
            let ended = state.verdict().is_some();
            prop_assert_eq!(ended, state.phase() == ThinkingPhase::Ended);
        }
        check_all_views(&state);
        let again = ThinkingState::fold(log.iter().map(stored)).unwrap();
        prop_assert_eq!(again.next(&again.limits()), state.next(&state.limits()));
        prop_assert_eq!(again, state);
    }

    #[test]
    fn an_outward_call_is_begun_once_for_each_word_of_a_person(
        happenings in prop::collection::vec(happening(), 0..60),
    ) {
        let mut state = ThinkingState::default();
        let mut begun: std::collections::BTreeMap<CallPlace, usize> = std::collections::BTreeMap::new();
        for happening in happenings {
            for row in rows_of(&state, happening) {
                let retried = match (&row, state.question()) {
                    (StepRow::QuestionDecided(row), Some(open)) if row.choice == DecisionChoice::Retry => {
                        open.subject.place().filter(|_| open.question == row.question)
                    }
                    (StepRow::QuestionDecided(row), Some(open)) if matches!(open.subject, QuestionSubject::Act(_)) => {
                        open.subject.place().filter(|_| open.question == row.question)
                    }
                    _ => None,
                };
                let called = match &row {
                    StepRow::Called(row) if row.class == CallClass::Outward => Some(row.place),
                    _ => None,
                };
                if state.apply(row).is_err() {
                    continue;
                }
                if let Some(place) = retried {
                    begun.remove(&place);
                }
                if let Some(place) = called {
                    let times = begun.entry(place).or_default();
                    *times += 1;
                    prop_assert_eq!(*times, 1, "{} is run again unasked", place);
                }
            }
        }
    }

    #[test]
    fn crashes_before_and_after_every_row_and_effect_change_nothing_about_the_end(
        crashes in prop::collection::vec(prop::bool::weighted(0.3), 0..80),
    ) {
        let calm = CrashWorld::play(&[]);
        let shaken = CrashWorld::play(&crashes);
        prop_assert_eq!(calm.sent, 2);
        prop_assert_eq!((shaken.tree, shaken.sent, &shaken.verdict), (calm.tree, calm.sent, &calm.verdict));
        prop_assert_eq!(shaken.turns, calm.turns);
    }

    #[test]
    fn whatever_repeats_itself_ends_as_stuck(
        prefix in prop::collection::vec(prop::collection::vec(0_u32..9, 0..3), 0..6),
        period in prop::collection::vec(prop::collection::vec(0_u32..9, 0..4), 1..9),
    ) {
        let mut bench = ThinkingBench::new(begun());
        let turn_of = |turn: u32| {
            let place = turn as usize - 1;
            prefix.get(place).unwrap_or_else(|| &period[(place - prefix.len()) % period.len()])
        };
        let model = |turn: u32| {
            // The words differ each time: a reworded loop is a loop.
            let calls = turn_of(turn).iter().map(|n| call(TOOLS[(*n % 3) as usize], &format!("{{\"n\": {n}}}")));
            answer(turn, &format!("now, for the {turn}. time"), calls.collect())
        };
        let tool = |order: &CallOrder| {
            let tree_after = (order.tool == "edit").then(|| order.args.clone());
            let is_error = order.args.contains('8');
            ReturnedRow { tree_after, is_error, ..ReturnedRow::plain(order.place, order.args.clone()) }
        };
        let verdict = bench.play(model, tool);
        prop_assert!(matches!(verdict, StepVerdict::Stuck { .. }), "{:?}", verdict);
        let bound = prefix.len() + period.len() + 21;
        prop_assert!(bench.state.figures().turns as usize <= bound, "{} turns", bench.state.figures().turns);
        let nudges = bench.rows.iter().filter(|row| matches!(row, StepRow::Nudged(_))).count();
        prop_assert!(nudges >= 1, "nobody is stopped unheard");
    }

    #[test]
    fn what_a_view_has_shown_stays_where_it_was_while_nothing_is_cut(
        turns in prop::collection::vec((prop::collection::vec(0_u32..1_000, 1..4), word()), 1..8),
    ) {
        let mut bench = ThinkingBench::new(begun());
        let mut before: Option<ThinkingView> = None;
        for (calls, said) in turns {
            let view = check_view(&bench.state, 1_000_000).unwrap();
            if let Some(before) = before {
                prop_assert_eq!(&before.system, &view.system);
                let shared = before.messages.len() - 1;
                prop_assert_eq!(&before.messages[..shared], &view.messages[..shared]);
                // Of the last message, all but the state of the world stays.
                let (old, new) = (&before.messages[shared].blocks, &view.messages[shared].blocks);
                prop_assert!(new.starts_with(&old[..old.len() - 1]));
            }
            before = Some(view);
            bench.turn(calls.iter().map(|n| call("read", &format!("{{\"n\":{n}}}"))).collect());
            bench.say(&said);
            for n in &calls {
                bench.run(&format!("result {n}"));
            }
            while matches!(bench.next(), ThinkingCommand::Nudge(..)) {
                bench.nudge();
            }
            if matches!(bench.next(), ThinkingCommand::End(_)) {
                break;
            }
        }
    }
}

#[test]
fn two_thousand_rows_are_folded_in_milliseconds() {
    let limits = ThinkingLimits { turns: 1_000, worked_ms: u64::MAX, ..ThinkingLimits::default() };
    let mut bench = ThinkingBench::new(BegunRow { limits, ..begun() });
    let args = |n: u32| format!("{{\"path\":\"src/lib.rs\",\"from\":{n}}}");
    while bench.rows.len() < 2_000 {
        let turn = bench.rows.len() as u32;
        match bench.next() {
            ThinkingCommand::AskModel { .. } => {
                bench.turn(vec![call("read", &args(turn)), call("bash", &args(turn))]);
            }
            ThinkingCommand::RunCall(order) => {
                bench.returned(ReturnedRow {
                    full_hash: format!("{turn:064}"),
                    out: Some(u64::from(turn)),
                    tree_after: Some(format!("tree-{turn}")),
                    ..ReturnedRow::plain(order.place, format!("{turn}{}", "line of text\n".repeat(80)))
                });
            }
            ThinkingCommand::Summarise { until } => bench.summarise(until, "so far"),
            other => panic!("{other:?}"),
        }
    }
    // The best of some: other tests run beside it.
    let best = (0..10).map(|_| {
        let rows = bench.rows.clone();
        let start = std::time::Instant::now();
        let state = ThinkingState::fold(rows).unwrap();
        let took = start.elapsed();
        assert_eq!(state, bench.state);
        took
    });
    let took = best.min().unwrap();
    println!("2,000 rows folded in {took:?}");
    let most_ms = if cfg!(debug_assertions) { 500 } else { 5 };
    assert!(took.as_millis() < most_ms, "{took:?}");
    let start = std::time::Instant::now();
    let view = bench.state.view(200_000).unwrap();
    println!("view of {} tokens in {:?}", view.tokens, start.elapsed());
}
