//! What went wrong on the way, as a [`Failure`].
//!
//! The rule of `may_cost`: false only where it is certain that no vendor has seen the whole request.

use std::error::Error;
use std::time::Duration;

use super::connect::TooSlow;
use crate::llm::failure::{Failure, FailureKind};
use crate::llm::vendor::Vendor;

/// The request could not be sent, or no head of an answer came.
pub(super) fn of_sending(vendor: Vendor, error: &reqwest::Error) -> Failure {
    let who = vendor.title();
    if find::<TooSlow>(error).is_some() {
        let message = format!("{who}: no connection in time; is the address right and the network up?");
        return Failure::new(FailureKind::ConnectTimeout, message);
    }
    if error.is_connect() || error.is_builder() {
        let message = format!("{who}: no connection: {}", root(error));
        return Failure::new(FailureKind::Connect, message);
    }
    if find::<hyper::Error>(error).is_some_and(hyper::Error::is_parse) {
        return Failure::malformed(vendor, "it is no HTTP");
    }
    Failure::new(FailureKind::Cut, format!("{who}: the connection ended before an answer: {}", root(error)))
        .costing()
}

/// Nothing came in time.
pub(super) fn first_byte_timeout(vendor: Vendor, limit: Duration) -> Failure {
    let message = format!("{}: no answer within {limit:?}", vendor.title());
    Failure::new(FailureKind::FirstByteTimeout, message).costing()
}

/// Something came, and then nothing more, or not all of it.
pub(super) fn body_timeout(vendor: Vendor) -> Failure {
    let message = format!("{}: the answer began but did not end in time", vendor.title());
    Failure::new(FailureKind::BodyTimeout, message).costing()
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    causes(error).find_map(<dyn Error>::downcast_ref)
}

/// The innermost cause: the others only say that it happened while sending.
fn root(error: &reqwest::Error) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}
