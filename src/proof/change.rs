//! A change as input of a proof: each changed path with the text before and after.
//!
//! Failure policy: a side that is no text (binary, too long, no UTF-8, a link) is `Opaque`; rules that read
//! lines report such a file in a finding instead of skipping it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use similar::{ChangeTag, TextDiff};

/// Without a deadline, two files of a megabyte with no common line would take minutes.
const DIFF_DEADLINE: Duration = Duration::from_secs(2);

/// A path on one side of the change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileSide {
    Absent,
    Text(String),
    Opaque,
}

impl FileSide {
    /// Longer files are data; comparing their lines would cost minutes.
    pub const MAX_TEXT: usize = 1024 * 1024;

    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        if bytes.len() > Self::MAX_TEXT || bytes.contains(&0) {
            return Self::Opaque;
        }
        String::from_utf8(bytes).map_or(Self::Opaque, Self::Text)
    }

    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Absent | Self::Opaque => "",
        }
    }
}

/// One changed path. A rename is a deletion and an addition; equal sides mean that only the mode has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedPath {
    pub path: String,
    pub old: FileSide,
    pub new: FileSide,
}

/// The side of the change that a line or file belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeSide {
    Old,
    New,
}

/// A line that only one side has, numbered from one on that side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangedLine<'text> {
    pub side: ChangeSide,
    pub line: usize,
    pub text: &'text str,
}

impl ChangedPath {
    pub fn new(path: impl Into<String>, old: FileSide, new: FileSide) -> Self {
        Self { path: path.into(), old, new }
    }

    pub fn side(&self, side: ChangeSide) -> &FileSide {
        match side {
            ChangeSide::Old => &self.old,
            ChangeSide::New => &self.new,
        }
    }

    pub fn is_opaque(&self) -> bool {
        self.old == FileSide::Opaque || self.new == FileSide::Opaque
    }

    /// The lines that differ, in order.
    pub fn lines(&self) -> Vec<ChangedLine<'_>> {
        let split = |side: ChangeSide| self.side(side).text().split_inclusive('\n').collect::<Vec<_>>();
        let (old, new) = (split(ChangeSide::Old), split(ChangeSide::New));
        // Past the deadline the difference is still correct, only longer than necessary.
        let diff = TextDiff::configure().timeout(DIFF_DEADLINE).diff_slices(&old, &new);
        diff.iter_all_changes()
            .filter_map(|change| {
                let (side, index, lines) = match change.tag() {
                    ChangeTag::Equal => return None,
                    ChangeTag::Delete => (ChangeSide::Old, change.old_index()?, &old),
                    ChangeTag::Insert => (ChangeSide::New, change.new_index()?, &new),
                };
                let text = lines.get(index)?.trim_end_matches(['\r', '\n']);
                Some(ChangedLine { side, line: index + 1, text })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_on_their_own_side() {
        let file =
            ChangedPath::new("a", FileSide::Text("a\nb\nc\n".into()), FileSide::Text("a\nx\ny\nc\n".into()));
        let lines: Vec<_> = file.lines().into_iter().map(|line| (line.side, line.line, line.text)).collect();
        assert_eq!(lines, [(ChangeSide::Old, 2, "b"), (ChangeSide::New, 2, "x"), (ChangeSide::New, 3, "y")]);
    }

    #[test]
    fn bytes_that_are_no_text_are_opaque() {
        assert_eq!(FileSide::from_bytes(vec![0, 1]), FileSide::Opaque);
        assert_eq!(FileSide::from_bytes(vec![0xff, b'a']), FileSide::Opaque);
        assert_eq!(FileSide::from_bytes(vec![b'a'; FileSide::MAX_TEXT + 1]), FileSide::Opaque);
        assert_eq!(FileSide::from_bytes(b"a".to_vec()), FileSide::Text("a".into()));
    }
}
