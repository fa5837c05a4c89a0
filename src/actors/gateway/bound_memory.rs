//! How far vendors have counted beyond the bounds of prompts, so that it happens once.
//!
//! A tokenizer that is dearer than the margin of [`crate::llm::token_estimate`], or a prompt to which the vendor
//! adds more than is known, shows in the first bill; from then on holds for that provider are raised by as much and
//! a quarter. One entry a provider that was ever above; kept until the daemon ends.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// In thousandths: bounds as they are.
const EXACT: u64 = 1_000;
/// The most a bound is raised: a bill beyond it is wrong, and must not close the budgets for ever.
const MOST: u64 = 8_000;

#[derive(Debug, Clone, Default)]
pub(super) struct BoundMemory(Arc<Mutex<HashMap<String, u64>>>);

impl BoundMemory {
    /// The bound of a prompt at this provider, from the usual one.
    pub(super) fn raised(&self, provider: &str, bound: u64) -> u64 {
        let factor = self.0.lock().get(provider).copied().unwrap_or(EXACT);
        bound.saturating_mul(factor).div_ceil(EXACT)
    }

    /// Notes the vendor's count of a prompt with this bound.
    pub(super) fn note(&self, provider: &str, bound: u64, counted: u64) {
        if counted <= bound {
            return;
        }
        let mut memory = self.0.lock();
        let factor = memory.entry(provider.to_owned()).or_insert(EXACT);
        let needed = counted.saturating_mul(*factor).div_ceil(bound.max(1));
        *factor = needed.saturating_add(needed / 4).min(MOST);
        tracing::warn!(provider, counted, bound, "a prompt was counted above its bound; holds are raised");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_that_counted_more_is_held_for_more_and_no_other() {
        let memory = BoundMemory::default();
        memory.note("a", 100, 100);
        assert_eq!(memory.raised("a", 200), 200, "it kept to the bound");
        memory.note("a", 100, 160);
        assert_eq!((memory.raised("a", 200), memory.raised("b", 200)), (400, 200));
        memory.note("a", 200, 220);
        assert_eq!(memory.raised("a", 200), 550, "beyond the raised bound, it is raised again");
        memory.note("a", 1, u64::MAX);
        assert_eq!(memory.raised("a", 100), 800);
    }
}
