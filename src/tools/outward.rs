//! Acts with effects outside of the working tree: described here, consented to by a person, and carried out
//! by the daemon, never from inside the sandbox.
//!
//! Owns [`OutwardAct`] and the traits of executors. Failure policy: an act is checked before anybody is
//! asked, and never repeated here.

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::failure::{FailureClass, ToolFailure};
use super::sql::SqlStatement;
use super::tree::ToolTree;
use pas_domain::agent::ApprovalGate;

/// An act with effects outside of the working tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutwardAct {
    GitPush {
        remote: String,
        reference: String,
    },
    /// Builds an image from a folder of the tree.
    DockerBuild {
        image: String,
        context: String,
        file: Option<String>,
    },
    DockerRun {
        image: String,
        command: Vec<String>,
    },
    SqlWrite(SqlStatement),
}

impl OutwardAct {
    /// The approval required for this kind of act, if any.
    #[must_use]
    pub fn approval(&self) -> Option<ApprovalGate> {
        match self {
            Self::GitPush { .. } => Some(ApprovalGate::GitPush),
            Self::DockerBuild { .. } => Some(ApprovalGate::DockerBuild),
            Self::DockerRun { .. } => None,
            Self::SqlWrite(_) => Some(ApprovalGate::DbDestructive),
        }
    }

    pub(super) fn tool(&self) -> &'static str {
        match self {
            Self::GitPush { .. } => "git",
            Self::DockerBuild { .. } | Self::DockerRun { .. } => "docker",
            Self::SqlWrite(_) => "sql",
        }
    }
}

/// The result of an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutwardEnd {
    pub output: Vec<u8>,
    pub succeeded: bool,
}

/// Why an act was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutwardRefusal {
    /// A person said no.
    #[error("a person declined it: {0}")]
    Declined(String),
    #[error("it could not be carried out: {0}")]
    Failed(String),
}

/// The acts that a runner carries out; tools for others are not offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutwardReach {
    pub push: bool,
    pub docker: bool,
}

/// Carries acts out that were consented to.
pub trait OutwardRunner: Send + Sync {
    fn reach(&self) -> OutwardReach;

    fn carry_out(&self, act: OutwardAct) -> BoxFuture<'_, Result<OutwardEnd, OutwardRefusal>>;
}

/// Answers reading statements, in a read-only transaction.
pub trait SqlReader: Send + Sync {
    /// The names of the connections an agent may use.
    fn connections(&self) -> Vec<String>;

    /// The rows as text, or the database's fault.
    fn query(&self, statement: SqlStatement) -> BoxFuture<'_, Result<Vec<u8>, String>>;
}

impl OutwardRefusal {
    pub(super) fn failure(&self, tool: &str) -> ToolFailure {
        let (class, advice) = match self {
            Self::Declined(_) => (FailureClass::NotGranted, "go on without it, or report the lack."),
            Self::Failed(_) => {
                (FailureClass::CommandFailed, "do not repeat it by itself; report the outcome.")
            }
        };
        ToolFailure::new(class, tool, format!("{self}."), advice)
    }
}

/// The requested docker operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum DockerOperation {
    Build,
    Run,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DockerArguments {
    operation: DockerOperation,
    image: String,
    #[serde(default)]
    context: Option<String>,
    #[serde(default)]
    file: Option<String>,
    #[serde(default)]
    command: Vec<String>,
}

impl DockerArguments {
    pub(super) fn act(self, tree: &ToolTree) -> Result<OutwardAct, ToolFailure> {
        let bad =
            |why: &str, advice: &str| ToolFailure::new(FailureClass::BadArguments, "docker", why, advice);
        let is_name = |sign: char| sign.is_ascii_alphanumeric() || "./:_-@".contains(sign);
        if self.image.is_empty() || self.image.starts_with('-') || !self.image.chars().all(is_name) {
            return Err(bad("`image` is no name of an image.", "give one such as `app:test`."));
        }
        match self.operation {
            DockerOperation::Build if !self.command.is_empty() => {
                Err(bad("build does not take `command`.", "leave it out."))
            }
            DockerOperation::Build => Ok(OutwardAct::DockerBuild {
                image: self.image,
                context: tree.path(self.context.as_deref().unwrap_or("."))?.as_str().to_owned(),
                file: self
                    .file
                    .map(|file| tree.path(&file).map(|path| path.as_str().to_owned()))
                    .transpose()?,
            }),
            DockerOperation::Run if self.context.is_some() || self.file.is_some() => {
                Err(bad("run does not take `context` and `file`.", "leave them out."))
            }
            DockerOperation::Run => Ok(OutwardAct::DockerRun { image: self.image, command: self.command }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_takes_names_and_paths_of_the_tree_only() {
        let root = tempfile::tempdir().unwrap();
        let tree = ToolTree::open(root.path(), &[]).unwrap();
        let act = |arguments: serde_json::Value| {
            serde_json::from_value::<DockerArguments>(arguments)
                .unwrap()
                .act(&tree)
                .map_err(|failure| failure.class)
        };
        let build = act(serde_json::json!({"operation": "build", "image": "app:1"})).unwrap();
        assert_eq!(build.approval(), Some(ApprovalGate::DockerBuild));
        let run = act(serde_json::json!({"operation": "run", "image": "app", "command": ["ls"]})).unwrap();
        assert_eq!((run.approval(), run.tool()), (None, "docker"));
        for bad in [
            serde_json::json!({"operation": "build", "image": "--x"}),
            serde_json::json!({"operation": "build", "image": "a b"}),
            serde_json::json!({"operation": "build", "image": "a", "context": "/etc"}),
            serde_json::json!({"operation": "build", "image": "a", "command": ["x"]}),
            serde_json::json!({"operation": "run", "image": "a", "file": "Dockerfile"}),
        ] {
            assert!(act(bad.clone()).is_err(), "{bad}");
        }
    }
}
