//! Review: another vendor's model reads a change, and the daemon runs the tests of its objections.
//!
//! Pure: the reviewer's report is parsed strictly, its blocking remarks are settled by the ends of their tests, and the
//! verdict is bound to one commit. Failure policy: a report that breaks its form is refused with words that mend it; a
//! remark that shows nothing does not block.

pub mod independence;
pub mod prompt;
pub mod remark;
pub mod report;
pub mod rounds;
pub mod verdict;
