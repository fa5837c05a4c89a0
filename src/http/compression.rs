//! Compression of JSON answers: a picture of a large swarm shrinks to a tenth, which matters on a slow line.
//!
//! Fast rather than small, because pictures are made several times a second. Streams and files go out as they are.

use axum::http::header::CONTENT_TYPE;
use axum::http::{Extensions, HeaderMap, StatusCode, Version};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate, SizeAbove};

/// Bytes below which packing saves nothing.
const LEAST: u64 = 1024;

/// Packs JSON for clients that ask for it.
pub(super) fn of_json() -> CompressionLayer<impl Predicate> {
    let is_json = |_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions| {
        headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"))
    };
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(LEAST).and(is_json))
}
