//! The calls that act on the agent's own work: plan, questions, tasks for others, and report.
//!
//! They are checked here and acted on by the agent's loop. Failure policy: an unusable call is refused, with
//! the field.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::failure::{FailureClass, ToolFailure};
use super::tree::ToolTree;

/// Longest plan; short, because every prompt contains it.
const MAX_PLAN: usize = 4 * 1024;
const MAX_QUESTION: usize = 4 * 1024;
const MAX_OPTIONS: usize = 8;
const MAX_TASK: usize = 16 * 1024;
const MAX_SUMMARY: usize = 8 * 1024;
/// Entries of a list, and bytes of one.
const MAX_ENTRIES: usize = 50;
const MAX_ENTRY: usize = 2 * 1024;

/// A call that the loop acts on.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "call", rename_all = "snake_case")]
pub enum ControlCall {
    Todo(TodoCall),
    Ask(AskCall),
    Delegate(DelegateCall),
    Report(ReportCall),
}

/// The agent's plan, verbatim.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TodoCall {
    pub plan: String,
}

/// A question to a person.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AskCall {
    pub question: String,
    #[serde(default)]
    pub options: Vec<String>,
    /// The answer assumed when nobody answers in time, if `harmless`.
    #[serde(default)]
    pub default: Option<String>,
    #[serde(default)]
    pub harmless: bool,
}

/// A task for another agent.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DelegateCall {
    pub capability: String,
    pub task: String,
    #[serde(default)]
    pub inputs: Map<String, Value>,
    /// The command that must pass afterwards.
    #[serde(default)]
    pub prove: Option<String>,
    /// The files and folders that the other agent may change, from the tree's root.
    #[serde(default)]
    pub paths: Vec<String>,
    /// The most that the other agent may spend, in US dollars, as a decimal number.
    #[serde(default)]
    pub budget: Option<String>,
}

/// The end of the step, as claimed by the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportOutcome {
    Done,
    Partial,
    Impossible,
}

/// The agent's report on a step: claims, until proved.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ReportCall {
    pub outcome: ReportOutcome,
    pub summary: String,
    /// Commands by which the outcome was checked.
    #[serde(default)]
    pub commands: Vec<String>,
    #[serde(default)]
    pub doubts: Vec<String>,
}

