//! Reads an answer that is taken whole, and the ones that say no.

use std::time::SystemTime;

use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use tokio::time::{Instant, timeout_at};

use super::{Deadlines, fault};
use crate::llm::failure::Failure;
use crate::llm::refusal;
use crate::llm::vendor::Vendor;

/// Longest whole answer: 2,048 embeddings of 1,536 numbers written as text fit.
pub(super) const MAX_ANSWER_BYTES: usize = 64 << 20;
/// As much of an error as is read: vendors' errors are sentences.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// Refuses an answer of another kind than asked for; one that does not say its kind is read.
pub(super) fn check_content_type(
    vendor: Vendor,
    response: &Response,
    wanted: &[&str],
) -> Result<(), Failure> {
    let Some(kind) = response.headers().get(CONTENT_TYPE) else { return Ok(()) };
    let kind = String::from_utf8_lossy(kind.as_bytes()).to_ascii_lowercase();
    if wanted.iter().any(|word| kind.contains(word)) {
        return Ok(());
    }
    let kind = kind.split(';').next().unwrap_or_default();
    let what = format!("its content type is {kind:?}, wanted is {}", wanted.join(" or "));
    Err(Failure::malformed(vendor, &what))
}

pub(super) async fn read_whole(
    vendor: Vendor,
    mut response: Response,
    deadlines: &Deadlines,
    started: Instant,
) -> Result<Vec<u8>, Failure> {
    let too_long = || Failure::malformed(vendor, "it is longer than 64 MiB");
    let announced = usize::try_from(response.content_length().unwrap_or(0)).unwrap_or(usize::MAX);
    if announced > MAX_ANSWER_BYTES {
        return Err(too_long());
    }
    let mut body = Vec::with_capacity(announced);
    loop {
        let limit = (started + deadlines.overall).min(Instant::now() + deadlines.idle);
        match timeout_at(limit, response.chunk()).await {
            Err(_) => return Err(fault::body_timeout(vendor)),
            Ok(Err(_)) => return Err(Failure::cut(vendor)),
            Ok(Ok(None)) => return Ok(body),
            Ok(Ok(Some(piece))) if body.len() + piece.len() > MAX_ANSWER_BYTES => return Err(too_long()),
            Ok(Ok(Some(piece))) => body.extend_from_slice(&piece),
        }
    }
}

/// What an answer with an error status means. Its body helps to tell; without it, the status does.
pub(super) async fn refused(
    vendor: Vendor,
    mut response: Response,
    deadlines: &Deadlines,
    started: Instant,
) -> Failure {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    let limit = (started + deadlines.overall).min(Instant::now() + deadlines.idle);
    while let Ok(Ok(Some(piece))) = timeout_at(limit, response.chunk()).await {
        body.extend_from_slice(&piece[..piece.len().min(MAX_ERROR_BYTES - body.len())]);
        if body.len() == MAX_ERROR_BYTES {
            break;
        }
    }
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    refusal::failure(vendor, status, header, &body, SystemTime::now())
}
