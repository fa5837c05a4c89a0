//! Finds a repository's git directory, object stores and ignore rules by reading files, without running git
//! in a person's folder. Failure policy: a file that cannot be read or resolved counts as absent.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::git::GitCommand;

/// git itself follows alternates five deep.
const MAX_ALTERNATES: usize = 64;
/// A `.git` file, `commondir` or `alternates` is a few lines.
const MAX_POINTER: u64 = 64 << 10;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FoundRepository {
    /// HEAD and index of this checkout.
    pub(super) git_dir: PathBuf,
    /// Refs, settings and objects; differs from `git_dir` in a linked working tree.
    pub(super) common_dir: PathBuf,
    /// The top of the checkout; none for a bare repository.
    pub(super) checkout: Option<PathBuf>,
}

/// Looks at `path` and the folders above.
pub(super) fn find_repository(path: &Path) -> Option<FoundRepository> {
    path.ancestors().find_map(|folder| {
        let dot = folder.join(".git");
        if let Some(git_dir) = resolve_dot_git(&dot) {
            return Some(with_common(git_dir, Some(folder.to_owned())));
        }
        if !looks_like_git_dir(folder) {
            return None;
        }
        // A person who names `.git` means the checkout.
        let checkout = folder.file_name() == Some(OsStr::new(".git"));
        let checkout = checkout.then(|| folder.parent().map(Path::to_owned)).flatten();
        Some(with_common(folder.to_owned(), checkout))
    })
}

fn with_common(git_dir: PathBuf, checkout: Option<PathBuf>) -> FoundRepository {
    let common_dir = pointer(&git_dir.join("commondir"))
        .and_then(|to| git_dir.join(to).canonicalize().ok())
        .unwrap_or_else(|| git_dir.clone());
    FoundRepository { git_dir, common_dir, checkout }
}

fn resolve_dot_git(dot: &Path) -> Option<PathBuf> {
    if dot.is_dir() {
        return looks_like_git_dir(dot).then(|| dot.canonicalize().ok()).flatten();
    }
    let text = small_file(dot)?;
    let to = trim_line(text.strip_prefix(b"gitdir:")?);
    let git_dir = dot.parent()?.join(OsStr::from_bytes(to)).canonicalize().ok()?;
    git_dir.join("HEAD").exists().then_some(git_dir)
}

fn looks_like_git_dir(folder: &Path) -> bool {
    let common = pointer(&folder.join("commondir")).map_or_else(|| folder.to_owned(), |to| folder.join(to));
    folder.join("HEAD").symlink_metadata().is_ok()
        && common.join("objects").is_dir()
        && common.join("refs").is_dir()
}

/// The object store of the repository and all borrowed stores, absolute, the repository's own first.
pub(super) fn object_stores(common_dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let mut waiting = vec![common_dir.join("objects")];
    while let Some(store) = waiting.pop() {
        let Ok(store) = store.canonicalize() else { continue };
        if found.len() >= MAX_ALTERNATES || !seen.insert(store.clone()) {
            continue;
        }
        if let Some(text) = small_file(&store.join("info/alternates")) {
            waiting.extend(alternates_of(&text).into_iter().map(|to| store.join(to)));
        }
        found.push(store);
    }
    found
}

fn alternates_of(text: &[u8]) -> Vec<PathBuf> {
    text.split(|b| *b == b'\n')
        .filter(|line| !line.is_empty() && line[0] != b'#')
        .map(|line| PathBuf::from(std::ffi::OsString::from_vec(unquote(line))))
        .collect()
}

/// git quotes a path with unusual bytes as a C string.
fn unquote(line: &[u8]) -> Vec<u8> {
    let Some(inner) = line.strip_prefix(b"\"").and_then(|l| l.strip_suffix(b"\"")) else {
        return line.to_vec();
    };
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let octal =
            |digits: &[u8]| std::str::from_utf8(digits).ok().and_then(|d| u8::from_str_radix(d, 8).ok());
        if let Some(byte) = tail.get(..3).and_then(octal) {
            bytes.push(byte);
            rest = &tail[3..];
        } else if let Some((escape, after)) = tail.split_first() {
            bytes.push(match escape {
                b'n' => b'\n',
                b't' => b'\t',
                b'r' => b'\r',
                other => *other,
            });
            rest = after;
        }
    }
    bytes
}

/// One line of an `alternates` file.
pub(super) fn quote_alternate(path: &Path) -> Vec<u8> {
    let bytes = path.as_os_str().as_bytes();
    if !bytes.iter().any(|b| *b < b' ' || *b == b'"' || *b == b'\\') {
        return bytes.to_vec();
    }
    quote_always(path)
}

pub(super) fn quote_always(path: &Path) -> Vec<u8> {
    let mut line = vec![b'"'];
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'"' | b'\\' => line.extend([b'\\', *byte]),
            b if *b < b' ' => line.extend(format!("\\{b:03o}").into_bytes()),
            other => line.push(*other),
        }
    }
    line.push(b'"');
    line
}

/// Ignore rules that are not in the commit: the repository's own and the person's, so that files they never
/// commit (an editor's folder, a file with keys) are not taken along either.
pub(super) fn exclude_rules(common_dir: &Path) -> Vec<u8> {
    let mut files = vec![common_dir.join("info/exclude")];
    if let Some(home) = std::env::var_os("HOME").map(PathBuf::from) {
        let config = std::env::var_os("XDG_CONFIG_HOME").map_or_else(|| home.join(".config"), PathBuf::from);
        files.push(config.join("git/ignore"));
        for settings in [home.join(".gitconfig"), config.join("git/config")] {
            let named =
                GitCommand::at(common_dir).env("HOME", &home).args(["config", "--file"]).arg(&settings);
            if let Ok(path) = named.args(["--get", "--path", "core.excludesFile"]).line() {
                files.push(PathBuf::from(path));
            }
        }
    }
    let mut rules = Vec::new();
    for file in files {
        rules.extend(small_file(&file).unwrap_or_default());
        rules.push(b'\n');
    }
    rules
}

fn pointer(file: &Path) -> Option<PathBuf> {
    let text = small_file(file)?;
    Some(PathBuf::from(OsStr::from_bytes(trim_line(&text))))
}

fn trim_line(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii_start();
    let end = text.iter().position(|b| *b == b'\n' || *b == b'\r').unwrap_or(text.len());
    &text[..end]
}

fn small_file(file: &Path) -> Option<Vec<u8>> {
    let about = file.metadata().ok()?;
    (about.is_file() && about.len() <= MAX_POINTER).then(|| std::fs::read(file).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alternate_with_unusual_bytes_comes_back() {
        for bytes in [&b"/a/b"[..], b"/a\nb", b"/a\"b\\c", b"/\xff\x01"] {
            let path = PathBuf::from(OsStr::from_bytes(bytes));
            let mut line = quote_alternate(&path);
            assert!(!line.contains(&b'\n'));
            line.push(b'\n');
            assert_eq!(alternates_of(&line), [path]);
        }
    }
}
