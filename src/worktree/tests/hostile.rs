//! Trees that an agent has turned against the daemon.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::super::testing::*;
use super::super::*;

fn script(path: &Path, mark: &Path) {
    write(path, format!("#!/bin/sh\ntouch {}\ncat\n", mark.display()));
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn nothing_in_the_tree_runs_on_the_daemons_side() {
    let person = TestPerson::with(&[("a", "a\n")]);
    let tree = person.tree();
    let path = tree.path();
    let agent = path.parent().unwrap().join("agent");
    let mark = person.home.path().join("ran");
    let evil = path.join("evil.sh");
    script(&evil, &mark);
    for hook in ["pre-commit", "post-checkout", "post-index-change", "reference-transaction", "post-merge"] {
        script(&path.join(".husky").join(hook), &mark);
        script(&agent.join("hooks").join(hook), &mark);
    }
    let run = evil.display();
    let config = format!(
        "[core]\n\tfsmonitor = {run}\n\thooksPath = {}\n\talternateRefsCommand = {run}\n\tpager = {run}\n\
         [filter \"evil\"]\n\tclean = {run}\n\tsmudge = {run}\n\tprocess = {run}\n\trequired = true\n\
         [diff]\n\texternal = {run}\n[diff \"evil\"]\n\ttextconv = {run}\n[merge \"evil\"]\n\tdriver = {run}\n\
         [uploadpack]\n\tpackObjectsHook = {run}\n[gpg]\n\tprogram = {run}\n[commit]\n\tgpgSign = true\n",
        path.join(".husky").display()
    );
    write(&agent.join("config"), &config);
    write(&path.join(".gitattributes"), "* filter=evil diff=evil merge=evil\n");
    write(&path.join(".gitconfig"), &config);
    write(&path.join("a"), "b\n");
    let snapshot = tree.snapshot("evil").unwrap();
    tree.diff_text(tree.base(), &snapshot.commit, 1000).unwrap();
    tree.restore(&tree.snapshots()[0].1).unwrap();
    tree.restore(&snapshot.commit).unwrap();
    let sealed = seal(&tree, &order(tree.base(), "evil")).unwrap();
    fresh_checkout(&person.root(), &name("run1", "proof"), &tree, &sealed.commit).unwrap();
    deliver(&tree, &sealed.commit, "pas/run1").unwrap();
    assert!(!mark.exists());
    assert_eq!(std::fs::read_to_string(path.join("a")).unwrap(), "b\n");
}

#[test]
fn a_replaced_git_file_is_put_back_and_what_was_there_kept() {
    let person = TestPerson::with(&[("a", "a\n")]);
    let tree = person.tree();
    let path = tree.path();
    std::fs::remove_file(path.join(".git")).unwrap();
    git_in(&path, &["init", "-q"]);
    git_in(&path, &["add", "-A"]);
    git_in(&path, &["commit", "-qm", "own history"]);
    assert!(tree.mend().unwrap());
    assert!(!tree.mend().unwrap());
    assert_eq!(git_in(&path, &["status", "--porcelain"]), "");
    assert!(path.parent().unwrap().join("strays/0/HEAD").exists());
    std::fs::remove_file(path.join(".git")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", path.join(".git")).unwrap();
    tree.snapshot("x").unwrap();
    assert!(path.join(".git").symlink_metadata().unwrap().is_file());
}

#[test]
fn a_broken_agent_directory_is_put_back() {
    let person = TestPerson::with(&[("a", "a\n")]);
    let tree = person.tree();
    let agent = tree.path().parent().unwrap().join("agent");
    let secret = person.home.path().join("secret");
    write(&secret.join("file"), "secret");
    let snapshot = tree.snapshot("x").unwrap();
    for part in
        ["objects", "refs", "config", "HEAD", "objects/info", "objects/info/alternates", "config.pas-new"]
    {
        let path = agent.join(part);
        if path.is_dir() {
            std::fs::remove_dir_all(&path).unwrap();
        } else {
            drop(std::fs::remove_file(&path));
        }
        std::os::unix::fs::symlink(&secret, &path).unwrap();
        tree.snapshot("y").unwrap();
        tree.restore(&snapshot.commit).unwrap();
        assert_eq!(files_of(&secret).len(), 1, "{part}");
    }
    std::fs::remove_dir_all(&agent).unwrap();
    tree.restore(&snapshot.commit).unwrap();
    assert_eq!(git_in(&tree.path(), &["status", "--porcelain"]), "");
}

#[test]
fn a_linked_object_store_of_somebody_else_is_not_copied() {
    let person = TestPerson::with(&[("a", "a\n")]);
    let other = TestPerson::with(&[("secret", "secret\n")]);
    let head = other.git(&["rev-parse", "HEAD"]);
    other.git(&["repack", "-adq"]);
    let tree = person.tree();
    let agent = tree.path().parent().unwrap().join("agent");
    std::fs::remove_dir(agent.join("objects/pack")).unwrap();
    write(
        &agent.join("objects/info/alternates"),
        format!("{}\n", other.repo().join(".git/objects").display()),
    );
    for entry in std::fs::read_dir(other.repo().join(".git/objects/pack")).unwrap().flatten() {
        std::fs::create_dir_all(agent.join("objects/pack")).unwrap();
        std::os::unix::fs::symlink(entry.path(), agent.join("objects/pack").join(entry.file_name())).unwrap();
    }
    write(&agent.join("refs/heads/stolen"), format!("{head}\n"));
    tree.snapshot("x").unwrap();
    let git = tree.path().parent().unwrap().join("git");
    let found =
        Command::new("git").arg("--git-dir").arg(git).args(["cat-file", "-e", &head]).output().unwrap();
    assert!(!found.status.success());
}

#[test]
fn repositories_inside_the_tree_are_kept_as_files() {
    let person = TestPerson::with(&[(".gitignore", "out/\n"), ("a", "a\n")]);
    let tree = person.tree();
    let path = tree.path();
    for inner in ["sub", "empty", "deep/er", "out/cache"] {
        std::fs::create_dir_all(path.join(inner)).unwrap();
        git_in(&path.join(inner), &["init", "-q"]);
    }
    write(&path.join("sub/x/y"), "y\n");
    write(&path.join("sub/z"), "z\n");
    write(&path.join("deep/er/w"), "w\n");
    git_in(&path.join("sub"), &["add", "-A"]);
    git_in(&path.join("sub"), &["commit", "-qm", "inner"]);
    let snapshot = tree.snapshot("inner").unwrap();
    let count = snapshot.left_out.iter().filter(|l| l.reason == LeftOutReason::EmbeddedHistory).count();
    assert_eq!(count, 3, "{:?}", snapshot.left_out);
    let changes = tree.changed_files(tree.base(), &snapshot.commit).unwrap();
    let paths: Vec<String> = changes.iter().map(|f| f.path.to_string()).collect();
    assert_eq!(paths, ["deep/er/w", "sub/x/y", "sub/z"]);
    let wanted = files_of(&path);
    write(&path.join("sub/z"), "other\n");
    write(&path.join("sub/more"), "more\n");
    let later = tree.snapshot("more").unwrap();
    assert_eq!(tree.changed_files(&snapshot.commit, &later.commit).unwrap().len(), 2);
    tree.restore(&snapshot.commit).unwrap();
    assert_eq!(files_of(&path), wanted);
    assert!(path.join("out/cache/.git").exists() && path.join("sub/.git").exists());
    let sealed = seal(&tree, &order(tree.base(), "inner")).unwrap();
    assert_eq!(tree.changed_files(tree.base(), &sealed.commit).unwrap().len(), 3);
    tree.restore(&tree.snapshots()[0].1).unwrap();
    assert!(!path.join("sub/z").exists());
}

#[test]
fn files_in_a_submodules_folder_are_kept_but_not_delivered() {
    let inner = TestPerson::with(&[("in", "in")]);
    let person = TestPerson::with(&[("a", "a\n")]);
    person.git(&["submodule", "--quiet", "add", inner.repo().to_str().unwrap(), "sub"]);
    person.commit("sub");
    let tree = person.tree();
    assert_eq!(git_in(&tree.path(), &["status", "--porcelain"]), "");
    write(&tree.path().join("sub/agent"), "x\n");
    write(&tree.path().join("b"), "b\n");
    let snapshot = tree.snapshot("x").unwrap();
    std::fs::remove_file(tree.path().join("sub/agent")).unwrap();
    tree.restore(&snapshot.commit).unwrap();
    assert!(tree.path().join("sub/agent").exists());
    let sealed = seal(&tree, &order(tree.base(), "x")).unwrap();
    let changes = tree.changed_files(tree.base(), &sealed.commit).unwrap();
    assert_eq!(changes.iter().map(|f| f.path.to_string()).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn fifos_shut_folders_and_odd_names_do_not_stop_a_snapshot() {
    let person = TestPerson::with(&[("a", "a\n"), ("b", "b\n")]);
    let tree = person.tree();
    let path = tree.path();
    let start = tree.snapshot("start").unwrap();
    std::fs::remove_file(path.join("b")).unwrap();
    for fifo in ["b", "pipe"] {
        assert!(Command::new("mkfifo").arg(path.join(fifo)).status().unwrap().success());
    }
    write(&path.join("new\nline"), "1");
    write(&path.join(GitPath::new(*b"\xff\xfe").as_path()), "2");
    write(&path.join(".GIT/config"), "3");
    write(&path.join("git~1"), "4");
    write(&path.join("shut/in"), "5");
    std::fs::set_permissions(path.join("shut/in"), std::fs::Permissions::from_mode(0o000)).unwrap();
    std::fs::set_permissions(path.join("shut"), std::fs::Permissions::from_mode(0o000)).unwrap();
    let snapshot = tree.snapshot("odd").unwrap();
    let names: Vec<String> = tree
        .changed_files(&start.commit, &snapshot.commit)
        .unwrap()
        .iter()
        .map(|f| f.path.to_string())
        .collect();
    assert_eq!(names, ["b", "git~1", "new\\nline", "shut/in", "\\xff\\xfe"]);
    assert!(snapshot.left_out.iter().any(|l| l.reason == LeftOutReason::Special), "{:?}", snapshot.left_out);
    tree.restore(&start.commit).unwrap();
    assert_eq!(std::fs::read_to_string(path.join("b")).unwrap(), "b\n");
    assert!(!path.join("shut/in").exists() && !path.join("git~1").exists());
}

#[test]
fn a_huge_sparse_file_is_named_and_not_read() {
    let person = TestPerson::with(&[("a", "a\n")]);
    let tree = person.tree();
    let file = std::fs::File::create(tree.path().join("huge")).unwrap();
    file.set_len(2 << 30).unwrap();
    // A complaint by git makes the daemon look closer.
    write(&tree.path().join(".GIT/x"), "x");
    let left = tree.snapshot("huge").unwrap().left_out;
    assert!(left.iter().any(|l| matches!(l.reason, LeftOutReason::TooLarge(_))), "{left:?}");
}

#[test]
fn removal_follows_no_link_and_handles_shut_and_deep_folders() {
    let person = TestPerson::with(&[("a", "a\n")]);
    let tree = person.tree();
    let outside = person.home.path().join("outside");
    write(&outside.join("file"), "mine");
    std::os::unix::fs::symlink(&outside, tree.path().join("link")).unwrap();
    write(&tree.path().join("shut/in/x"), "x");
    for shut in ["shut/in", "shut"] {
        std::fs::set_permissions(tree.path().join(shut), std::fs::Permissions::from_mode(0o500)).unwrap();
    }
    let mut at = std::fs::File::open(tree.path()).unwrap();
    for _ in 0..3000 {
        let (flags, mode) = (rustix::fs::OFlags::RDONLY, rustix::fs::Mode::RWXU);
        rustix::fs::mkdirat(&at, "dddddddd", mode).unwrap();
        at = rustix::fs::openat(&at, "dddddddd", flags, mode).unwrap().into();
    }
    let left = tree.snapshot("deep").unwrap().left_out;
    assert_eq!(left, [], "empty folders are nothing to git");
    remove_tree(&person.root(), tree.name()).unwrap();
    assert!(!tree.path().exists() && !person.root().join("run1").exists());
    assert_eq!(files_of(&outside).len(), 1);
    remove_tree(&person.root(), tree.name()).unwrap();
    person.git(&["fsck", "--strict"]);
}

#[test]
#[ignore = "waits until git is known to hang"]
fn a_fifo_where_git_reads_rules_is_removed() {
    let person = TestPerson::with(&[("a", "a\n"), ("d/b", "b\n")]);
    let tree = person.tree();
    for rules in ["d/.gitignore", ".gitattributes"] {
        assert!(Command::new("mkfifo").arg(tree.path().join(rules)).status().unwrap().success());
    }
    write(&tree.path().join("c"), "c\n");
    let snapshot = tree.snapshot("fifo").unwrap();
    assert_eq!(snapshot.left_out.len(), 2);
    assert_eq!(tree.changed_files(tree.base(), &snapshot.commit).unwrap().len(), 1);
}

/// The paths named by `sandbox_paths` are enough for an agent's git, and the person's checkout is absent.
#[test]
fn git_works_in_a_sandbox_of_the_paths_that_are_named() {
    let bwrap = |args: &[&str]| Command::new("bwrap").args(args).output();
    if !bwrap(&["--unshare-all", "--ro-bind", "/", "/", "true"]).is_ok_and(|output| output.status.success()) {
        // Where bubblewrap does not work, the sandbox's own tests say so.
        return;
    }
    let person = TestPerson::with(&[("a", "a\n")]);
    let tree = person.tree();
    let paths = tree.sandbox_paths();
    let mut command = Command::new("bwrap");
    command.args([
        "--unshare-all",
        "--clearenv",
        "--setenv",
        "PATH",
        "/usr/bin",
        "--ro-bind",
        "/usr",
        "/usr",
    ]);
    for link in ["bin", "lib", "lib64"] {
        command.args(["--symlink", &format!("usr/{link}"), &format!("/{link}")]);
    }
    command.args(["--proc", "/proc", "--dev", "/dev"]);
    let writable = vec![paths.tree, paths.git];
    for (how, list) in
        [("--bind", &writable), ("--ro-bind", &paths.protected), ("--ro-bind", &paths.borrowed)]
    {
        for path in list {
            command.arg(how).arg(path).arg(path);
        }
    }
    for (name, value) in &paths.environment {
        command.args(["--setenv", name, value]);
    }
    let script = format!(
        "set -e; echo b > a; git commit -qam one; git checkout -qb side; git branch -D pas/run1; git stash list; \
         echo c > a; git stash -q; git stash pop -q; git repack -adq; git log --oneline; \
         if git config user.name evil; then exit 3; fi; if rm -f .git; then exit 4; fi; test ! -e {}",
        person.repo().join("a").display()
    );
    let output = command.arg("--chdir").arg(tree.path()).args(["/bin/sh", "-c", &script]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(tree.snapshot("after").unwrap().fresh);
}
