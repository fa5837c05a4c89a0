//! Reads complete answers and error answers.

use std::time::SystemTime;

use hyper::header::CONTENT_TYPE;
use tokio::time::{Instant, timeout_at};

use super::transport::{VendorResponse, announced_bytes, next_piece};
use super::{CallDeadlines, fault};
use crate::failure::{VendorFailure, VendorFailureKind};
use crate::vendor::Vendor;
use crate::vendor_error;

/// Longest complete answer: 2,048 embeddings of 1,536 numbers as text fit.
pub(super) const MAX_ANSWER_BYTES: usize = 64 << 20;
/// Longest part of an error body that is read: vendors' errors are sentences.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// Refuses an answer with another content type than requested; a missing content type is accepted.
pub(super) fn check_content_type(
    vendor: Vendor,
    response: &VendorResponse,
    wanted: &[&str],
) -> Result<(), VendorFailure> {
    let Some(kind) = response.headers().get(CONTENT_TYPE) else { return Ok(()) };
    let kind = String::from_utf8_lossy(kind.as_bytes()).to_ascii_lowercase();
    if wanted.iter().any(|word| kind.contains(word)) {
        return Ok(());
    }
    let kind = kind.split(';').next().unwrap_or_default();
    let what = format!("its content type is {kind:?}, wanted is {}", wanted.join(" or "));
    Err(VendorFailure::malformed(vendor, &what))
}

/// Refuses a page for people, which no model's answer is: something on the way answered, so nothing is paid
/// for. Any other content type is left to the reader, since servers name theirs wrongly.
pub(super) fn refuse_page(vendor: Vendor, response: &VendorResponse) -> Result<(), VendorFailure> {
    let kind = response.headers().get(CONTENT_TYPE).map(|kind| kind.as_bytes().to_ascii_lowercase());
    if !kind.is_some_and(|kind| kind.starts_with(b"text/html")) {
        return Ok(());
    }
    let message = format!("{}: a page came in place of an answer; check the base URL", vendor.title());
    Err(VendorFailure::new(VendorFailureKind::Server, message))
}

pub(super) async fn read_whole(
    vendor: Vendor,
    mut response: VendorResponse,
    deadlines: &CallDeadlines,
    started: Instant,
) -> Result<Vec<u8>, VendorFailure> {
    let too_long = || VendorFailure::malformed(vendor, "it is longer than 64 MiB");
    let announced = usize::try_from(announced_bytes(&response)).unwrap_or(usize::MAX);
    if announced > MAX_ANSWER_BYTES {
        return Err(too_long());
    }
    let mut body = Vec::with_capacity(announced);
    loop {
        let limit = (started + deadlines.overall).min(Instant::now() + deadlines.idle);
        match timeout_at(limit, next_piece(&mut response)).await {
            Err(_) => return Err(fault::body_timeout(vendor)),
            Ok(Err(_)) => return Err(VendorFailure::cut(vendor)),
            Ok(Ok(None)) => return Ok(body),
            Ok(Ok(Some(piece))) if body.len() + piece.len() > MAX_ANSWER_BYTES => return Err(too_long()),
            Ok(Ok(Some(piece))) => body.extend_from_slice(&piece),
        }
    }
}

/// Classifies an answer with an error status, by its body or else by the status.
pub(super) async fn refused(
    vendor: Vendor,
    mut response: VendorResponse,
    deadlines: &CallDeadlines,
    started: Instant,
) -> VendorFailure {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    let limit = (started + deadlines.overall).min(Instant::now() + deadlines.idle);
    while let Ok(Ok(Some(piece))) = timeout_at(limit, next_piece(&mut response)).await {
        body.extend_from_slice(&piece[..piece.len().min(MAX_ERROR_BYTES - body.len())]);
        if body.len() == MAX_ERROR_BYTES {
            break;
        }
    }
    vendor_error::failure(vendor, status, &headers, &body, SystemTime::now())
}
