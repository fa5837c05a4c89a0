//! `grep`: lines that match a regular expression.
//!
//! Bounded in matches, bytes and time; the same tree gives the same answer. Failure policy: a bad pattern is
//! refused with the place of the fault; files that cannot be searched are counted; an answer without matches
//! names the searched place.

use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::Path;

use cap_std::fs::Dir;
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkMatch};
use serde::Deserialize;

use super::answer::{FileContext, ToolText};
use super::failure::{FailureClass, ToolFailure};
use super::glob::PathPattern;
use super::lines::{counted, shortened, without_end};
use super::suggest::with_nearest_files;
use super::tree::{open_regular, shown_path};
use super::walk::{TreeWalk, WalkTally};

/// The most matches of one answer.
const MAX_MATCHES: usize = 200;
/// The most lines around a match.
const MAX_CONTEXT: usize = 5;
/// Characters shown of one line.
const LINE_WIDTH: usize = 400;
/// Longest line searched; a file with a longer one counts as not searched.
const MAX_LINE: usize = 16 * 1024 * 1024;
/// Most memory for a compiled pattern; no sensible pattern needs more.
const MAX_PATTERN_SIZE: usize = 10 * 1024 * 1024;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GrepArguments {
    pub(super) pattern: String,
    #[serde(default)]
    pub(super) path: Option<String>,
    #[serde(default)]
    pub(super) glob: Option<String>,
    #[serde(default)]
    pub(super) context: usize,
    #[serde(default)]
    pub(super) ignore_case: bool,
    #[serde(default)]
    pub(super) ignored: bool,
}

impl GrepArguments {
    pub(super) fn check(&self) -> Result<(), ToolFailure> {
        if self.context > MAX_CONTEXT {
            let why = "`context` is a number of lines from 0 to 5.";
            return Err(ToolFailure::new(
                FailureClass::BadArguments,
                "grep",
                why,
                "read the place with read.",
            ));
        }
        Ok(())
    }

    fn matcher(&self) -> Result<RegexMatcher, ToolFailure> {
        RegexMatcherBuilder::new()
            .multi_line(true)
            .case_insensitive(self.ignore_case)
            // In this order, so that `$` holds before `\r\n` and lines are still split at `\n`.
            .crlf(true)
            .line_terminator(Some(b'\n'))
            .size_limit(MAX_PATTERN_SIZE)
            .build(&self.pattern)
            .map_err(|error| {
                // The plain parser draws the place of the fault; the matcher's own error does not always.
                let fault = match regex::bytes::Regex::new(&self.pattern) {
                    Err(fault) => fault.to_string(),
                    Ok(_) => error.to_string(),
                };
                ToolFailure::new(
                    FailureClass::BadPattern,
                    &self.pattern,
                    fault,
                    "patterns are Rust regular expressions (no look-around, no back-references) within one line; \
                     put a `\\` before ( ) [ ] { } . * + ? ^ $ | \\ that stand for themselves.",
                )
            })
    }
}

pub(super) fn grep(
    arguments: &GrepArguments,
    context: &mut FileContext<'_>,
    expired: &dyn Fn() -> bool,
) -> Result<ToolText, ToolFailure> {
    let matcher = arguments.matcher()?;
    let pattern = arguments.glob.as_deref().map(PathPattern::parse).transpose()?;
    let base = context.tree.path(arguments.path.as_deref().unwrap_or("."))?;
    let mut search = GrepSearch::new(matcher, arguments.context, expired);
    let metadata = context.tree.metadata(&base).map_err(|error| {
        with_nearest_files(context.tree, &base, ToolFailure::from_io(base.as_str(), &error))
    })?;
    let tally = if metadata.is_dir() {
        TreeWalk::new(context.tree, arguments.ignored, expired).run(&base, &mut |file| {
            if pattern.as_ref().is_none_or(|pattern| pattern.holds(file.path, &base)) {
                search.file(file.dir, file.name, file.path)
            } else {
                ControlFlow::Continue(())
            }
        })?
    } else {
        let path = Path::new(base.as_str());
        open_regular(context.tree.dir(), path, base.as_str())?;
        let _ = search.file(context.tree.dir(), path, path);
        WalkTally::default()
    };
    let is_late = expired();
    let note = search.note(arguments, base.as_str(), &tally, is_late);
    search.hits.text.push_str(&note);
    Ok(context.pure_answer(&search.hits.text))
}

