//! The tools that a thinking agent calls: files, commands, and the agent's own work.
//!
//! [`ToolBox`] is the way in: it offers the tools granted by an agent's rights, checks calls, and runs them.
//! Files are reached through one directory handle ([`ToolTree`]); commands, databases and acts with effects
//! elsewhere through traits that the daemon implements. Failure policy: every failure is a result that names
//! the thing, the reason and the next step ([`ToolFailure`]); no call ends without one.

mod answer;
mod call;
mod catalogue;
mod command;
mod control;
mod denial;
mod edit;
mod failure;
mod git;
mod glob;
mod grep;
mod lines;
mod name;
mod nearest;
mod outward;
mod patch;
mod read;
mod returned;
mod schema;
mod seen;
mod shell;
mod spill;
mod sql;
mod suggest;
mod toolbox;
mod tree;
mod walk;
mod write;

pub use call::CheckedCall;
pub use catalogue::{PresentExecutors, ThinkerRole, ToolCatalogue, ToolOffer};
pub use command::{CommandEnd, CommandRefusal, CommandRequest, CommandRunner};
pub use control::{AskCall, ControlCall, DelegateCall, ReportCall, ReportOutcome, TodoCall};
pub use failure::{FailureClass, ToolFailure};
pub use name::{ToolClass, ToolName};
pub use outward::{OutwardAct, OutwardEnd, OutwardReach, OutwardRefusal, OutwardRunner, SqlReader};
pub use returned::ToolReturn;
pub use seen::SeenFiles;
pub use spill::ResultSpill;
pub use sql::SqlStatement;
pub use toolbox::{ToolBox, ToolExecutors, ToolSession};
pub use tree::{ToolTree, TreePath};
