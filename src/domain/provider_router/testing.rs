//! Offers for the tests of this module.

#![allow(clippy::unwrap_used, reason = "a test's own value that is wrong is a failed test")]

use super::provider::{ProviderRegistration, RegisteredProvider};
use crate::time::Timestamp;

/// An offer with plain figures.
pub fn provider(name: &str, model: &str) -> RegisteredProvider {
    let registration: ProviderRegistration = serde_json::from_value(serde_json::json!({
        "name": name, "model": model, "context_window": 128_000, "endpoint": "http://localhost:8100",
        "cost_per_input_token": 0.000_001, "cost_per_output_token": 0.000_002,
    }))
    .expect("a registration");
    registration.into_provider(None, Timestamp::from_millis(0))
}
