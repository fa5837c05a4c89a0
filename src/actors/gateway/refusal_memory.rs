//! What providers said when they asked for a wait, for the callers that come meanwhile.
//!
//! While a provider rests nobody calls it; the next callers of its model get the answer of the first, with the
//! rest of the wait, so that a rate limit stays a rate limit to them. One entry a provider.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::header::{HeaderValue, RETRY_AFTER};
use tokio::time::Instant;

use super::candidate::CallCandidate;
use crate::llm::{VendorFailure, VendorFailureKind};

#[derive(Debug, Default)]
pub(super) struct RefusalMemory(Mutex<HashMap<String, RememberedRefusal>>);

#[derive(Debug)]
struct RememberedRefusal {
    model: String,
    failure: VendorFailure,
    until: Instant,
}

impl RefusalMemory {
    /// Notes a failure, if it asks for a wait.
    pub(super) fn note(&self, candidate: &CallCandidate, failure: &VendorFailure) {
        let is_wait = matches!(failure.kind, VendorFailureKind::RateLimited | VendorFailureKind::Server);
        let Some(wait) = failure.retry_after.filter(|_| is_wait) else { return };
        let Some(until) = Instant::now().checked_add(wait) else { return };
        let (model, failure) = (candidate.model.clone(), failure.clone());
        self.0.lock().insert(candidate.provider.clone(), RememberedRefusal { model, failure, until });
    }

    /// The refusal of a provider that still rests.
    pub(super) fn of_provider(&self, provider: &str) -> Option<VendorFailure> {
        self.0.lock().get(provider)?.now()
    }

    /// The refusal of any provider of a model, which may be named `provider/model`.
    pub(super) fn of_model(&self, name: &str) -> Option<VendorFailure> {
        let memory = self.0.lock();
        let is_named =
            |model: &str| name.strip_suffix(model).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'));
        memory.values().filter(|refusal| is_named(&refusal.model)).find_map(RememberedRefusal::now)
    }
}

impl RememberedRefusal {
    /// The failure with the rest of its wait.
    fn now(&self) -> Option<VendorFailure> {
        let left = self.until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        let mut failure = self.failure.clone();
        failure.retry_after = Some(left);
        if let Some(said) = &mut failure.said {
            let headers = &mut Arc::make_mut(said).headers;
            headers.remove("retry-after-ms");
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds(left)));
        }
        Some(failure)
    }
}

fn seconds(left: Duration) -> u64 {
    left.as_secs() + u64::from(left.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::accounts::price::PriceTable;
    use crate::llm::{Vendor, VendorEndpoint};

    #[tokio::test(start_paused = true)]
    async fn the_next_callers_get_the_first_one_s_answer_until_its_time_is_up() {
        let endpoints = Vendor::ALL.map(|vendor| VendorEndpoint::new(vendor, "http://h", None)).into();
        let prices = PriceTable::new(None).unwrap();
        let candidate = CallCandidate::pinned(&endpoints, Vendor::OpenAi, "gpt-4-turbo", &prices);
        let memory = RefusalMemory::default();
        let limited = VendorFailure::new(VendorFailureKind::RateLimited, "slow down");
        memory.note(&candidate, &limited);
        assert_eq!(memory.of_provider(&candidate.provider), None, "it asks for no wait");
        let limited = VendorFailure { retry_after: Some(Duration::from_secs(60)), ..limited };
        memory.note(&candidate, &limited);
        tokio::time::advance(Duration::from_secs(20)).await;
        let left = VendorFailure { retry_after: Some(Duration::from_secs(40)), ..limited };
        assert_eq!(memory.of_provider(&candidate.provider), Some(left.clone()));
        for name in ["gpt-4-turbo", "openai/gpt-4-turbo"] {
            assert_eq!(memory.of_model(name), Some(left.clone()));
        }
        assert_eq!((memory.of_model("x-gpt-4-turbo"), memory.of_model("gpt-4")), (None, None));
        tokio::time::advance(Duration::from_secs(40)).await;
        assert_eq!(memory.of_model("gpt-4-turbo"), None);
    }
}
