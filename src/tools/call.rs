//! A model's call, checked: the tool by name, the arguments by type.
//!
//! Owns [`CheckedCall`]. Invariant: a checked call can be run; every fault in the arguments alone is found
//! now, before a call is recorded or a person asked. Failure policy: a refusal names the field, and the
//! fields that exist.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::catalogue::ToolOffer;
use super::command::CommandRequest;
use super::control::{AskCall, ControlCall, DelegateCall, ReportCall, TodoCall};
use super::edit::EditArguments;
use super::failure::{FailureClass, ToolFailure};
use super::git::{GitArguments, GitCall};
use super::glob::GlobArguments;
use super::grep::GrepArguments;
use super::name::{ToolClass, ToolName};
use super::outward::{DockerArguments, OutwardAct};
use super::patch::PatchArguments;
use super::read::ReadArguments;
use super::shell::{BashArguments, PythonArguments};
use super::sql::{SqlArguments, SqlStatement};
use super::tree::ToolTree;
use super::write::WriteArguments;
use pas_domain::similar_name::nearest_name;

/// The largest arguments: a patch of 1 MiB, escaped.
const MAX_ARGUMENTS: usize = 4 * 1024 * 1024;

/// A call that can be run.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedCall {
    tool: ToolName,
    canonical: String,
    pub(super) work: CallWork,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum CallWork {
    File(FileCall),
    Commands(Vec<CommandRequest>),
    Query(SqlStatement),
    Outward(OutwardAct),
    Control(ControlCall),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FileCall {
    Read(ReadArguments),
    Grep(GrepArguments),
    Glob(GlobArguments),
    Write(WriteArguments),
    Edit(EditArguments),
    Patch(PatchArguments),
}

impl CheckedCall {
    #[must_use]
    pub fn tool(&self) -> ToolName {
        self.tool
    }

    /// The effects that this particular call can have.
    #[must_use]
    pub fn class(&self) -> ToolClass {
        match &self.work {
            CallWork::Outward(_) => ToolClass::Outward,
            CallWork::Query(_) | CallWork::Control(_) => ToolClass::Pure,
            CallWork::File(_) | CallWork::Commands(_) => self.tool.class(),
        }
    }

    /// Whether it starts processes, which take cores and memory of the machine.
    #[must_use]
    pub fn runs_commands(&self) -> bool {
        matches!(self.work, CallWork::Commands(_))
    }

    /// The arguments in one spelling: members in order, no blanks.
    #[must_use]
    pub fn canonical_arguments(&self) -> &str {
        &self.canonical
    }

    /// The call, if the loop acts on it.
    #[must_use]
    pub fn control(&self) -> Option<&ControlCall> {
        match &self.work {
            CallWork::Control(control) => Some(control),
            _ => None,
        }
    }

    /// The act, for a call that has effects elsewhere and needs consent first.
    #[must_use]
    pub fn outward(&self) -> Option<&OutwardAct> {
        match &self.work {
            CallWork::Outward(act) => Some(act),
            _ => None,
        }
    }
}

/// The tools and the tree that calls are checked against.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallScope<'a> {
    pub(super) offers: &'a [ToolOffer],
    pub(super) tree: Option<&'a ToolTree>,
    pub(super) can_push: bool,
}

