//! How a view is cut, and in which order.

use crate::thinking::testing::*;
use crate::thinking::*;

fn long_step(turns: u32, bytes: usize) -> ThinkingBench {
    let mut bench = ThinkingBench::new(begun());
    for n in 1..=turns {
        bench.turn(vec![call("read", &format!("{{\"n\":{n}}}"))]);
        let place = bench.order().place;
        let text = format!("start {n} {} end {n}", "ä".repeat(bytes / 2));
        bench.returned(ReturnedRow { out: Some(u64::from(n)), ..ReturnedRow::plain(place, text) });
    }
    bench
}

fn whole(view: &ThinkingView) -> String {
    view.messages.iter().map(text_of).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_oldest_results_become_addresses_first_and_in_blocks() {
    let bench = long_step(12, 4_000);
    let view = check_view(&bench.state, 11_000).unwrap();
    assert_eq!(view.cuts, ViewCuts { elided_turns: 4, dropped_turns: 0, cap: None });
    let text = whole(&view);
    assert!(text.contains("[… 4014 bytes; read @out:4]") && !text.contains("start 4 "), "{}", &text[..200]);
    assert!(text.contains("start 5 ") && text.contains("end 12"));
    assert_eq!(check_view(&bench.state, 100_000).unwrap().cuts, ViewCuts::default());
}

#[test]
fn the_elided_part_stays_the_same_for_some_turns() {
    let (one, more) = (long_step(11, 4_000), long_step(12, 4_000));
    let (one, more) = (one.state.view(11_000).unwrap(), more.state.view(11_000).unwrap());
    assert_eq!(one.cuts, more.cuts);
    let shared = one.messages.len() - 1;
    assert_eq!(one.messages[..shared], more.messages[..shared]);
}

#[test]
fn then_the_oldest_turns_go_whole_and_then_texts_of_the_last_are_cut() {
    let mut bench = long_step(4, 4_000);
    for n in 5..=50 {
        bench.turn(vec![call("write", &format!("{{\"n\":{n},\"text\":\"{}\"}}", "x".repeat(2_000)))]);
        bench.run(&format!("written {n}"));
    }
    let view = check_view(&bench.state, 8_000).unwrap();
    assert!(view.cuts.dropped_turns > 20 && view.cuts.cap.is_none(), "{:?}", view.cuts);
    let dropped = view.cuts.dropped_turns;
    assert!(text_of(&view.messages[0]).contains(&format!("[turns 1 to {dropped} are left out here")));

    let bench = long_step(5, 40_000);
    let view = check_view(&bench.state, 2_000).unwrap();
    assert_eq!(view.cuts.cap, Some(2_048));
    let text = whole(&view);
    assert!(text.contains("start 5") && text.contains("end 5") && text.contains("read @out:5]"), "{text}");
}

#[test]
fn a_window_without_room_for_the_card_is_an_error_and_never_a_cut_card() {
    let bench = ThinkingBench::new(BegunRow { card: "must ".repeat(1_000), ..begun() });
    let error = bench.state.view(500).unwrap_err();
    assert!(matches!(error, ViewError::WindowTooSmall { needed, window: 500 } if needed > 1_000), "{error}");
}

#[test]
fn broken_arguments_go_back_as_one_object() {
    let mut bench = ThinkingBench::new(begun());
    bench.turn(vec![
        call("read", "path: a"),
        call("read", ""),
        call("read", "[1]"),
        call("read", "{\"a\": 1}"),
    ]);
    for _ in 0..4 {
        bench.run("so");
    }
    let view = check_view(&bench.state, 10_000).unwrap();
    let args: Vec<&str> = view.messages[1]
        .blocks
        .iter()
        .filter_map(|block| if let BlockBody::Call { args, .. } = block { Some(args.as_str()) } else { None })
        .collect();
    assert_eq!(args, [r#"{"not_json":"path: a"}"#, "{}", r#"{"not_json":"[1]"}"#, "{\"a\": 1}"]);
}

#[test]
fn an_empty_answer_and_an_empty_result_have_words() {
    let mut bench = ThinkingBench::new(begun());
    bench.ask();
    bench.push(StepRow::Answered(Box::new(answer(1, " \n", vec![]))));
    let view = check_view(&bench.state, 10_000).unwrap();
    assert_eq!(text_of(&view.messages[1]), "(empty answer)");
    bench.nudge();
    bench.turn(vec![call("bash", "{}")]);
    bench.run("");
    assert!(whole(&check_view(&bench.state, 10_000).unwrap()).contains("(no output)"));
}

#[test]
fn a_view_in_mid_turn_says_unknown_for_a_call_without_result() {
    let mut bench = ThinkingBench::new(begun());
    bench.turn(vec![call("bash", "{}"), call("bash", "{\"n\":1}")]);
    bench.run("one");
    let view = check_view(&bench.state, 10_000).unwrap();
    let BlockBody::Result { text, is_error: true, .. } = &view.messages[2].blocks[1] else { panic!() };
    assert!(text.starts_with("unknown"));
}

#[test]
fn thoughts_are_in_the_log_and_in_no_view() {
    let mut bench = ThinkingBench::new(begun());
    bench.turn(vec![call("bash", "{}")]);
    bench.run("one");
    assert!(!whole(&bench.state.view(10_000).unwrap()).contains("thought 1"));
}

#[test]
fn advice_stands_below_the_card_and_is_called_data() {
    let bench = ThinkingBench::new(BegunRow { advice: "Use tabs. You may push.".into(), ..begun() });
    let text = text_of(&bench.state.view(10_000).unwrap().messages[0]);
    let (card, advice) = (text.find("Fix the sum").unwrap(), text.find("Use tabs").unwrap());
    assert!(card < advice && text.contains("it grants nothing"));
}

#[test]
fn a_models_own_counter_is_used_where_it_is_given() {
    let bench = long_step(6, 4_000);
    let dear = |text: &str| text.len() as u64;
    let view = bench.state.view_by(20_000, &dear).unwrap();
    assert!(view.tokens <= 20_000 && view.cuts.elided_turns > 0);
}

#[test]
fn the_world_is_capped_and_the_plan_is_not() {
    let mut bench = ThinkingBench::new(begun());
    bench.turn(vec![call("todo", "{}")]);
    let place = bench.order().place;
    let todo = "- [ ] a long item\n".repeat(400);
    let failing = (0..200).map(|n| format!("test::{n}{}", "x".repeat(500))).collect();
    bench.returned(ReturnedRow {
        todo: Some(todo.clone()),
        diffstat: Some("a file\n".repeat(10_000)),
        tests: Some(TestTally { passed: 0, failed: 200, failing }),
        ..ReturnedRow::plain(place, "kept")
    });
    let view = check_view(&bench.state, 10_000).unwrap();
    let text = text_of(view.messages.last().unwrap());
    assert!(text.contains(&todo) && text.contains("- and 180 more"));
    assert!(text.len() < todo.len() + 20_000, "{}", text.len());
}

#[test]
fn a_summary_is_asked_for_with_the_turns_it_stands_for_and_without_tools() {
    let bench = long_step(5, 400);
    let view = bench.state.summary_request(3, 100_000, &estimate_tokens).unwrap();
    let text = whole(&view);
    assert!(text.contains("end 3") && !text.contains("start 4") && !text.contains("State now"));
    assert_eq!((view.tools_json.as_str(), view.messages.len()), ("[]", 7));
    assert!(text.ends_with("in at most 800 words."), "{text}");
    let small = bench.state.summary_request(3, 500, &estimate_tokens).unwrap();
    assert!(small.tokens <= 500);
}

#[test]
fn a_decision_binds_after_the_summary_that_stands_for_its_turn() {
    let mut bench = ThinkingBench::new(begun());
    let asked = bench.turn(vec![call("ask", r#"{"question":"which name?"}"#)]);
    bench.question("q1");
    bench.decide("q1", DecisionChoice::Answer, "keep the old name");
    for _ in 0..2 {
        bench.turn(vec![call("read", "{}")]);
        bench.run("later");
    }
    bench.summarise(asked, "asked");
    let view = bench.state.view(10_000).unwrap();
    let text = text_of(view.messages.last().unwrap());
    assert!(text.contains("Decided by Ada: keep the old name"), "{text}");
}

#[test]
fn a_summary_without_a_model_names_calls_and_their_ends() {
    let mut bench = long_step(3, 10);
    let place = CallPlace { turn: bench.turn(vec![call("edit", "{}")]), index: 0 };
    bench.returned(ReturnedRow::error(place, "edit:no_match", "no"));
    let text = bench.state.plain_summary(4);
    assert!(
        text.starts_with("turn 1: read {\"n\":1}: done\n") && text.ends_with("turn 4: edit {}: failed\n")
    );
    assert!(!bench.state.plain_summary(3).contains("edit"));
    let long = long_step(59, 10);
    bench.summarise(2, &"x".repeat(9_000));
    assert!(bench.state.plain_summary(4).len() < 6_100 && long.state.plain_summary(60).len() < 6_100);
}

#[test]
fn an_invented_name_goes_back_in_characters_that_vendors_take() {
    let mut bench = ThinkingBench::new(begun());
    bench.turn(vec![call("functions.read", "{}"), call("", "{}"), call(&"ü".repeat(90), "{}")]);
    for _ in 0..3 {
        let place = bench.order().place;
        bench.returned(ReturnedRow::error(place, "unknown_tool", "there is no such tool"));
    }
    let view = check_view(&bench.state, 10_000).unwrap();
    let name = |block: &BlockBody| match block {
        BlockBody::Call { tool, .. } | BlockBody::Result { tool, .. } => tool.clone(),
        BlockBody::Text(_) => String::new(),
    };
    let called: Vec<String> = view.messages[1].blocks[1..].iter().map(name).collect();
    assert_eq!(called, ["functions_read".to_owned(), "unnamed".to_owned(), "_".repeat(64)]);
    assert_eq!(view.messages[2].blocks[..3].iter().map(name).collect::<Vec<_>>(), called);
}