/// The tool named in a check's failures.
struct CallCheck(&'static str);

impl CallCheck {
    fn bad<T>(&self, why: String, advice: &str) -> Result<T, ToolFailure> {
        Err(ToolFailure::new(FailureClass::BadArguments, self.0, why, advice))
    }

    fn text(&self, field: &str, text: &str, longest: usize) -> Result<(), ToolFailure> {
        if text.trim().is_empty() {
            return self.bad(format!("`{field}` is empty."), "fill it in.");
        }
        self.length(field, text, longest)
    }

    fn length(&self, field: &str, text: &str, longest: usize) -> Result<(), ToolFailure> {
        if text.len() <= longest {
            return Ok(());
        }
        let why = format!("`{field}` has {} bytes; the most is {longest}.", text.len());
        self.bad(why, "shorten it to the essential.")
    }

    fn list(&self, field: &str, entries: &[String], most: usize) -> Result<(), ToolFailure> {
        if entries.len() > most {
            return self.bad(
                format!("`{field}` has {} entries; the most is {most}.", entries.len()),
                "leave some out.",
            );
        }
        entries.iter().try_for_each(|entry| self.text(field, entry, MAX_ENTRY))
    }
}

impl TodoCall {
    pub(super) fn checked(self) -> Result<ControlCall, ToolFailure> {
        // An empty plan is allowed: a plan that is done.
        CallCheck("todo").length("plan", &self.plan, MAX_PLAN)?;
        Ok(ControlCall::Todo(self))
    }
}

impl AskCall {
    pub(super) fn checked(self) -> Result<ControlCall, ToolFailure> {
        let check = CallCheck("ask");
        check.text("question", &self.question, MAX_QUESTION)?;
        check.list("options", &self.options, MAX_OPTIONS)?;
        if let Some(default) = &self.default {
            check.text("default", default, MAX_ENTRY)?;
            if !self.options.is_empty() && !self.options.contains(default) {
                return check.bad("`default` is none of the `options`.".to_owned(), "make it one of them.");
            }
        }
        if self.harmless && self.default.is_none() {
            let advice = "give the `default` that is taken when nobody answers, or leave `harmless` out.";
            return check.bad("`harmless` is set, and there is no `default`.".to_owned(), advice);
        }
        Ok(ControlCall::Ask(self))
    }
}

impl DelegateCall {
    pub(super) fn checked(mut self, tree: Option<&ToolTree>) -> Result<ControlCall, ToolFailure> {
        let check = CallCheck("delegate");
        check.text("capability", &self.capability, MAX_ENTRY)?;
        check.text("task", &self.task, MAX_TASK)?;
        check.list("paths", &self.paths, MAX_ENTRIES)?;
        if let Some(prove) = &self.prove {
            check.text("prove", prove, MAX_ENTRY)?;
        }
        if self.budget.as_ref().is_some_and(|budget| !is_amount(budget)) {
            let why = "`budget` is no amount of US dollars.".to_owned();
            return check.bad(why, "give it as a decimal number above zero, such as \"0.50\".");
        }
        if let Some(tree) = tree {
            for path in &mut self.paths {
                *path = tree.path(path)?.as_str().to_owned();
            }
        }
        Ok(ControlCall::Delegate(self))
    }
}

impl ReportCall {
    pub(super) fn checked(self) -> Result<ControlCall, ToolFailure> {
        let check = CallCheck("report");
        check.text("summary", &self.summary, MAX_SUMMARY)?;
        check.list("commands", &self.commands, MAX_ENTRIES)?;
        check.list("doubts", &self.doubts, MAX_ENTRIES)?;
        Ok(ControlCall::Report(self))
    }
}

/// Whether `text` is a decimal number above zero with at most six places before and after the point.
fn is_amount(text: &str) -> bool {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits =
        |digits: &str| (1..=6).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_digits(whole) && is_digits(part) && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_plain_decimals_above_zero() {
        for good in ["2", "0.50", "100.000001"] {
            assert!(is_amount(good), "{good}");
        }
        for bad in ["", "0", "0.00", "-1", "1e3", "1.", ".5", "1.0000001", "$2", "1,5"] {
            assert!(!is_amount(bad), "{bad}");
        }
    }

    #[test]
    fn a_default_is_one_of_the_options_and_stands_where_it_is_needed() {
        let ask = |default: Option<&str>, harmless| AskCall {
            question: "Which?".to_owned(),
            options: vec!["a".to_owned(), "b".to_owned()],
            default: default.map(str::to_owned),
            harmless,
        };
        assert!(ask(Some("a"), true).checked().is_ok());
        assert!(ask(None, false).checked().is_ok());
        assert!(ask(Some("c"), false).checked().unwrap_err().why.contains("none of the `options`"));
        assert!(ask(None, true).checked().unwrap_err().why.contains("no `default`"));
    }

    #[test]
    fn texts_are_bounded_and_paths_lie_in_the_tree() {
        assert!(TodoCall { plan: String::new() }.checked().is_ok());
        assert!(TodoCall { plan: "x".repeat(MAX_PLAN + 1) }.checked().is_err());
        let root = tempfile::tempdir().unwrap();
        let tree = ToolTree::open(root.path(), &[]).unwrap();
        let delegate = |path: &str| DelegateCall {
            capability: "code".to_owned(),
            task: "do".to_owned(),
            inputs: Map::new(),
            prove: None,
            paths: vec![path.to_owned()],
            budget: Some("1".to_owned()),
        };
        let ControlCall::Delegate(call) = delegate("./src/").checked(Some(&tree)).unwrap() else { panic!() };
        assert_eq!(call.paths, ["src"]);
        assert!(delegate("../x").checked(Some(&tree)).is_err());
        let report = ReportCall {
            outcome: ReportOutcome::Done,
            summary: " ".to_owned(),
            commands: Vec::new(),
            doubts: Vec::new(),
        };
        assert!(report.checked().unwrap_err().why.contains("`summary` is empty"));
    }
}
