//! Rust's inline tests: replaces `#[cfg(test)] mod …` of a source file by another version's, so that old
//! tests can run on new code, and new tests on old code, within one file.
//!
//! Only modules at the top level are moved: `use super::*` works at any place there. Failure policy: a file
//! with unbalanced braces gives `None` and is left alone.

/// A source file, split into code and tests.
#[derive(Debug, PartialEq, Eq)]
pub struct InlineSplit {
    pub code: String,
    /// Each test module with its attributes, in order.
    pub tests: Vec<String>,
}

/// `None` without inline tests, or when they cannot be separated from the code.
pub fn split_inline_tests(source: &str) -> Option<InlineSplit> {
    let mut code = String::with_capacity(source.len());
    let mut tests = Vec::new();
    let mut depth = 0_usize;
    let mut kept = 0;
    let bytes = source.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if depth == 0 && starts_test_module(&source[at..]) {
            let end = end_of_item(source, at)?;
            code.push_str(&source[kept..at]);
            tests.push(source[at..end].to_owned());
            (at, kept) = (end, end);
            continue;
        }
        match bytes[at] {
            b'{' => depth += 1,
            b'}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        at = after_token(source, at);
    }
    code.push_str(&source[kept..]);
    (depth == 0 && !tests.is_empty()).then_some(InlineSplit { code, tests })
}

/// The code of one version with the inline tests of another. `None` where neither has any, or one cannot be
/// read.
pub fn graft_inline_tests(code_from: &str, tests_from: &str) -> Option<String> {
    let code = split_inline_tests(code_from);
    let tests = split_inline_tests(tests_from);
    if code.is_none() && tests.is_none() {
        return None;
    }
    let unread = |text: &str| text.contains("#[cfg(test)]");
    if (code.is_none() && unread(code_from)) || (tests.is_none() && unread(tests_from)) {
        return None;
    }
    let mut text = code.map_or_else(|| code_from.to_owned(), |split| split.code);
    for module in tests.map_or_else(Vec::new, |split| split.tests) {
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&module);
        text.push('\n');
    }
    Some(text)
}

const CFG_TEST: &str = "#[cfg(test)]";
const CFG_ALL_TEST: &str = "#[cfg(all(test,";

/// Further attributes and a visibility may come between the attribute and `mod`.
fn starts_test_module(rest: &str) -> bool {
    if !rest.starts_with(CFG_TEST) && !rest.starts_with(CFG_ALL_TEST) {
        return false;
    }
    let Some(mut rest) = end_of_attribute(rest).map(|end| &rest[end..]) else { return false };
    loop {
        rest = rest.trim_start();
        if rest.starts_with("#[") {
            let Some(end) = end_of_attribute(rest) else { return false };
            rest = &rest[end..];
        } else if let Some(comment) = rest.strip_prefix("//") {
            rest = comment.find('\n').map_or("", |end| &comment[end..]);
        } else {
            break;
        }
    }
    if let Some(public) = rest.strip_prefix("pub") {
        let public = public.trim_start();
        rest = match public.strip_prefix('(') {
            Some(inside) => inside.find(')').map_or("", |end| &inside[end + 1..]),
            None => public,
        };
    }
    rest.trim_start().starts_with("mod ")
}

fn end_of_attribute(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        match text.as_bytes()[at] {
            b'[' => depth += 1,
            b']' if depth == 1 => return Some(at + 1),
            b']' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        at = after_token(text, at);
    }
    None
}

/// From the attribute to the module's closing brace, or to the `;` of a module in a file of its own.
fn end_of_item(source: &str, start: usize) -> Option<usize> {
    let mut braces = 0_usize;
    let mut brackets = 0_usize;
    let mut at = start;
    while at < source.len() {
        match source.as_bytes()[at] {
            b'[' => brackets += 1,
            b']' => brackets = brackets.checked_sub(1)?,
            b'{' => braces += 1,
            b'}' if braces == 1 => return Some(at + 1),
            b'}' => braces = braces.checked_sub(1)?,
            b';' if braces == 0 && brackets == 0 => return Some(at + 1),
            _ => {}
        }
        at = after_token(source, at);
    }
    None
}

/// The offset after the token at `at`: a comment, string or character literal is one token, anything else one
/// character.
fn after_token(source: &str, at: usize) -> usize {
    let rest = &source[at..];
    let to = |length: Option<usize>| length.map_or(source.len(), |length| at + length);
    if rest.starts_with("//") {
        return to(rest.find('\n'));
    }
    if rest.starts_with("/*") {
        return to(block_comment(rest));
    }
    let before = source[..at].chars().next_back();
    let in_word = before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    if !in_word && let Some(hashes) = raw_string(rest) {
        let open = rest.find('"').unwrap_or(0) + 1;
        let close = format!("\"{}", "#".repeat(hashes));
        return to(rest[open..].find(&close).map(|end| open + end + close.len()));
    }
    if rest.starts_with('"') {
        return to(quoted(rest, b'"'));
    }
    if rest.starts_with('\'') && is_character(rest) {
        return to(quoted(rest, b'\''));
    }
    at + rest.chars().next().map_or(1, char::len_utf8)
}

fn block_comment(rest: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let bytes = rest.as_bytes();
    let mut at = 0;
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => {
                (depth, at) = (depth - 1, at + 2);
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => at += 1,
        }
    }
    None
}

/// The number of `#` of a raw string that begins here.
fn raw_string(rest: &str) -> Option<usize> {
    let body = ["br", "cr", "r"].iter().find_map(|prefix| rest.strip_prefix(prefix))?;
    let hashes = body.bytes().take_while(|byte| *byte == b'#').count();
    (body.as_bytes().get(hashes) == Some(&b'"')).then_some(hashes)
}

fn quoted(rest: &str, quote: u8) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            _ if byte == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// A character literal and no lifetime: a backslash follows, or a closing quote after one letter.
fn is_character(rest: &str) -> bool {
    let mut letters = rest.chars().skip(1);
    match letters.next() {
        Some('\\') => true,
        Some(_) => letters.next() == Some('\''),
        None => false,
    }
}

#[cfg(test)]
mod tests;
