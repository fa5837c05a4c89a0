//! What all ports for models share: who calls, in which form, and how answers and streams go out.
//!
//! Invariants: an error has the form of its surface; a stream's bytes go out as they come, and a cut
//! stream ends with an error in its surface's form.

mod caller;
mod form;
mod reply;
mod style;

pub(super) use self::caller::caller;
pub(super) use self::form::{form_of, in_form};
pub(super) use self::reply::{embed, problem, reply};
pub(super) use self::style::{Style, read};
