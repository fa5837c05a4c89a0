//! Compiles the constant patterns of this module. Failure policy: a bad pattern is a fault of the code; a
//! test compiles every one.

use regex::Regex;

#[expect(clippy::expect_used, reason = "only constants are passed, and a test compiles each")]
pub(super) fn constant_pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}
