//! OTP's restart types and strategies, shared by agent definitions and supervisors.
//!
//! Source: the `supervisor` module of Erlang/OTP 25.

use serde::{Deserialize, Serialize};

/// When a child that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartType {
    #[default]
    Permanent,
    /// Only after an abnormal end.
    Transient,
    /// Never; the specification is dropped with the child.
    Temporary,
}

/// Which children a crash affects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartStrategy {
    /// Only the child that ended.
    #[default]
    OneForOne,
    /// All children: they are stopped in reverse order and started in order.
    OneForAll,
    /// The child that ended and those started after it.
    RestForOne,
    /// Children of one kind, added and removed at run time; restarts as `OneForOne` (OTP's
    /// `simple_one_for_one`). No definition can choose this strategy: the children of an agent are fixed.
    #[serde(skip_deserializing)]
    Dynamic,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_cannot_ask_for_children_that_come_and_go() {
        let known: RestartStrategy = serde_json::from_str(r#""rest_for_one""#).unwrap();
        assert_eq!(known, RestartStrategy::RestForOne);
        let refused = serde_json::from_str::<RestartStrategy>(r#""dynamic""#).unwrap_err().to_string();
        let (_, offered) = refused.split_once("expected").unwrap();
        assert!(offered.contains("one_for_all") && !offered.contains("dynamic"), "{refused}");
    }
}
