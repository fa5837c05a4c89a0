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

impl CallDeadlines {
    /// The same for a whole answer: its first byte comes when all of it is made, so the usual limit of the
    /// first byte is none here, and one that somebody has set is.
    #[must_use]
    pub fn of_whole(self) -> Self {
        let is_usual = self.first_byte == Self::default().first_byte;
        Self { first_byte: if is_usual { self.overall } else { self.first_byte }, ..self }
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
    fn a_whole_answer_may_take_as_long_as_any_unless_somebody_says_otherwise() {
        let usual = CallDeadlines::default();
        assert_eq!(usual.of_whole().first_byte, usual.overall);
        let set = CallDeadlines { first_byte: Duration::from_secs(7), ..usual };
        assert_eq!(set.of_whole(), set);
    }

    #[test]
    fn the_documented_limits_are_the_usual_ones() {
        let set = SwarmConfig::load(&ConfigSources::default()).unwrap().gateway;
        assert_eq!(CallDeadlines::from(set), CallDeadlines::default());
    }
}
