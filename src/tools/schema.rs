//! Descriptions and JSON Schemas of the tools, for models.
//!
//! Written by hand, short, and compared with the argument types by a test: each property is a field of the
//! type, and each field a property. The text is part of every request, so changes need a good reason.

use serde_json::{Value, json};

use super::name::ToolName;

/// Facts that change a schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SchemaFacts {
    pub(super) can_push: bool,
    pub(super) connections: Vec<String>,
}

pub(super) fn description(tool: ToolName) -> &'static str {
    match tool {
        ToolName::Read => {
            "Read lines of a text file, numbered; at most 400 lines and 24 KiB. `@out:N` reads a result that was cut."
        }
        ToolName::Grep => {
            "Search file contents by a Rust regular expression, line by line. At most 200 matches. \
             Files that .gitignore names are left out."
        }
        ToolName::Glob => {
            "Find files by name pattern, newest first, at most 500. A pattern without `/` holds in any folder: \
             `*.rs`, `src/**/*.{ts,tsx}`."
        }
        ToolName::Write => {
            "Write a whole file: a new one, or one that you have read and nobody changed since. Use edit for changes."
        }
        ToolName::Edit => {
            "Replace texts in a file, all or none. Each `old` is copied from the file without line numbers and \
             must stand there exactly `count` times. All are found in the file as it is before the call."
        }
        ToolName::Patch => {
            "Change several files at once, all or none, by a unified diff or by \
             `*** Begin Patch` / `*** Update File: path` / `@@` / `*** End Patch`."
        }
        ToolName::Bash => {
            "Run a command line in a new bash in the sandbox, at the root of the working tree, without input. \
             Long output keeps its beginning and its end."
        }
        ToolName::Python => "Run a Python 3 program in the sandbox, at the root of the working tree.",
        ToolName::Git => {
            "Git in the working tree. commit takes all changes, or those of `paths`; restore gives back `paths` \
             as they are in `revision`."
        }
        ToolName::Sql => {
            "Run one SQL statement on a named connection. Statements that change data need a person's \
             approval."
        }
        ToolName::Docker => "Build an image from the tree, or run one. Needs a person's approval.",
        ToolName::Todo => {
            "Keep your plan: the whole text, at most 4 KiB. It is shown to you again in every turn."
        }
        ToolName::Ask => {
            "Ask a person, and wait. Only where you cannot find out yourself. `harmless`: `default` is taken \
             if nobody answers."
        }
        ToolName::Delegate => {
            "Give a task to another agent, who knows only your words here. Tasks at the same time \
             need paths that do not overlap."
        }
        ToolName::Report => {
            "End your work with its outcome. `done` is proven afterwards by a command; say `partial` or \
             `impossible` when it is so."
        }
    }
}

pub(super) fn parameters(tool: ToolName, facts: &SchemaFacts) -> Value {
    match tool {
        ToolName::Read | ToolName::Grep | ToolName::Glob => looking(tool),
        ToolName::Write | ToolName::Edit | ToolName::Patch => changing(tool),
        ToolName::Bash | ToolName::Python => program(tool),
        ToolName::Git => git(facts.can_push),
        ToolName::Sql => sql(&facts.connections),
        ToolName::Docker => object(
            &json!({
                "operation": {"type": "string", "enum": ["build", "run"]},
                "image": {"type": "string"},
                "context": {"type": "string", "description": "build: folder of the tree; default is the root"},
                "file": {"type": "string", "description": "build: the Dockerfile"},
                "command": {"type": "array", "items": {"type": "string"}, "description": "run: its words"},
            }),
            &["operation", "image"],
        ),
        ToolName::Todo | ToolName::Ask | ToolName::Delegate | ToolName::Report => control(tool),
    }
}

