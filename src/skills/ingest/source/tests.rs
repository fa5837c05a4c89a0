//! Sources that are listed only in part.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::StepControl;

fn step_on(source: &Path) -> StepContext {
    let inputs = json!({ "source": source });
    StepContext::new(PathBuf::new(), inputs, 1, Arc::new(StepControl::default()))
}

/// A folder as a home folder is.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    for name in
        [".ssh/id_ed25519", ".docker/config.json", ".docker/notes.txt", "notes/.vault-token", "notes/a.txt"]
    {
        let path = home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "some words").unwrap();
    }
    std::os::unix::fs::symlink("../.ssh/id_ed25519", home.path().join("notes/link.txt")).unwrap();
    home
}

#[test]
fn a_file_of_the_kernel_is_a_row_with_its_reason_and_is_never_opened() {
    let step = step_on(Path::new("/proc/self/mountinfo"));
    let source = IngestSource::open(&step).unwrap();
    let listed = source.list(&step).unwrap();
    let (status, reason) = listed[0].state.clone().unwrap_err();
    assert!(status == AuditStatus::Unreadable && reason.contains("of the kernel"), "{reason}");
    assert!(source.read(&listed[0].relative).is_err());
}

#[test]
fn stores_of_keys_are_rows_that_name_the_setting_and_are_never_read() {
    let home = home();
    let step = step_on(home.path());
    let source = IngestSource::open(&step).unwrap();
    let listed = source.list(&step).unwrap();
    let rows: Vec<_> =
        listed.iter().map(|file| (file.relative.to_str().unwrap(), file.state.is_ok())).collect();
    assert_eq!(
        rows,
        [
            (".docker/config.json", false),
            (".docker/notes.txt", true),
            (".ssh", false),
            ("notes/.vault-token", false),
            ("notes/a.txt", true),
            ("notes/link.txt", false),
        ]
    );
    for file in listed.iter().filter(|file| file.state.is_err()) {
        let (status, reason) = file.state.clone().unwrap_err();
        assert!(status == AuditStatus::Withheld && reason.contains("`key_stores` in [ingest]"), "{reason}");
    }
    for path in [".ssh/id_ed25519", "notes/link.txt", "notes/.vault-token"] {
        assert_eq!(source.read(Path::new(path)).unwrap_err().0, AuditStatus::Withheld, "{path}");
    }
}

#[test]
fn a_source_that_is_a_store_of_keys_is_refused_until_the_setting_allows_it() {
    let home = home();
    std::os::unix::fs::symlink(".ssh", home.path().join("docs")).unwrap();
    for path in [".ssh", ".ssh/id_ed25519", "docs", ".docker/config.json"] {
        let error = IngestSource::open(&step_on(&home.path().join(path))).unwrap_err();
        let is_said =
            matches!(&error, SkillError::Permanent(text) if text.contains("`key_stores` in [ingest]"));
        assert!(is_said, "{path}: {error}");
    }
    let allowed = json!({ "key_stores": [".vault-token"] });
    let step = step_on(&home.path().join(".ssh")).with_defaults(Arc::new(allowed));
    let source = IngestSource::open(&step).unwrap();
    assert_eq!(source.read(Path::new("id_ed25519")).unwrap(), b"some words");
}

#[test]
fn a_folder_that_does_not_answer_is_a_row_and_is_asked_once() {
    let home = home();
    let step = step_on(home.path());
    let source = IngestSource::open(&step).unwrap();
    let silent = home.path().canonicalize().unwrap().join("notes");
    let deadline = late(WaitFailure::Late(FILE_DEADLINE));
    source.folders.kinds.lock().insert(silent, Err(deadline.clone()));
    let listed = source.list(&step).unwrap();
    let notes: Vec<_> = listed.iter().filter(|file| file.relative.starts_with("notes")).collect();
    assert_eq!((notes.len(), notes[0].state.clone()), (1, Err(deadline.clone())));
    assert_eq!(source.read(Path::new("notes/a.txt")).unwrap_err(), deadline);
}
