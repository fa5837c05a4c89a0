//! Review: another vendor's model reads a change, and the daemon runs the tests of its objections.
//!
//! Pure: the reviewer's report is parsed strictly, blocking remarks are settled by the results of their
//! tests, and the verdict is bound to one commit. Failure policy: a malformed report is refused with a
//! sentence on how to fix it; a remark that proves nothing does not block.

pub mod independence;
pub mod prompt;
pub mod remark;
pub mod report;
pub mod rounds;
pub mod verdict;
