//! The file of a run's summaries, `docs/runs/<run_id>_summary.md`: one section a summary.
//!
//! All summaries of one run are in one file, oldest first. A section begins with a comment that names the
//! summary, so writing the summary again replaces the section, and text written by people before the first
//! section stays. Invariants: a reader finds a whole file or none; names come from [`RunLabel`], so no file
//! leaves the folder; beyond [`MAX_FILE_BYTES`] the oldest sections are dropped. Blocks: call from a blocking
//! thread.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use parking_lot::Mutex;

use crate::domain::token_governor::summary::{ContextSummary, path};
use crate::domain::token_governor::{RunLabel, summary};
use crate::files::replace_file;

/// Largest file: some five hundred summaries.
const MAX_FILE_BYTES: usize = 4 * 1024 * 1024;
/// Begins a section; the id and [`MARK_END`] follow.
const MARK: &str = "<!-- pas-summary: ";
const MARK_END: &str = " -->";

/// One writer at a time, so that two writers lose no section.
static WRITING: Mutex<()> = Mutex::new(());

/// Writes or replaces the section of a summary.
///
/// # Errors
/// The file system's, with the path; the file is then unchanged.
pub(super) fn write(workdir: &Path, summary: &ContextSummary) -> io::Result<()> {
    let _alone = WRITING.lock();
    let target = workdir.join(path(&summary.run_id));
    let told = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", target.display()));
    let old = match std::fs::read_to_string(&target) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => opening(&summary.run_id),
        Err(error) => return Err(told(error)),
    };
    replace_file(&target, with_section(&old, summary).as_bytes()).map_err(told)
}

fn opening(run: &RunLabel) -> String {
    format!("# Summaries of run {run}\n")
}

/// The text with the summary's section at the end, or in place of the earlier version.
fn with_section(old: &str, summary: &summary::ContextSummary) -> String {
    let new = section(summary);
    let mut parts = sections(old);
    match parts.iter_mut().find(|(id, _)| *id == Some(summary.summary_id.as_str())) {
        Some((_, text)) => *text = &new,
        None => parts.push((Some(&summary.summary_id), &new)),
    }
    let mut size: usize = parts.iter().map(|(_, text)| text.len() + 1).sum();
    while size > MAX_FILE_BYTES && parts.len() > 2 {
        // The first part is the text before the sections.
        size -= parts.remove(1).1.len() + 1;
    }
    let texts: Vec<&str> = parts.iter().map(|(_, text)| text.trim_end()).collect();
    texts.join("\n\n") + "\n"
}

/// The text before the first section, then each section with the summary's id.
fn sections(text: &str) -> Vec<(Option<&str>, &str)> {
    let at_line = |at: usize| at == 0 || text[..at].ends_with('\n');
    let starts: Vec<usize> = text.match_indices(MARK).map(|(at, _)| at).filter(|at| at_line(*at)).collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let mut parts = vec![(None, &text[..starts.first().copied().unwrap_or(text.len())])];
    parts.extend(starts.iter().zip(ends).map(|(start, end)| {
        let section = &text[*start..end];
        let id = section[MARK.len()..].split(MARK_END).next();
        (id, section)
    }));
    parts
}

fn section(summary: &ContextSummary) -> String {
    let mut text = format!("{MARK}{}{MARK_END}\n", summary.summary_id);
    // Writing to a string cannot fail.
    let _ = writeln!(text, "## {} at {}\n", summary.agent, summary.created_at);
    let _ = writeln!(
        text,
        "Why: {}. Context before: {} tokens. This summary: {} tokens, {} (from {}).\n",
        summary.trigger_reason.as_str(),
        summary.ctx_before,
        summary.tokens_after,
        summary.method,
        summary.tokens_before,
    );
    // A line of the content that looks like a mark must not begin a section.
    let _ = writeln!(text, "{}", summary.text.replace(MARK, &MARK.replace("<!--", "<! --")));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;
    use crate::domain::token_governor::summary::SummaryTrigger;

    fn summary(id: &str, text: &str) -> ContextSummary {
        let run_id = RunLabel::new("r1").unwrap();
        ContextSummary {
            summary_id: id.into(),
            agent: "coder".into(),
            summary_path: path(&run_id),
            run_id,
            trigger_reason: SummaryTrigger::Manual,
            ctx_before: 9_000,
            ctx_after: 0,
            created_at: Timestamp::from_millis(0),
            text: text.into(),
            method: "extractive".into(),
            tokens_before: 4,
            tokens_after: 3,
        }
    }

    #[test]
    fn sections_are_added_and_replaced_and_people_s_words_stay() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("docs/runs/r1_summary.md");
        let text = || std::fs::read_to_string(&file).unwrap();
        write(dir.path(), &summary("s1", "one")).unwrap();
        std::fs::write(&file, text().replace("# Summaries", "By hand.\n\n# Summaries")).unwrap();
        write(dir.path(), &summary("s2", "two\n<!-- pas-summary: s1 -->\nfake")).unwrap();
        let before = text();
        write(dir.path(), &summary("s2", "two\n<!-- pas-summary: s1 -->\nfake")).unwrap();
        assert_eq!(text(), before, "done twice is done once");
        write(dir.path(), &summary("s1", "uno")).unwrap();
        let whole = text();
        assert!(whole.starts_with("By hand.") && whole.contains("\nuno\n") && !whole.contains("\none\n"));
        assert_eq!((whole.matches(MARK).count(), whole.matches("\ntwo\n").count()), (2, 1));
        assert!(whole.find("uno") < whole.find("two"), "the order of the making stays");
        assert_eq!(std::fs::read_dir(dir.path().join("docs/runs")).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("docs"), "in the way").unwrap();
        let error = write(dir.path(), &summary("s1", "one")).unwrap_err();
        assert!(error.to_string().contains("r1_summary.md"), "{error}");
    }

    #[test]
    fn the_oldest_sections_make_room() {
        let mut text = opening(&RunLabel::new("r1").unwrap());
        for n in 0..6 {
            text = with_section(&text, &summary(&format!("s{n}"), &"x".repeat(MAX_FILE_BYTES / 4)));
        }
        let kept: Vec<_> = sections(&text).into_iter().filter_map(|(id, _)| id).collect();
        assert_eq!(kept, ["s3", "s4", "s5"]);
    }
}
