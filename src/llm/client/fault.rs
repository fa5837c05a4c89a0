//! Transport errors as [`VendorFailure`]s.
//!
//! The rule of `may_cost`: false only when no vendor can have seen the whole request.

use std::error::Error;
use std::time::Duration;

use hyper_util::client::legacy;

use super::connect::ConnectTimeoutError;
use crate::failure::{VendorFailure, VendorFailureKind};
use crate::vendor::Vendor;

/// The request could not be sent, or the head of an answer did not come.
pub(super) fn of_sending(vendor: Vendor, error: &legacy::Error) -> VendorFailure {
    let who = vendor.title();
    if find::<ConnectTimeoutError>(error).is_some() {
        let message = format!("{who}: no connection in time; is the address right and the network up?");
        return VendorFailure::new(VendorFailureKind::ConnectTimeout, message);
    }
    if error.is_connect() {
        let message = format!("{who}: no connection: {}", root(error));
        return VendorFailure::new(VendorFailureKind::Connect, message);
    }
    if find::<hyper::Error>(error).is_some_and(hyper::Error::is_parse) {
        return VendorFailure::malformed(vendor, "it is not HTTP");
    }
    VendorFailure::new(
        VendorFailureKind::Cut,
        format!("{who}: the connection ended before an answer: {}", root(error)),
    )
    .costing()
}

/// No byte came in time.
pub(super) fn first_byte_timeout(vendor: Vendor, limit: Duration) -> VendorFailure {
    let message = format!("{}: no answer within {limit:?}", vendor.title());
    VendorFailure::new(VendorFailureKind::FirstByteTimeout, message).costing()
}

/// The answer stopped or broke off.
pub(super) fn body_timeout(vendor: Vendor) -> VendorFailure {
    let message = format!("{}: the answer began but did not end in time", vendor.title());
    VendorFailure::new(VendorFailureKind::BodyTimeout, message).costing()
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    causes(error).find_map(<dyn Error>::downcast_ref)
}

/// The innermost cause: the outer ones only say "while sending".
fn root(error: &legacy::Error) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}