struct GrepSearch<'a> {
    matcher: RegexMatcher,
    searcher: Searcher,
    expired: &'a dyn Fn() -> bool,
    hits: GrepHits,
    searched: usize,
    passed_over: usize,
}

impl<'a> GrepSearch<'a> {
    fn new(matcher: RegexMatcher, context: usize, expired: &'a dyn Fn() -> bool) -> Self {
        let searcher = SearcherBuilder::new()
            .binary_detection(BinaryDetection::quit(0))
            .before_context(context)
            .after_context(context)
            .heap_limit(Some(MAX_LINE))
            .line_number(true)
            .build();
        Self { matcher, searcher, expired, hits: GrepHits::default(), searched: 0, passed_over: 0 }
    }

    fn file(&mut self, dir: &Dir, name: &Path, path: &Path) -> ControlFlow<()> {
        let Ok((file, _)) = open_regular(dir, name, "") else {
            self.passed_over += 1;
            return ControlFlow::Continue(());
        };
        let start = self.hits.text.len();
        let matches = self.hits.matches;
        let reader = TimedReader { inner: file, expired: self.expired };
        let result = self.searcher.search_reader(&self.matcher, reader, &mut self.hits);
        match result {
            Ok(()) => self.searched += 1,
            Err(_) => self.passed_over += 1,
        }
        if self.hits.matches > matches {
            self.hits.files += 1;
            self.hits.text.insert_str(start, &format!("{}\n", shown_path(path)));
        } else {
            self.hits.text.truncate(start);
        }
        if self.hits.is_full() || (self.expired)() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn note(&self, arguments: &GrepArguments, base: &str, tally: &WalkTally, is_late: bool) -> String {
        let mut note = match self.hits.matches {
            0 => {
                let glob = arguments.glob.as_ref().map(|glob| format!(" with a name like `{glob}`"));
                let glob = glob.unwrap_or_default();
                format!(
                    "[no match in {} searched below `{base}`{glob}",
                    counted(self.searched, "file", "files")
                )
            }
            matches if self.hits.is_full() => {
                format!("[the first {matches} matches; narrow the pattern, the path or the glob")
            }
            matches => {
                let matches = counted(matches, "match", "matches");
                format!("[{matches} in {} of {}", self.hits.files, counted(self.searched, "file", "files"))
            }
        };
        if tally.ignored > 0 {
            note.push_str("; ignored files left out, \"ignored\": true takes them in");
        }
        if self.passed_over + tally.unreadable > 0 {
            note.push_str(&format!("; {} could not be searched", self.passed_over + tally.unreadable));
        }
        if is_late || tally.is_cut {
            note.push_str("; time was up before all files were searched, give a path or a glob");
        }
        note.push_str("]\n");
        note
    }
}

/// The lines found so far.
#[derive(Default)]
struct GrepHits {
    text: String,
    matches: usize,
    files: usize,
}

impl GrepHits {
    fn is_full(&self) -> bool {
        self.matches >= MAX_MATCHES
    }

    fn push(&mut self, number: Option<u64>, sign: char, line: &[u8]) {
        let line = String::from_utf8_lossy(without_end(line));
        let number = number.unwrap_or_default();
        self.text.push_str(&format!("{number}{sign}{}\n", shortened(&line, LINE_WIDTH)));
    }
}

impl Sink for GrepHits {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> Result<bool, io::Error> {
        self.matches += 1;
        self.push(found.line_number(), ':', found.bytes());
        Ok(!self.is_full())
    }

    fn context(&mut self, _: &Searcher, context: &SinkContext<'_>) -> Result<bool, io::Error> {
        self.push(context.line_number(), '-', context.bytes());
        Ok(true)
    }

    fn context_break(&mut self, _: &Searcher) -> Result<bool, io::Error> {
        self.text.push_str("--\n");
        Ok(true)
    }
}

/// A file whose reading ends with an error once the time is up.
struct TimedReader<'a, R> {
    inner: R,
    expired: &'a dyn Fn() -> bool,
}

impl<R: Read> Read for TimedReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.expired)() { Err(io::ErrorKind::TimedOut.into()) } else { self.inner.read(buffer) }
    }
}

#[cfg(test)]
mod tests;
