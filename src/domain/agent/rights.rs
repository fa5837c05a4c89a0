//! What an agent may touch, and what it must ask for first.
//!
//! Invariant: [`Rights`] form a lattice. [`Rights::intersect`] only ever takes away, so a chain of
//! intersections (card, agent, ancestors) never grants what one of its members withholds.

use serde::{Deserialize, Serialize};

/// How far a right to a place reaches; ordered, so that the lesser of two is the common part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum Access {
    #[default]
    #[serde(rename = "none")]
    None,
    #[serde(rename = "read")]
    Read,
    #[serde(rename = "rw")]
    ReadWrite,
}

/// What an agent may touch. What is not stated is not granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rights {
    /// Files below the working directory.
    pub filesystem: Access,
    pub bash: bool,
    pub git: bool,
    /// Python programs.
    pub python: bool,
    /// Other machines: `read` to fetch, `rw` to send.
    pub network: Access,
    pub docker: bool,
    /// Statements to a database.
    pub sql: bool,
}

impl Rights {
    /// No right at all.
    pub const NONE: Self = Self {
        filesystem: Access::None,
        bash: false,
        git: false,
        python: false,
        network: Access::None,
        docker: false,
        sql: false,
    };

    /// Every right there is; the neutral element of [`Rights::intersect`].
    pub const ALL: Self = Self {
        filesystem: Access::ReadWrite,
        bash: true,
        git: true,
        python: true,
        network: Access::ReadWrite,
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

    /// Whether everything granted here is granted there too.
    #[must_use]
    pub fn is_within(self, other: Self) -> bool {
        self.intersect(other) == self
    }

    /// The rights that a list of Claude Code tools cannot do without; `None` when it implies none.
    ///
    /// A tool with an argument filter, such as `Bash(git log:*)`, grants nothing: the filter is not
    /// enforced here, so the whole right would be more than its author meant.
    #[must_use]
    pub fn implied_by(tools: &[String]) -> Option<Self> {
        let rights = tools.iter().fold(Self::NONE, |mut rights, tool| {
            match tool.as_str() {
                "Read" | "Grep" | "Glob" | "LS" => rights.filesystem = rights.filesystem.max(Access::Read),
                "Write" | "Edit" | "MultiEdit" | "NotebookEdit" => rights.filesystem = Access::ReadWrite,
                "Bash" => rights.bash = true,
                "WebFetch" | "WebSearch" => rights.network = rights.network.max(Access::Read),
                _ => {}
            }
            rights
        });
        (rights != Self::NONE).then_some(rights)
    }
}

/// An act that waits for a person's consent before an agent carries it out.
///
/// A closed list: a misspelt gate must be an error, not a gate that never closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    GitPush,
    FileDelete,
    /// Put a release in the hands of users.
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

    fn any_access() -> impl proptest::strategy::Strategy<Value = Access> {
        prop_oneof![Just(Access::None), Just(Access::Read), Just(Access::ReadWrite)]
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
            // The greatest of what both grant: whatever lies within both lies within the intersection.
            prop_assert_eq!(c.is_within(a) && c.is_within(b), c.is_within(both));
        }
    }

    #[test]
    fn a_filtered_tool_grants_nothing() {
        let tools = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(Rights::implied_by(&tools(&["Bash(git log:*)", "mcp__x__y"])), None);
        let rights = Rights::implied_by(&tools(&["Read", "Edit", "Read", "WebFetch"])).unwrap();
        let expected = Rights { filesystem: Access::ReadWrite, network: Access::Read, ..Rights::NONE };
        assert_eq!(rights, expected);
    }
}
