//! The front matter of a definition: the fields as written, and the defaults of omitted ones.
//!
//! A plain Claude Code sub-agent (`name`, `description`, optionally `tools`, `model`) is a definition with
//! defaults for everything else, and so becomes an executor below the architect that works with a model.
//! Invariants: unknown fields are errors; a default never grants a right that the tools do not imply.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::{Location, Spanned};

use super::{
    AccessLevel, AgentBehaviour, AgentDefinition, AgentMode, AgentPort, AgentResources, AgentRole,
    AgentSupervision, AgentTier, AgentTransport, ApprovalGate, Capability, CpuCores, DefinitionSource,
    HeartbeatInterval, MemoryMb, Rights, TaskName, TokenBudget,
};
use crate::ids::AgentName;

/// The permission mode of Claude Code in which nothing is changed.
const PLAN_MODE: &str = "plan";
/// The default parent of an executor.
pub const DEFAULT_PARENT: &str = "architect";
/// Heartbeat interval where none is given, in seconds: the registry's default.
pub const DEFAULT_HEARTBEAT_S: u32 = 60;
/// Default memory in megabytes: the request of most built-in system agents.
pub const DEFAULT_MEMORY_MB: u32 = 1024;

/// A diagnostic for one line.
pub(super) type LineDiagnostic = (u32, String);

/// The fields as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FrontMatter {
    name: Spanned<AgentName>,
    description: Spanned<String>,
    #[serde(default)]
    tools: ToolNames,
    model: Option<String>,
    /// Written by Claude Code into every sub-agent; ignored here.
    #[serde(rename = "color")]
    _color: Option<IgnoredAny>,
    #[serde(rename = "disallowedTools", default)]
    disallowed_tools: ToolNames,
    #[serde(rename = "maxTurns")]
    max_turns: Option<NonZeroU32>,
    #[serde(rename = "permissionMode")]
    permission_mode: Option<String>,
    // The rest of Claude Code's fields: accepted, so that its files load, and without effect here.
    #[serde(rename = "mcpServers")]
    mcp_servers: Option<IgnoredAny>,
    isolation: Option<IgnoredAny>,
    skills: Option<IgnoredAny>,
    hooks: Option<IgnoredAny>,
    memory: Option<IgnoredAny>,
    background: Option<IgnoredAny>,
    effort: Option<IgnoredAny>,
    display_name: Option<String>,
    role: Option<AgentRole>,
    tier: Option<AgentTier>,
    mode: Option<AgentMode>,
    parent: Option<Spanned<AgentName>>,
    capabilities: Option<Spanned<Vec<Spanned<Capability>>>>,
    transports: Option<Spanned<Vec<AgentTransport>>>,
    rights: Option<Rights>,
    token_budget: Option<TokenBudget>,
    max_tokens: Option<NonZeroU32>,
    resources: Option<AgentResources>,
    heartbeat_interval_s: Option<HeartbeatInterval>,
    #[serde(default)]
    approvals_required: Vec<ApprovalGate>,
    models: Option<Vec<String>>,
    port: Option<Spanned<AgentPort>>,
    behaviour: Option<Spanned<AgentBehaviour>>,
    tasks: Option<Spanned<Vec<Spanned<TaskName>>>>,
    /// The older name for a native agent's only task.
    skill: Option<Spanned<TaskName>>,
    #[serde(default)]
    supervision: AgentSupervision,
}

