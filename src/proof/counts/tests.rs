//! The readers of test counts, case by case.

use super::*;

fn counts(text: &str) -> TestCounts {
    read_counts(text).expect("the output is recognised")
}

#[track_caller]
fn check(text: &str, passed: u64, failed: u64, skipped: u64, failing: &[&str]) {
    let counts = counts(text);
    assert_eq!((counts.passed, counts.failed, counts.skipped), (passed, failed, skipped), "{counts:?}");
    assert_eq!(counts.executed, passed + failed);
    assert_eq!(counts.failing, failing);
}

#[test]
fn cargo_binaries_are_summed() {
    check(include_str!("tests/cargo_fail.txt"), 4, 2, 1, &["tests::adds_wrongly", "outer_breaks"]);
    check(include_str!("tests/cargo_pass.txt"), 2, 0, 1, &[]);
    check(include_str!("tests/cargo_quiet.txt"), 2, 0, 1, &[]);
}

#[test]
fn a_result_line_printed_by_a_test_does_not_count() {
    check(include_str!("tests/cargo_liar.txt"), 2, 0, 1, &[]);
}

#[test]
fn a_build_that_fails_has_no_counts() {
    assert_eq!(read_counts(include_str!("tests/cargo_nobuild.txt")), None);
    assert_eq!(read_counts(""), None);
    assert_eq!(read_counts("all 12 tests passed, promise\n"), None);
}

#[test]
fn nextest_is_read_from_its_summary_and_not_from_what_tests_print() {
    check(
        include_str!("tests/nextest_fail.txt"),
        3,
        2,
        1,
        &["fx::outer outer_breaks", "fx tests::adds_wrongly"],
    );
    check(include_str!("tests/nextest_pass.txt"), 2, 0, 1, &[]);
}

#[test]
fn pytest_expected_failures_are_skips_and_errors_are_failures() {
    let failing = [
        "test_sum.py::test_bad",
        "test_u.py::Sums::test_b",
        "test_u.py::Sums::test_d",
        "test_sum.py::test_err",
    ];
    check(include_str!("tests/pytest_fail.txt"), 5, 4, 4, &failing);
    check(include_str!("tests/pytest_quiet.txt"), 5, 4, 4, &failing);
    check(include_str!("tests/pytest_pass.txt"), 3, 0, 0, &[]);
    check(include_str!("tests/pytest_none.txt"), 0, 0, 0, &[]);
    check(include_str!("tests/pytest_import.txt"), 0, 1, 0, &["test_imp.py"]);
}

#[test]
fn unittest_is_read_from_ran_and_its_end() {
    let failing = ["test_d (test_u.Sums.test_d)", "test_b (test_u.Sums.test_b)"];
    check(include_str!("tests/unittest_fail.txt"), 1, 2, 2, &failing);
    check(include_str!("tests/unittest_pass.txt"), 1, 0, 0, &[]);
    check(
        include_str!("tests/unittest_import.txt"),
        0,
        1,
        0,
        &["test_imp (unittest.loader._FailedTest.test_imp)"],
    );
}

#[test]
fn node_is_read_in_both_forms_and_suites_are_not_named() {
    check(include_str!("tests/node_tap.txt"), 3, 2, 2, &["adds wrongly", "inner bad"]);
    check(include_str!("tests/node_spec.txt"), 3, 2, 2, &["adds wrongly", "inner bad"]);
    check(include_str!("tests/node_pass.txt"), 1, 0, 0, &[]);
}

#[test]
fn jest_and_vitest_are_read_from_their_totals() {
    check(include_str!("tests/jest_fail.txt"), 2, 2, 2, &["adds wrongly", "group › inner bad"]);
    check(
        include_str!("tests/vitest_fail.txt"),
        2,
        2,
        2,
        &["a.test.js > adds wrongly", "a.test.js > group > inner bad"],
    );
}

#[test]
fn a_suite_that_could_not_be_loaded_is_one_failure() {
    check(
        include_str!("tests/jest_suite.txt"),
        1,
        3,
        2,
        &["adds wrongly", "group › inner bad", "./b.test.js (could not be loaded)"],
    );
}

#[test]
fn mocha_is_read_from_its_three_lines() {
    check(include_str!("tests/mocha_fail.txt"), 1, 2, 2, &["adds wrongly", "inner bad"]);
}

#[test]
fn go_without_v_counts_packages_only() {
    let plain = counts(include_str!("tests/go_plain.txt"));
    assert_eq!((plain.unit, plain.passed, plain.failed), (CountUnit::Packages, 1, 1));
    assert_eq!(plain.failing, ["TestBad/sub"]);
    assert_eq!(plain.to_string(), "2 packages: 1 passed, 1 failed");
    let broken = counts(include_str!("tests/go_nobuild.txt"));
    assert_eq!(broken.failing, ["fx/d (did not build)"]);
}

#[test]
fn go_with_v_and_with_json_counts_the_same() {
    check(include_str!("tests/go_verbose.txt"), 3, 2, 1, &["TestBad/sub"]);
    check(include_str!("tests/go_json.txt"), 3, 2, 1, &["TestBad/sub"]);
}

#[test]
fn junit_counts_cases_and_not_totals() {
    check(
        include_str!("tests/junit_pytest.xml"),
        5,
        4,
        4,
        &["test_sum::test_bad", "test_sum::test_err", "test_u.Sums::test_b", "test_u.Sums::test_d"],
    );
    check(include_str!("tests/junit_node.xml"), 3, 2, 2, &["test::adds wrongly", "test::inner bad"]);
}

#[test]
fn two_runners_in_one_command_are_summed() {
    let text = format!("{}\n{}", include_str!("tests/cargo_pass.txt"), include_str!("tests/node_pass.txt"));
    let both = counts(&text);
    assert_eq!((both.passed, both.skipped), (3, 1));
    assert_eq!(both.readers, ["cargo test", "node --test"]);
}

#[test]
fn packages_are_not_added_to_tests() {
    let text = format!("{}\n{}", include_str!("tests/go_plain.txt"), include_str!("tests/cargo_pass.txt"));
    assert_eq!(counts(&text).unit, CountUnit::Tests);
    let text = format!("{}\n{}", include_str!("tests/cargo_pass.txt"), include_str!("tests/go_plain.txt"));
    assert_eq!(counts(&text).passed, 2);
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in "(?s).{0,400}") {
        read_counts(&text);
    }

    #[test]
    fn executed_is_always_passed_and_failed(
        binaries in proptest::collection::vec((0u64..50, 0u64..50, 0u64..50), 1..5),
    ) {
        let text: String = binaries
            .iter()
            .map(|(p, f, s)| format!(
                "running {} tests\ntest result: ok. {p} passed; {f} failed; {s} ignored; 0 measured; 0 filtered out\n",
                p + f + s
            ))
            .collect();
        let all = counts(&text);
        proptest::prop_assert_eq!(all.passed, binaries.iter().map(|b| b.0).sum::<u64>());
        proptest::prop_assert_eq!(all.executed, all.passed + all.failed);
    }
}
