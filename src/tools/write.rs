//! `write`: a whole file, new or replacing one that the agent knows.
//!
//! Invariant: a file is replaced only if the agent has seen its present content. Failure policy: a refusal
//! leaves the file unchanged, and shows the changes since the agent saw it.

use serde::Deserialize;

use super::answer::{FileContext, ToolText};
use super::failure::{FailureClass, ToolFailure};
use super::lines::{LineEnds, counted, grouped, short_diff, split_lines};
use super::seen::{SeenFiles, SeenStanding};
use super::tree::{PresentFile, TreePath};

/// The largest file that `write` makes: larger files are data, which a program should make.
const MAX_WRITTEN: usize = 1024 * 1024;
/// Bytes of a difference that a failure shows.
const DIFF_CAP: usize = 3 * 1024;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WriteArguments {
    pub(super) path: String,
    pub(super) content: String,
}

pub(super) fn write(
    arguments: &WriteArguments,
    context: &mut FileContext<'_>,
) -> Result<ToolText, ToolFailure> {
    if arguments.content.len() > MAX_WRITTEN {
        return Err(ToolFailure::new(
            FailureClass::TooLarge,
            &arguments.path,
            format!("`content` has {} bytes; the most is 1 MiB.", grouped(arguments.content.len() as u64)),
            "split the file, or make it with a program.",
        ));
    }
    let path = context.tree.writable_path(&arguments.path)?;
    let present = context.tree.present(&path)?;
    let content = match &present {
        None => arguments.content.clone().into_bytes(),
        Some(present) => {
            refuse_unknown(context.seen, &path, present)?;
            LineEnds::of(&present.bytes).apply(arguments.content.as_bytes())
        }
    };
    let size = format!(
        "{}, {}",
        counted(split_lines(&content).len(), "line", "lines"),
        counted(content.len(), "byte", "bytes")
    );
    if present.as_ref().is_some_and(|present| present.bytes == content) {
        return Ok(ToolText::unchanged(format!("{} is the same already: {size}.", path.as_str())));
    }
    let mode = present.as_ref().map(|present| present.mode);
    context.tree.stage(&path, &content, mode)?.put_in_place()?;
    context.seen.remember(&path, &content);
    let done = if present.is_some() { "replaced" } else { "new file" };
    Ok(ToolText::changed(format!("{done} {}: {size}.", path.as_str())))
}

fn refuse_unknown(seen: &SeenFiles, path: &TreePath, present: &PresentFile) -> Result<(), ToolFailure> {
    match seen.standing(path, &present.bytes) {
        SeenStanding::Same => Ok(()),
        SeenStanding::Never => Err(ToolFailure::new(
            FailureClass::NotRead,
            path.as_str(),
            "the file exists, and you have not read it.",
            "read it first, or change a part of it with edit.",
        )),
        SeenStanding::Changed(before) => Err(changed_failure(path, before, &present.bytes)),
    }
}

fn changed_failure(path: &TreePath, before: Option<&[u8]>, now: &[u8]) -> ToolFailure {
    let why = match changes_since(before, now) {
        Some(diff) => format!("the file changed since you read it:\n{diff}"),
        None => "the file changed since you read it.".to_owned(),
    };
    let advice = "read it again, and keep the changes of others.";
    ToolFailure::new(FailureClass::ChangedSinceRead, path.as_str(), why, advice)
}

/// The difference between the content an agent saw and the present one, if the earlier is still known.
pub(super) fn changes_since(before: Option<&[u8]>, now: &[u8]) -> Option<String> {
    before.map(|before| short_diff(before, now, DIFF_CAP))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spill::tests::MemorySpill;
    use crate::tree::ToolTree;

    fn written(
        tree: &ToolTree,
        seen: &mut SeenFiles,
        path: &str,
        content: &str,
    ) -> Result<ToolText, ToolFailure> {
        let context = &mut FileContext { tree, seen, spill: &mut MemorySpill::default(), cap: 9_999 };
        write(&WriteArguments { path: path.to_owned(), content: content.to_owned() }, context)
    }

    #[test]
    fn only_a_known_file_is_replaced() {
        let root = tempfile::tempdir().unwrap();
        let tree = ToolTree::open(root.path(), &[]).unwrap();
        let mut seen = SeenFiles::default();
        let at = root.path().join("deep/a.txt");
        assert_eq!(
            written(&tree, &mut seen, "deep/a.txt", "one\n").unwrap().text,
            "new file deep/a.txt: 1 line, 4 bytes."
        );
        // Written by the agent, so known.
        assert!(written(&tree, &mut seen, "deep/a.txt", "two\n").unwrap().is_changed);
        assert!(!written(&tree, &mut seen, "deep/a.txt", "two\n").unwrap().is_changed);
        std::fs::write(&at, "two\nby another\n").unwrap();
        let failure = written(&tree, &mut seen, "deep/a.txt", "three\n").unwrap_err();
        assert_eq!(failure.class, FailureClass::ChangedSinceRead);
        assert!(failure.why.contains("+by another"), "{failure}");
        let failure = written(&tree, &mut SeenFiles::default(), "deep/a.txt", "x").unwrap_err();
        assert_eq!(failure.class, FailureClass::NotRead);
        assert_eq!(std::fs::read_to_string(&at).unwrap(), "two\nby another\n");
    }

    #[test]
    fn line_ends_are_kept() {
        let root = tempfile::tempdir().unwrap();
        let tree = ToolTree::open(root.path(), &[]).unwrap();
        let mut seen = SeenFiles::default();
        std::fs::write(root.path().join("w"), "a\r\nb\r\n").unwrap();
        seen.remember(&tree.path("w").unwrap(), b"a\r\nb\r\n");
        written(&tree, &mut seen, "w", "a\nc\nd").unwrap();
        assert_eq!(std::fs::read(root.path().join("w")).unwrap(), b"a\r\nc\r\nd");
    }

    #[test]
    fn too_much_and_folders_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let tree = ToolTree::open(root.path(), &[]).unwrap();
        let seen = &mut SeenFiles::default();
        std::fs::create_dir(root.path().join("d")).unwrap();
        let big = "x".repeat(MAX_WRITTEN + 1);
        assert_eq!(written(&tree, seen, "a", &big).unwrap_err().class, FailureClass::TooLarge);
        assert_eq!(written(&tree, seen, "d", "x").unwrap_err().class, FailureClass::NotAFile);
        assert_eq!(written(&tree, seen, "../a", "x").unwrap_err().class, FailureClass::OutsideTree);
        assert_eq!(written(&tree, seen, "d/../a", "x").unwrap_err().class, FailureClass::OutsideTree);
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
