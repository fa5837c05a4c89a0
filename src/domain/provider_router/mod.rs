//! Choosing the provider of a model call: offers, exact prices, measurements, selection, circuit breakers.
//!
//! Invariants: prices and estimates are decimals, never binary floats; a choice depends only on its
//! arguments, so choices are reproducible; time comes in as a [`MonotonicTime`]. Failure policy:
//! [`NoProviderFits`] counts the offers excluded by each requirement.

pub mod breaker;
pub mod endpoint;
pub mod feature;
pub mod histogram;
pub mod measured;
pub mod model_name;
pub mod optimization;
pub mod price;
pub mod provider;
pub mod selection;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

/// A time on a monotonic clock, counted from the owner's epoch.
pub type MonotonicTime = std::time::Duration;

pub use breaker::{BreakerPermit, CircuitBreaker, CircuitPhase, ProbeTicket, ProviderEvidence};
pub use endpoint::{EndpointRefusal, EndpointRules};
pub use measured::{CallForecast, ProviderMeasurements};
pub use model_name::ModelName;
pub use optimization::RoutingOptimization;
pub use price::{TokenPrice, TokenPriceError};
pub use provider::{ProviderRegistration, ProviderSlo, RegisteredProvider};
pub use selection::{
    CallLimits, CallRequirements, NoProviderFits, ProviderCandidate, ProviderSelection, select,
};
