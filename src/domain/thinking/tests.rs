//! The course of a step, a rule a test.

use super::testing::*;
use super::*;

fn end(bench: &ThinkingBench) -> StepVerdict {
    match bench.next() {
        ThinkingCommand::End(verdict) => verdict,
        other => panic!("not at its end: {other:?}"),
    }
}

fn last_text(bench: &ThinkingBench) -> String {
    text_of(bench.state.view(1_000_000).unwrap().messages.last().unwrap())
}

#[test]
fn a_step_begins_asks_acts_proves_and_ends() {
    assert_eq!(ThinkingState::default().next(&ThinkingLimits::default()), ThinkingCommand::Begin);
    let mut bench = ThinkingBench::new(proved());
    assert_eq!(bench.state.phase(), ThinkingPhase::Acting { turn: 0, left: 0 });
    bench.ask();
    assert_eq!(bench.state.phase(), ThinkingPhase::Asking { turn: 1, attempt: 1 });
    bench.push(StepRow::Answered(Box::new(answer(1, "look", vec![call("read", "{}"), call("grep", "{}")]))));
    assert_eq!(bench.state.phase(), ThinkingPhase::Acting { turn: 1, left: 2 });
    bench.run("one");
    bench.run("two");
    bench.turn(vec![report()]);
    assert_eq!(bench.state.phase(), ThinkingPhase::Proving);
    bench.proof(true, "12 passed");
    let StepVerdict::Reported(claim) = end(&bench) else { panic!() };
    assert_eq!(claim.summary, "fixed");
    bench.push(StepRow::Ended(Box::new(end(&bench))));
    assert_eq!(bench.state.phase(), ThinkingPhase::Ended);
    let account = bench.state.account().unwrap();
    assert!(account.is_done(true));
    assert_eq!((account.figures.turns, account.figures.calls, account.figures.cost_nano), (2, 3, 2_000));
    let error = bench.refuse(StepRow::PersonSaid(PersonSaidRow { by: "Ada".into(), text: "late".into() }));
    assert!(error.to_string().contains("the step has ended"), "{error}");
}

#[test]
fn an_ask_cut_by_a_crash_is_asked_again_and_the_lost_one_is_counted() {
    let mut bench = ThinkingBench::new(begun());
    bench.ask();
    assert!(matches!(bench.next(), ThinkingCommand::AskModel { turn: 1, attempt: 2, .. }));
    bench.ask();
    assert_eq!(bench.state.figures().lost_asks, 1);
    bench.push(StepRow::AskFailed(AskFailedRow { turn: 1, error: "429".into(), elapsed_ms: 5 }));
    assert_eq!(bench.state.figures().lost_asks, 2);
    for _ in 2..10 {
        bench.ask();
    }
    assert_eq!(end(&bench), StepVerdict::Unanswered { attempts: 10 });
}

#[test]
fn a_tree_call_cut_by_a_crash_is_rolled_back_and_run_again_but_not_for_ever() {
    let mut bench = ThinkingBench::new(begun());
    bench.turn(vec![call("edit", "{}")]);
    for _ in 0..3 {
        assert_eq!(bench.state.phase(), ThinkingPhase::Acting { turn: 1, left: 1 });
        bench.called(CallClass::Tree);
    }
    let ThinkingCommand::GiveUpCall { place, restore, text } = bench.next() else {
        panic!("{:?}", bench.next())
    };
    assert_eq!(restore.as_deref(), Some("tree-0"));
    bench.returned(ReturnedRow::error(place, "crash", text));
    assert!(last_text(&bench).contains("unknown: the daemon ended 3 times"));

    let mut bench = ThinkingBench::new(begun());
    bench.turn(vec![call("edit", "{}")]);
    assert_eq!(bench.order().restore, None);
    bench.called(CallClass::Tree);
    assert_eq!(bench.order().restore.as_deref(), Some("tree-0"));
}

