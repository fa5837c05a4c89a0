//! Why a definition was refused.
//!
//! One type for every stage (reading the file, parsing, checking against the other definitions), because the
//! remedy is the same: open the file at the line and fix it.

use std::fmt;

use serde::Serialize;

/// A refused definition: file, line and reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct DefinitionError {
    /// The file's path for people.
    pub file: String,
    /// Line from 1; `None` when the file as a whole is at fault (unreadable, say).
    pub line: Option<u32>,
    /// The fault and, unless obvious, the remedy.
    pub reason: String,
}

/// A definition left out of a roster.
pub type DefinitionRefusal = DefinitionError;

impl fmt::Display for DefinitionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.reason),
            None => write!(f, "{}: {}", self.file, self.reason),
        }
    }
}
