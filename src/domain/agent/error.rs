//! Why a definition was not taken.
//!
//! One type for every stage (reading the file, parsing it, fitting it among the others), because the
//! reader of the message does the same in each case: open the file at the line and mend it.

use std::fmt;

use serde::Serialize;

/// A definition that was not taken: which file, where in it, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct DefinitionError {
    /// The file, as a person would look for it.
    pub file: String,
    /// Line from 1; `None` when the file as a whole is at fault (it could not be read).
    pub line: Option<u32>,
    /// What is wrong and, where it is not plain, what to do.
    pub reason: String,
}

/// A definition that a roster was built without.
pub type Refusal = DefinitionError;

impl fmt::Display for DefinitionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.reason),
            None => write!(f, "{}: {}", self.file, self.reason),
        }
    }
}
