//! `read`: numbered lines of a file, or of a result kept earlier.
//!
//! A file is streamed, so size costs no memory; the hash is remembered for a later `write`. Failure policy: a
//! file that is no text is refused with its type and size, a missing file with the nearest names.

mod window;

use std::io::Read;

use serde::Deserialize;

use super::answer::{FileContext, ToolText};
use super::failure::{FailureClass, ToolFailure};
use super::lines::grouped;
use super::suggest::with_nearest_files;
use window::LineWindow;

/// The most lines of one call; also the default.
pub(super) const MAX_LINES: u64 = 400;
/// The largest file read.
const MAX_FILE: u64 = 1024 * 1024 * 1024;
/// Bytes searched for a zero byte, as git does.
const SNIFFED: usize = 8_000;
/// The largest content kept to show a later difference.
const MAX_REMEMBERED: usize = 256 * 1024;

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReadArguments {
    pub(super) path: String,
    #[serde(default)]
    pub(super) from: Option<u64>,
    #[serde(default)]
    pub(super) lines: Option<u64>,
}

impl ReadArguments {
    pub(super) fn check(&self) -> Result<(), ToolFailure> {
        let bad = |why: &str| {
            ToolFailure::new(FailureClass::BadArguments, "read", why, "correct this field and call again.")
        };
        if self.from == Some(0) {
            return Err(bad("`from` is the number of a line, and lines are counted from 1."));
        }
        if self.lines.is_some_and(|lines| !(1..=MAX_LINES).contains(&lines)) {
            return Err(bad("`lines` is a number from 1 to 400."));
        }
        Ok(())
    }

    fn window(&self, cap: usize) -> LineWindow {
        let from = self.from.unwrap_or(1);
        LineWindow::new(from, from.saturating_add(self.lines.unwrap_or(MAX_LINES)), cap)
    }
}

pub(super) fn read(
    arguments: &ReadArguments,
    context: &mut FileContext<'_>,
) -> Result<ToolText, ToolFailure> {
    match arguments.path.strip_prefix("@out:") {
        Some(number) => read_output(number, arguments, context),
        None => read_file(arguments, context),
    }
}

fn read_output(
    number: &str,
    arguments: &ReadArguments,
    context: &FileContext<'_>,
) -> Result<ToolText, ToolFailure> {
    let what = &arguments.path;
    let missing = || {
        let advice = "use a number that an earlier result names, such as `@out:1`.";
        ToolFailure::new(FailureClass::NoSuchOutput, what, "no result is kept under this name.", advice)
    };
    let number = number.parse().map_err(|_| missing())?;
    let bytes = context
        .spill
        .read(number)
        .map_err(|error| ToolFailure::from_io(what, &error))?
        .ok_or_else(missing)?;
    let mut window = arguments.window(context.cap);
    window.feed(&bytes);
    window.finish(what).map(ToolText::unchanged)
}

fn read_file(arguments: &ReadArguments, context: &mut FileContext<'_>) -> Result<ToolText, ToolFailure> {
    let path = context.tree.path(&arguments.path)?;
    let (mut file, metadata) =
        context.tree.open_file(&path).map_err(|failure| with_nearest_files(context.tree, &path, failure))?;
    if metadata.len() > MAX_FILE {
        return Err(ToolFailure::new(
            FailureClass::TooLarge,
            path.as_str(),
            format!("the file has {} bytes.", grouped(metadata.len())),
            "search it with grep, or cut it with a command.",
        ));
    }
    let mut window = arguments.window(context.cap);
    let mut hasher = blake3::Hasher::new();
    let mut remembered = Some(Vec::new());
    let mut chunk = vec![0; 64 * 1024];
    let mut is_first = true;
    loop {
        let count = file.read(&mut chunk).map_err(|error| ToolFailure::from_io(path.as_str(), &error))?;
        if count == 0 {
            break;
        }
        let bytes = &chunk[..count];
        if is_first && bytes[..count.min(SNIFFED)].contains(&0) {
            return Err(binary_failure(path.as_str(), bytes, metadata.len()));
        }
        is_first = false;
        hasher.update(bytes);
        window.feed(bytes);
        remembered = remembered.filter(|kept| kept.len() + count <= MAX_REMEMBERED);
        if let Some(kept) = &mut remembered {
            kept.extend_from_slice(bytes);
        }
    }
    let text = window.finish(path.as_str())?;
    match remembered {
        Some(content) => context.seen.remember(&path, &content),
        None => context.seen.remember_hash(&path, hasher.finalize().to_hex().to_string()),
    }
    Ok(ToolText::unchanged(text))
}

fn binary_failure(what: &str, start: &[u8], size: u64) -> ToolFailure {
    ToolFailure::new(
        FailureClass::NotText,
        what,
        format!("this is no text: {}, {} bytes.", binary_type(start), grouped(size)),
        "use a program that knows this format, if it matters.",
    )
}

/// The type of a file that is no text, by the first bytes.
fn binary_type(start: &[u8]) -> &'static str {
    const TYPES: [(&[u8], &str); 15] = [
        (b"\x89PNG", "a PNG image"),
        (b"\xff\xd8\xff", "a JPEG image"),
        (b"GIF8", "a GIF image"),
        (b"RIFF", "a WebP, WAV or AVI file"),
        (b"%PDF", "a PDF document"),
        (b"PK\x03\x04", "a ZIP archive (also jar, docx, xlsx, wheel)"),
        (b"\x1f\x8b", "a gzip file"),
        (b"\x28\xb5\x2f\xfd", "a zstd file"),
        (b"\x7fELF", "an ELF program or library"),
        (b"\xcf\xfa\xed\xfe", "a Mach-O program or library"),
        (b"\0asm", "a WebAssembly module"),
        (b"SQLite format 3", "an SQLite database"),
        (b"\xca\xfe\xba\xbe", "a Java class or universal Mach-O file"),
        (b"\xff\xfe", "UTF-16 text"),
        (b"\xfe\xff", "UTF-16 text"),
    ];
    TYPES.iter().find(|(magic, _)| start.starts_with(magic)).map_or("of an unknown type", |(_, name)| name)
}

#[cfg(test)]
mod tests;
