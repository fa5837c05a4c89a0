//! `kill -9` while a file is being replaced: readers find one whole version, never older than the last
//! acknowledged one.
//!
//! The test starts this very binary again (the ignored test [`child`]), which replaces one file by the next
//! version without a pause and prints the number of each published version.

#![expect(clippy::unwrap_used, reason = "a test's helpers fail like the test itself")]

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use pas::files::replace_file;

const KILLS: u32 = 25;
/// Longest life after the first version was published.
const LONGEST_LIFE: Duration = Duration::from_millis(20);
/// Numbers a version repeats: more than one write of the page cache takes.
const REPEATS: usize = 200_000;
const FILE_VARIABLE: &str = "PAS_TEST_REPLACED_FILE";

fn text_of(version: u64) -> Vec<u8> {
    format!("{version} ").repeat(REPEATS).into_bytes()
}

/// The version in a file; `None` if the file mixes versions.
fn version_in(file: &Path) -> Option<u64> {
    let bytes = std::fs::read(file).unwrap();
    let first = bytes.split(|&byte| byte == b' ').next()?;
    let version = String::from_utf8(first.to_vec()).unwrap().parse().unwrap();
    (bytes == text_of(version)).then_some(version)
}

/// The process to be killed: no test of its own, does nothing without the variable.
#[test]
#[ignore = "the child process of `a_killed_writer_leaves_one_whole_version`"]
fn child() {
    let Some(file) = std::env::var_os(FILE_VARIABLE) else { return };
    let file = Path::new(&file);
    for version in version_in(file).unwrap() + 1.. {
        replace_file(file, &text_of(version)).unwrap();
        // One system call a line, so that a kill cuts no line in two.
        std::io::stdout().lock().write_all(format!("published {version}\n").as_bytes()).unwrap();
    }
}

#[test]
fn a_killed_writer_leaves_one_whole_version() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    replace_file(&file, &text_of(0)).unwrap();
    for _ in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "files_kill::child", "--ignored", "--nocapture"])
            .env(FILE_VARIABLE, &file)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut published = lines.filter_map(|line| line.strip_prefix("published ")?.parse::<u64>().ok());
        let mut newest = published.next().expect("the child works");
        // The kill must come at a moment that nothing in the child chose.
        std::thread::sleep(LONGEST_LIFE.mul_f64(fastrand::f64()));
        child.kill().unwrap();
        child.wait().unwrap();
        newest = published.last().unwrap_or(newest);
        let found = version_in(&file).expect("the file is whole");
        assert!(found == newest || found == newest + 1, "{newest} was acknowledged, {found} is there");
    }
}
