//! Choosing who serves a model call: offers, exact prices, measurements, the choice, and circuits.
//!
//! Invariants: prices and estimates are decimals, never binary floats; a choice depends on nothing but
//! its arguments, so the same question about the same state gets the same answer; time comes in as a
//! [`Moment`]. Failure policy: [`NoneFits`] says how many offers each requirement left out.

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
#[cfg(test)]
pub(crate) mod testing;

/// A time on a monotonic clock, counted from whatever start its owner chose.
pub type Moment = std::time::Duration;

pub use breaker::{Breaker, Evidence, Pass, Phase, ProbeTicket};
pub use endpoint::{EndpointRules, Unfit};
pub use measured::{Expected, Measured};
pub use model_name::ModelName;
pub use optimization::Optimization;
pub use price::{PriceError, TokenPrice};
pub use provider::{Provider, Registration, Slo};
pub use selection::{Candidate, Choice, Limits, NoneFits, Requirements, select};
