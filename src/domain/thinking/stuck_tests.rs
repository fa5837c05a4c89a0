//! Work that looks like a loop, and loops that look like work.

use super::testing::*;
use super::*;

#[test]
fn the_same_check_after_each_of_many_edits_is_work() {
    let mut bench = ThinkingBench::new(begun());
    let verdict = bench.play(
        |turn| match turn {
            1..=20 if turn % 2 == 1 => answer(turn, "", vec![call("edit", &format!("{{\"n\":{turn}}}"))]),
            1..=20 => answer(turn, "", vec![call("bash", r#"{"c":"cargo check"}"#)]),
            _ => answer(turn, "", vec![report()]),
        },
        |order| match order.tool.as_str() {
            "edit" => ReturnedRow {
                tree_after: Some(order.args.clone()),
                ..ReturnedRow::plain(order.place, "edited")
            },
            _ => ReturnedRow::plain(order.place, "no error"),
        },
    );
    assert!(matches!(verdict, StepVerdict::Reported(_)), "{verdict:?}");
    assert!(!bench.rows.iter().any(|row| matches!(row, StepRow::Nudged(_))));
}

#[test]
fn one_class_of_error_nudges_at_four_and_stops_at_six() {
    let mut bench = ThinkingBench::new(begun());
    let verdict = bench.play(
        |turn| answer(turn, "try", vec![call("edit", &format!("{{\"n\":{turn}}}"))]),
        |order| ReturnedRow::error(order.place, "edit:no_match", format!("no match in {}", order.args)),
    );
    assert!(matches!(verdict, StepVerdict::Stuck { rule: StuckRule::SameError, rows } if rows.len() == 6));
}

#[test]
fn a_tree_that_goes_to_and_fro_is_stopped() {
    let mut bench = ThinkingBench::new(begun());
    let verdict = bench.play(
        |turn| answer(turn, "", vec![call("edit", &format!("{{\"n\":{turn}}}"))]),
        |order| ReturnedRow {
            tree_after: Some(format!("tree-{}", order.place.turn % 2)),
            ..ReturnedRow::plain(order.place, order.args.clone())
        },
    );
    assert!(matches!(verdict, StepVerdict::Stuck { rule: StuckRule::TreeReturns, .. }), "{verdict:?}");
}
