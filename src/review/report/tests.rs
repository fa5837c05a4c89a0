//! The rules for a report, case by case.

use serde_json::{Value, json};

use super::super::remark::RemarkSeverity;
use super::*;

const PATCH: &str = "--- /dev/null\n+++ b/tests/zero.rs\n@@ -0,0 +1,2 @@\n+#[test]\n+fn zero() { assert_eq!(a::sum(0), 0); }\n";

fn report(remark: &Value) -> String {
    json!({"commit": "c1", "summary": "s", "remarks": [remark]}).to_string()
}

fn blocking() -> Value {
    json!({
        "place": {"path": "src/a.rs", "line": 3},
        "severity": "blocking",
        "input": "0",
        "proposal": "check for 0",
        "test": PATCH,
    })
}

fn parse(answer: &str) -> Result<ReviewerReport, String> {
    ReviewerReport::parse(answer, "c1", |path| path.starts_with("tests/")).map_err(|fault| fault.to_string())
}

/// The good remark with one field changed.
fn changed(field: &str, value: Value) -> Result<ReviewerReport, String> {
    let mut remark = blocking();
    remark[field] = value;
    parse(&report(&remark))
}

#[test]
fn a_good_report_is_read_bare_and_in_a_fence() {
    let text = report(&blocking());
    let read = parse(&text).unwrap();
    assert_eq!(read.remarks[0].severity, RemarkSeverity::Blocking);
    assert_eq!(read.remarks[0].place.line, Some(3));
    assert_eq!(parse(&format!("Here it is:\n```json\n{text}\n```\nDone.\n")).unwrap(), read);
    assert_eq!(parse(r#"{"commit":"c1","summary":"","remarks":[]}"#).unwrap().remarks, []);
}

#[test]
fn a_bad_answer_is_refused_with_its_place() {
    assert!(
        parse("Looks good to me!").unwrap_err().starts_with("the answer holds no JSON object; answer with {")
    );
    assert_eq!(
        parse("```\n{}\n```\n```\n{}\n```").unwrap_err(),
        "the answer holds 2 JSON blocks; answer with one"
    );
    assert!(parse("{}").unwrap_err().starts_with("at the report: missing field `summary`"));
    let fault = changed("severity", json!("major")).unwrap_err();
    assert!(
        fault.starts_with("at `remarks[0].severity`: unknown variant `major`, expected `blocking` or `note`"),
        "{fault}"
    );
    let fault = changed("praise", json!("fine")).unwrap_err();
    assert!(fault.contains("unknown field `praise`"), "{fault}");
    assert!(
        parse(&format!("{} and more", report(&blocking()))).unwrap_err().starts_with("at the end: trailing")
    );
    let other = report(&blocking()).replace("c1", "c2");
    assert_eq!(parse(&other).unwrap_err(), "the report is on commit c2, but c1 was to be reviewed");
}

#[test]
fn each_rule_of_a_remark_has_its_words() {
    let fault = |field, value| changed(field, value).unwrap_err();
    for path in ["/etc/passwd", "../a", "a//b", "", ".git/config", "a\\b"] {
        assert!(
            fault("place", json!({"path": path})).contains("relative to the repository's root"),
            "{path}"
        );
    }
    assert_eq!(fault("place", json!({"path": "a", "line": 0})), "remarks[0]: `place.line` counts from 1");
    assert_eq!(fault("input", json!(" ")), "remarks[0]: `input` is empty");
    assert_eq!(fault("proposal", json!("")), "remarks[0]: `proposal` is empty");
    assert!(fault("proposal", json!("x".repeat(2_001))).contains("has 2001 characters; at most 2000"));
    assert!(fault("test", json!(null)).contains("a blocking remark needs `test`"));
    assert!(fault("no_test", json!("race")).contains("not both"));
    assert!(fault("test", json!("fn zero() {}")).contains("no unified diff"));
    let code = PATCH.replace("tests/zero.rs", "src/a.rs");
    assert!(fault("test", json!(code)).contains("changes `src/a.rs`, which is no test file"));
    assert!(fault("test", json!(PATCH.replace("/dev/null", "a/src/a.rs"))).contains("changes `src/a.rs`"));
    let out = PATCH.replace("tests/zero.rs", "tests/../src/a.rs");
    assert!(fault("test", json!(out)).contains("no test file"));
    assert!(fault("test", json!(format!("{PATCH}rename from a\nrename to b\n"))).contains("no unified diff"));
}

#[test]
fn a_removed_line_that_looks_like_a_header_is_none() {
    let patch = "--- a/tests/a.sql\n+++ b/tests/a.sql\n@@ -1,2 +1,2 @@\n--- src/a.rs\n+++ src/b.rs\n x\n";
    assert!(changed("test", json!(patch)).is_ok());
}

#[test]
fn lists_are_bounded_and_without_twins() {
    let twins = json!({"commit": "c1", "summary": "", "remarks": [blocking(), blocking()]}).to_string();
    assert_eq!(parse(&twins).unwrap_err(), "remarks[0] and remarks[1] are the same");
    let many = json!({"commit": "c1", "summary": "", "remarks": vec![blocking(); 21]}).to_string();
    assert_eq!(parse(&many).unwrap_err(), "the report has 21 remarks; give the 20 weightiest");
}

proptest::proptest! {
    #[test]
    fn any_answer_is_read_without_a_panic(answer in "(?s)(```|\\{|\\}|\"commit\":|\n|json|é|--- |\\+\\+\\+ |@@ -1 ){0,40}") {
        let _ = parse(&answer);
        let _ = changed("test", json!(answer));
    }
}
