//! Unified diffs, in the form of `diff -u` and `git diff`.

use super::super::failure::ToolFailure;
use super::parse::{FilePatch, HunkLineKind, PatchAction, PatchHunk, bad_line, bad_patch};

pub(super) fn parse(lines: &[&str]) -> Result<Vec<FilePatch>, ToolFailure> {
    let mut files = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        if lines[at].starts_with("diff --git ") || is_file_header(lines, at) {
            files.push(file(lines, &mut at)?);
        } else if lines[at].starts_with("@@ ") {
            return Err(bad_line(at, lines[at], "in place: no `--- a/path` and `+++ b/path` stand above it"));
        } else {
            at += 1;
        }
    }
    Ok(files)
}

fn is_file_header(lines: &[&str], at: usize) -> bool {
    lines[at].starts_with("--- ") && lines.get(at + 1).is_some_and(|line| line.starts_with("+++ "))
}

/// The lines that git puts before the hunks of a file.
#[derive(Default)]
struct GitHeader<'a> {
    old: Option<&'a str>,
    new: Option<&'a str>,
    renamed: Option<(&'a str, &'a str)>,
    is_new: bool,
    is_deleted: bool,
    mode: Option<u32>,
}

fn file(lines: &[&str], at: &mut usize) -> Result<FilePatch, ToolFailure> {
    let header = git_header(lines, at)?;
    let mut hunks = Vec::new();
    while lines.get(*at).is_some_and(|line| line.starts_with("@@ ")) {
        hunks.push(hunk(lines, at)?);
    }
    let (old, new) = match (header.old, header.new, header.renamed) {
        (_, _, Some((old, new))) => (old.to_owned(), new.to_owned()),
        (Some(old), Some(new), None) => plain_paths(old, new),
        _ => {
            return Err(bad_patch(
                "a file in it has no path.",
                "give `--- a/path` and `+++ b/path` for each file.",
            ));
        }
    };
    let none = "/dev/null";
    let (path, action) = if old == none || header.is_new {
        (new, PatchAction::Add)
    } else if new == none || header.is_deleted {
        (old, PatchAction::Delete)
    } else if old != new {
        (old, PatchAction::Move(new))
    } else {
        (old, PatchAction::Update)
    };
    if hunks.is_empty() && action == PatchAction::Update && header.mode.is_none() {
        return Err(bad_patch(format!("it has no hunk for {path}."), "add one, or leave the file out."));
    }
    Ok(FilePatch { path, action, hunks, mode: header.mode })
}

fn git_header<'a>(lines: &[&'a str], at: &mut usize) -> Result<GitHeader<'a>, ToolFailure> {
    let mut header = GitHeader::default();
    let mut rename_from = None;
    let start = *at;
    while let Some(&line) = lines.get(*at) {
        if let Some(paths) = line.strip_prefix("diff --git ") {
            if *at > start {
                break;
            }
            // Only for files without hunks; two paths with blanks in them cannot be separated here.
            if let Some((old, new)) = paths.split_once(' ') {
                (header.old, header.new) = (Some(old), Some(new));
            }
        } else if is_file_header(lines, *at) {
            header.old = Some(path_of(&line[4..]));
            header.new = Some(path_of(&lines[*at + 1][4..]));
            *at += 2;
            break;
        } else if let Some(path) = line.strip_prefix("rename from ") {
            rename_from = Some(path);
        } else if let Some(path) = line.strip_prefix("rename to ") {
            header.renamed = rename_from.map(|from| (from, path));
        } else if let Some(mode) = line.strip_prefix("new file mode ") {
            header.is_new = true;
            header.mode = mode_of(mode);
        } else if let Some(mode) = line.strip_prefix("new mode ") {
            header.mode = mode_of(mode);
        } else if line.starts_with("deleted file mode ") {
            header.is_deleted = true;
        } else if line.starts_with("GIT binary patch") || line.starts_with("Binary files ") {
            return Err(bad_line(*at, line, "a change of text, and no other is taken"));
        } else if !["index ", "old mode ", "similarity index ", "dissimilarity index "]
            .iter()
            .any(|known| line.starts_with(known))
        {
            break;
        }
        *at += 1;
    }
    if [header.old, header.new].into_iter().flatten().any(|path| path.starts_with('"')) {
        return Err(bad_patch(
            "a path in it is quoted.",
            "give paths as they are, without quotes and escapes.",
        ));
    }
    Ok(header)
}

/// A path of a `---` or `+++` line, without the time that `diff` appends.
fn path_of(text: &str) -> &str {
    text.split('\t').next().unwrap_or(text).trim_end()
}

fn mode_of(text: &str) -> Option<u32> {
    u32::from_str_radix(text.trim(), 8).ok()
}

