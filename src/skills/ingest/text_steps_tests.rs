//! Audit, clean and chunk together, on a folder with every kind of bad file.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::documents::tests::{gzip, odt};
use super::formats::{AUDIT, AuditRow, AuditStatus, CHUNKS, CLEAN, ChunkRow, CleanRow};
use super::output::read_rows;
use super::{audit, chunk, clean};
use crate::{SkillError, StepContext, StepControl, StepOutcome};

const PROSE: &str = "This document explains in plain words how the parser reads a configuration file, and what \
                     it does when a line makes no sense to it. Mail the author at jane.roe@corp-mail.de.";

fn step(run: &Path, source: &Path, threads: usize) -> StepContext {
    let inputs = json!({ "source": source, "max_file_bytes": 100_000 });
    StepContext::new(run.to_path_buf(), inputs, threads, Arc::new(StepControl::default()))
}

/// Runs the three steps; their outcomes in order.
fn run_all(step: &StepContext) -> Vec<StepOutcome> {
    [audit::run, clean::run, chunk::run].map(|run| run(step).unwrap()).to_vec()
}

fn row<'a>(rows: &'a [AuditRow], path: &str) -> &'a AuditRow {
    rows.iter().find(|row| row.path == path).unwrap_or_else(|| panic!("no row for {path}"))
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn ugly_corpus(root: &Path) {
    let write = |name: &str, bytes: &[u8]| {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    write("README.md", format!("# Parser\n\n{PROSE}\n\n## License\n\nMIT\n").as_bytes());
    write("copy/README.md", format!("# Parser\r\n\r\n{PROSE}\r\n\r\n## License\r\n\r\nMIT\r\n").as_bytes());
    write("utf16.txt", &utf16(PROSE));
    write(
        "latin1.txt",
        "Die Größe des Gebäudes überrascht: schöne Türen, weiße Wände, müde Füße."
            .chars()
            .map(|c| c as u8)
            .collect::<Vec<_>>()
            .as_slice(),
    );
    write("mojibake.txt", "Die GrÃ¶ÃŸe des GebÃ¤udes Ã¼berrascht".as_bytes());
    write("huge.txt", &vec![b'a'; 100_001]);
    write("binary.dat", &[0, 159, 146, 150, 0, 1]);
    write("empty.txt", b"");
    write("blank.txt", b" \n\t\n");
    write("page.html", b"<html><body><h1>Head</h1><p>Words &amp; more.</p></body></html>");
    write("keys.env", ["AWS_KEY=AKIA", "IOSFODNN7RZQKLMP\n"].concat().as_bytes());
    write("Cargo.toml", b"[package]\nlicense = \"MIT OR Apache-2.0\"\n");
    write(".hidden/notes.txt", b"hidden, but a document");
    write(".git/config", b"[core]");
    ugly_names_and_links(root);
}

#[cfg(unix)]
fn ugly_names_and_links(root: &Path) {
    use std::os::unix::fs::symlink;
    symlink("nowhere", root.join("dangling")).unwrap();
    symlink("..", root.join("copy/cycle")).unwrap();
    symlink("/etc/hosts", root.join("outside")).unwrap();
    symlink("README.md", root.join("inside.md")).unwrap();
    symlink("copy", root.join("folder-link")).unwrap();
    std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(root.join("pipe")).status().unwrap().success());
    unreadable(root);
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::ffi::OsStrExt;
        fs::write(root.join(std::ffi::OsStr::from_bytes(b"caf\xe9.txt")), PROSE.replace("plain", "clear"))
            .unwrap();
    }
}

#[cfg(not(unix))]
fn ugly_names_and_links(_: &Path) {}

