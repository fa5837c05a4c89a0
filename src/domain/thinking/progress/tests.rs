//! Tests of `progress`: its rules, case by case.

use super::*;

fn trace(row: u64, act: u128, result: u128) -> CallTrace {
    CallTrace { row, act, result, error_class: String::new(), brief: "read a".into() }
}

/// One call a turn; rows are 10 × turn, so that nudges find room between.
fn turn(watch: &mut ProgressWatch, turn: u32, act: u128, result: u128) -> Option<ProgressCheck> {
    let row = u64::from(turn) * 10;
    watch.saw_answer(row, false, true, true);
    watch.saw_call(trace(row + 1, act, result), result, turn);
    let check = watch.check(turn);
    if let Some(ProgressCheck::Nudge(hit)) = &check {
        watch.saw_nudge(hit.rule, turn, row + 2);
    }
    check
}

#[test]
fn the_same_call_nudges_at_three_and_stops_at_five() {
    let mut watch = ProgressWatch::default();
    let seen: Vec<_> = (1..=5).map(|n| turn(&mut watch, n, 7, 7)).collect();
    assert_eq!((&seen[0], &seen[1], &seen[3]), (&None, &None, &None));
    assert!(matches!(&seen[2], Some(ProgressCheck::Nudge(hit)) if hit.rule == StuckRule::SameCall));
    assert!(matches!(&seen[4], Some(ProgressCheck::Stop(hit)) if hit.rows.len() == 5));
}

#[test]
fn many_equal_calls_in_one_answer_are_nudged_before_they_stop() {
    let mut watch = ProgressWatch::default();
    watch.saw_answer(1, false, true, false);
    for row in 2..10 {
        watch.saw_call(trace(row, 7, 7), 7, 1);
    }
    assert!(matches!(watch.check(1), Some(ProgressCheck::Nudge(_))));
    watch.saw_nudge(StuckRule::SameCall, 1, 10);
    assert_eq!(watch.check(1), None);
    assert!(matches!(turn(&mut watch, 2, 7, 7), Some(ProgressCheck::Stop(_))));
}

#[test]
fn hard_progress_takes_a_nudge_back() {
    let mut watch = ProgressWatch::default();
    for n in 1..=4 {
        turn(&mut watch, n, 7, 7);
    }
    watch.saw_tree("new", 5, 49);
    assert!(matches!(turn(&mut watch, 5, 7, 7), Some(ProgressCheck::Nudge(_))));
}

#[test]
fn polling_ends_by_the_lack_of_progress_only_when_results_repeat() {
    let mut watch = ProgressWatch::default();
    for n in 1..=50 {
        assert_eq!(turn(&mut watch, n, 7, u128::from(n)), None);
    }
}

#[test]
fn twelve_turns_without_anything_new_nudge_and_twenty_stop() {
    let mut watch = ProgressWatch::default();
    let mut nudged = None;
    for n in 1..=30 {
        // Seven acts in an order without a short cycle, three each in twelve at most.
        match turn(&mut watch, n, u128::from(n * n % 11), 1) {
            Some(ProgressCheck::Nudge(hit)) if hit.rule == StuckRule::NoProgress => nudged = Some(n),
            Some(ProgressCheck::Stop(hit)) => {
                assert_eq!((hit.rule, nudged, n), (StuckRule::NoProgress, Some(13), 21));
                return;
            }
            _ => {}
        }
    }
    panic!("it never stopped");
}

#[test]
fn a_new_result_begins_the_measure_of_quiet_turns_anew() {
    let mut watch = ProgressWatch::default();
    let mut nudges = 0;
    for n in 1..=32 {
        // Something new in turn 1 and in turn 16 only.
        let result = u128::from(n == 16);
        match turn(&mut watch, n, u128::from(n * n % 11), result) {
            Some(ProgressCheck::Nudge(hit)) if hit.rule == StuckRule::NoProgress => nudges += 1,
            Some(ProgressCheck::Stop(hit)) => panic!("turn {n}: {hit:?}"),
            _ => {}
        }
    }
    assert_eq!(nudges, 2, "each stretch is nudged before it can be stopped");
}

#[test]
fn three_resets_without_anything_new_nudge_and_then_stop() {
    let mut watch = ProgressWatch::default();
    turn(&mut watch, 1, 1, 1);
    (0..3).for_each(|_| watch.saw_reset());
    assert!(
        matches!(turn(&mut watch, 2, 2, 1), Some(ProgressCheck::Nudge(hit)) if hit.rule == StuckRule::NoProgress)
    );
    assert!(
        matches!(turn(&mut watch, 3, 3, 1), Some(ProgressCheck::Stop(hit)) if hit.rule == StuckRule::NoProgress)
    );
}

#[test]
fn fewer_failing_tests_are_progress_and_as_many_are_not() {
    let mut watch = ProgressWatch::default();
    watch.saw_failing(3, 1, 1);
    watch.saw_failing(3, 5, 5);
    assert_eq!(watch.last_turn, 0);
    watch.saw_failing(2, 6, 6);
    watch.saw_failing(3, 7, 7);
    assert_eq!(watch.last_turn, 6);
}

#[test]
fn prose_is_answered_twice_and_stops_at_three_and_emptiness_at_two() {
    let mut watch = ProgressWatch::default();
    for (turn, row) in [(1, 10), (2, 20)] {
        watch.saw_answer(row, false, false, true);
        let check = watch.check(turn);
        assert!(matches!(check, Some(ProgressCheck::Nudge(hit)) if hit.rule == StuckRule::ProseAnswers));
        watch.saw_nudge(StuckRule::ProseAnswers, turn, row + 1);
    }
    watch.saw_answer(30, false, false, true);
    assert!(matches!(watch.check(3), Some(ProgressCheck::Stop(_))));

    let mut watch = ProgressWatch::default();
    watch.saw_answer(10, false, false, false);
    assert!(matches!(watch.check(1), Some(ProgressCheck::Nudge(hit)) if hit.rule == StuckRule::EmptyAnswers));
    watch.saw_nudge(StuckRule::EmptyAnswers, 1, 11);
    watch.saw_answer(20, false, false, false);
    assert!(matches!(watch.check(2), Some(ProgressCheck::Stop(hit)) if hit.rule == StuckRule::EmptyAnswers));
}

#[test]
fn parts_do_not_run_together_in_a_digest() {
    assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
    assert_eq!(digest(&["a"]), digest(&["a"]));
}
