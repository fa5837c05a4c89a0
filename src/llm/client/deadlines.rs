//! The deadlines of a call, by phase.

use std::time::Duration;

use pas_config::GatewayConfig;

/// Limits of one attempt at a call. Each counts from where its phase begins, `overall` from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallDeadlines {
    /// For name resolution, connection and TLS. Nothing has been sent when it passes.
    pub connect: Duration,
    /// From the start to the first byte of a stream.
    pub first_byte: Duration,
    /// The same for a complete answer, whose first byte comes when all of it is made.
    pub whole_first_byte: Duration,
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
            whole_first_byte: Duration::from_secs(600),
            idle: Duration::from_secs(60),
            overall: Duration::from_secs(600),
        }
    }
}

impl CallDeadlines {
    /// The same time for every phase.
    #[must_use]
    pub const fn all(limit: Duration) -> Self {
        Self { connect: limit, first_byte: limit, whole_first_byte: limit, idle: limit, overall: limit }
    }

    /// The limits of a call for a whole answer.
    #[must_use]
    pub const fn of_whole(self) -> Self {
        Self { first_byte: self.whole_first_byte, ..self }
    }
}

/// The configured limits.
impl From<GatewayConfig> for CallDeadlines {
    fn from(set: GatewayConfig) -> Self {
        let usual = Self::default();
        Self {
            connect: set.connect_timeout,
            first_byte: set.first_byte_timeout.unwrap_or(usual.first_byte).min(set.overall_timeout),
            whole_first_byte: set.first_byte_timeout.unwrap_or(set.overall_timeout),
            idle: set.idle_timeout,
            overall: set.overall_timeout,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pas_config::{ConfigSources, SwarmConfig};

    #[test]
    fn a_whole_answer_may_take_as_long_as_any_unless_somebody_says_otherwise() {
        let usual = SwarmConfig::load(&ConfigSources::default()).unwrap().gateway;
        let limits = CallDeadlines::from(usual);
        assert_eq!((limits.first_byte.as_secs(), limits.of_whole().first_byte), (120, limits.overall));
        // Whatever the number: also that of the usual limit of a stream.
        for seconds in [7, 120] {
            let set = GatewayConfig { first_byte_timeout: Some(Duration::from_secs(seconds)), ..usual };
            let limits = CallDeadlines::from(set);
            assert_eq!(
                (limits.first_byte.as_secs(), limits.of_whole().first_byte.as_secs()),
                (seconds, seconds)
            );
        }
    }

    #[test]
    fn the_documented_limits_are_the_usual_ones() {
        let set = SwarmConfig::load(&ConfigSources::default()).unwrap().gateway;
        assert_eq!(CallDeadlines::from(set), CallDeadlines::default());
    }
}
