//! The rules of the tool tree, case by case.

use std::os::unix::fs::symlink;

use super::*;

fn tree() -> (tempfile::TempDir, ToolTree) {
    let folder = tempfile::tempdir().unwrap();
    let tree = ToolTree::open(folder.path(), &[PathBuf::from("/tree")]).unwrap();
    (folder, tree)
}

pub(crate) fn make_pipe(at: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(at).status().unwrap().success());
}

#[test]
fn a_path_is_made_relative_and_normal() {
    let (folder, tree) = tree();
    let absolute = folder.path().join("src/a.rs");
    for given in ["src/a.rs", "./src//a.rs", "/tree/src/a.rs", absolute.to_str().unwrap()] {
        assert_eq!(tree.path(given).unwrap().as_str(), "src/a.rs", "{given}");
    }
    assert!(tree.path("").unwrap().is_root());
    for given in ["../x", "src/../../x", "a/../b", "/etc/passwd", "/treeish/x", "a\0b"] {
        assert_eq!(tree.path(given).unwrap_err().class, FailureClass::OutsideTree, "{given}");
    }
}

#[test]
fn links_out_are_refused_and_links_inside_are_read() {
    let (folder, tree) = tree();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "key").unwrap();
    std::fs::write(folder.path().join("real"), "text").unwrap();
    symlink(outside.path().join("secret"), folder.path().join("absolute")).unwrap();
    symlink(outside.path(), folder.path().join("folder")).unwrap();
    symlink("../../../../../../etc/passwd", folder.path().join("climbing")).unwrap();
    symlink("/proc/self/root/etc/passwd", folder.path().join("magic")).unwrap();
    symlink("real", folder.path().join("inside")).unwrap();
    for name in ["absolute", "folder/secret", "climbing", "magic"] {
        let failure = tree.read_whole(&tree.path(name).unwrap()).unwrap_err();
        assert_eq!(failure.class, FailureClass::OutsideTree, "{name}: {failure}");
    }
    assert_eq!(tree.read_whole(&tree.path("inside").unwrap()).unwrap().bytes, b"text");
    let failure = tree.stage(&tree.path("folder/new").unwrap(), b"x", None).unwrap_err();
    assert_eq!(failure.class, FailureClass::OutsideTree);
    let failure = tree.stage(&tree.path("folder/deep/new").unwrap(), b"x", None).unwrap_err();
    assert_eq!(failure.class, FailureClass::OutsideTree);
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
    let failure = tree.present(&tree.path("inside").unwrap()).unwrap_err();
    assert!(failure.why.contains("`real`"), "{failure}");
}

#[test]
fn a_pipe_is_refused_without_waiting() {
    let (folder, tree) = tree();
    make_pipe(&folder.path().join("pipe"));
    std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    symlink("pipe", folder.path().join("to_pipe")).unwrap();
    for name in ["pipe", "socket", "to_pipe"] {
        let failure = tree.read_whole(&tree.path(name).unwrap()).unwrap_err();
        assert_eq!(failure.class, FailureClass::NotAFile, "{name}");
    }
    assert_eq!(tree.read_whole(&TreePath::root()).unwrap_err().class, FailureClass::NotAFile);
}

#[test]
fn a_file_is_replaced_whole_with_its_mode() {
    let (folder, tree) = tree();
    let at = folder.path().join("deep/er/run.sh");
    let path = tree.path("deep/er/run.sh").unwrap();
    tree.stage(&path, b"one", None).unwrap().put_in_place().unwrap();
    std::fs::set_permissions(&at, std::os::unix::fs::PermissionsExt::from_mode(0o754)).unwrap();
    let mode = tree.present(&path).unwrap().unwrap().mode;
    drop(tree.stage(&path, b"dropped", Some(mode)).unwrap());
    assert_eq!(std::fs::read(&at).unwrap(), b"one");
    tree.stage(&path, b"two", Some(mode)).unwrap().put_in_place().unwrap();
    assert_eq!(std::fs::read(&at).unwrap(), b"two");
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&at.metadata().unwrap()) & 0o777, 0o754);
    assert_eq!(std::fs::read_dir(at.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn git_files_are_not_written() {
    let (_folder, tree) = tree();
    for name in [".git/config", "sub/.GIT/hooks/x", ".git"] {
        assert_eq!(tree.writable_path(name).unwrap_err().class, FailureClass::PathDenied);
    }
    assert!(tree.writable_path(".gitignore").is_ok());
    assert!(tree.writable_path(".").is_err());
}

#[test]
fn a_name_that_is_no_text_is_shown_escaped() {
    use std::os::unix::ffi::OsStrExt;
    let path = Path::new(std::ffi::OsStr::from_bytes(b"a\xff\n"));
    assert_eq!(shown_path(path), r#""a\xFF\n""#);
    assert_eq!(shown_path(Path::new("ü b")), "ü b");
}

// Other systems cannot exchange two names in one step.
#[cfg(target_os = "linux")]
#[test]
fn a_link_swapped_in_while_reading_leads_nowhere() {
    use rustix::fs::{CWD, RenameFlags, renameat_with};

    let (folder, tree) = tree();
    let outside = tempfile::tempdir().unwrap();
    let (link, real) = (folder.path().join("link"), folder.path().join("real"));
    std::fs::write(outside.path().join("f"), "secret").unwrap();
    std::fs::create_dir(&real).unwrap();
    std::fs::write(real.join("f"), "text").unwrap();
    symlink(outside.path(), &link).unwrap();
    let is_done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                renameat_with(CWD, &real, CWD, &link, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let path = tree.path("real/f").unwrap();
        let new = tree.path("real/new").unwrap();
        let (mut was_read, mut was_refused) = (false, false);
        for round in 0..20_000 {
            match tree.read_whole(&path) {
                Ok(file) => {
                    assert_eq!(file.bytes, b"text");
                    was_read = true;
                }
                Err(_) => was_refused = true,
            }
            let _ = tree.stage(&new, b"x", None).map(StagedFile::put_in_place);
            if round > 200 && was_read && was_refused {
                break;
            }
        }
        is_done.store(true, Ordering::Relaxed);
    });
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
}