#[cfg(unix)]
fn unreadable(root: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::write(root.join("locked.txt"), PROSE).unwrap();
    fs::set_permissions(root.join("locked.txt"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::create_dir(root.join("locked")).unwrap();
    fs::set_permissions(root.join("locked"), fs::Permissions::from_mode(0o000)).unwrap();
}

#[test]
fn every_ugly_file_gets_its_row_and_the_job_goes_on() {
    let (source, run) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    ugly_corpus(source.path());
    let step = step(run.path(), source.path(), 2);
    let outcomes = run_all(&step);
    let rows: Vec<AuditRow> = read_rows(&step, AUDIT).unwrap();
    for (path, status) in [
        ("README.md", AuditStatus::Ok),
        (".hidden/notes.txt", AuditStatus::Ok),
        ("huge.txt", AuditStatus::TooLarge),
        ("binary.dat", AuditStatus::Binary),
        ("empty.txt", AuditStatus::Empty),
        ("blank.txt", AuditStatus::Empty),
    ] {
        assert_eq!(row(&rows, path).status, status, "{path}");
    }
    assert!(!rows.iter().any(|row| row.path.starts_with(".git/")));
    assert!(rows.is_sorted_by(|a, b| a.path < b.path && a.doc_id < b.doc_id));
    assert_eq!(row(&rows, "utf16.txt").encoding, "UTF-16LE");
    assert_eq!(row(&rows, "latin1.txt").language, "");
    assert_eq!(row(&rows, "README.md").language, "eng");
    assert_eq!(row(&rows, "README.md").flags[0].kind, "email");
    assert_eq!(row(&rows, "README.md").flags[0].line, 3);
    assert_eq!(row(&rows, "keys.env").flags[0].kind, "aws_access_key");
    assert_eq!(row(&rows, "Cargo.toml").licences[0].spdx, "MIT OR Apache-2.0");
    assert_eq!(row(&rows, "README.md").licences[0].spdx, "MIT");
    assert_eq!(outcomes[0].outputs["files"], json!(rows.len()));

    let cleaned: Vec<CleanRow> = read_rows(&step, CLEAN).unwrap();
    let text = |path: &str| cleaned.iter().find(|row| row.path == path).unwrap();
    assert_eq!(text("mojibake.txt").text, "Die Größe des Gebäudes überrascht\n");
    assert_eq!(text("utf16.txt").text.trim_end(), PROSE);
    assert!(text("page.html").text.contains("Words & more."));
    assert_eq!(text("page.html").title, "Head");
    let copy = text("copy/README.md").duplicate_of.as_ref().or(text("README.md").duplicate_of.as_ref());
    assert_eq!(copy.unwrap().how, "exact");
    let chunks: Vec<ChunkRow> = read_rows(&step, CHUNKS).unwrap();
    assert!(chunks.iter().all(|chunk| cleaned.iter().any(|row| row.doc_id == chunk.doc_id)));
}

#[cfg(unix)]
#[test]
fn links_pipes_and_sockets_are_rows_and_never_opened() {
    let (source, run) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    ugly_corpus(source.path());
    let step = step(run.path(), source.path(), 2);
    run_all(&step);
    let rows: Vec<AuditRow> = read_rows(&step, AUDIT).unwrap();
    for (path, status, reason) in [
        ("dangling", AuditStatus::BadLink, "nowhere"),
        ("copy/cycle", AuditStatus::BadLink, "above"),
        ("outside", AuditStatus::BadLink, "out of the source"),
        ("folder-link", AuditStatus::BadLink, "listed there"),
        ("inside.md", AuditStatus::Ok, ""),
        ("pipe", AuditStatus::Unreadable, "named pipe"),
        ("socket", AuditStatus::Unreadable, "socket"),
    ] {
        let row = row(&rows, path);
        assert_eq!(row.status, status, "{path}");
        assert!(row.reason.contains(reason), "{path}: {}", row.reason);
    }
    // The superuser may read everything.
    if fs::read(source.path().join("locked.txt")).is_err() {
        assert_eq!(row(&rows, "locked.txt").status, AuditStatus::Unreadable);
        assert_eq!(row(&rows, "locked").status, AuditStatus::Unreadable);
    }
    #[cfg(target_os = "linux")]
    {
        let odd = row(&rows, "caf\u{fffd}.txt");
        assert_eq!((odd.status, odd.raw_path.as_str()), (AuditStatus::Ok, "636166e92e747874"));
        let cleaned: Vec<CleanRow> = read_rows(&step, CLEAN).unwrap();
        assert!(cleaned.iter().any(|row| row.doc_id == odd.doc_id && row.text.contains("clear")));
    }
}

#[test]
fn the_bytes_do_not_depend_on_the_number_of_threads() {
    let source = tempfile::tempdir().unwrap();
    ugly_corpus(source.path());
    for n in 0..40 {
        fs::write(source.path().join(format!("doc{n}.md")), format!("# Doc {n}\n\n{PROSE}\n\nNumber {n}.\n"))
            .unwrap();
    }
    let hashes = |threads| -> Vec<(String, String, Value)> {
        let run = tempfile::tempdir().unwrap();
        let outcomes = run_all(&step(run.path(), source.path(), threads));
        outcomes
            .into_iter()
            .map(|outcome| {
                (outcome.artifacts[0].path.clone(), outcome.artifacts[0].blake3.clone(), outcome.outputs)
            })
            .collect()
    };
    assert_eq!(hashes(1), hashes(4));
}

#[test]
fn files_that_change_or_vanish_after_the_audit_are_counted_and_skipped() {
    let (source, run) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for name in ["a.txt", "b.txt", "c.txt"] {
        fs::write(source.path().join(name), format!("{PROSE} {name}")).unwrap();
    }
    let step = step(run.path(), source.path(), 1);
    audit::run(&step).unwrap();
    fs::remove_file(source.path().join("a.txt")).unwrap();
    fs::write(source.path().join("b.txt"), "other").unwrap();
    let outcome = clean::run(&step).unwrap();
    assert_eq!(outcome.outputs["skipped"], json!({ "vanished": 1, "changed": 1 }));
    assert_eq!(outcome.outputs["documents"], json!(1));
}

#[test]
fn the_passes_of_a_step_are_one_count_that_never_begins_anew() {
    let (source, run) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for name in ["a.txt", "b.txt", "c.txt"] {
        fs::write(source.path().join(name), format!("{PROSE} {name}")).unwrap();
    }
    let control = Arc::new(StepControl::default());
    let inputs = json!({ "source": source.path() });
    let step = StepContext::new(run.path().to_path_buf(), inputs, 1, Arc::clone(&control));
    audit::run(&step).unwrap();
    clean::run(&step).unwrap();
    let progress = control.progress();
    assert_eq!((progress.done, progress.total), (3 * 4, 3 * 4), "three documents in each of four passes");
}

#[test]
fn one_file_is_a_source_too_and_nonsense_is_refused() {
    let (source, run) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = source.path().join("only.md");
    fs::write(&file, PROSE).unwrap();
    fs::write(source.path().join("other.md"), PROSE).unwrap();
    let outcomes = run_all(&step(run.path(), &file, 1));
    assert_eq!(outcomes[0].outputs["files"], json!(1));
    let inputs = |inputs: Value| {
        StepContext::new(run.path().to_path_buf(), inputs, 1, Arc::new(StepControl::default()))
    };
    for wrong in [
        json!({}),
        json!({ "source": "relative/path" }),
        json!({ "source": source.path().join("missing") }),
        json!({ "source": source.path(), "max_file_bytes": 0 }),
    ] {
        assert!(matches!(audit::run(&inputs(wrong.clone())), Err(SkillError::Permanent(_))), "{wrong}");
    }
}

#[test]
fn a_stopped_step_ends_as_cancelled_and_leaves_no_output() {
    let (source, run) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(source.path().join("a.txt"), PROSE).unwrap();
    let control = Arc::new(StepControl::default());
    control.stop();
    let step = StepContext::new(run.path().to_path_buf(), json!({ "source": source.path() }), 2, control);
    assert_eq!(audit::run(&step), Err(SkillError::Cancelled));
    assert!(!run.path().join(AUDIT).exists());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_bytes_make_a_step_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        name in prop::sample::select(vec!["a.md", "a.html", "LICENSE", "Cargo.toml", "a", "a.rs"]),
        text in any::<bool>(),
    ) {
        let (source, run) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        // Half of the cases are kept free of zero bytes, to get past the binary check.
        let bytes: Vec<u8> = if text { bytes.into_iter().map(|b| b.max(9)).collect() } else { bytes };
        fs::write(source.path().join(name), bytes).unwrap();
        run_all(&step(run.path(), source.path(), 1));
    }
}

/// Not a test of the code but a look at real text: `PAS_CORPUS=<folder> cargo nextest run --release
/// --run-ignored only real_corpus --no-capture`; the rows stay in `PAS_RUN` (or a folder that is removed).
#[test]
#[ignore = "needs a corpus"]
fn real_corpus() {
    let source = std::env::var("PAS_CORPUS").expect("PAS_CORPUS names a folder");
    let scratch = tempfile::tempdir().unwrap();
    let run = std::env::var("PAS_RUN").map_or_else(|_| scratch.path().to_path_buf(), Into::into);
    let inputs = json!({ "source": source });
    for threads in [1, 2] {
        let step = StepContext::new(run.clone(), inputs.clone(), threads, Arc::new(StepControl::default()));
        for (name, run) in
            [("audit", audit::run as fn(&StepContext) -> _), ("clean", clean::run), ("chunk", chunk::run)]
        {
            let started = std::time::Instant::now();
            let outcome: StepOutcome = run(&step).unwrap();
            println!(
                "{name} {threads} threads {:?}\n{:#}\n{}",
                started.elapsed(),
                outcome.outputs,
                outcome.artifacts[0].blake3
            );
        }
    }
}

#[test]
fn documents_and_gzip_pass_all_steps_with_title_headings_and_licence() {
    let (source, run) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let body = format!(
        "<text:h text:outline-level=\"1\">Reading</text:h><text:p>{PROSE}</text:p>\
         <text:h text:outline-level=\"1\">Licence</text:h><text:p>Released under the MIT license.</text:p>"
    );
    fs::write(source.path().join("guide.odt"), odt(&body)).unwrap();
    fs::write(
        source.path().join("changes.md.gz"),
        gzip(b"# Changes\n\nThe second release mends the first.\n"),
    )
    .unwrap();
    fs::write(
        source.path().join("page.html.gz"),
        gzip(b"<html><title>A page</title><h1>Head</h1><p>Words.</p>"),
    )
    .unwrap();
    fs::write(source.path().join("bomb.gz"), gzip(&vec![b' '; 1 << 20])).unwrap();
    fs::write(source.path().join("broken.odt"), &odt(&body)[..200]).unwrap();
    let step = step(run.path(), source.path(), 2);
    let outcomes = run_all(&step);
    assert_eq!(outcomes[0].outputs["formats"], json!({ "gzip": 2, "odt": 1 }));
    let rows: Vec<AuditRow> = read_rows(&step, AUDIT).unwrap();
    let guide = row(&rows, "guide.odt");
    assert_eq!(
        (guide.kind.as_str(), guide.language.as_str(), guide.format.as_str()),
        ("document", "eng", "odt")
    );
    assert_eq!((guide.licences[0].spdx.as_str(), guide.flags[0].kind.as_str()), ("MIT", "email"));
    assert_eq!(row(&rows, "bomb.gz").status, AuditStatus::TooLarge);
    assert_eq!(row(&rows, "broken.odt").status, AuditStatus::Broken);
    let cleaned: Vec<CleanRow> = read_rows(&step, CLEAN).unwrap();
    let titles: Vec<_> =
        cleaned.iter().map(|row| (row.path.as_str(), row.kind.as_str(), row.title.as_str())).collect();
    assert_eq!(
        titles,
        [
            ("changes.md.gz", "markdown", "Changes"),
            ("guide.odt", "document", "The guide"),
            ("page.html.gz", "html", "A page"),
        ]
    );
    assert!(cleaned[1].repairs.contains(&"taken_out:odt".to_owned()));
    let chunks: Vec<ChunkRow> = read_rows(&step, CHUNKS).unwrap();
    assert!(chunks.iter().any(|chunk| chunk.doc_id == 3 && chunk.heading == "Reading"), "{chunks:?}");
}
