//! The fields that every document about an agent begins with: who it is, and how it stands.

use serde_json::{Map, Value, json};

use crate::domain::agent::AgentDefinition;
use crate::domain::hmi::AgentStanding;

pub(super) fn agent_fields(agent: &AgentDefinition, standing: &AgentStanding) -> Map<String, Value> {
    let identity = json!({
        "name": agent.name,
        "display_name": agent.display_name,
        "description": agent.description,
        "role": agent.role,
        "tier": agent.tier,
        "mode": agent.mode,
        "parent": agent.parent,
        "capabilities": agent.capabilities,
    });
    [identity, json!(standing)]
        .into_iter()
        .filter_map(|fields| if let Value::Object(fields) = fields { Some(fields) } else { None })
        .flatten()
        .collect()
}
