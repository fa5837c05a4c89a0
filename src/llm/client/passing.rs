//! Calls that are passed on in the protocol of client and vendor.

use serde::Deserialize;
use tokio::time::Instant;

use super::{CallDeadlines, ChunkStream, VendorClient, answer, mask};
use crate::endpoint::VendorEndpoint;
use crate::failure::VendorFailure;
use crate::passage::{self, PassedAnswer, PassedRequest};
use pas_domain::accounts::budget::Hold;
use pas_domain::usage::TokenUsage;

/// The answer to a question for a count: Anthropic's, or Gemini's.
#[derive(Deserialize)]
struct VendorTokenCount {
    #[serde(alias = "totalTokens")]
    input_tokens: u64,
}

impl VendorClient {
    /// Passes a request for a whole answer on.
    ///
    /// # Errors
    /// Any [`VendorFailure`].
    pub async fn pass(
        &self,
        _hold: &Hold,
        endpoint: &VendorEndpoint,
        passed: &PassedRequest,
        deadlines: &CallDeadlines,
    ) -> Result<(PassedAnswer, Option<TokenUsage>), VendorFailure> {
        let (vendor, started) = (endpoint.vendor(), Instant::now());
        let response = self.send(endpoint, passed.wire(vendor), deadlines, started).await?;
        answer::refuse_page(vendor, &response)?;
        let headers = passage::headers_of_answer(response.headers());
        let tier = passage::tier_of_answer(response.headers());
        let body = answer::read_whole(vendor, response, deadlines, started).await?;
        let read = passage::usage_of_answer(passed.protocol(), vendor, &passed.defaults(), body);
        let (body, usage) = read.map_err(|failure| mask(failure, endpoint))?;
        let in_tier = |usage: TokenUsage| match tier {
            Some(tier) if usage.tier.is_standard() => usage.in_tier(tier),
            _ => usage,
        };
        Ok((PassedAnswer { body, headers }, usage.map(in_tier)))
    }

    /// Passes a request for a stream on, and waits for the first event.
    ///
    /// # Errors
    /// Any [`VendorFailure`]; later ones are items of the stream.
    pub async fn pass_stream(
        &self,
        _hold: &Hold,
        endpoint: &VendorEndpoint,
        passed: &PassedRequest,
        deadlines: &CallDeadlines,
    ) -> Result<ChunkStream, VendorFailure> {
        let (vendor, started) = (endpoint.vendor(), Instant::now());
        let response = self.send(endpoint, passed.wire(vendor), deadlines, started).await?;
        answer::refuse_page(vendor, &response)?;
        let headers = passage::headers_of_answer(response.headers());
        let decoder = passage::decoder(vendor, passed, response.headers());
        let stream = ChunkStream::begin(endpoint, response, decoder, deadlines, started).await?;
        Ok(stream.with_headers(headers))
    }

    /// Asks the vendor for the count of a request's tokens, which costs nothing.
    ///
    /// # Errors
    /// Any [`VendorFailure`].
    pub async fn count_tokens(
        &self,
        endpoint: &VendorEndpoint,
        passed: &PassedRequest,
        deadlines: &CallDeadlines,
    ) -> Result<u64, VendorFailure> {
        let vendor = endpoint.vendor();
        let body = self.read_answer(endpoint, passed.count_wire(vendor), deadlines).await?;
        let count: Result<VendorTokenCount, _> = serde_json::from_slice(&body);
        count.map(|count| count.input_tokens).map_err(|error| VendorFailure {
            may_cost: false,
            ..VendorFailure::malformed(vendor, &error.to_string())
        })
    }
}
