//! The front matter of a definition: its fields as written, and what is meant where one is left out.
//!
//! Two forms are one: a plain Claude Code sub-agent (`name`, `description`, maybe `tools`, `model`)
//! is a definition that leaves everything else to the defaults, and so becomes an executor below the
//! architect that works with a model. Invariants: unknown fields are errors; a default never grants a
//! right that the tools do not imply.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::{Location, Spanned};

use super::{
    AgentDefinition, Approval, Behaviour, Capability, CpuCores, HeartbeatInterval, MemoryMb, Mode, Port,
    Resources, Rights, Role, Source, Supervision, TaskName, Tier, TokenBudget, Transport,
};
use crate::domain::ids::AgentName;

/// The parent of an executor that names none: a newcomer's agent works for the architect.
pub const DEFAULT_PARENT: &str = "architect";
/// Heartbeat interval where none is given, in seconds: the registry's default.
pub const DEFAULT_HEARTBEAT_S: u32 = 60;
/// Memory where none is given, in megabytes: what most built-in system agents ask for.
pub const DEFAULT_MEMORY_MB: u32 = 1024;

/// A complaint about one line.
pub(super) type Complaint = (u32, String);

/// The fields as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FrontMatter {
    name: Spanned<AgentName>,
    description: Spanned<String>,
    #[serde(default)]
    tools: Tools,
    model: Option<String>,
    /// Written by Claude Code into every sub-agent it makes; means nothing here.
    #[serde(rename = "color")]
    _color: Option<IgnoredAny>,
    display_name: Option<String>,
    role: Option<Role>,
    tier: Option<Tier>,
    mode: Option<Mode>,
    parent: Option<Spanned<AgentName>>,
    capabilities: Option<Spanned<Vec<Spanned<Capability>>>>,
    transports: Option<Spanned<Vec<Transport>>>,
    rights: Option<Rights>,
    token_budget: Option<TokenBudget>,
    max_tokens: Option<NonZeroU32>,
    resources: Option<Resources>,
    heartbeat_interval_s: Option<HeartbeatInterval>,
    #[serde(default)]
    approvals_required: Vec<Approval>,
    models: Option<Vec<String>>,
    port: Option<Spanned<Port>>,
    behaviour: Option<Spanned<Behaviour>>,
    tasks: Option<Spanned<Vec<Spanned<TaskName>>>>,
    /// The older spelling of a native agent's only task.
    skill: Option<Spanned<TaskName>>,
    #[serde(default)]
    supervision: Supervision,
}

