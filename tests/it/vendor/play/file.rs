//! Plays as JSON files: `{"name": …, "loops": 1, "turns": [{"say": …, "calls": [{"tool": …, "arguments": {…}}],
//! "cut": true, "decline": …, "sees": […], "lacks": […]}]}`. A call with `raw` in place of `arguments` is one of bad
//! JSON. `{{word}}` stands for a value that the test gives (a folder, an address). Unknown fields, and words without a
//! value, are errors.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::{Play, PlayCall, PlayTurn, bad_json, call, decline};

/// Why a file is no play.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlayFileError {
    #[error("{0} cannot be read: {1}")]
    Unreadable(PathBuf, std::io::Error),
    #[error("{0} is no play: {1}")]
    Malformed(PathBuf, serde_json::Error),
    #[error("{0} needs a value for {{{{{1}}}}}")]
    Unfilled(PathBuf, String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlayFile {
    name: String,
    #[serde(default)]
    loops: usize,
    turns: Vec<TurnEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TurnEntry {
    #[serde(default)]
    say: String,
    decline: Option<String>,
    #[serde(default)]
    calls: Vec<CallEntry>,
    #[serde(default)]
    cut: bool,
    #[serde(default)]
    sees: Vec<String>,
    #[serde(default)]
    lacks: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallEntry {
    tool: String,
    #[serde(default)]
    arguments: Value,
    raw: Option<String>,
}

impl Play {
    /// Reads a play from a file, with values for its words.
    pub(crate) fn load(path: &Path, values: &[(&str, &str)]) -> Result<Self, PlayFileError> {
        let mut text =
            std::fs::read_to_string(path).map_err(|why| PlayFileError::Unreadable(path.to_owned(), why))?;
        for (word, value) in values {
            let quoted = Value::from(*value).to_string();
            text = text.replace(&format!("{{{{{word}}}}}"), &quoted[1..quoted.len() - 1]);
        }
        if let Some(word) = unfilled(&text) {
            return Err(PlayFileError::Unfilled(path.to_owned(), word.to_owned()));
        }
        let file: PlayFile =
            serde_json::from_str(&text).map_err(|why| PlayFileError::Malformed(path.to_owned(), why))?;
        Ok(Self::new(file.turns.into_iter().map(PlayTurn::from)).named(file.name).looping(file.loops))
    }
}

/// The first word in double braces. Code in a play may have double braces of its own, but not around a lone word.
fn unfilled(text: &str) -> Option<&str> {
    let words = text.match_indices("{{").filter_map(|(at, _)| text[at + 2..].split_once("}}"));
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    words.map(|(word, _)| word).find(|word| is_word(word))
}

impl From<TurnEntry> for PlayTurn {
    fn from(entry: TurnEntry) -> Self {
        let calls: Vec<PlayCall> = entry.calls.into_iter().map(PlayCall::from).collect();
        let mut turn = match entry.decline {
            Some(text) => decline(text),
            None => Self::from(calls).saying(entry.say),
        };
        turn.cut = entry.cut;
        turn.sees = entry.sees;
        turn.lacks = entry.lacks;
        turn
    }
}

impl From<CallEntry> for PlayCall {
    fn from(entry: CallEntry) -> Self {
        match entry.raw {
            Some(raw) => bad_json(entry.tool, raw),
            None => call(entry.tool, entry.arguments),
        }
    }
}
