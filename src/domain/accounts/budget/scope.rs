//! The scopes of money: a run, a job, an agent, a lane, the day.
//!
//! Invariants: a [`ScopeLabel`] is printable text of bounded length; a [`RunName`] can also be a file name,
//! on every system, because receipts are in `artifacts/costs/<run>.jsonl`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::{AgentName, JobId, MAX_ID_LEN, RunId};

/// Longest label in bytes: that of an id.
pub const MAX_LABEL_LEN: usize = MAX_ID_LEN;

/// Why a text is no valid label or run name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {what}: use {rule}, 1 to {MAX_LABEL_LEN} bytes")]
pub struct InvalidLabel {
    what: &'static str,
    rule: &'static str,
    text: String,
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses and validates.
            ///
            /// # Errors
            /// [`InvalidLabel`] when the text is empty, too long, or holds other characters.
            pub fn new(text: &str) -> Result<Self, InvalidLabel> {
                let valid: fn(&str) -> bool = $valid;
                if (1..=MAX_LABEL_LEN).contains(&text.len()) && valid(text) {
                    return Ok(Self(Arc::from(text)));
                }
                let text = text.chars().filter(|c| !c.is_control()).take(60).collect();
                Err(InvalidLabel { what: $what, rule: $rule, text })
            }

            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            #[must_use]
            pub fn shared(&self) -> &Arc<str> {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidLabel;
            fn from_str(text: &str) -> Result<Self, InvalidLabel> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

text_type!(
    /// The caller's name of a job, an agent or a lane.
    ScopeLabel,
    "name",
    "printable characters",
    |text| !text.chars().any(char::is_control)
);
text_type!(
    /// A run's name as given by callers; also names the run's file of receipts.
    RunName,
    "run id",
    "letters, digits, `-`, `_` and `.`, beginning with a letter, a digit or `_`",
    |text| {
        !text.starts_with(['.', '-'])
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    }
);

impl Default for RunName {
    /// The run of calls that name none.
    fn default() -> Self {
        Self(Arc::from("default"))
    }
}

impl From<&RunId> for RunName {
    fn from(run: &RunId) -> Self {
        Self(Arc::from(run.as_str()))
    }
}

impl From<&JobId> for ScopeLabel {
    fn from(job: &JobId) -> Self {
        Self(Arc::from(job.as_str()))
    }
}

impl From<&AgentName> for ScopeLabel {
    fn from(agent: &AgentName) -> Self {
        Self(Arc::from(agent.as_str()))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BudgetScope {
    Run(RunName),
    /// One job of a run.
    Job(ScopeLabel),
    /// One agent, over all runs.
    Agent(ScopeLabel),
    /// One lane, over all runs.
    Lane(ScopeLabel),
    /// Everything, from midnight to midnight UTC.
    Day,
}

impl fmt::Display for BudgetScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(run) => write!(f, "run:{run}"),
            Self::Job(job) => write!(f, "job:{job}"),
            Self::Agent(agent) => write!(f, "agent:{agent}"),
            Self::Lane(lane) => write!(f, "lane:{lane}"),
            Self::Day => f.write_str("day"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidScope {
    /// The kind is unknown.
    #[error("`{0}` is not a budget scope: use run:NAME, job:NAME, agent:NAME, lane:NAME or day")]
    Kind(String),
    /// The name after the kind is invalid.
    #[error(transparent)]
    ScopeLabel(#[from] InvalidLabel),
}

/// Parses the output of [`BudgetScope`]'s `Display`.
impl FromStr for BudgetScope {
    type Err = InvalidScope;
    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        match text.split_once(':') {
            Some(("run", name)) => Ok(Self::Run(RunName::new(name)?)),
            Some(("job", name)) => Ok(Self::Job(ScopeLabel::new(name)?)),
            Some(("agent", name)) => Ok(Self::Agent(ScopeLabel::new(name)?)),
            Some(("lane", name)) => Ok(Self::Lane(ScopeLabel::new(name)?)),
            None if text == "day" => Ok(Self::Day),
            _ => Err(InvalidScope::Kind(text.chars().filter(|c| !c.is_control()).take(60).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_always_a_file_name() {
        for good in ["default", "Run-1", "a.b_c", "_x", "7"] {
            assert!(RunName::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", ".hidden", "a/b", "a\\b", "a b", "-x", "é", "a\n", &"x".repeat(129)] {
            assert!(RunName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_label_is_printable_text() {
        assert!(ScopeLabel::new("Agent Smith é").is_ok());
        assert!(ScopeLabel::new("a\u{0}").is_err());
        assert!(ScopeLabel::new("").is_err());
    }

    #[test]
    fn a_scope_is_shown_with_its_kind() {
        assert_eq!(BudgetScope::Run(RunName::default()).to_string(), "run:default");
        assert_eq!(BudgetScope::Day.to_string(), "day");
        for text in ["run:default", "job:a.b:c", "agent:Agent Smith", "lane:x/y", "day"] {
            assert_eq!(text.parse::<BudgetScope>().unwrap().to_string(), text);
        }
        for bad in ["", "run", "run:", "run:a/b", "day:1", "team:a", "Day"] {
            assert!(bad.parse::<BudgetScope>().is_err(), "{bad}");
        }
    }
}
