//! The catalogue of ports: one row a service.

use crate::actors::gateway::LOCAL_MODELS;
use crate::http::limits::MODEL_BODY;
use crate::llm::Vendor;

/// A service with a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Jobs, approvals, traces and the tree.
    Orchestrator,
    /// What an operator sees and acts with.
    Hmi,
    /// What happens.
    EventStream,
    /// Whom to ask for a model.
    ProviderRouter,
    /// The machine, shared out.
    ResourceManager,
    /// How full contexts are.
    TokenGovernor,
    /// Who has missed a beat.
    HeartbeatMonitor,
    /// Calls of agents.
    AgentRouter,
    /// Calls of models.
    Gateway,
    /// Who there is.
    Registry,
    /// A local model by itself: its place in [`LOCAL_MODELS`].
    LocalModel(usize),
    /// A vendor of models by itself.
    Adapter(Vendor),
    /// What a question is about.
    Tlc,
}

impl Service {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Orchestrator => "orchestrator",
            Self::Hmi => "hmi",
            Self::EventStream => "event-stream",
            Self::ProviderRouter => "provider-router",
            Self::ResourceManager => "resource-manager",
            Self::TokenGovernor => "token-governor",
            Self::HeartbeatMonitor => "heartbeat-monitor",
            Self::AgentRouter => "agent-router",
            Self::Gateway => "gateway",
            Self::Registry => "registry",
            Self::Tlc => "tlc-domain-classifier",
            Self::LocalModel(0) => "llama-3.1-8b",
            Self::LocalModel(_) => "tinyllama-1.1b",
            Self::Adapter(vendor) => match vendor {
                Vendor::OpenAi => "openai-adapter",
                Vendor::Anthropic => "anthropic-adapter",
                Vendor::Gemini => "gemini-adapter",
                Vendor::Grok => "grok-adapter",
                Vendor::Ollama => "ollama-adapter",
            },
        }
    }

    /// The name of its contract; services of one kind share theirs.
    #[must_use]
    pub const fn contract(self) -> &'static str {
        match self {
            Self::LocalModel(_) => "local-model",
            Self::Adapter(_) => "model-adapter",
            other => other.name(),
        }
    }

    /// Largest request body of its port where that is not the configured one.
    #[must_use]
    pub const fn max_body(self) -> Option<u64> {
        match self {
            Self::Gateway | Self::LocalModel(_) | Self::Adapter(_) | Self::Tlc => Some(MODEL_BODY),
            _ => None,
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
        Port { service: Service::Hmi, number: 6101 },
        Port { service: Service::EventStream, number: 6102 },
        Port { service: Service::ProviderRouter, number: 6103 },
        Port { service: Service::ResourceManager, number: 6104 },
        Port { service: Service::TokenGovernor, number: 6105 },
        Port { service: Service::HeartbeatMonitor, number: 6109 },
        Port { service: Service::AgentRouter, number: 6119 },
        Port { service: Service::Gateway, number: 6120 },
        Port { service: Service::Registry, number: 6121 },
        Port { service: Service::LocalModel(0), number: LOCAL_MODELS[0].port },
        Port { service: Service::LocalModel(1), number: LOCAL_MODELS[1].port },
        Port { service: Service::Tlc, number: 8052 },
        Port { service: Service::Adapter(Vendor::OpenAi), number: 8100 },
        Port { service: Service::Adapter(Vendor::Anthropic), number: 8101 },
        Port { service: Service::Adapter(Vendor::Gemini), number: 8102 },
        Port { service: Service::Adapter(Vendor::Grok), number: 8103 },
    ]
}
