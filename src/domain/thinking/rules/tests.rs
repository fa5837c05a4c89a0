//! Tests of `rules`: its rules, case by case.

use super::*;

/// Calls from letters: the letter is call and result, a `!` behind it makes it an error.
fn calls(letters: &str) -> Vec<CallTrace> {
    let mut all: Vec<CallTrace> = Vec::new();
    for (n, letter) in letters.chars().enumerate() {
        if letter == '!' {
            all.last_mut().unwrap().error_class = "edit:no_match".into();
            continue;
        }
        let act = u128::from(u32::from(letter));
        let brief = letter.to_string();
        all.push(CallTrace { row: n as u64, act, result: 0, error_class: String::new(), brief });
    }
    all
}

fn trees(letters: &str) -> Vec<TreeVisit> {
    let visit = |(n, c): (usize, char)| TreeVisit { row: n as u64, tree: u128::from(u32::from(c)) };
    letters.chars().enumerate().map(visit).collect()
}

#[test]
fn the_same_call_is_counted_among_the_last_twelve_only() {
    assert_eq!(same_call(&calls("")), None);
    let hit = same_call(&calls("axaya")).unwrap();
    assert_eq!((hit.count, hit.rows), (3, vec![0, 2, 4]));
    assert_eq!(same_call(&calls("aabcdefghijklm")).unwrap().count, 1);
}

#[test]
fn the_same_call_with_another_result_is_polling_and_no_loop() {
    let mut polling = calls("aaaaaaaa");
    for (n, call) in polling.iter_mut().enumerate() {
        call.result = n as u128;
    }
    assert_eq!(same_call(&polling).unwrap().count, 1);
}

#[test]
fn a_cycle_is_counted_in_whole_periods_at_the_end_and_equal_calls_are_none() {
    assert_eq!(cycle(&calls("abab")).unwrap().count, 2);
    let hit = cycle(&calls("xababab")).unwrap();
    assert_eq!((hit.count, hit.rows), (3, vec![1, 2, 3, 4, 5, 6]));
    assert_eq!(cycle(&calls("abcdefabcdefabcdef")).unwrap().count, 3);
    assert_eq!(cycle(&calls("abababx")).unwrap().count, 1);
    assert_eq!(cycle(&calls("aaaaaaaa")), None);
    assert_eq!(cycle(&calls("a")), None);
}

#[test]
fn one_class_of_error_counts_whatever_the_arguments_but_not_from_before_the_last_progress() {
    let errors = calls("a!b!xc!d!");
    assert_eq!(same_error(&errors, 0).unwrap().count, 3, "row 0 itself does not count");
    let since = errors[2].row;
    assert_eq!(same_error(&errors, since).unwrap().count, 2);
    assert_eq!(same_error(&calls("abc"), 0), None);
}

#[test]
fn a_tree_returns_when_it_was_left_between() {
    assert_eq!(tree_returns(&trees("abac")).unwrap().count, 0);
    assert_eq!(tree_returns(&trees("aba")).unwrap().count, 1);
    let hit = tree_returns(&trees("abaca")).unwrap();
    assert_eq!((hit.count, hit.rows), (2, vec![2, 4]));
    // A stash to look at the old code, and back: each tree returned once.
    assert_eq!(tree_returns(&trees("oaoa")).unwrap().count, 1);
}

#[test]
fn three_resets_without_anything_new_are_the_whole_measure() {
    assert_eq!(no_progress(5, 2, [0, 9]).count, 5);
    assert_eq!(no_progress(5, 3, [0, 9]).count, 20);
    assert_eq!(no_progress(31, 3, [0, 9]).count, 31);
}

#[test]
fn a_run_of_answers_counts_its_rows() {
    let hit = run_of(StuckRule::EmptyAnswers, &[3, 5]);
    assert_eq!((hit.count, hit.rule, hit.rows.len()), (2, StuckRule::EmptyAnswers, 2));
}
