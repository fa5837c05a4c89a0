//! Failures as data: the answer to a failed call.
//!
//! Owns [`ToolFailure`] and [`FailureClass`]. Invariant: a failure names the thing that failed, the reason,
//! and the next step that can help; the class is one stable word, whatever the arguments.

use std::io;

use serde::Serialize;

/// The sort of a failure, in one word; equal words in a row are a sign of no progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    UnknownTool,
    BadArguments,
    BadPattern,
    BadPatch,
    NotFound,
    OutsideTree,
    NotAFile,
    NotText,
    TooLarge,
    NotRead,
    ChangedSinceRead,
    AlreadyExists,
    NoMatch,
    Ambiguous,
    AlreadyApplied,
    HunkFailed,
    NoSuchOutput,
    NotGranted,
    NetworkDenied,
    PathDenied,
    CommandNotFound,
    TimedOut,
    CommandFailed,
    Cancelled,
    StorageFailed,
}

impl FailureClass {
    /// The word used in rows and results.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::UnknownTool => "unknown_tool",
            Self::BadArguments => "bad_arguments",
            Self::BadPattern => "bad_pattern",
            Self::BadPatch => "bad_patch",
            Self::NotFound => "not_found",
            Self::OutsideTree => "outside_tree",
            Self::NotAFile => "not_a_file",
            Self::NotText => "not_text",
            Self::TooLarge => "too_large",
            Self::NotRead => "not_read",
            Self::ChangedSinceRead => "changed_since_read",
            Self::AlreadyExists => "already_exists",
            Self::NoMatch => "no_match",
            Self::Ambiguous => "ambiguous",
            Self::AlreadyApplied => "already_applied",
            Self::HunkFailed => "hunk_failed",
            Self::NoSuchOutput => "no_such_output",
            Self::NotGranted => "not_granted",
            Self::NetworkDenied => "network_denied",
            Self::PathDenied => "path_denied",
            Self::CommandNotFound => "command_not_found",
            Self::TimedOut => "timed_out",
            Self::CommandFailed => "command_failed",
            Self::Cancelled => "cancelled",
            Self::StorageFailed => "storage_failed",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{what}: {why} {do_next}")]
pub struct ToolFailure {
    #[serde(skip)]
    pub class: FailureClass,
    pub what: String,
    pub why: String,
    #[serde(rename = "do")]
    pub do_next: String,
}

impl ToolFailure {
    #[must_use]
    pub fn new(
        class: FailureClass,
        what: impl Into<String>,
        why: impl Into<String>,
        do_next: impl Into<String>,
    ) -> Self {
        Self { class, what: what.into(), why: why.into(), do_next: do_next.into() }
    }

    /// The operating system's answer about a path of the tree.
    #[must_use]
    pub(super) fn from_io(what: &str, error: &io::Error) -> Self {
        use io::ErrorKind;
        // A refusal without an error number comes from the directory handle: the path led out of the tree.
        let led_out = error.kind() == ErrorKind::PermissionDenied && error.raw_os_error().is_none();
        if led_out || error.kind() == ErrorKind::CrossesDevices {
            return Self::new(
                FailureClass::OutsideTree,
                what,
                "a link on this path leads out of the working tree.",
                "use the real path of a file inside the tree.",
            );
        }
        match error.kind() {
            ErrorKind::NotFound => Self::new(
                FailureClass::NotFound,
                what,
                "there is no such file.",
                "look for it with glob, for example `**/name*`.",
            ),
            ErrorKind::IsADirectory => Self::directory(what),
            ErrorKind::NotADirectory => Self::new(
                FailureClass::NotFound,
                what,
                "a part of this path is a file, not a folder.",
                "look for the right path with glob.",
            ),
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::new(
                FailureClass::PathDenied,
                what,
                format!("the system refuses it: {error}."),
                "leave this file as it is, or report it as an obstacle.",
            ),
            _ => Self::new(
                FailureClass::StorageFailed,
                what,
                format!("the system answered: {error}."),
                "try once more; if it fails again, report it as an obstacle.",
            ),
        }
    }

    pub(super) fn directory(what: &str) -> Self {
        let pattern = if what == "." { "**".to_owned() } else { format!("{what}/**") };
        Self::new(
            FailureClass::NotAFile,
            what,
            "this is a folder.",
            format!("list it with glob {{\"pattern\": \"{pattern}\"}}."),
        )
    }

    /// The JSON that the agent reads.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Three strings always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_a_class_is_its_serialised_form() {
        for class in [FailureClass::NotAFile, FailureClass::ChangedSinceRead, FailureClass::NoSuchOutput] {
            assert_eq!(serde_json::to_value(class).unwrap(), class.word());
        }
    }

    #[test]
    fn an_agent_reads_three_members() {
        let failure = ToolFailure::from_io("a.rs", &io::Error::from(io::ErrorKind::NotFound));
        let json: serde_json::Value = serde_json::from_str(&failure.to_json()).unwrap();
        assert_eq!(json["what"], "a.rs");
        assert_eq!(json.as_object().unwrap().len(), 3);
        assert_eq!(json, serde_json::to_value(&failure).unwrap());
    }
}
