//! The deadlines of a call, by phase.

use std::time::Duration;

use crate::config::GatewayConfig;

/// Limits of one attempt at a call. Each counts from where its phase begins, `overall` from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallDeadlines {
    /// For name resolution, connection and TLS. Nothing has been sent when it passes.
    pub connect: Duration,
    /// From the start to the first byte of the answer; for a complete answer, nearly the whole time.
    pub first_byte: Duration,
    /// Between two pieces of the answer.
    pub idle: Duration,
    pub overall: Duration,
}

/// Connections are made within tenths of a second, and retried once by TCP after one and after three
/// seconds. The others are those of the vendors' SDKs (ten minutes for all), but for silence: two minutes
/// before an answer (a reasoning model thinks that long), one minute within.
impl Default for CallDeadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(120),
            idle: Duration::from_secs(60),
            overall: Duration::from_secs(600),
        }
    }
}

/// The configured limits.
impl From<GatewayConfig> for CallDeadlines {
    fn from(set: GatewayConfig) -> Self {
        Self {
            connect: set.connect_timeout,
            first_byte: set.first_byte_timeout,
            idle: set.idle_timeout,
            overall: set.overall_timeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConfigSources, SwarmConfig};

    #[test]
    fn the_documented_limits_are_the_usual_ones() {
        let set = SwarmConfig::load(&ConfigSources::default()).unwrap().gateway;
        assert_eq!(CallDeadlines::from(set), CallDeadlines::default());
    }
}
