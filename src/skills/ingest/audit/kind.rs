//! The kind of a document, by file name, else by the first words.

use std::path::Path;

/// Extensions common in software projects, with their kinds.
const BY_EXTENSION: &[(&str, &[&str])] = &[
    ("markdown", &["md", "markdown", "mdown", "mkd", "mdx", "rmd", "qmd"]),
    ("html", &["html", "htm", "xhtml"]),
    ("text", &["txt", "text", "rst", "adoc", "asciidoc", "org", "tex", "me", "1st", "srt"]),
    (
        "code",
        &[
            "rs", "py", "pyi", "js", "mjs", "cjs", "ts", "tsx", "jsx", "c", "h", "cc", "cpp", "cxx", "hpp",
            "hh", "go", "java", "kt", "kts", "swift", "rb", "pl", "pm", "php", "cs", "fs", "scala", "clj",
            "ex", "exs", "erl", "hrl", "hs", "ml", "mli", "lua", "r", "jl", "zig", "nim", "d", "asm", "s",
            "sh", "bash", "zsh", "fish", "ps1", "bat", "cmd", "sql", "css", "scss", "less", "vue", "svelte",
            "proto", "cmake", "m4", "ac", "awk", "sed", "vim", "el", "lisp", "scm", "dart", "wgsl", "glsl",
            "cu", "m", "mm", "v", "vhd", "tcl",
        ],
    ),
    (
        "config",
        &[
            "toml",
            "yaml",
            "yml",
            "json",
            "json5",
            "jsonc",
            "ini",
            "cfg",
            "conf",
            "properties",
            "env",
            "lock",
            "xml",
            "plist",
            "gradle",
            "editorconfig",
            "service",
            "desktop",
            "nix",
            "tf",
            "hcl",
        ],
    ),
    (
        "data",
        &[
            "csv", "tsv", "jsonl", "ndjson", "geojson", "svg", "log", "xpm", "xbm", "pgm", "ppm", "pbm",
            "obj", "ply",
        ],
    ),
];

/// File names (lower case) whose extension, if any, says nothing.
const BY_NAME: &[(&str, &[&str])] = &[
    ("code", &["makefile", "gnumakefile", "dockerfile", "rakefile", "gemfile", "justfile", "cmakelists.txt"]),
    (
        "config",
        &[
            ".gitignore",
            ".gitattributes",
            ".dockerignore",
            ".npmrc",
            ".npmignore",
            ".env",
            ".gitmodules",
            ".mailmap",
            ".editorconfig",
            "codeowners",
            "requirements.txt",
            "robots.txt",
        ],
    ),
];

/// Beginnings of names (lower case) of files with licence texts.
const LICENCE_NAMES: &[&str] =
    &["license", "licence", "copying", "unlicense", "unlicence", "copyright", "notice", "eula", "patents"];

/// The kind of a text file.
pub(super) fn of(path: &Path, text: &str) -> &'static str {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let extension =
        Path::new(&name).extension().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
    let by_extension = look_up(BY_EXTENSION, &extension);
    if is_licence_name(&name) && !matches!(by_extension, Some("code" | "config" | "data")) {
        return "licence";
    }
    look_up(BY_NAME, &name).or(by_extension).unwrap_or_else(|| by_content(text))
}

/// Whether a file name (lower case) is one that licence texts go by: `LICENSE-MIT`, `COPYING.LESSER`,
/// `mit-license.txt`.
pub(super) fn is_licence_name(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name);
    LICENCE_NAMES.iter().any(|start| {
        stem.strip_prefix(start)
            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphabetic() && c != 's'))
    }) || stem.ends_with("-license")
        || stem.ends_with("_license")
}

fn look_up(table: &[(&'static str, &[&str])], key: &str) -> Option<&'static str> {
    table.iter().find(|(_, keys)| keys.contains(&key)).map(|(kind, _)| *kind)
}

fn by_content(text: &str) -> &'static str {
    let start = text.trim_start();
    let head = start.get(..64.min(start.len())).unwrap_or_default().to_ascii_lowercase();
    if head.starts_with("#!") {
        "code"
    } else if head.starts_with("<!doctype html") || head.starts_with("<html") {
        "html"
    } else if head.starts_with("/* xpm */") {
        "data"
    } else if head.starts_with("<?xml") {
        "config"
    } else {
        "text"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_decide_before_content() {
        for (path, text, kind) in [
            ("a/README.md", "", "markdown"),
            ("LICENSE", "", "licence"),
            ("LICENSE-APACHE.md", "", "licence"),
            ("licenses/MIT.txt", "", "text"),
            ("COPYING.LESSER", "", "licence"),
            ("mit-license", "", "licence"),
            ("license.rs", "", "code"),
            ("noticeboard.txt", "", "text"),
            ("Cargo.toml", "", "config"),
            ("Makefile", "", "code"),
            ("run", "#!/bin/sh\n", "code"),
            ("page", " <!DOCTYPE HTML><p>", "html"),
            ("notes", "just words", "text"),
            ("logo.xpm", "", "data"),
            ("picture", "/* XPM */\nstatic char *logo[] = {", "data"),
        ] {
            assert_eq!(of(Path::new(path), text), kind, "{path}");
        }
    }
}