/// The paths without git's `a/` and `b/`, which are removed only where both sides have them.
fn plain_paths(old: &str, new: &str) -> (String, String) {
    let none = "/dev/null";
    let plain = match (old.strip_prefix("a/"), new.strip_prefix("b/")) {
        (Some(old), Some(new)) => (old, new),
        (Some(old), None) if new == none => (old, new),
        (None, Some(new)) if old == none => (old, new),
        _ => (old, new),
    };
    (plain.0.to_owned(), plain.1.to_owned())
}

fn hunk(lines: &[&str], at: &mut usize) -> Result<PatchHunk, ToolFailure> {
    let header = lines[*at];
    let (old_start, old_count, new_count) = ranges_of(header)
        .ok_or_else(|| bad_line(*at, header, "a hunk header such as `@@ -10,4 +10,6 @@`"))?;
    *at += 1;
    let mut hunk =
        PatchHunk { header: header_shown(header), old_start: Some(old_start), ..PatchHunk::default() };
    let body = &lines[*at..];
    // The counts, if right, decide where the hunk ends: a removed line may look like a file header.
    let counted = counted_end(body, old_count, new_count);
    let end = counted.unwrap_or_else(|| guessed_end(body));
    for line in &body[..end] {
        hunk.take(line);
    }
    if counted.is_none() {
        let is_blank =
            |line: &super::parse::HunkLine| line.kind == HunkLineKind::Context && line.text.is_empty();
        while hunk.lines.last().is_some_and(is_blank) {
            hunk.lines.pop();
        }
    }
    if counted.is_none()
        && let Some(line) = body.get(end)
        && !(line.starts_with("@@ ") || line.starts_with("diff --git ") || line.starts_with("```"))
        && !is_file_header(body, end)
    {
        // Skipping this line would lose the rest of the hunk.
        return Err(bad_line(*at + end, line, "a line of a hunk, which begins with a blank, `-` or `+`"));
    }
    *at += end;
    if hunk.lines.is_empty() {
        return Err(bad_patch(format!("the hunk {header} is empty."), "leave it out, or send it whole."));
    }
    Ok(hunk)
}

/// The header's numbers, without the function name behind them.
fn header_shown(header: &str) -> String {
    header.get(2..).and_then(|rest| rest.find("@@")).map_or(header, |end| &header[..end + 4]).to_owned()
}

fn ranges_of(header: &str) -> Option<(usize, usize, usize)> {
    let inner = header.strip_prefix("@@ ")?;
    let inner = &inner[..inner.find(" @@")?];
    let (old, new) = inner.split_once(' ')?;
    let (old_start, old_count) = range_of(old.strip_prefix('-')?)?;
    let (_, new_count) = range_of(new.strip_prefix('+')?)?;
    Some((old_start, old_count, new_count))
}

fn range_of(text: &str) -> Option<(usize, usize)> {
    match text.split_once(',') {
        Some((start, count)) => Some((start.parse().ok()?, count.parse().ok()?)),
        None => Some((text.parse().ok()?, 1)),
    }
}

/// The number of lines of `body` by the counts of the header, if a hunk can end there.
fn counted_end(body: &[&str], old_count: usize, new_count: usize) -> Option<usize> {
    let (mut old, mut new, mut at) = (0, 0, 0);
    while old < old_count || new < new_count {
        match body.get(at)?.as_bytes().first() {
            None | Some(b' ' | b'\r') => (old, new) = (old + 1, new + 1),
            Some(b'-') => old += 1,
            Some(b'+') => new += 1,
            Some(b'\\') => {}
            Some(_) => return None,
        }
        at += 1;
    }
    if body.get(at).is_some_and(|line| line.starts_with('\\')) {
        at += 1;
    }
    let is_end = body.get(at).is_none_or(|line| {
        !line.starts_with([' ', '+'])
            && (!line.starts_with('-') || is_file_header(body, at) || is_signature(body, at))
    });
    (old == old_count && new == new_count && is_end).then_some(at)
}

/// The `-- ` with git's version at the end of a mailed patch.
fn is_signature(body: &[&str], at: usize) -> bool {
    body[at].trim_end() == "--" && body.len() - at <= 3
}

/// The probable end of a hunk with wrong counts.
fn guessed_end(body: &[&str]) -> usize {
    (0..body.len())
        .find(|at| {
            let line = body[*at];
            let opens_file =
                is_file_header(body, *at) && body.get(at + 2).is_some_and(|line| line.starts_with("@@ "));
            opens_file || !(line.is_empty() || line.starts_with([' ', '-', '+', '\\', '\r']))
        })
        .unwrap_or(body.len())
}
