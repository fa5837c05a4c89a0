//! `glob`: the names of files, newest first.
//!
//! Failure policy: an invalid pattern is refused with the fault; an answer without matches names the searched
//! place.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::SystemTime;

use cap_std::time::SystemTime as FileTime;
use globset::{GlobBuilder, GlobMatcher};
use serde::Deserialize;

use super::answer::{FileContext, ToolText};
use super::failure::{FailureClass, ToolFailure};
use super::lines::counted;
use super::suggest::with_nearest_files;
use super::tree::{TreePath, shown_path};
use super::walk::TreeWalk;

/// The most names of one answer.
const MAX_NAMES: usize = 500;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GlobArguments {
    pub(super) pattern: String,
    #[serde(default)]
    pub(super) path: Option<String>,
    #[serde(default)]
    pub(super) ignored: bool,
}

/// A pattern over paths; without a slash it matches names in any folder.
pub(super) struct PathPattern(GlobMatcher);

impl PathPattern {
    pub(super) fn parse(pattern: &str) -> Result<Self, ToolFailure> {
        let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
        let whole = if pattern.contains('/') { pattern.to_owned() } else { format!("**/{pattern}") };
        let glob = GlobBuilder::new(whole.trim_start_matches('/')).literal_separator(true).build().map_err(|error| {
            ToolFailure::new(
                FailureClass::BadPattern,
                pattern,
                format!("this is no glob pattern: {}.", error.kind()),
                "use `*`, `**`, `?`, `[abc]` and `{a,b}`; put a `\\` before a sign that stands for itself.",
            )
        })?;
        Ok(Self(glob.compile_matcher()))
    }

    /// Whether the pattern matches a path, taken from the tree's root or from the searched folder.
    pub(super) fn holds(&self, path: &Path, base: &TreePath) -> bool {
        self.0.is_match(path) || path.strip_prefix(base.as_str()).is_ok_and(|inner| self.0.is_match(inner))
    }
}

pub(super) fn glob(
    arguments: &GlobArguments,
    context: &mut FileContext<'_>,
    expired: &dyn Fn() -> bool,
) -> Result<ToolText, ToolFailure> {
    let pattern = PathPattern::parse(&arguments.pattern)?;
    let base = context.tree.path(arguments.path.as_deref().unwrap_or("."))?;
    let mut found: Vec<(SystemTime, String)> = Vec::new();
    let mut looked_at = 0_usize;
    let tally = TreeWalk::new(context.tree, arguments.ignored, expired)
        .run(&base, &mut |file| {
            looked_at += 1;
            if pattern.holds(file.path, &base) {
                let changed = file.dir.symlink_metadata(file.name).and_then(|metadata| metadata.modified());
                let changed = changed.map_or(SystemTime::UNIX_EPOCH, FileTime::into_std);
                found.push((changed, shown_path(file.path)));
            }
            ControlFlow::Continue(())
        })
        .map_err(|failure| with_nearest_files(context.tree, &base, failure))?;
    found.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let mut text: String = found.iter().take(MAX_NAMES).map(|(_, path)| format!("{path}\n")).collect();
    let mut note = match found.len() {
        0 => format!("[no file matches among {looked_at} below `{}`", base.as_str()),
        many @ ..=MAX_NAMES => format!("[{}, newest first", counted(many, "file", "files")),
        many => format!("[the {MAX_NAMES} newest of {many} files; narrow the pattern or give a path"),
    };
    if tally.ignored > 0 && !arguments.ignored {
        note.push_str("; ignored files left out, \"ignored\": true takes them in");
    }
    if tally.unreadable > 0 {
        note.push_str(&format!("; {} folders could not be read", tally.unreadable));
    }
    if tally.is_cut {
        note.push_str("; the search was cut short, give a path");
    }
    text.push_str(&note);
    text.push_str("]\n");
    Ok(context.pure_answer(&text))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::seen::SeenFiles;
    use crate::spill::tests::MemorySpill;
    use crate::tree::ToolTree;

    fn globbed(root: &Path, pattern: &str, path: Option<&str>) -> Result<String, ToolFailure> {
        let tree = ToolTree::open(root, &[]).unwrap();
        let context = &mut FileContext {
            tree: &tree,
            seen: &mut SeenFiles::default(),
            spill: &mut MemorySpill::default(),
            cap: 24_000,
        };
        let arguments =
            GlobArguments { pattern: pattern.to_owned(), path: path.map(str::to_owned), ignored: false };
        glob(&arguments, context, &|| false).map(|answer| answer.text)
    }

    #[test]
    fn the_newest_comes_first() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("src")).unwrap();
        for (age, name) in [(3, "a.rs"), (1, "src/b.rs"), (2, "src/c.rs"), (0, "d.txt")] {
            let file = std::fs::File::create(root.path().join(name)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1000 - age)).unwrap();
        }
        assert_eq!(
            globbed(root.path(), "*.rs", None).unwrap(),
            "src/b.rs\nsrc/c.rs\na.rs\n[3 files, newest first]\n"
        );
        assert_eq!(
            globbed(root.path(), "./src/{b,x}.rs", None).unwrap(),
            "src/b.rs\n[1 file, newest first]\n"
        );
        assert_eq!(globbed(root.path(), "b.rs", Some("src")).unwrap(), "src/b.rs\n[1 file, newest first]\n");
        assert_eq!(globbed(root.path(), "*/z", None).unwrap(), "[no file matches among 4 below `.`]\n");
        assert_eq!(globbed(root.path(), "a{", None).unwrap_err().class, FailureClass::BadPattern);
        assert_eq!(globbed(root.path(), "*", Some("srv")).unwrap_err().class, FailureClass::NotFound);
    }

    // Other systems refuse such names.
    #[cfg(target_os = "linux")]
    #[test]
    fn names_that_are_no_text_are_listed_escaped() {
        use std::os::unix::ffi::OsStrExt;
        let root = tempfile::tempdir().unwrap();
        let name = std::ffi::OsStr::from_bytes(b"x\xff.rs");
        std::fs::write(root.path().join(name), "").unwrap();
        assert_eq!(globbed(root.path(), "*.rs", None).unwrap(), "\"x\\xFF.rs\"\n[1 file, newest first]\n");
    }

    #[test]
    fn many_names_are_cut() {
        let root = tempfile::tempdir().unwrap();
        for number in 0..510 {
            std::fs::write(root.path().join(format!("{number}")), "").unwrap();
        }
        let text = globbed(root.path(), "*", None).unwrap();
        assert!(text.ends_with("[the 500 newest of 510 files; narrow the pattern or give a path]\n"));
        assert_eq!(text.lines().count(), 501);
    }
}
