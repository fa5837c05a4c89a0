//! The catalogue of ports: one row a service.

/// A service with a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Jobs, approvals, traces and the tree.
    Orchestrator,
    /// Whom to ask for a model.
    ProviderRouter,
    /// Who has missed a beat.
    HeartbeatMonitor,
    /// Calls of agents.
    AgentRouter,
    /// Who there is.
    Registry,
}

impl Service {
    /// Its name, also that of its contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Orchestrator => "orchestrator",
            Self::ProviderRouter => "provider-router",
            Self::HeartbeatMonitor => "heartbeat-monitor",
            Self::AgentRouter => "agent-router",
            Self::Registry => "registry",
        }
    }
}

/// One port of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// Who serves it.
    pub service: Service,
    /// Its number, before the configured offset.
    pub number: u16,
}

/// All ports of this daemon, in the order in which they are bound.
#[must_use]
pub const fn ports() -> &'static [Port] {
    &[
        Port { service: Service::Orchestrator, number: 6100 },
        Port { service: Service::ProviderRouter, number: 6103 },
        Port { service: Service::HeartbeatMonitor, number: 6109 },
        Port { service: Service::AgentRouter, number: 6119 },
        Port { service: Service::Registry, number: 6121 },
    ]
}
