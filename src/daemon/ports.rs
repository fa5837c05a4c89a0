//! The catalogue of ports: one row a service.

/// One port of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// The service; also the name of its contract.
    pub service: &'static str,
    /// Its number, before the configured offset.
    pub number: u16,
}

/// All ports of this daemon, in the order in which they are bound.
#[must_use]
pub const fn ports() -> &'static [Port] {
    &[
        Port { service: "orchestrator", number: 6100 },
        Port { service: "heartbeat-monitor", number: 6109 },
        Port { service: "agent-router", number: 6119 },
        Port { service: "registry", number: 6121 },
    ]
}
