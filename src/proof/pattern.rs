//! Compiles the constant patterns of this module. Failure policy: a bad one is a fault of the code, and a test compiles
//! each of them.

use regex::Regex;

#[expect(clippy::expect_used, reason = "only constants are passed, and a test compiles each")]
pub(super) fn constant_pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}
