//! The blocks of a text: headings, paragraphs, code and tables, with their byte ranges.
//!
//! Reads as much of CommonMark as chunking needs: ATX and setext headings, code fences, tables. Invariants:
//! blocks come in order, do not overlap, begin and end on character boundaries, and together cover every
//! character that is not white space.

use std::ops::Range;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockKind {
    /// A heading with its level, from 1.
    Heading,
    Paragraph,
    /// A fenced block of code.
    Code,
    /// A table of pipes.
    Table,
}

/// A block and its range, from the first character of the first line to the last of the last line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TextBlock {
    pub(super) kind: BlockKind,
    pub(super) range: Range<usize>,
}

/// Whether documents of this kind are read as Markdown (HTML has become Markdown in cleaning, and what was taken out
/// of other formats is Markdown already).
pub(super) fn is_markdown(kind: &str) -> bool {
    matches!(kind, "markdown" | "html" | "document")
}

/// Splits a text at blank lines, and as Markdown also at headings and code fences.
pub(super) fn split(text: &str, markdown: bool) -> Vec<TextBlock> {
    let mut splitter = BlockSplitter { text, blocks: Vec::new(), open: None, fence: None };
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let end = at + line.trim_end().len();
        splitter.line(at, end.max(at), markdown);
        at += line.len();
    }
    splitter.flush(None);
    splitter.blocks
}

/// The words of a heading block, without the marks.
pub(super) fn heading_words(block: &str) -> &str {
    let first = block.lines().next().unwrap_or_default().trim();
    let words = first.trim_start_matches('#').trim();
    if words.len() == first.len() { words } else { words.trim_end_matches('#').trim_end() }
}

/// A block that is still growing.
struct OpenBlock {
    range: Range<usize>,
    lines: usize,
}

struct BlockSplitter<'a> {
    text: &'a str,
    blocks: Vec<TextBlock>,
    open: Option<OpenBlock>,
    /// The fence that must be closed: character and length.
    fence: Option<(char, usize)>,
}

impl BlockSplitter<'_> {
    fn line(&mut self, start: usize, end: usize, markdown: bool) {
        let line = &self.text[start..end];
        if let Some((mark, length)) = self.fence {
            self.extend(start, end);
            let closing = fence_of(line).is_some_and(|(c, n)| c == mark && n >= length)
                && line.trim().chars().all(|c| c == mark);
            if closing {
                self.fence = None;
                self.flush(Some(BlockKind::Code));
            }
        } else if line.trim().is_empty() {
            self.flush(None);
        } else if !markdown {
            self.extend(start, end);
        } else if let Some(fence) = fence_of(line) {
            self.flush(None);
            self.extend(start, end);
            self.fence = Some(fence);
        } else if is_atx(line) {
            self.flush(None);
            self.extend(start, end);
            self.flush(Some(BlockKind::Heading));
        } else if self.is_underline(line) {
            self.extend(start, end);
            self.flush(Some(BlockKind::Heading));
        } else {
            self.extend(start, end);
        }
    }

    fn extend(&mut self, start: usize, end: usize) {
        let open = self.open.get_or_insert(OpenBlock { range: start..end, lines: 0 });
        open.range.end = open.range.end.max(end);
        open.lines += 1;
    }

    fn flush(&mut self, kind: Option<BlockKind>) {
        let Some(open) = self.open.take() else { return };
        let kind = kind.unwrap_or_else(|| match self.fence {
            Some(_) => BlockKind::Code,
            None if is_table(&self.text[open.range.clone()]) => BlockKind::Table,
            None => BlockKind::Paragraph,
        });
        self.blocks.push(TextBlock { kind, range: open.range });
    }

    /// A line of `=` or `-` under one line of words makes that line a heading.
    fn is_underline(&self, line: &str) -> bool {
        let Some(open) = self.open.as_ref().filter(|open| open.lines == 1) else { return false };
        let above = self.text[open.range.clone()].trim_start();
        let marks = line.trim();
        let plain = !above.starts_with(['|', '>', '-', '*', '+']);
        plain
            && indent(line) <= 3
            && ["=", "-"].iter().any(|mark| marks.trim_matches(|c| mark.contains(c)).is_empty())
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn fence_of(line: &str) -> Option<(char, usize)> {
    let body = line.trim_start_matches(' ');
    let mark = body.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let length = body.chars().take_while(|c| *c == mark).count();
    let inline = mark == '`' && body[length..].contains('`');
    (length >= 3 && indent(line) <= 3 && !inline).then_some((mark, length))
}

fn is_atx(line: &str) -> bool {
    let body = line.trim_start_matches(' ');
    let marks = body.chars().take_while(|c| *c == '#').count();
    (1..=6).contains(&marks)
        && indent(line) <= 3
        && body[marks..].chars().next().is_none_or(char::is_whitespace)
}

fn is_table(block: &str) -> bool {
    block.lines().nth(1).is_some_and(|rule| {
        rule.contains('|')
            && rule.contains('-')
            && rule.chars().all(|c| c.is_whitespace() || "|:-".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds(text: &str) -> Vec<(BlockKind, &str)> {
        split(text, true).into_iter().map(|block| (block.kind, &text[block.range])).collect()
    }

    #[test]
    fn markdown_falls_into_its_blocks() {
        use BlockKind::{Code, Heading, Paragraph, Table};
        let text = "# A #\nwords\nmore\n\nB\n---\n```sh\n# no heading\n\n```\n| a | b |\n|---|---|\n| 1 | 2 |\n~~~\nopen";
        assert_eq!(
            kinds(text),
            [
                (Heading, "# A #"),
                (Paragraph, "words\nmore"),
                (Heading, "B\n---"),
                (Code, "```sh\n# no heading\n\n```"),
                (Table, "| a | b |\n|---|---|\n| 1 | 2 |"),
                (Code, "~~~\nopen"),
            ]
        );
        assert_eq!(heading_words("## A b ##"), "A b");
        assert_eq!(heading_words("C# and F#\n==="), "C# and F#");
    }

    proptest! {
        #[test]
        fn blocks_hold_all_words_in_order(text in "(?s)[\\PC\n#`~|=\\- ]{0,200}", markdown in any::<bool>()) {
            let mut at = 0;
            for block in split(&text, markdown) {
                prop_assert!(text[at..block.range.start].trim().is_empty());
                prop_assert!(block.range.start < block.range.end);
                at = block.range.end;
            }
            prop_assert!(text[at..].trim().is_empty());
        }
    }
}