impl FrontMatter {
    /// Fills in defaults and checks the fields against each other.
    pub(super) fn complete(self, source: &str, prompt: &str) -> Result<AgentDefinition, LineDiagnostic> {
        let name_line = line_of(self.name.referenced);
        let role = self.role.unwrap_or(AgentRole::Exec);
        let description = self.description.value.trim().to_owned();
        if description.is_empty() {
            let line = line_of(self.description.referenced);
            return Err((line, "description is empty: say when to use this agent".to_owned()));
        }
        let behaviour = behaviour(role, name_line, self.behaviour.as_ref())?;
        let tasks = tasks(behaviour, name_line, self.tasks, self.skill)?;
        let source = DefinitionSource {
            file: source.to_owned(),
            name_line,
            parent_line: self.parent.as_ref().map_or(name_line, |parent| line_of(parent.referenced)),
            port_line: self.port.as_ref().map_or(name_line, |port| line_of(port.referenced)),
        };
        let ignored = [
            ("mcpServers", self.mcp_servers.is_some()),
            ("isolation", self.isolation.is_some()),
            ("skills", self.skills.is_some()),
            ("hooks", self.hooks.is_some()),
            ("memory", self.memory.is_some()),
            ("background", self.background.is_some()),
            ("effort", self.effort.is_some()),
        ];
        // A mode that only plans changes nothing; every other one asks, which the sandbox stands for.
        let plans = self.permission_mode.as_deref() == Some(PLAN_MODE);
        let rights = self.rights.or_else(|| Rights::implied_by(&self.tools.0)).map(|rights| {
            let rights = rights.without(&self.disallowed_tools.0);
            if plans {
                Rights { filesystem: rights.filesystem.min(AccessLevel::Read), ..rights }
            } else {
                rights
            }
        });
        let name = self.name.value;
        Ok(AgentDefinition {
            display_name: self.display_name.unwrap_or_else(|| title(name.as_str())),
            description,
            role,
            tier: self.tier.unwrap_or(AgentTier::FIRST),
            mode: self.mode.unwrap_or(AgentMode::Task),
            parent: parent(role, self.parent.map(|parent| parent.value)),
            capabilities: capabilities(&name, name_line, self.capabilities)?,
            transports: transports(self.transports)?,
            rights,
            max_turns: self.max_turns,
            ignored: ignored.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name).collect(),
            tools: self.tools.0,
            models: self.models.unwrap_or_else(|| {
                self.model.iter().filter(|model| model.as_str() != "inherit").cloned().collect()
            }),
            model: self.model,
            token_budget: self.token_budget.unwrap_or(TokenBudget::DEFAULT),
            max_tokens: self.max_tokens,
            resources: self.resources.unwrap_or(DEFAULT_RESOURCES),
            heartbeat_interval: self.heartbeat_interval_s.unwrap_or(DEFAULT_HEARTBEAT),
            approvals_required: self.approvals_required,
            port: self.port.map(|port| port.value),
            behaviour,
            tasks,
            supervision: self.supervision,
            prompt: prompt.to_owned(),
            source,
            name,
        })
    }

    /// The name and its line.
    pub(super) fn name(&self) -> (&AgentName, u32) {
        (&self.name.value, line_of(self.name.referenced))
    }
}

const DEFAULT_HEARTBEAT: HeartbeatInterval = match HeartbeatInterval::from_seconds(DEFAULT_HEARTBEAT_S) {
    Some(interval) => interval,
    None => panic!("the default interval is not 0"),
};

const DEFAULT_RESOURCES: AgentResources = AgentResources {
    cpu_cores: CpuCores::MIN,
    memory_mb: match MemoryMb::new(DEFAULT_MEMORY_MB) {
        Some(memory) => memory,
        None => panic!("the default memory is not 0"),
    },
    gpus: 0,
    gpu_memory_mb: 0,
};

/// A location's line; 1, the opening line, where the parser knows none.
pub(super) fn line_of(location: Location) -> u32 {
    u32::try_from(location.line()).ok().and_then(NonZeroU32::new).map_or(1, NonZeroU32::get)
}

fn parent(role: AgentRole, written: Option<AgentName>) -> Option<AgentName> {
    match role {
        AgentRole::Exec => written.or_else(|| AgentName::new(DEFAULT_PARENT).ok()),
        AgentRole::Coord | AgentRole::System => written,
    }
}

/// An agent that names no capability can be asked for itself: `code-reviewer` offers `code_reviewer`.
fn capabilities(
    name: &AgentName,
    name_line: u32,
    written: Option<Spanned<Vec<Spanned<Capability>>>>,
) -> Result<Vec<Capability>, LineDiagnostic> {
    let Some(written) = written else {
        let own = Capability::new(name.as_str().replace('-', "_"));
        return own.map(|own| vec![own]).map_err(|reason| (name_line, reason));
    };
    if written.value.is_empty() {
        let reason = "capabilities is empty: name at least one, or omit the field".to_owned();
        return Err((line_of(written.referenced), reason));
    }
    let mut seen = BTreeSet::new();
    match written.value.iter().find(|capability| !seen.insert(&capability.value)) {
        Some(twice) => {
            Err((line_of(twice.referenced), format!("capability `{}` is listed twice", twice.value)))
        }
        None => Ok(written.value.into_iter().map(|capability| capability.value).collect()),
    }
}

fn transports(written: Option<Spanned<Vec<AgentTransport>>>) -> Result<Vec<AgentTransport>, LineDiagnostic> {
    match written {
        None => Ok(vec![AgentTransport::Rpc]),
        Some(list) if list.value.is_empty() => Err((
            line_of(list.referenced),
            "transports is empty: name at least one, or omit the field".to_owned(),
        )),
        Some(list) => Ok(list.value),
    }
}