impl CallScope<'_> {
    pub(super) fn check(self, name: &str, arguments: &str) -> Result<CheckedCall, ToolFailure> {
        let offer = self.offers.iter().find(|offer| offer.name == name);
        let (Some(offer), Some(tool)) = (offer, ToolName::parse(name)) else {
            return Err(self.unknown_tool(name));
        };
        let canonical = canonical_of(name, arguments)?;
        let arguments = CallArguments { offer, text: &canonical };
        let work = self.work(tool, &arguments)?;
        Ok(CheckedCall { tool, canonical, work })
    }

    fn unknown_tool(&self, name: &str) -> ToolFailure {
        let names = || self.offers.iter().map(|offer| offer.name);
        let list = names().collect::<Vec<_>>().join(", ");
        let near = match nearest_name(name, names()) {
            Some(near) => format!("perhaps {near} is meant; the tools are {list}."),
            None => format!("use one of {list}."),
        };
        // A known tool that is not offered means a missing right.
        let (class, why) = match ToolName::parse(name) {
            Some(_) => (FailureClass::NotGranted, "this agent does not have this tool."),
            None => (FailureClass::UnknownTool, "there is no such tool."),
        };
        ToolFailure::new(class, name, why, near)
    }

    fn work(self, tool: ToolName, arguments: &CallArguments<'_>) -> Result<CallWork, ToolFailure> {
        Ok(match tool {
            ToolName::Read => {
                let read: ReadArguments = arguments.parse()?;
                read.check()?;
                CallWork::File(FileCall::Read(read))
            }
            ToolName::Grep => {
                let grep: GrepArguments = arguments.parse()?;
                grep.check()?;
                CallWork::File(FileCall::Grep(grep))
            }
            ToolName::Glob => CallWork::File(FileCall::Glob(arguments.parse()?)),
            ToolName::Write => CallWork::File(FileCall::Write(arguments.parse()?)),
            ToolName::Edit => {
                let edit: EditArguments = arguments.parse()?;
                edit.check()?;
                CallWork::File(FileCall::Edit(edit))
            }
            ToolName::Patch => CallWork::File(FileCall::Patch(arguments.parse()?)),
            ToolName::Bash => CallWork::Commands(vec![arguments.parse::<BashArguments>()?.request()?]),
            ToolName::Python => CallWork::Commands(vec![arguments.parse::<PythonArguments>()?.request()?]),
            ToolName::Git => match arguments.parse::<GitArguments>()?.call(self.tree_of(tool)?)? {
                GitCall::Commands(commands) => CallWork::Commands(commands),
                GitCall::Push(_) if !self.can_push => {
                    let why = "this agent cannot push.";
                    return Err(ToolFailure::new(
                        FailureClass::NotGranted,
                        "git",
                        why,
                        "commit, and report the branch.",
                    ));
                }
                GitCall::Push(act) => CallWork::Outward(act),
            },
            ToolName::Sql => self.sql(arguments)?,
            ToolName::Docker => {
                CallWork::Outward(arguments.parse::<DockerArguments>()?.act(self.tree_of(tool)?)?)
            }
            ToolName::Todo => CallWork::Control(arguments.parse::<TodoCall>()?.checked()?),
            ToolName::Ask => CallWork::Control(arguments.parse::<AskCall>()?.checked()?),
            ToolName::Delegate => CallWork::Control(arguments.parse::<DelegateCall>()?.checked(self.tree)?),
            ToolName::Report => CallWork::Control(arguments.parse::<ReportCall>()?.checked()?),
        })
    }

    fn sql(&self, arguments: &CallArguments<'_>) -> Result<CallWork, ToolFailure> {
        let statement = arguments.parse::<SqlArguments>()?.checked()?;
        let known = arguments.offer.parameters["properties"]["connection"]["enum"].as_array();
        let is_known = |known: &Vec<Value>| known.iter().any(|name| *name == *statement.connection);
        if !known.is_some_and(is_known) {
            let known: Vec<&str> = known.into_iter().flatten().filter_map(Value::as_str).collect();
            let advice = format!("use one of {}.", known.join(", "));
            let why = format!("there is no connection `{}`.", statement.connection);
            return Err(ToolFailure::new(FailureClass::BadArguments, "sql", why, advice));
        }
        Ok(if statement.is_reading() {
            CallWork::Query(statement)
        } else {
            CallWork::Outward(OutwardAct::SqlWrite(statement))
        })
    }

    fn tree_of(&self, tool: ToolName) -> Result<&ToolTree, ToolFailure> {
        self.tree.ok_or_else(|| no_tree(tool))
    }
}

pub(super) fn no_tree(tool: ToolName) -> ToolFailure {
    let why = "this agent has no working tree.";
    ToolFailure::new(
        FailureClass::NotGranted,
        tool.as_str(),
        why,
        "work without files, or report the obstacle.",
    )
}

/// The arguments of a call to an offered tool.
struct CallArguments<'a> {
    offer: &'a ToolOffer,
    text: &'a str,
}

impl CallArguments<'_> {
    fn parse<T: DeserializeOwned>(&self) -> Result<T, ToolFailure> {
        let mut json = serde_json::Deserializer::from_str(self.text);
        serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            let place = if path == "." { String::new() } else { format!("{path}: ") };
            let fault = error.inner().to_string();
            // The position refers to our own spelling of the arguments, which the model does not see.
            let fault = fault.split(" at line ").next().unwrap_or(&fault).to_owned();
            let advice = format!("fields: {}.", fields_of(&self.offer.parameters));
            ToolFailure::new(FailureClass::BadArguments, self.offer.name, format!("{place}{fault}."), advice)
        })
    }
}

fn canonical_of(name: &str, arguments: &str) -> Result<String, ToolFailure> {
    let bad =
        |why: String, advice: &str| Err(ToolFailure::new(FailureClass::BadArguments, name, why, advice));
    if arguments.len() > MAX_ARGUMENTS {
        return bad("the arguments have more than 4 MiB.".to_owned(), "send less at once.");
    }
    // Some models omit the arguments where none are needed.
    let text = if arguments.trim().is_empty() { "{}" } else { arguments };
    match serde_json::from_str::<Value>(text) {
        Ok(value @ Value::Object(_)) => Ok(sorted(value).to_string()),
        Ok(_) => bad(
            "the arguments are no JSON object.".to_owned(),
            "send one object with a member for each field.",
        ),
        Err(error) => bad(
            format!("the arguments are no JSON: {error}."),
            "send one whole JSON object; escape line ends and quotes inside of strings.",
        ),
    }
}

/// The value with the members of each object in order, also where the JSON library keeps another order.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> =
                members.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(members.into_iter().collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(sorted).collect()),
        other => other,
    }
}

/// The fields of a schema in words: `path (string), from (integer, optional)`.
fn fields_of(schema: &Value) -> String {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema["properties"].as_object();
    let mut fields: Vec<String> = properties
        .into_iter()
        .flatten()
        .map(|(name, property)| {
            let sort = property["type"].as_str().unwrap_or("any");
            let inner = match property.get("items") {
                Some(items) if items["type"] == "object" => format!(" of {{{}}}", fields_of(items)),
                Some(items) => format!(" of {}", items["type"].as_str().unwrap_or("any")),
                None => String::new(),
            };
            let optional = if required.contains(&name.as_str()) { "" } else { ", optional" };
            format!("{name} ({sort}{inner}{optional})")
        })
        .collect();
    fields.sort_by_key(|field| field.contains(", optional)"));
    fields.join(", ")
}
