//! An agent's rights, and the acts that need approval.
//!
//! Invariant: [`Rights`] form a lattice. [`Rights::intersect`] only ever takes away, so a chain of
//! intersections (card, agent, ancestors) never grants a right that one member withholds.

use serde::{Deserialize, Serialize};

/// A level of access; ordered, so that the lesser of two is the intersection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum AccessLevel {
    #[default]
    #[serde(rename = "none")]
    None,
    #[serde(rename = "read")]
    Read,
    #[serde(rename = "rw")]
    ReadWrite,
}

/// An agent's rights. Anything not stated is not granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rights {
    /// Files below the working directory.
    pub filesystem: AccessLevel,
    pub bash: bool,
    pub git: bool,
    /// Python programs.
    pub python: bool,
    /// Other machines: `read` to fetch, `rw` to send.
    pub network: AccessLevel,
    pub docker: bool,
    /// Statements to a database.
    pub sql: bool,
}

impl Rights {
    pub const NONE: Self = Self {
        filesystem: AccessLevel::None,
        bash: false,
        git: false,
        python: false,
        network: AccessLevel::None,
        docker: false,
        sql: false,
    };

    /// All rights; the neutral element of [`Rights::intersect`].
    pub const ALL: Self = Self {
        filesystem: AccessLevel::ReadWrite,
        bash: true,
        git: true,
        python: true,
        network: AccessLevel::ReadWrite,
        docker: true,
        sql: true,
    };

    #[must_use]
    pub fn intersect(self, other: Self) -> Self {
        Self {
            filesystem: self.filesystem.min(other.filesystem),
            bash: self.bash && other.bash,
            git: self.git && other.git,
            python: self.python && other.python,
            network: self.network.min(other.network),
            docker: self.docker && other.docker,
            sql: self.sql && other.sql,
        }
    }

    /// Whether `other` grants everything that `self` grants.
    #[must_use]
    pub fn is_within(self, other: Self) -> bool {
        self.intersect(other) == self
    }

    /// The rights that a list of Claude Code tools cannot do without; `None` when there are none.
    ///
    /// A tool with an argument filter, such as `Bash(git log:*)`, grants nothing: the filter is not enforced
    /// here, so the whole right would exceed the author's intent.
    #[must_use]
    pub fn implied_by(tools: &[String]) -> Option<Self> {
        let rights = tools.iter().fold(Self::NONE, |mut rights, tool| {
            match tool.as_str() {
                "Read" | "Grep" | "Glob" | "LS" => {
                    rights.filesystem = rights.filesystem.max(AccessLevel::Read);
                }
                "Write" | "Edit" | "MultiEdit" | "NotebookEdit" => rights.filesystem = AccessLevel::ReadWrite,
                "Bash" => rights.bash = true,
                "WebFetch" | "WebSearch" => rights.network = rights.network.max(AccessLevel::Read),
                _ => {}
            }
            rights
        });
        (rights != Self::NONE).then_some(rights)
    }
}

impl Rights {
    /// The rights left when these tools, by Claude Code's names, are forbidden.
    #[must_use]
    pub fn without(self, tools: &[String]) -> Self {
        tools.iter().fold(self, |mut rights, tool| {
            match tool.as_str() {
                "Write" | "Edit" | "MultiEdit" | "NotebookEdit" => {
                    rights.filesystem = rights.filesystem.min(AccessLevel::Read);
                }
                "Read" => rights.filesystem = AccessLevel::None,
                "Bash" => rights.bash = false,
                "WebFetch" | "WebSearch" => rights.network = AccessLevel::None,
                _ => {}
            }
            rights
        })
    }
}

/// An act that needs a person's approval first.
///
/// A closed list: a misspelt gate must be an error, not a gate that never closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalGate {
    GitPush,
    FileDelete,
    /// Promote a release to users.
    ReleasePromotion,
    /// Build a container image.
    DockerBuild,
    /// Drop, truncate or overwrite data in a database.
    DbDestructive,
    /// Restart a service others rely on.
    ServiceRestart,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_access() -> impl proptest::strategy::Strategy<Value = AccessLevel> {
        prop_oneof![Just(AccessLevel::None), Just(AccessLevel::Read), Just(AccessLevel::ReadWrite)]
    }

    prop_compose! {
        fn any_rights()(
            filesystem in any_access(), network in any_access(), flags in any::<[bool; 5]>()
        ) -> Rights {
            let [bash, git, python, docker, sql] = flags;
            Rights { filesystem, bash, git, python, network, docker, sql }
        }
    }

    proptest! {
        #[test]
        fn intersecting_only_takes_away_and_asks_for_no_order(a in any_rights(), b in any_rights(), c in any_rights()) {
            let both = a.intersect(b);
            prop_assert!(both.is_within(a) && both.is_within(b));
            prop_assert_eq!(both, b.intersect(a));
            prop_assert_eq!(both.intersect(c), a.intersect(b.intersect(c)));
            prop_assert_eq!(a.intersect(a), a);
            prop_assert_eq!(a.intersect(Rights::ALL), a);
            prop_assert_eq!(a.intersect(Rights::NONE), Rights::NONE);
            // The intersection is the greatest lower bound: whatever is within both is within it.
            prop_assert_eq!(c.is_within(a) && c.is_within(b), c.is_within(both));
        }
    }

    #[test]
    fn a_filtered_tool_grants_nothing() {
        let tools = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(Rights::implied_by(&tools(&["Bash(git log:*)", "mcp__x__y"])), None);
        let rights = Rights::implied_by(&tools(&["Read", "Edit", "Read", "WebFetch"])).unwrap();
        let expected =
            Rights { filesystem: AccessLevel::ReadWrite, network: AccessLevel::Read, ..Rights::NONE };
        assert_eq!(rights, expected);
    }
}