fn behaviour(
    role: AgentRole,
    name_line: u32,
    written: Option<&Spanned<AgentBehaviour>>,
) -> Result<AgentBehaviour, LineDiagnostic> {
    let line = written.map_or(name_line, |word| line_of(word.referenced));
    let behaviour = written.map_or_else(|| usual_behaviour(role), |word| word.value);
    let fits = match role {
        AgentRole::Coord => behaviour == AgentBehaviour::Coordinator,
        AgentRole::System => behaviour == AgentBehaviour::System,
        AgentRole::Exec => !matches!(behaviour, AgentBehaviour::Coordinator | AgentBehaviour::System),
    };
    if fits {
        return Ok(behaviour);
    }
    let (noun, word) = (role.noun(), behaviour.as_str());
    Err((line, format!("{noun} cannot have behaviour {word}: role and behaviour must agree")))
}

/// The tasks as written, each once. A native agent does nothing but tasks, so at least one must be listed.
fn tasks(
    behaviour: AgentBehaviour,
    name_line: u32,
    written: Option<Spanned<Vec<Spanned<TaskName>>>>,
    skill: Option<Spanned<TaskName>>,
) -> Result<Option<Vec<TaskName>>, LineDiagnostic> {
    if let Some(skill) = skill {
        let line = line_of(skill.referenced);
        if behaviour != AgentBehaviour::Native {
            return Err((
                line,
                "skill is given, but only behaviour native has one; write `tasks`".to_owned(),
            ));
        }
        if written.is_some() {
            let reason = "skill is an older name for `tasks`, and both are given: keep `tasks`".to_owned();
            return Err((line, reason));
        }
        return Ok(Some(vec![skill.value]));
    }
    let Some(written) = written else {
        let reason = "behaviour is native, so `tasks` must list at least one, such as [ingest.audit]";
        return if behaviour == AgentBehaviour::Native {
            Err((name_line, reason.to_owned()))
        } else {
            Ok(None)
        };
    };
    if behaviour == AgentBehaviour::Command && !written.value.is_empty() {
        let reason = format!("agents of behaviour {} take no task in this version", behaviour.as_str());
        return Err((line_of(written.referenced), reason));
    }
    let mut seen = BTreeSet::new();
    match written.value.iter().find(|task| !seen.insert(&task.value)) {
        Some(twice) => Err((line_of(twice.referenced), format!("task `{}` is listed twice", twice.value))),
        None => Ok(Some(written.value.into_iter().map(|task| task.value).collect())),
    }
}

fn usual_behaviour(role: AgentRole) -> AgentBehaviour {
    match role {
        AgentRole::Coord => AgentBehaviour::Coordinator,
        AgentRole::System => AgentBehaviour::System,
        AgentRole::Exec => AgentBehaviour::Llm,
    }
}

/// `code-reviewer` → `Code Reviewer`.
fn title(name: &str) -> String {
    let capitalised = |word: &str| {
        let mut chars = word.chars();
        chars.next().map(|first| first.to_uppercase().chain(chars).collect::<String>())
    };
    name.split(['-', '_']).filter_map(capitalised).collect::<Vec<_>>().join(" ")
}

/// Tool names, written as a list or as one comma-separated text.
#[derive(Default)]
struct ToolNames(Vec<String>);

impl<'de> Deserialize<'de> for ToolNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ToolsVisitor)
    }
}

struct ToolsVisitor;

impl<'de> Visitor<'de> for ToolsVisitor {
    type Value = ToolNames;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tool names, as a list or separated by commas")
    }

    fn visit_str<E>(self, text: &str) -> Result<ToolNames, E> {
        Ok(ToolNames(split_tools(text)))
    }

    fn visit_unit<E>(self) -> Result<ToolNames, E> {
        Ok(ToolNames::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<ToolNames, A::Error> {
        let mut tools = Vec::new();
        while let Some(tool) = seq.next_element::<String>()? {
            tools.push(tool.trim().to_owned());
        }
        tools.retain(|tool| !tool.is_empty());
        Ok(ToolNames(tools))
    }
}

/// Splits at the commas outside parentheses: `Bash(git log:*, git diff:*)` is one tool.
fn split_tools(text: &str) -> Vec<String> {
    let mut depth = 0_usize;
    text.split(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
    .map(|tool| tool.trim().to_owned())
    .filter(|tool| !tool.is_empty())
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_inside_parentheses_do_not_split_a_tool() {
        let tools = split_tools("Read, Bash(git log:*, git diff:*),,Edit ");
        assert_eq!(tools, ["Read", "Bash(git log:*, git diff:*)", "Edit"]);
    }

    #[test]
    fn a_title_is_made_of_the_names_words() {
        assert_eq!(title("code-reviewer"), "Code Reviewer");
        assert_eq!(title("llm_llama31--8b"), "Llm Llama31 8b");
    }
}