fn object(properties: &Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn looking(tool: ToolName) -> Value {
    let ignored = json!({"type": "boolean", "description": "also files that .gitignore names"});
    match tool {
        ToolName::Read => object(
            &json!({
                "path": {"type": "string", "description": "from the root of the tree, or `@out:N`"},
                "from": {"type": "integer", "minimum": 1, "description": "first line; default 1"},
                "lines": {"type": "integer", "minimum": 1, "maximum": 400, "description": "default 400"},
            }),
            &["path"],
        ),
        ToolName::Grep => object(
            &json!({
                "pattern": {"type": "string"},
                "path": {"type": "string", "description": "folder or file; default is the whole tree"},
                "glob": {"type": "string", "description": "only files with such a name: `*.rs`"},
                "context": {"type": "integer", "minimum": 0, "maximum": 5, "description": "lines around a match"},
                "ignore_case": {"type": "boolean"},
                "ignored": ignored,
            }),
            &["pattern"],
        ),
        _ => object(
            &json!({
                "pattern": {"type": "string"},
                "path": {"type": "string", "description": "folder; default is the whole tree"},
                "ignored": ignored,
            }),
            &["pattern"],
        ),
    }
}

fn changing(tool: ToolName) -> Value {
    match tool {
        ToolName::Write => {
            object(&json!({"path": {"type": "string"}, "content": {"type": "string"}}), &["path", "content"])
        }
        ToolName::Edit => {
            let piece = object(
                &json!({
                    "old": {"type": "string"},
                    "new": {"type": "string"},
                    "count": {"type": "integer", "minimum": 1, "description": "default 1"},
                }),
                &["old", "new"],
            );
            object(
                &json!({"path": {"type": "string"}, "edits": {"type": "array", "minItems": 1, "items": piece}}),
                &["path", "edits"],
            )
        }
        _ => object(&json!({"patch": {"type": "string"}}), &["patch"]),
    }
}

fn program(tool: ToolName) -> Value {
    let field = if tool == ToolName::Bash { "command" } else { "script" };
    object(
        &json!({
            field: {"type": "string"},
            "timeout_s": {"type": "integer", "minimum": 1, "maximum": 600, "description": "default 120"},
        }),
        &[field],
    )
}

fn git(can_push: bool) -> Value {
    let mut operations = vec!["status", "diff", "log", "show", "blame", "commit", "restore"];
    let mut properties = json!({
        "paths": {"type": "array", "items": {"type": "string"}},
        "revision": {"type": "string", "description": "commit, branch or range; for diff, log, show, blame, restore"},
        "message": {"type": "string", "description": "for commit"},
        "lines": {"type": "string", "description": "for blame, such as `10,20`"},
        "max": {"type": "integer", "minimum": 1, "maximum": 200, "description": "commits of log; default 20"},
        "staged": {"type": "boolean", "description": "diff or restore of the index"},
        "stat": {"type": "boolean", "description": "file names and counts in place of lines"},
    });
    if can_push {
        operations.push("push");
        let remote = "for push, which a person is asked about: a remote of the repository";
        let reference = "for push: a branch of the tree, or `commit:branch`";
        properties["remote"] = json!({"type": "string", "description": remote});
        properties["reference"] = json!({"type": "string", "description": reference});
    }
    properties["operation"] = json!({"type": "string", "enum": operations});
    object(&properties, &["operation"])
}

fn sql(connections: &[String]) -> Value {
    let mut connection = json!({"type": "string"});
    if !connections.is_empty() {
        connection["enum"] = json!(connections);
    }
    object(&json!({"connection": connection, "statement": {"type": "string"}}), &["connection", "statement"])
}

fn control(tool: ToolName) -> Value {
    let texts = json!({"type": "array", "items": {"type": "string"}});
    match tool {
        ToolName::Todo => object(&json!({"plan": {"type": "string"}}), &["plan"]),
        ToolName::Ask => object(
            &json!({
                "question": {"type": "string"},
                "options": texts,
                "default": {"type": "string", "description": "one of the options, if there are any"},
                "harmless": {"type": "boolean"},
            }),
            &["question"],
        ),
        ToolName::Delegate => object(
            &json!({
                "capability": {"type": "string"},
                "task": {"type": "string", "description": "goal, limits and all it must know"},
                "inputs": {"type": "object"},
                "prove": {"type": "string", "description": "command that must pass afterwards"},
                "paths": {"type": "array", "items": {"type": "string"}, "description": "files and folders to change"},
                "budget": {"type": "string", "description": "US dollars, such as \"0.50\""},
            }),
            &["capability", "task"],
        ),
        _ => object(
            &json!({
                "outcome": {"type": "string", "enum": ["done", "partial", "impossible"]},
                "summary": {"type": "string", "description": "changes and reasons; unfinished parts"},
                "commands": {"type": "array", "items": {"type": "string"}, "description": "how you checked"},
                "doubts": {"type": "array", "items": {"type": "string"}, "description": "possible faults"},
            }),
            &["outcome", "summary"],
        ),
    }
}
