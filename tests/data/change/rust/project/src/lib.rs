//! Bookings of one day: half-open spans of minutes since midnight.

mod day;
mod gaps;
mod merge;
mod parse;
mod span;

pub use day::Day;
pub use gaps::{fit, gaps};
pub use merge::merge;
pub use parse::{parse_list, ParseError};
pub use span::Span;
