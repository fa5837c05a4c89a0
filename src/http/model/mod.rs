//! Shared by all model ports: the caller, the inbound format, and how answers and streams go out.
//!
//! Invariants: an error has the client's inbound format; a stream's bytes go out as they come, and a cut
//! stream ends with an error in that format.

mod api_format;
mod caller;
mod reply;
mod response_writer;

pub(super) use self::api_format::{form_of, in_form};
pub(super) use self::caller::caller;
pub(super) use self::reply::{embed, problem, reply};
pub(super) use self::response_writer::{ReplyFormat, read, read_generate, read_original};
