//! A proof as text: short and aligned for a person, tail-heavy and bounded for a model.
//!
//! Failure policy: test output is untrusted text; control characters are removed, so that it cannot paint
//! over the verdict, and for a model it is fenced and labelled as output.

use std::fmt::Write as _;

use super::change::ChangeSide;
use super::plan::ProofExpect;
use super::record::ProofRecord;
use super::stage::{ProofStage, StageEnd, cut_middle};
use super::verdict::ProofVerdict;

/// Most text for a model: enough for a failing test, little beside the model's window.
pub const MODEL_TEXT_LIMIT: usize = 8 * 1024;
/// Guards and failing names shown to a person; the record has all.
const LINES_SHOWN: usize = 10;
/// The part of a model's text reserved for output.
const LEAST_OUTPUT: usize = 2 * 1024;
const COLUMN: usize = 21;

/// For the command line.
pub fn proof_for_person(record: &ProofRecord) -> String {
    let mut text = String::new();
    row(&mut text, "proof", &heading(&record.verdict));
    row(&mut text, "command", &record.command.to_string());
    if let Some(doubt) = &record.doubt {
        row(&mut text, "careful", doubt);
    }
    for stage in ProofStage::ALL {
        let Some(end) = record.stages.iter().find(|end| end.stage == stage) else { continue };
        row(&mut text, &stage.to_string(), &stage_line(end, record.expect));
        let failing = end.failing();
        for name in failing.iter().take(LINES_SHOWN) {
            row(&mut text, "", &format!("fails: {name}"));
        }
        more(&mut text, failing.len());
    }
    let guards = match record.guards.len() {
        0 => "none touched".to_owned(),
        n => {
            let lines = if n == 1 { "line" } else { "lines" };
            format!("{n} {lines}, {}", if record.consent.guards { "allowed" } else { "not allowed" })
        }
    };
    row(&mut text, "guards", &guards);
    for guard in record.guards.iter().take(LINES_SHOWN) {
        row(&mut text, "", &guard.to_string());
    }
    more(&mut text, record.guards.len());
    for reason in reasons(&record.verdict) {
        row(&mut text, "missing", &reason);
    }
    for note in &record.notes {
        row(&mut text, "note", note);
    }
    row(&mut text, "sandbox", &record.setting.sandbox);
    row(&mut text, "build output", &record.setting.build_output);
    if let Some(prepare) = &record.setting.prepare {
        row(&mut text, "prepared by", prepare);
    }
    row(&mut text, "tree", &record.subject.tree);
    text
}

/// For the agent whose work is proved: the verdict, the reasons, and the end of the output that shows them.
pub fn proof_for_model(record: &ProofRecord) -> String {
    let mut text =
        format!("proof of commit {}: {}\n", record.subject.commit, printable(&record.verdict.to_string()));
    let _ = writeln!(text, "command: {}", printable(&record.command.script));
    for end in &record.stages {
        let _ = writeln!(text, "{}: {}", end.stage, printable(&stage_line(end, record.expect)));
    }
    if !record.consent.guards && !record.verdict.is_proved() {
        for guard in &record.guards {
            let sign = if guard.side == ChangeSide::Old { '-' } else { '+' };
            let _ = writeln!(
                text,
                "guard {}:{} {sign} {}: {}",
                guard.path,
                guard.line,
                printable(&guard.text),
                guard.why
            );
        }
    }
    for note in &record.notes {
        let _ = writeln!(text, "note: {}", printable(note));
    }
    let Some(end) = telling_stage(record) else { return cut_middle(&text, MODEL_TEXT_LIMIT - 64, 0) };
    let mut text = cut_middle(&text, MODEL_TEXT_LIMIT - LEAST_OUTPUT - 64, 0);
    let _ = writeln!(text, "output of \"{}\":", end.stage);
    let output = printable(&end.output);
    // The fences around the output and the note about the cut take up to 100 bytes.
    let left = MODEL_TEXT_LIMIT.saturating_sub(text.len() + 100);
    text.push_str(&fenced_output(&cut_middle(output.trim_end(), left / 5, left - left / 5)));
    text
}

/// Output of tests for a model: a stranger's text, named as output.
pub(super) fn fenced_output(output: &str) -> String {
    format!("<output>\n{}\n</output>\n", printable(output).trim_end())
}

/// The run whose output shows the reason.
fn telling_stage(record: &ProofRecord) -> Option<&StageEnd> {
    if record.verdict.is_proved() {
        return None;
    }
    let wrong = |end: &&StageEnd| match end.stage {
        ProofStage::Before | ProofStage::NewTestsOverOldCode => false,
        _ => !end.passed(),
    };
    record.stages.iter().rfind(wrong).or_else(|| record.stages.last())
}

fn heading(verdict: &ProofVerdict) -> String {
    match verdict {
        ProofVerdict::NotProved(_) => "NOT PROVED".into(),
        ProofVerdict::Flaky(_) => "FLAKY: the same tree failed once and passed once".into(),
        ProofVerdict::Proved => "proved".into(),
        ProofVerdict::NeedsPerson(question) => {
            format!("QUESTION: {}", question.to_string().lines().next().unwrap_or_default())
        }
    }
}

fn reasons(verdict: &ProofVerdict) -> Vec<String> {
    match verdict {
        ProofVerdict::NotProved(reasons) => reasons.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    }
}

fn stage_line(end: &StageEnd, expect: ProofExpect) -> String {
    let wanted_to_fail = match end.stage {
        ProofStage::Before => expect == ProofExpect::Fail,
        ProofStage::NewTestsOverOldCode => true,
        _ => false,
    };
    let ended = match (end.passed(), wanted_to_fail, end.outcome.started()) {
        (_, _, false) => "not run",
        (true, true, _) => "PASSED, was to fail",
        (true, false, _) => "passed",
        (false, true, _) => "failed, as it was to",
        (false, false, _) => "FAILED",
    };
    let seconds = end.millis / 1000;
    let tenths = end.millis % 1000 / 100;
    let counts = end.counts.as_ref().map_or_else(|| "tests not counted".to_owned(), ToString::to_string);
    format!("{ended} · {} · {seconds}.{tenths} s · {counts}", end.outcome)
}

fn row(text: &mut String, name: &str, value: &str) {
    for (at, line) in value.lines().enumerate() {
        let name = if at == 0 { name } else { "" };
        let _ = writeln!(text, "{name:<COLUMN$}{}", printable(line));
    }
}

fn more(text: &mut String, all: usize) {
    if all > LINES_SHOWN {
        row(text, "", &format!("and {} more", all - LINES_SHOWN));
    }
}

/// Without escapes, and without the characters that turn the direction of text around.
pub(super) fn printable(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\x1b' if letters.peek() == Some(&'[') => {
                letters.next();
                while letters.next_if(|next| !next.is_ascii_alphabetic()).is_some() {}
                letters.next();
            }
            '\n' | '\t' => plain.push(letter),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => {}
            _ if letter.is_control() => {}
            _ => plain.push(letter),
        }
    }
    plain
}

#[cfg(test)]
mod tests;
