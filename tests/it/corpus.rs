//! A small corpus: text files with licences, exact and near copies, and links from each to the one before.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fmt::Write as _;
use std::path::Path;

/// One in this many documents is an exact copy of another, and one a near copy.
const COPIES: usize = 8;

/// Writes `documents` text files with licences, copies and links below `folder`.
pub(crate) fn corpus(folder: &Path, documents: usize) {
    const WORDS: &[&str] = &[
        "the", "river", "turbine", "contract", "enzyme", "ledger", "harvest", "orbit", "protein", "and",
        "treaty", "sensor", "of", "a", "vaccine", "bridge", "market", "poem", "in", "compiler", "is", "soil",
        "with", "court", "melody",
    ];
    let mut random = fastrand::Rng::with_seed(7);
    let mut texts: Vec<String> = Vec::new();
    for number in 0..documents {
        let mut text = format!("# Document {number}\n\n");
        for _ in 0..6 {
            for _ in 0..40 {
                text.push_str(WORDS[random.usize(..WORDS.len())]);
                text.push(' ');
            }
            text.push_str("ends here.\n\n");
        }
        let _ = writeln!(text, "See [the one before](doc-{:04}.md).", number.saturating_sub(1));
        match number % COPIES {
            3 => text = texts[number - 1].clone(),
            6 => text = format!("{}One more line.\n", texts[number - 1]),
            _ => {}
        }
        texts.push(text);
    }
    std::fs::create_dir_all(folder.join("notes")).unwrap();
    for (number, text) in texts.iter().enumerate() {
        std::fs::write(folder.join(format!("notes/doc-{number:04}.md")), text).unwrap();
    }
    for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
        std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(licence), folder.join(licence)).unwrap();
    }
}
