//! Calls of the house's tools with the arguments they take; whatever else a tool takes comes by
//! [`PlayCall::with`].

use serde_json::{Value, json};

use super::turn::{PlayCall, call};

pub(crate) fn read(path: &str) -> PlayCall {
    call("read", json!({ "path": path }))
}

/// So many lines, the first of them numbered `from`.
pub(crate) fn read_lines(path: &str, from: u64, lines: u64) -> PlayCall {
    read(path).with("from", from).with("lines", lines)
}

pub(crate) fn grep(pattern: &str) -> PlayCall {
    call("grep", json!({ "pattern": pattern }))
}

pub(crate) fn glob(pattern: &str) -> PlayCall {
    call("glob", json!({ "pattern": pattern }))
}

pub(crate) fn write(path: &str, content: &str) -> PlayCall {
    call("write", json!({ "path": path, "content": content }))
}

/// Each pair once: the old text, the new one.
pub(crate) fn edit<'a>(path: &str, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> PlayCall {
    let edits: Vec<Value> = pairs.into_iter().map(|(old, new)| json!({ "old": old, "new": new })).collect();
    call("edit", json!({ "path": path, "edits": edits }))
}

/// One text in all of its `count` places.
pub(crate) fn edit_all(path: &str, old: &str, new: &str, count: u64) -> PlayCall {
    call("edit", json!({ "path": path, "edits": [{ "old": old, "new": new, "count": count }] }))
}

pub(crate) fn patch(text: &str) -> PlayCall {
    call("patch", json!({ "patch": text }))
}

pub(crate) fn bash(command: &str) -> PlayCall {
    call("bash", json!({ "command": command }))
}

pub(crate) fn python(code: &str) -> PlayCall {
    call("python", json!({ "code": code }))
}

/// A git command without the word `git`: `["diff", "--stat"]`.
pub(crate) fn git<'a>(args: impl IntoIterator<Item = &'a str>) -> PlayCall {
    call("git", json!({ "args": args.into_iter().collect::<Vec<_>>() }))
}

pub(crate) fn todo(plan: &str) -> PlayCall {
    call("todo", json!({ "plan": plan }))
}

/// A question to a person; `harmless` and `default` come by [`PlayCall::with`].
pub(crate) fn ask<'a>(question: &str, options: impl IntoIterator<Item = &'a str>) -> PlayCall {
    call("ask", json!({ "question": question, "options": options.into_iter().collect::<Vec<_>>() }))
}

/// A piece of work for another agent; `inputs`, `prove`, `paths` and `budget` come by [`PlayCall::with`].
pub(crate) fn delegate(capability: &str, task: &str) -> PlayCall {
    call("delegate", json!({ "capability": capability, "task": task }))
}

/// The end of a step; `commands` and `doubts` come by [`PlayCall::with`].
pub(crate) fn report(outcome: &str, summary: &str) -> PlayCall {
    call("report", json!({ "outcome": outcome, "summary": summary, "commands": [], "doubts": [] }))
}
