//! The tools by name, and the effects that each can have.

use serde::Serialize;

/// A tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ToolName {
    Read,
    Grep,
    Glob,
    Write,
    Edit,
    Patch,
    Bash,
    Python,
    Git,
    Sql,
    Docker,
    Todo,
    Ask,
    Delegate,
    Report,
}

/// The effects that a call can have, which decide whether the call may be repeated after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolClass {
    /// No effects: the call may be repeated at will.
    Pure,
    /// Changes in the working tree, which can be rolled back.
    Tree,
    /// Effects elsewhere: the call is never repeated automatically.
    Outward,
}

impl ToolName {
    /// All tools, in the order in which they are offered.
    pub const ALL: [Self; 15] = [
        Self::Read,
        Self::Grep,
        Self::Glob,
        Self::Write,
        Self::Edit,
        Self::Patch,
        Self::Bash,
        Self::Python,
        Self::Git,
        Self::Sql,
        Self::Docker,
        Self::Todo,
        Self::Ask,
        Self::Delegate,
        Self::Report,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Grep => "grep",
            Self::Glob => "glob",
            Self::Write => "write",
            Self::Edit => "edit",
            Self::Patch => "patch",
            Self::Bash => "bash",
            Self::Python => "python",
            Self::Git => "git",
            Self::Sql => "sql",
            Self::Docker => "docker",
            Self::Todo => "todo",
            Self::Ask => "ask",
            Self::Delegate => "delegate",
            Self::Report => "report",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.as_str() == name)
    }

    /// The class of the tool's usual call; a single call may have another (`git push`, a writing statement).
    #[must_use]
    pub fn class(self) -> ToolClass {
        match self {
            Self::Read | Self::Grep | Self::Glob | Self::Sql => ToolClass::Pure,
            Self::Todo | Self::Ask | Self::Delegate | Self::Report => ToolClass::Pure,
            Self::Write | Self::Edit | Self::Patch | Self::Bash | Self::Python | Self::Git => ToolClass::Tree,
            Self::Docker => ToolClass::Outward,
        }
    }
}