impl FrontMatter {
    /// Fills in what was left out and checks what one field says against the others.
    pub(super) fn complete(self, source: &str, prompt: &str) -> Result<AgentDefinition, Complaint> {
        let name_line = line_of(self.name.referenced);
        let role = self.role.unwrap_or(Role::Exec);
        let description = self.description.value.trim().to_owned();
        if description.is_empty() {
            let line = line_of(self.description.referenced);
            return Err((line, "description is empty: say when to use this agent".to_owned()));
        }
        let behaviour = behaviour(role, name_line, self.behaviour.as_ref())?;
        let tasks = tasks(behaviour, name_line, self.tasks, self.skill)?;
        let source = Source {
            file: source.to_owned(),
            name_line,
            parent_line: self.parent.as_ref().map_or(name_line, |parent| line_of(parent.referenced)),
            port_line: self.port.as_ref().map_or(name_line, |port| line_of(port.referenced)),
        };
        let name = self.name.value;
        Ok(AgentDefinition {
            display_name: self.display_name.unwrap_or_else(|| title(name.as_str())),
            description,
            role,
            tier: self.tier.unwrap_or(Tier::FIRST),
            mode: self.mode.unwrap_or(Mode::Task),
            parent: parent(role, self.parent.map(|parent| parent.value)),
            capabilities: capabilities(&name, name_line, self.capabilities)?,
            transports: transports(self.transports)?,
            rights: self.rights.or_else(|| Rights::implied_by(&self.tools.0)),
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

    /// The name, and the line it stands in.
    pub(super) fn name(&self) -> (&AgentName, u32) {
        (&self.name.value, line_of(self.name.referenced))
    }
}

const DEFAULT_HEARTBEAT: HeartbeatInterval = match HeartbeatInterval::from_seconds(DEFAULT_HEARTBEAT_S) {
    Some(interval) => interval,
    None => panic!("the default interval is not 0"),
};

const DEFAULT_RESOURCES: Resources = Resources {
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

fn parent(role: Role, written: Option<AgentName>) -> Option<AgentName> {
    match role {
        Role::Exec => written.or_else(|| AgentName::new(DEFAULT_PARENT).ok()),
        Role::Coord | Role::System => written,
    }
}

/// An agent that names no capability can be asked for itself: `code-reviewer` offers `code_reviewer`.
fn capabilities(
    name: &AgentName,
    name_line: u32,
    written: Option<Spanned<Vec<Spanned<Capability>>>>,
) -> Result<Vec<Capability>, Complaint> {
    let Some(written) = written else {
        let own = Capability::new(name.as_str().replace('-', "_"));
        return own.map(|own| vec![own]).map_err(|reason| (name_line, reason));
    };
    if written.value.is_empty() {
        let reason = "capabilities is empty: name at least one, or leave the field out".to_owned();
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

fn transports(written: Option<Spanned<Vec<Transport>>>) -> Result<Vec<Transport>, Complaint> {
    match written {
        None => Ok(vec![Transport::Rpc]),
        Some(list) if list.value.is_empty() => {
            Err((line_of(list.referenced), "transports is empty: an agent nobody can reach".to_owned()))
        }
        Some(list) => Ok(list.value),
    }
}

fn behaviour(
    role: Role,
    name_line: u32,
    written: Option<&Spanned<Behaviour>>,
) -> Result<Behaviour, Complaint> {
    let line = written.map_or(name_line, |word| line_of(word.referenced));
    let behaviour = written.map_or_else(|| usual_behaviour(role), |word| word.value);
    let fits = match role {
        Role::Coord => behaviour == Behaviour::Coordinator,
        Role::System => behaviour == Behaviour::System,
        Role::Exec => !matches!(behaviour, Behaviour::Coordinator | Behaviour::System),
    };
    if fits {
        return Ok(behaviour);
    }
    let (noun, word) = (role.noun(), behaviour.as_str());
    Err((line, format!("{noun} cannot have behaviour {word}: role and behaviour must agree")))
}

/// The tasks as written, each once. A native agent has nothing but its tasks, so it must name one.
fn tasks(
    behaviour: Behaviour,
    name_line: u32,
    written: Option<Spanned<Vec<Spanned<TaskName>>>>,
    skill: Option<Spanned<TaskName>>,
) -> Result<Option<Vec<TaskName>>, Complaint> {
    if let Some(skill) = skill {
        let line = line_of(skill.referenced);
        if behaviour != Behaviour::Native {
            return Err((
                line,
                "skill is given, but only behaviour native has one; write `tasks`".to_owned(),
            ));
        }
        if written.is_some() {
            let reason = "skill is an older spelling of `tasks`, which is given too: keep `tasks`".to_owned();
            return Err((line, reason));
        }
        return Ok(Some(vec![skill.value]));
    }
    let Some(written) = written else {
        let reason = "behaviour is native, so `tasks` must list at least one, such as [ingest.audit]";
        return if behaviour == Behaviour::Native { Err((name_line, reason.to_owned())) } else { Ok(None) };
    };
    if matches!(behaviour, Behaviour::Llm | Behaviour::Command) && !written.value.is_empty() {
        let reason = format!("agents of behaviour {} take no task in this version", behaviour.as_str());
        return Err((line_of(written.referenced), reason));
    }
    let mut seen = BTreeSet::new();
    match written.value.iter().find(|task| !seen.insert(&task.value)) {
        Some(twice) => Err((line_of(twice.referenced), format!("task `{}` is listed twice", twice.value))),
        None => Ok(Some(written.value.into_iter().map(|task| task.value).collect())),
    }
}

fn usual_behaviour(role: Role) -> Behaviour {
    match role {
        Role::Coord => Behaviour::Coordinator,
        Role::System => Behaviour::System,
        Role::Exec => Behaviour::Llm,
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
struct Tools(Vec<String>);

impl<'de> Deserialize<'de> for Tools {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ToolsVisitor)
    }
}

struct ToolsVisitor;

impl<'de> Visitor<'de> for ToolsVisitor {
    type Value = Tools;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tool names, as a list or separated by commas")
    }

    fn visit_str<E>(self, text: &str) -> Result<Tools, E> {
        Ok(Tools(split_tools(text)))
    }

    fn visit_unit<E>(self) -> Result<Tools, E> {
        Ok(Tools::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tools, A::Error> {
        let mut tools = Vec::new();
        while let Some(tool) = seq.next_element::<String>()? {
            tools.push(tool.trim().to_owned());
        }
        tools.retain(|tool| !tool.is_empty());
        Ok(Tools(tools))
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