#[test]
fn an_outward_call_of_unknown_end_is_never_run_again_without_a_person() {
    let begin = || {
        let mut bench = ThinkingBench::new(begun());
        bench.turn(vec![call("git", r#"{"args":"push"}"#)]);
        let place = bench.called(CallClass::Outward);
        let again =
            CalledRow { place, class: CallClass::Outward, args_hash: String::new(), tree_before: None };
        bench.refuse(StepRow::Called(again));
        let ThinkingCommand::AskPerson { subject, .. } = bench.next() else { panic!() };
        assert_eq!(subject, QuestionSubject::Unknown(place));
        bench.question("q1");
        assert_eq!(bench.next(), ThinkingCommand::Suspend(WaitCause::Person));
        (bench, place)
    };
    let (mut bench, _) = begin();
    bench.decide("q1", DecisionChoice::Approve, "it is there");
    assert!(last_text(&bench).contains("it was carried out, says Ada: it is there"));
    let (mut bench, _) = begin();
    bench.decide("q1", DecisionChoice::Retry, "");
    assert_eq!(bench.order().approved.as_deref(), Some("q1"));
    bench.called(CallClass::Outward);
    assert!(matches!(bench.next(), ThinkingCommand::AskPerson { .. }), "each run of it needs its own word");
    let (mut bench, place) = begin();
    bench.decide("q1", DecisionChoice::Stop, "");
    assert_eq!(end(&bench), StepVerdict::Unknown(place));
    let (mut bench, _) = begin();
    bench.decide("q1", DecisionChoice::Reject, "leave it");
    assert!(matches!(bench.next(), ThinkingCommand::AskModel { turn: 2, .. }));
}

#[test]
fn a_result_that_was_on_its_way_when_the_crash_question_was_not_asked_yet_is_taken() {
    let mut bench = ThinkingBench::new(begun());
    bench.turn(vec![call("mcp", "{}")]);
    let place = bench.called(CallClass::Outward);
    bench.returned(ReturnedRow::plain(place, "sent"));
    assert!(matches!(bench.next(), ThinkingCommand::AskModel { .. }));
}

#[test]
fn an_act_needs_consent_where_the_caller_asks_for_it() {
    let mut bench = ThinkingBench::new(begun());
    bench.turn(vec![call("git", "{}"), call("git", r#"{"a":1}"#)]);
    for (id, choice) in [("q1", DecisionChoice::Approve), ("q2", DecisionChoice::Reject)] {
        let place = bench.order().place;
        let subject = QuestionSubject::Act(place);
        bench.push(StepRow::QuestionAsked(QuestionAskedRow {
            question: id.into(),
            subject,
            text: "push?".into(),
        }));
        assert_eq!(bench.next(), ThinkingCommand::Suspend(WaitCause::Person));
        bench.refuse(StepRow::Returned(Box::new(ReturnedRow::plain(place, "x"))));
        bench.decide(id, choice, "as you like");
        if choice == DecisionChoice::Approve {
            assert_eq!(bench.order().approved.as_deref(), Some("q1"));
            bench.run("pushed");
        }
    }
    assert!(last_text(&bench).contains("not run: Ada declines it: as you like"));
}

#[test]
fn a_proof_is_no_work_of_its_step() {
    let mut bench = ThinkingBench::new(proved());
    bench.turn(vec![report()]);
    let worked = bench.state.figures().worked_ms;
    bench.proof(false, "test sum failed");
    assert_eq!(bench.state.figures().worked_ms, worked);
}

#[test]
fn a_failed_proof_comes_back_as_the_reports_result_and_the_third_ends_the_step() {
    let mut bench = ThinkingBench::new(proved());
    for n in 1..=3 {
        bench.turn(vec![report()]);
        bench.proof(false, &format!("{n}: test sum failed"));
        if n < 3 {
            assert!(last_text(&bench).contains("the proof failed"));
            assert!(matches!(bench.state.proof(), ProofStatus::Failed { .. }));
        }
    }
    assert!(matches!(end(&bench), StepVerdict::Unproved { proofs: 3, .. }));
    bench.push(StepRow::Ended(Box::new(end(&bench))));
    assert!(!bench.state.account().unwrap().is_done(true));
}

#[test]
fn without_a_proving_command_or_a_claim_of_done_a_report_ends_at_once() {
    let mut bench = ThinkingBench::new(begun());
    bench.turn(vec![report()]);
    assert!(matches!(end(&bench), StepVerdict::Reported(_)));
    let mut bench = ThinkingBench::new(proved());
    bench.turn(vec![call("report", r#"{"outcome":"failed","summary":"no compiler"}"#)]);
    bench.push(StepRow::Ended(Box::new(end(&bench))));
    assert!(!bench.state.account().unwrap().is_done(false));
}

#[test]
fn consent_within_a_proof_runs_the_proof_again() {
    let mut bench = ThinkingBench::new(proved());
    bench.turn(vec![report()]);
    let text = "a test was removed: is that meant?".into();
    let row = QuestionAskedRow { question: "q".into(), subject: QuestionSubject::Proof, text };
    bench.push(StepRow::QuestionAsked(row));
    assert_eq!(bench.next(), ThinkingCommand::Suspend(WaitCause::Person));
    bench.decide("q", DecisionChoice::Approve, "");
    bench.proof(true, "ok");
}

#[test]
fn calls_beyond_a_limit_and_after_a_report_get_errors_and_are_not_run() {
    let limits = ThinkingLimits { calls_an_answer: 2, children: 1, ..ThinkingLimits::default() };
    let mut bench = ThinkingBench::new(BegunRow { limits, ..begun() });
    bench.turn(vec![call("read", "{}"), call("grep", "{}"), call("glob", "{}")]);
    bench.run("a");
    bench.run("b");
    assert!(last_text(&bench).contains("an answer may have 2 calls, and this is number 3"));
    bench.turn(vec![call("report", r#"{"outcome":"great"}"#), call("read", "{}")]);
    bench.run("a bad report hinders nothing");
    assert!(last_text(&bench).contains("done, partial or impossible"));
    bench.turn(vec![call("delegate", "{}"), call("delegate", "{}")]);
    assert_eq!(bench.order().place.index, 0);
    assert!(last_text(&bench).contains("a step may have 1 children"));

    let mut bench = ThinkingBench::new(BegunRow { depth: 4, ..begun() });
    bench.turn(vec![call("delegate", "{}"), report(), call("bash", "{}")]);
    assert!(matches!(end(&bench), StepVerdict::Reported(_)));
    let text = last_text(&bench);
    assert!(text.contains("4 steps are above this one") && text.contains("make it the last call"), "{text}");
}

#[test]
fn children_run_side_by_side_and_their_ends_are_the_results() {
    let mut bench = ThinkingBench::new(begun());
    bench.turn(vec![
        call("delegate", r#"{"n":1}"#),
        call("delegate", r#"{"n":2}"#),
        call("read", "{}"),
        report(),
    ]);
    for child in ["job.1", "job.2"] {
        let place = bench.order().place;
        let row = ChildBegunRow { place, child: child.into(), task: "write it".into() };
        bench.push(StepRow::ChildBegun(row.clone()));
        bench.refuse(StepRow::ChildBegun(row));
    }
    bench.run("read meanwhile");
    assert_eq!(bench.next(), ThinkingCommand::Suspend(WaitCause::Children));
    assert_eq!(bench.state.phase(), ThinkingPhase::Waiting(WaitCause::Children));
    for (child, succeeded) in [("job.2", true), ("job.1", false)] {
        let row = ChildEndedRow {
            child: child.into(),
            verdict: if succeeded { "done" } else { "stuck" }.into(),
            succeeded,
            text: format!("{child} has ended"),
            out: None,
            cost_nano: 7,
            tree_after: Some(child.into()),
            diffstat: None,
        };
        bench.push(StepRow::ChildEnded(Box::new(row.clone())));
        bench.refuse(StepRow::ChildEnded(Box::new(row)));
    }
    let text = last_text(&bench);
    assert!(
        text.contains("Child job.1: stuck; task: write it") && text.contains("job.2 has ended"),
        "{text}"
    );
    assert_eq!(bench.state.figures().children_cost_nano, 14);
    assert!(matches!(end(&bench), StepVerdict::Reported(_)), "a report waits for the children before it");
}

#[test]
fn a_question_of_the_model_waits_and_its_answer_is_the_result() {
    let mut bench = ThinkingBench::new(begun());
    bench.turn(vec![call("ask", r#"{"question":"which?"}"#)]);
    bench.question("q1");
    assert_eq!(bench.next(), ThinkingCommand::Suspend(WaitCause::Question));
    bench.say("meanwhile");
    assert_eq!(bench.next(), ThinkingCommand::Suspend(WaitCause::Question), "a word is no answer");
    bench.decide("q1", DecisionChoice::Answer, "the first");
    let text = last_text(&bench);
    assert!(text.contains("Ada answers: the first") && text.contains("Ada says: meanwhile"), "{text}");
    assert!(text.contains("Decided by Ada: the first"), "it stays in the state of the world: {text}");
}

#[test]
fn text_without_a_call_is_answered_twice_and_then_ends() {
    let mut bench = ThinkingBench::new(begun());
    let verdict = bench.play(|turn| answer(turn, "I am done!", vec![]), |_| panic!("no call"));
    assert!(matches!(verdict, StepVerdict::Stuck { rule: StuckRule::ProseAnswers, .. }));
    assert_eq!(bench.state.figures().turns, 3);
    let nudges = bench.rows.iter().filter(|row| matches!(row, StepRow::Nudged(_))).count();
    assert_eq!(nudges, 2);
}

#[test]
fn a_cut_answer_keeps_its_text_and_drops_half_a_call_and_the_second_one_ends() {
    let mut bench = ThinkingBench::new(begun());
    let cut = |turn| AnsweredRow {
        finish: AnswerFinish::Length,
        ..answer(turn, "a long story", vec![call("read", "{}"), call("write", r#"{"path":"a","te"#)])
    };
    let turn = bench.ask();
    bench.push(StepRow::Answered(Box::new(cut(turn))));
    bench.run("read");
    bench.nudge();
    let view = check_view(&bench.state, 100_000).unwrap();
    assert_eq!(view.messages[1].blocks.len(), 2, "text and one call");
    assert!(last_text(&bench).contains("The call of `write` at its end was cut in the middle"));
    let turn = bench.ask();
    bench.push(StepRow::Answered(Box::new(cut(turn))));
    bench.run("read more");
    assert!(
        matches!(end(&bench), StepVerdict::Stuck { rule: StuckRule::CutAnswers, rows } if rows.len() == 2)
    );
}

#[test]
fn money_waits_for_a_person_with_the_work_kept() {
    let mut bench = ThinkingBench::new(begun());
    bench.turn(vec![call("read", "{}")]);
    bench.run("a");
    let out =
        StepRow::MoneyOut(MoneyOutRow { scope: "run".into(), needed_nano: 9, left_nano: 1_500_000_000 });
    bench.push(out.clone());
    assert_eq!(bench.state.phase(), ThinkingPhase::Waiting(WaitCause::Money));
    let ThinkingCommand::AskPerson { subject: QuestionSubject::Money, text } = bench.next() else { panic!() };
    assert!(text.contains("1.500000 USD are left"), "{text}");
    bench.question("q1");
    assert_eq!(bench.next(), ThinkingCommand::Suspend(WaitCause::Money));
    bench.decide("q1", DecisionChoice::Approve, "one dollar more");
    assert!(matches!(bench.next(), ThinkingCommand::AskModel { turn: 2, attempt: 1, .. }));
    bench.push(out);
    bench.question("q2");
    bench.decide("q2", DecisionChoice::Stop, "");
    assert_eq!(end(&bench), StepVerdict::OverBudget);
}

#[test]
fn limits_are_outcomes_of_their_own() {
    let new = |turn: u32| answer(turn, "", vec![call("read", &format!("{{\"n\":{turn}}}"))]);
    let read = |order: &CallOrder| ReturnedRow::plain(order.place, order.args.clone());
    let mut bench = ThinkingBench::new(begun());
    assert_eq!(bench.play(new, read), StepVerdict::TurnLimit);
    assert_eq!(bench.state.figures().turns, 60);
    let mut bench = ThinkingBench::new(begun());
    let slow = |turn| AnsweredRow { elapsed_ms: 20 * 60_000, ..new(turn) };
    assert_eq!(bench.play(slow, read), StepVerdict::TimeLimit);
    assert_eq!(bench.state.figures().turns, 3);
    let mut bench = ThinkingBench::new(begun());
    let refused = |turn| AnsweredRow { finish: AnswerFinish::Refused, ..answer(turn, "I will not", vec![]) };
    assert_eq!(bench.play(refused, read), StepVerdict::Refused { text: "I will not".into() });
}

#[test]
fn a_report_is_heard_even_when_time_is_up() {
    let mut bench = ThinkingBench::new(begun());
    bench.ask();
    let late = AnsweredRow { elapsed_ms: 61 * 60_000, ..answer(1, "", vec![report()]) };
    bench.push(StepRow::Answered(Box::new(late)));
    assert!(matches!(end(&bench), StepVerdict::Reported(_)));
}

#[test]
fn a_cancel_ends_it_wherever_it_stands() {
    let mut bench = ThinkingBench::new(begun());
    bench.ask();
    bench.push(StepRow::CancelAsked(CancelAskedRow { by: "Ada".into(), reason: "wrong branch".into() }));
    assert_eq!(end(&bench), StepVerdict::Cancelled { reason: "Ada: wrong branch".into() });
}

#[test]
fn a_persons_word_during_an_ask_is_shown_after_its_answer() {
    let mut bench = ThinkingBench::new(begun());
    bench.say("be quick");
    bench.ask();
    bench.say("use tabs");
    bench.push(StepRow::Answered(Box::new(answer(1, "", vec![call("read", "{}")]))));
    bench.run("a");
    let view = check_view(&bench.state, 100_000).unwrap();
    assert!(
        text_of(&view.messages[0]).contains("be quick") && !text_of(&view.messages[0]).contains("use tabs")
    );
    assert!(text_of(&view.messages[2]).contains("use tabs"));
    bench.ask();
    bench.push(StepRow::Answered(Box::new(answer(2, "", vec![]))));
    let later = bench.state.view(100_000).unwrap();
    assert_eq!(later.messages[..2], view.messages[..2], "what was read stays where it was");
}

#[test]
fn a_summary_shrinks_the_view_and_a_poor_one_is_followed_by_none_for_six_turns() {
    let mut bench = ThinkingBench::new(begun());
    let read = |bench: &mut ThinkingBench, text: &str| {
        bench.turn(vec![call("read", &format!("{{\"n\":{}}}", bench.rows.len()))]);
        bench.run(text);
    };
    for n in 0..5 {
        read(&mut bench, &format!("{n}{}", "x".repeat(4_000)));
    }
    let before = bench.state.live_tokens();
    bench.push(StepRow::ContextBreached(ContextBreachedRow { tokens: 9 }));
    assert_eq!(bench.next(), ThinkingCommand::Summarise { until: 3 });
    let too_far = SummarisedRow { until: 4, text: String::new(), cost_nano: 0, elapsed_ms: 0 };
    bench.refuse(StepRow::Summarised(too_far));
    bench.summarise(3, "three files read");
    assert!(bench.state.live_tokens() < before / 2);
    let view = check_view(&bench.state, 100_000).unwrap();
    assert_eq!(view.messages.len(), 5, "the last two turns stay");
    assert!(text_of(&view.messages[0]).contains("three files read"));
    read(&mut bench, "y");
    bench.push(StepRow::ContextBreached(ContextBreachedRow { tokens: 9 }));
    assert_eq!(
        bench.next(),
        ThinkingCommand::Summarise { until: 4 },
        "a good one may be followed by another"
    );
    bench.summarise(4, &"z".repeat(4_100));
    bench.push(StepRow::ContextBreached(ContextBreachedRow { tokens: 9 }));
    for n in 0..6 {
        assert!(matches!(bench.next(), ThinkingCommand::AskModel { .. }), "{n} turns after a poor one");
        read(&mut bench, &format!("{n}"));
    }
    assert!(matches!(bench.next(), ThinkingCommand::Summarise { .. }));
}

#[test]
fn what_a_person_said_outlives_summaries_and_dropped_turns_word_for_word() {
    let mut bench = ThinkingBench::new(begun());
    for n in 1..=8 {
        bench.turn(vec![call("read", &format!("{{\"n\":{n},\"why\":\"{}\"}}", "x".repeat(1_000)))]);
        bench.run(&format!("{n}"));
        bench.say(&format!("rule {n}: no new crates"));
    }
    let view = check_view(&bench.state, 2_000).unwrap();
    assert!(view.cuts.dropped_turns > 0 && view.cuts.cap.is_none(), "{:?}", view.cuts);
    let texts = |view: &ThinkingView| view.messages.iter().map(text_of).collect::<String>();
    let has_all = |text: &str| (1..=8).all(|n| text.contains(&format!("Ada says: rule {n}: no new crates")));
    assert!(has_all(&texts(&view)));
    bench.summarise(6, "read a lot");
    let view = check_view(&bench.state, 100_000).unwrap();
    assert!(has_all(&texts(&view)) && text_of(&view.messages[0]).contains("rule 5"));
}

#[test]
fn a_view_near_its_window_is_summarised_by_itself() {
    let limits = ThinkingLimits { context_tokens: 4_000, ..ThinkingLimits::default() };
    let mut bench = ThinkingBench::new(BegunRow { limits, ..begun() });
    for n in 0..3 {
        bench.turn(vec![call("read", "{}")]);
        bench.run(&format!("{n}{}", "x".repeat(4_000)));
    }
    assert_eq!(bench.next(), ThinkingCommand::Summarise { until: 1 });
}

#[test]
fn displays_find_the_plan_the_tests_the_changes_and_the_last_call() {
    let mut bench = ThinkingBench::new(begun());
    let place = CallPlace { turn: bench.turn(vec![call("bash", r#"{"c":"make test"}"#)]), index: 0 };
    let tests = TestTally { passed: 3, failed: 1, failing: vec!["sum::adds".into()] };
    bench.returned(ReturnedRow {
        todo: Some("- [x] read\n- [ ] fix".into()),
        diffstat: Some("1 file, +2 -1".into()),
        tests: Some(tests),
        tree_after: Some("tree-1".into()),
        ..ReturnedRow::plain(place, "1 failed")
    });
    assert_eq!(bench.state.unfinished(), ["fix"]);
    assert_eq!(bench.state.last_call(), Some(r#"bash {"c":"make test"}"#));
    assert_eq!((bench.state.tree(), bench.state.diffstat()), (Some("tree-1"), Some("1 file, +2 -1")));
    let text = last_text(&bench);
    for part in ["- [ ] fix", "fails: sum::adds", "1 file, +2 -1", "Turn 2 of 60", "money left: 5.000000 USD"]
    {
        assert!(text.contains(part), "{part} is in {text}");
    }
}

#[test]
fn rows_that_cannot_follow_are_refused_by_name_and_change_nothing() {
    let mut empty = ThinkingBench::default();
    let error = empty.refuse(StepRow::Asked(AskedRow {
        turn: 1,
        attempt: 1,
        request_hash: String::new(),
        request_id: String::new(),
    }));
    assert_eq!((error.row, error.name, error.phase), (0, "asked", "fresh"));
    let mut bench = ThinkingBench::new(begun());
    bench.refuse(StepRow::Begun(Box::new(begun())));
    bench.refuse(StepRow::Answered(Box::new(answer(1, "", vec![]))));
    bench.refuse(StepRow::Asked(AskedRow {
        turn: 2,
        attempt: 1,
        request_hash: String::new(),
        request_id: String::new(),
    }));
    let turn = bench.turn(vec![call("read", "{}")]);
    bench.refuse(StepRow::Asked(AskedRow {
        turn: 2,
        attempt: 1,
        request_hash: String::new(),
        request_id: String::new(),
    }));
    bench.refuse(StepRow::Returned(Box::new(ReturnedRow::plain(CallPlace { turn, index: 1 }, ""))));
    let place = CallPlace { turn, index: 0 };
    let child = ChildBegunRow { place, child: "c".into(), task: String::new() };
    assert!(bench.refuse(StepRow::ChildBegun(child)).why.contains("delegate"));
    let money =
        QuestionAskedRow { question: "q".into(), subject: QuestionSubject::Money, text: String::new() };
    bench.refuse(StepRow::QuestionAsked(money));
    bench.run("a");
    assert!(
        bench.refuse(StepRow::Returned(Box::new(ReturnedRow::plain(place, "twice")))).why.contains("result")
    );
}
