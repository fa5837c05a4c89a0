//! Reads a document in a process of its own, which may fail in any way without harm to the daemon.
//!
//! The process is this program once more, by the hidden subcommand `read-pdf`: the file comes in by its standard
//! input, the words go out by its standard output, below a line with the title and what is left out, or with the reason why
//! there are none. Invariants: the process has an empty environment, [`MAX_MEMORY`] and [`MAX_CPU_SECONDS`]; of its output no
//! more is taken than the words' limit. Failure policy: a process that ends on its file is that file's reason.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::{DocumentWords, READER_FAILED, broken, pdf, too_large};
use crate::ingest::formats::AuditStatus;
use crate::ingest::source::FileTrouble;

const VERB: &str = "read-pdf";
/// Address space of a reader. Each thread of a step may have one; the largest file by default is 16 MiB.
const MAX_MEMORY: u64 = 1 << 30;
/// Time of a reader on a core. A thousand pages take less than a second.
const MAX_CPU_SECONDS: u64 = 20;
/// Longest line that is taken for a title or a reason.
const MAX_HEAD: u64 = 64 << 10;

/// The first line of a reader's answer.
#[derive(Debug, Serialize, Deserialize)]
enum AnswerHead {
    Words { title: String, left_out: String },
    Trouble(AuditStatus, String),
}

/// The words of a PDF, read by a process of `program`.
///
/// # Errors
/// The status and reason of the file's row.
pub(super) fn read(program: &Path, bytes: &[u8], limit: u64) -> Result<DocumentWords, FileTrouble> {
    let started = Command::new(program)
        .args([VERB, &limit.to_string()])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = started.map_err(|error| broken(&format!("its reader could not be started: {error}")))?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let answer = std::thread::scope(|scope| {
        if let Some(mut stdin) = stdin {
            // A reader that has ended takes no more.
            scope.spawn(move || stdin.write_all(bytes));
        }
        stdout.map_or_else(|| Err(io::ErrorKind::BrokenPipe.into()), |stdout| answer(stdout, limit))
    });
    if answer.as_ref().is_ok_and(|(_, text)| text.len() as u64 > limit) {
        // It still writes.
        let _ = child.kill();
    }
    let ended = child.wait().map_err(|error| broken(&format!("its reader is lost: {error}")))?;
    match answer {
        Ok((AnswerHead::Trouble(status, reason), _)) => Err((status, reason)),
        Ok((AnswerHead::Words { .. }, text)) if text.len() as u64 > limit => Err(too_large(limit)),
        Ok((AnswerHead::Words { title, left_out }, text)) if ended.success() => {
            Ok(DocumentWords { format: pdf::FORMAT, title, text, left_out })
        }
        _ => Err(failure_of(ended)),
    }
}

/// The head and the words of an answer; of words above the limit at least one byte more than the limit.
fn answer(stdout: impl io::Read, limit: u64) -> io::Result<(AnswerHead, String)> {
    let mut said = BufReader::new(stdout);
    let mut head = String::new();
    said.by_ref().take(MAX_HEAD).read_line(&mut head)?;
    let head = serde_json::from_str(&head)?;
    let mut text = Vec::new();
    said.take(limit.saturating_add(1)).read_to_end(&mut text)?;
    Ok((head, String::from_utf8_lossy(&text).into_owned()))
}

fn failure_of(ended: ExitStatus) -> FileTrouble {
    if ended.signal() == Some(rustix::process::Signal::XCPU.as_raw()) {
        return broken(&format!("it takes more than {MAX_CPU_SECONDS} s to read"));
    }
    broken(READER_FAILED)
}

/// Carries out `read-pdf LIMIT`; `None` for any other command line.
#[must_use]
pub fn run_hidden(mut arguments: impl Iterator<Item = String>) -> Option<ExitCode> {
    let limit = arguments.next().filter(|verb| verb == VERB).and(arguments.next())?.parse().ok()?;
    let said = confine_self().and_then(|()| answer_for(limit));
    // The exit status is the only way left to say it.
    Some(if said.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn confine_self() -> io::Result<()> {
    let most = |most| Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(Resource::As, most(MAX_MEMORY))?;
    // At the soft limit comes XCPU, which says why; at the hard one KILL, which may have come of anything.
    let seconds = Rlimit { current: Some(MAX_CPU_SECONDS), maximum: Some(MAX_CPU_SECONDS + 1) };
    setrlimit(Resource::Cpu, seconds)?;
    setrlimit(Resource::Core, most(0))?;
    setrlimit(Resource::Fsize, most(0))?;
    Ok(())
}

fn answer_for(limit: u64) -> io::Result<()> {
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes)?;
    let (head, text) = match pdf::read(bytes, limit) {
        Ok(DocumentWords { title, text, left_out, .. }) => (AnswerHead::Words { title, left_out }, text),
        Err((status, reason)) => (AnswerHead::Trouble(status, reason), String::new()),
    };
    let mut out = io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(&head)?)?;
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// What comes of a reader that does as `script` says.
    fn read_by(script: &str, limit: u64) -> Result<DocumentWords, FileTrouble> {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("reader");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        read(&program, &[b'x'; 300_000], limit)
    }

    #[test]
    fn an_answer_is_its_words_and_a_reason_its_reason() {
        let words =
            read_by(r#"cat >/dev/null; echo '{"Words":{"title":"Tides","left_out":""}}'; echo words"#, 10)
                .unwrap();
        assert_eq!((words.title.as_str(), words.text.as_str()), ("Tides", "words\n"));
        let said = read_by(r#"echo '{"Trouble":["broken","it is encrypted"]}'"#, 10).unwrap_err();
        assert_eq!(said, (AuditStatus::Broken, "it is encrypted".to_owned()));
    }

    #[test]
    fn whatever_a_reader_does_is_a_reason_of_the_file() {
        for (script, limit, reason) in [
            ("kill -SEGV $$", 10, READER_FAILED),
            ("kill -KILL $$", 10, READER_FAILED),
            (r#"echo '{"Words":{"title":"Tides","left_out":""}}'; exit 1"#, 10, READER_FAILED),
            ("echo no head", 10, READER_FAILED),
            ("", 10, READER_FAILED),
            ("kill -XCPU $$", 10, "more than 20 s"),
            (
                r#"echo '{"Words":{"title":"Tides","left_out":""}}'; exec cat /dev/zero"#,
                10,
                "limit of 10 bytes",
            ),
        ] {
            let (_, said) = read_by(script, limit).unwrap_err();
            assert!(said.contains(reason), "{script}: {said}");
        }
        let (_, said) = read(Path::new("/nowhere/pas"), b"", 10).unwrap_err();
        assert!(said.contains("could not be started"), "{said}");
    }
}
