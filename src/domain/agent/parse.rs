//! Parses a definition file into an [`AgentDefinition`].
//!
//! A file is a line `---`, YAML, a line `---`, and the prompt. Invariants: line numbers in errors are those
//! of the file; a byte-order mark and either kind of line ending are accepted; the YAML is read under a
//! budget and without aliases, so that the cost is bounded by the file's size. Never panics.

use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};
use serde_saphyr::{Error as YamlError, MessageFormatter, UserMessageFormatter};

use super::front_matter::{FrontMatter, line_of};
use super::{AgentDefinition, DefinitionError};

/// Largest definition in bytes. The built-in ones stay under 4 KiB; a prompt of this size would
/// already fill a third of a 200,000-token window.
pub const MAX_DEFINITION_BYTES: usize = 256 * 1024;

/// Deepest nesting of the YAML: the fields need two levels.
const MAX_YAML_DEPTH: usize = 8;
/// Most nodes of the YAML: 22 fields, and room for long lists.
const MAX_YAML_NODES: usize = 4_096;
/// Longest reason in characters: the library quotes the input, which can be anything.
const MAX_REASON_CHARS: usize = 600;

/// Longest quotation of a line at fault, in characters.
const MAX_QUOTE_CHARS: usize = 80;

/// Parses a definition from the bytes of a file.
///
/// # Errors
/// As [`parse`], and when the bytes are not UTF-8.
pub fn parse_bytes(file: &str, bytes: &[u8]) -> Result<AgentDefinition, DefinitionError> {
    check_length(file, bytes.len())?;
    match std::str::from_utf8(bytes) {
        Ok(text) => parse(file, text),
        Err(error) => {
            let before = &bytes[..error.valid_up_to()];
            let line = 1 + count_lines(before);
            Err(complaint(file, line, "not UTF-8 from this line on: save the file as UTF-8"))
        }
    }
}

/// Parses a definition. `file` names the definition in messages; the stem must be the agent's name.
///
/// # Errors
/// [`DefinitionError`] with the line at fault: no front matter, YAML that breaks a rule, a field that
/// is unknown or has a bad value, fields that contradict each other, an empty body.
pub fn parse(file: &str, text: &str) -> Result<AgentDefinition, DefinitionError> {
    check_length(file, text.len())?;
    let parts = split(text).map_err(|reason| complaint(file, 1, reason))?;
    let front = read_yaml(parts.yaml).map_err(|(line, reason)| complaint(file, line, &reason))?;
    let (name, line) = front.name();
    let stem = stem(file);
    if name.as_str() != stem {
        let reason = format!("name is `{name}`, but the file is called `{stem}.md`: rename one of them");
        return Err(complaint(file, line, &reason));
    }
    let prompt = parts.body.trim();
    if prompt.is_empty() {
        let reason = "nothing follows the front matter that ends here: write the system prompt there";
        return Err(complaint(file, parts.closing_line, reason));
    }
    front.complete(file, prompt).map_err(|(line, reason)| complaint(file, line, &reason))
}

fn check_length(file: &str, length: usize) -> Result<(), DefinitionError> {
    if length <= MAX_DEFINITION_BYTES {
        return Ok(());
    }
    let reason = format!("larger than {MAX_DEFINITION_BYTES} bytes, the limit for a definition");
    Err(DefinitionError { file: file.to_owned(), line: None, reason })
}

fn complaint(file: &str, line: u32, reason: &str) -> DefinitionError {
    // The library quotes the input; a control character must not reach a terminal.
    let clean = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    let mut reason: String = reason.chars().take(MAX_REASON_CHARS + 1).map(clean).collect();
    if let Some((cut, _)) = reason.char_indices().nth(MAX_REASON_CHARS) {
        reason.truncate(cut);
        reason.push('…');
    }
    DefinitionError { file: file.to_owned(), line: Some(line), reason }
}

struct DefinitionParts<'a> {
    /// From the opening line to the closing one: `---` starts a YAML document, so lines keep their numbers.
    yaml: &'a str,
    body: &'a str,
    /// The line of the closing `---`.
    closing_line: u32,
}

fn split(text: &str) -> Result<DefinitionParts<'_>, &'static str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.split_inclusive('\n');
    let opening = lines.next().unwrap_or_default();
    if !is_fence(opening) {
        return Err("a definition begins with a line `---`, followed by its fields in YAML");
    }
    let mut end = opening.len();
    for (line, number) in lines.zip(2_u32..) {
        if is_fence(line) {
            return Ok(DefinitionParts {
                yaml: &text[..end],
                body: &text[end + line.len()..],
                closing_line: number,
            });
        }
        end += line.len();
    }
    Err("missing closing `---`: the front matter that opens here never ends")
}

fn is_fence(line: &str) -> bool {
    line.trim_end() == "---"
}

fn count_lines(bytes: &[u8]) -> u32 {
    let breaks = bytes.iter().filter(|byte| **byte == b'\n').count();
    u32::try_from(breaks).unwrap_or(u32::MAX - 1)
}

/// The file's name without folders and extension.
fn stem(file: &str) -> &str {
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    name.strip_suffix(".md").unwrap_or(name)
}

fn read_yaml(yaml: &str) -> Result<FrontMatter, (u32, String)> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_YAML_DEPTH,
            max_nodes: MAX_YAML_NODES,
            max_documents: 1,
            max_aliases: 0,
            max_anchors: 0,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(yaml, options).map_err(|error| explain(error.without_snippet(), yaml))
}

/// The library's error as line and reason; adds a quotation of the line if the library has none.
fn explain(error: &YamlError, yaml: &str) -> (u32, String) {
    let line = error.location().map_or(1, line_of);
    let reason = match error {
        YamlError::Budget { breach: BudgetBreach::Anchors { .. } | BudgetBreach::Aliases { .. }, .. } => {
            "YAML anchors and aliases (`&`, `*`) are not supported: write the value out".to_owned()
        }
        other => UserMessageFormatter.format_message(other).into_owned(),
    };
    let from_line = || yaml.lines().zip(1_u32..).skip_while(|(_, number)| *number < line);
    if reason.contains("tab")
        && let Some((_, tabbed)) = from_line().find(|(text, _)| text.starts_with('\t'))
    {
        // The library points at the value that the tab cut short, not at the tab.
        return (tabbed, "this line is indented with a tab: YAML needs spaces".to_owned());
    }
    match from_line().next().map(|(text, _)| text.trim()) {
        Some(text) if !reason.contains('`') && !text.is_empty() => {
            let quoted: String = text.chars().take(MAX_QUOTE_CHARS).collect();
            (line, format!("{reason}: `{quoted}`"))
        }
        _ => (line, reason),
    }
}

#[cfg(test)]
mod tests;
