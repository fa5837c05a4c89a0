//! Commands in the sandbox: the tools that must work, the ways to end, and no leftovers.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use pas::domain::agent::{AccessLevel, Rights};
use pas::sandbox::bubblewrap::BubblewrapProgram;
use pas::sandbox::{
    OutputLimits, SandboxBackend, SandboxCommand, SandboxEnd, SandboxError, SandboxGit, SandboxLauncher,
    SandboxLimits, SandboxPlaces, SandboxProfile, ToolchainSet, find_toolchains, probe_backends,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

struct Room {
    base: TempDir,
    rights: Rights,
    limits: SandboxLimits,
    toolchains: ToolchainSet,
    backend: SandboxBackend,
    timeout: Duration,
    cancel: CancellationToken,
}

fn bubblewrap() -> SandboxBackend {
    SandboxBackend::LandlockInBubblewrap(BubblewrapProgram {
        path: "/usr/bin/bwrap".into(),
        disables_user_namespaces: true,
    })
}

fn both() -> [SandboxBackend; 2] {
    [bubblewrap(), SandboxBackend::Landlock]
}

fn executable() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_pas"))
}

impl Room {
    fn new(backend: SandboxBackend) -> Self {
        let base = tempfile::tempdir().unwrap();
        for folder in ["tree", "scratch", "git"] {
            std::fs::create_dir(base.path().join(folder)).unwrap();
        }
        Self {
            base,
            rights: Rights::ALL,
            limits: SandboxLimits::default(),
            toolchains: ToolchainSet::default(),
            backend,
            timeout: Duration::from_secs(60),
            cancel: CancellationToken::new(),
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.base.path().join(path)
    }

    fn places(&self) -> SandboxPlaces {
        let git = SandboxGit {
            directory: self.at("git"),
            borrowed: Vec::new(),
            protected: vec![self.at("git/config")],
        };
        SandboxPlaces { tree: self.at("tree"), scratch: self.at("scratch"), git: Some(git) }
    }

    fn command(&self, script: &str) -> SandboxCommand {
        SandboxCommand {
            profile: SandboxProfile::of(self.rights, &self.places(), &self.toolchains, self.limits),
            argv: ["bash", "-c", script].map(str::to_owned).into(),
            stdin: None,
            cwd: self.at("tree"),
            timeout: self.timeout,
            output: OutputLimits::default(),
        }
    }

    async fn try_run(&self, script: &str) -> Result<SandboxEnd, SandboxError> {
        let launcher = SandboxLauncher::new(executable(), self.backend.clone());
        launcher.run(self.command(script), &self.cancel).await
    }

    async fn run(&self, script: &str) -> SandboxEnd {
        self.try_run(script).await.unwrap()
    }

    async fn works(&self, script: &str) -> String {
        let end = self.run(script).await;
        let text = end.output.text();
        assert_eq!(end.exit, Some(0), "{:?}: {script}\n{text}", self.backend);
        text
    }
}

#[tokio::test]
async fn output_keeps_its_order_and_the_exit_is_told() {
    for backend in both() {
        let room = Room::new(backend);
        let end = room.run("echo a; echo b >&2; echo c; exit 3").await;
        assert_eq!(end.output.text(), "a\nb\nc\n");
        assert_eq!((end.exit, end.signal, end.timed_out, end.cancelled), (Some(3), None, false, false));
        let end = room.run("kill -SEGV $$").await;
        assert_eq!(end.signal, Some(11), "{end:?}");
    }
}

#[tokio::test]
async fn input_reaches_the_command_whole() {
    for backend in both() {
        let room = Room::new(backend);
        let mut command = room.command("wc -c");
        command.stdin = Some(vec![b'x'; 300_000]);
        let launcher = SandboxLauncher::new(executable(), room.backend.clone());
        let end = launcher.run(command, &room.cancel).await.unwrap();
        assert_eq!(end.output.text().trim(), "300000");
        assert_eq!(room.works("cat").await, "", "without input it is empty");
    }
}

#[tokio::test]
async fn what_a_command_leaves_is_ended() {
    for backend in both() {
        let room = Room::new(backend);
        let end = room.run("(setsid sleep 1000 > /dev/null 2>&1 &) ; sleep 1000 & echo done").await;
        assert!(end.seconds < 5.0, "{end:?}");
        assert_eq!(end.output.text(), "done\n");
        if room.backend == SandboxBackend::Landlock {
            assert_eq!(end.processes_ended, Some(2));
        }
        assert_eq!(processes_in(&room), 0);
    }
}

#[tokio::test]
async fn a_command_over_its_time_may_clean_up_and_is_ended() {
    for backend in both() {
        let mut room = Room::new(backend);
        room.timeout = Duration::from_millis(700);
        let end =
            room.run("trap 'echo cleaned; exit 9' TERM; echo start; while :; do sleep 0.05; done").await;
        assert_eq!(end.output.text().replace("Terminated\n", ""), "start\ncleaned\n");
        assert!(end.timed_out && end.seconds < 2.5, "{end:?}");
        let end = room.run("trap '' TERM; echo start; while :; do sleep 0.05; done").await;
        assert!(end.timed_out && (2.5..4.5).contains(&end.seconds), "{end:?}");
        assert_eq!(end.signal, Some(9));
        assert_eq!(processes_in(&room), 0);
    }
}

#[tokio::test]
async fn a_cancelled_command_is_ended() {
    for backend in both() {
        let room = Room::new(backend);
        let begun = room.at("tree/begun");
        let (end, ()) = tokio::join!(room.run("touch begun; sleep 1000"), async {
            while !begun.exists() {
                tokio::task::yield_now().await;
            }
            room.cancel.cancel();
        });
        assert!(end.cancelled && !end.timed_out && end.seconds < 4.0, "{end:?}");
        assert!(end.processes_ended.is_some_and(|ended| ended >= 1));
        assert_eq!(processes_in(&room), 0);
    }
}

#[tokio::test]
async fn nothing_outlives_the_launcher() {
    for backend in both() {
        let room = Room::new(backend);
        let begun = room.at("tree/begun");
        tokio::select! {
            _ = room.run("touch begun; trap '' TERM; (setsid sleep 1000 &); while :; do sleep 1; done") => unreachable!(),
            () = async {
                while !begun.exists() {
                    tokio::task::yield_now().await;
                }
            } => {}
        }
        let patience = Instant::now() + Duration::from_secs(5);
        while processes_in(&room) > 0 {
            assert!(Instant::now() < patience, "{:?}", room.backend);
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn much_output_costs_little_memory_and_loses_no_end() {
    for backend in both() {
        let room = Room::new(backend);
        let end = room.run("head -c 50000000 /dev/zero | tr '\\0' x; echo; echo 12 passed").await;
        assert!(end.output.text().ends_with("12 passed\n"));
        assert_eq!(end.output.bytes, 50_000_000 + 1 + 10);
    }
}

/// 255 processes in a tree, and no more: if the sandbox fails, the machine must survive the test.
#[tokio::test]
async fn too_many_processes_are_ended() {
    const TREE: &str = "f() { [ $1 = 0 ] && exec sleep 60; f $(($1 - 1)) & f $(($1 - 1)) & wait; }; f 7";
    for backend in both() {
        let mut room = Room::new(backend);
        room.limits.processes = 64;
        room.timeout = Duration::from_secs(10);
        let end = room.run(TREE).await;
        let is_root = rustix::process::getuid().is_root();
        assert!(
            !is_root || end.breach.as_deref().is_some_and(|why| why.contains("64 are allowed")),
            "{end:?}"
        );
        assert_eq!(processes_in(&room), 0);
    }
}

#[tokio::test]
async fn memory_and_file_size_have_limits() {
    for backend in both() {
        let mut room = Room::new(backend);
        room.limits.memory_bytes = 200 << 20;
        room.limits.file_bytes = 1 << 20;
        let end = room.run("/usr/bin/python3 -c 'b = bytearray(400 << 20); print(\"had it\")'").await;
        assert!(!end.output.text().contains("had it"));
        let end = room.run("head -c 5000000 /dev/zero > big; ls -l big | cut -d' ' -f5").await;
        assert!(end.output.text().contains("1048576"), "{end:?}");
    }
}

#[tokio::test]
async fn the_disk_is_not_filled() {
    for backend in both() {
        let mut room = Room::new(backend);
        room.limits.growth_bytes = 32 << 20;
        let end = room
            .run("for i in 1 2 3 4; do head -c 20000000 /dev/urandom > f$i; done; sync; sleep 1000")
            .await;
        assert!(end.breach.as_deref().is_some_and(|why| why.contains("written to the disk")), "{end:?}");
    }
}

#[tokio::test]
async fn a_link_left_in_the_scratch_leads_nowhere() {
    for backend in both() {
        let room = Room::new(backend);
        let outside = room.at("outside");
        room.works(&format!(
            "rm -rf $TMPDIR $HOME && ln -s {} $TMPDIR && ln -s /etc $HOME",
            outside.display()
        ))
        .await;
        room.works("mktemp && touch ~/x").await;
        assert!(!outside.exists());
    }
}

#[tokio::test]
async fn rights_decide_what_of_the_tree_is_there() {
    for backend in both() {
        let mut room = Room::new(backend);
        std::fs::write(room.at("tree/file"), "text").unwrap();
        room.rights = Rights { filesystem: AccessLevel::Read, bash: true, ..Rights::NONE };
        assert_eq!(room.works("cat file").await, "text");
        let end = room.run("echo x > file").await;
        assert!(end.exit != Some(0), "{end:?}");
        assert_eq!(std::fs::read(room.at("tree/file")).unwrap(), b"text");
        room.rights.filesystem = AccessLevel::None;
        let mut command = room.command("cat \"$1/file\"");
        command.cwd = room.at("scratch");
        command.argv.extend(["sh".to_owned(), room.at("tree").display().to_string()]);
        let launcher = SandboxLauncher::new(executable(), room.backend.clone());
        let end = launcher.run(command, &room.cancel).await.unwrap();
        assert_eq!(end.exit, Some(1), "{end:?}");
    }
}

#[tokio::test]
async fn everyday_programs_work() {
    for backend in both() {
        let room = Room::new(backend);
        let f = room.works("f=$(mktemp) && d=$(mktemp -d) && echo x > $f && cat $f && echo $f").await;
        assert!(f.contains("scratch/tmp"), "{f}");
        room.works("printf 'int main(void){return 0;}' > a.c && gcc -O1 -o a a.c && ./a").await;
        room.works("cat <(echo one) | sort | uniq -c; echo x > /dev/null; head -c 4 /dev/urandom | od").await;
        room.works("/usr/bin/python3 -c 'import subprocess, threading; print(subprocess.run([\"true\"]))'")
            .await;
        room.works(
            "tar cf a.tar a.c && mkdir b && tar xf a.tar -C b && chmod +x b/a.c && mv b/a.c c && touch c",
        )
        .await;
    }
}

#[tokio::test]
async fn git_commits_into_its_own_directory() {
    for backend in both() {
        let room = Room::new(backend);
        let git = room.at("git");
        let made =
            Command::new("git").args(["init", "-q", "--bare", "-b", "main"]).arg(&git).status().unwrap();
        assert!(made.success());
        for (name, value) in [("core.bare", "false"), ("core.hooksPath", "/dev/null"), ("gc.auto", "0")] {
            let git = format!("--git-dir={}", git.display());
            assert!(
                Command::new("git").args([git.as_str(), "config", name, value]).status().unwrap().success()
            );
        }
        std::fs::write(room.at("tree/.git"), format!("gitdir: {}\n", git.display())).unwrap();
        let script = "export GIT_WORK_TREE=$PWD; echo a > a; git add a && \
                      git -c user.name=a -c user.email=a@x commit -qm one && git log --oneline && \
                      echo b > a && git stash -q && git checkout -q -b other && git status --short && git diff HEAD";
        // Stash needs a name too.
        let script = format!(
            "export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@x GIT_COMMITTER_NAME=a \
                              GIT_COMMITTER_EMAIL=a@x; {script}"
        );
        assert!(room.works(&script).await.contains("one"));
        if room.backend != SandboxBackend::Landlock {
            assert_ne!(room.run("git config core.fsmonitor x").await.exit, Some(0));
        }
    }
}

#[tokio::test]
async fn servers_and_shared_memory_work_in_namespaces() {
    let room = Room::new(bubblewrap());
    let loopback = "import socket, threading; s = socket.create_server(('127.0.0.1', 0)); \
                    threading.Thread(target=lambda: s.accept()[0].send(b'hi')).start(); \
                    print(socket.create_connection(s.getsockname()).recv(9))";
    assert!(room.works(&format!("/usr/bin/python3 -c \"{loopback}\"")).await.contains("hi"));
    room.works(
        "/usr/bin/python3 -c 'import multiprocessing as m; m.Lock(); print(m.Pool(2).map(abs, [-1]))'",
    )
    .await;
    room.works("/usr/bin/python3 -c 'import socket; s = socket.socket(1, 1); s.bind(\"s\"); s.listen()'")
        .await;
    room.works("echo x > /tmp/y && cat /tmp/y").await;
}

#[tokio::test]
async fn languages_test_their_code() {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    for backend in both() {
        let mut room = Room::new(backend);
        room.toolchains = find_toolchains(&home, |name| std::env::var_os(name).map(PathBuf::from));
        if Path::new("/usr/bin/node").exists() {
            let test = "const t = require('node:test'), a = require('node:assert'), c = require('node:child_process'); \
                        t('x', () => a.equal(c.execSync('echo 1').toString(), '1\\n'));";
            std::fs::write(room.at("tree/x.test.js"), test).unwrap();
            assert!(room.works("node --test").await.contains("pass 1"));
        }
        let unit = "import unittest\nclass T(unittest.TestCase):\n  def test(self): pass\n";
        std::fs::write(room.at("tree/test_x.py"), unit).unwrap();
        room.works("python3 -m unittest -v").await;
        if home.join(".cargo/bin/cargo").exists() {
            room.works(
                "cargo init -q --lib --vcs none --name x . && \
                 echo '#[test] fn t() {}' >> src/lib.rs && cargo test -q",
            )
            .await;
        }
        if has_crate(&home, "itoa-1.") {
            room.works(
                "printf '[dependencies]\\nitoa = \"1\"\\n' > deps && sed -i '/^.dependencies./d' Cargo.toml && \
                 cat deps >> Cargo.toml && echo '#[test] fn u() { itoa::Buffer::new().format(1); }' >> src/lib.rs && \
                 cargo test -q",
            )
            .await;
        }
    }
}

fn has_crate(home: &Path, name: &str) -> bool {
    let sources = std::fs::read_dir(home.join(".cargo/registry/src")).into_iter().flatten().flatten();
    let crates = sources.flat_map(|source| std::fs::read_dir(source.path()).into_iter().flatten().flatten());
    crates.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with(name))
}

#[tokio::test]
async fn the_probe_finds_a_backend_and_says_its_limits() {
    let (backend, report) = probe_backends(&executable(), std::env::var_os("PATH").as_deref()).await;
    assert!(matches!(backend, SandboxBackend::LandlockInBubblewrap(_)), "{report:?}");
    assert!(report.summary().contains("bubblewrap"));
    // A bubblewrap that is installed and does not work.
    let broken = tempfile::tempdir().unwrap();
    let fake = broken.path().join("bwrap");
    std::fs::write(&fake, "#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
        .unwrap();
    std::fs::set_permissions(&fake, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (backend, report) = probe_backends(&executable(), Some(broken.path().as_os_str())).await;
    assert_eq!(backend, SandboxBackend::Landlock, "{report:?}");
    assert!(report.tried.iter().any(|why| why.contains("uid map")), "{report:?}");
    let (backend, report) = probe_backends(Path::new("/bin/false"), None).await;
    assert_eq!(backend, SandboxBackend::Nothing);
    assert!(report.summary().contains("refused"));
}

#[tokio::test]
async fn what_cannot_be_run_is_an_error_with_words() {
    let room = Room::new(SandboxBackend::Nothing);
    assert!(matches!(room.try_run("true").await, Err(SandboxError::NothingConfines)));
    for backend in both() {
        let room = Room::new(backend);
        assert!(matches!(room.try_run(&"x".repeat(200_000)).await, Err(SandboxError::TooLong(_))));
        let mut command = room.command("true");
        command.argv = vec!["no-such-program".into()];
        let launcher = SandboxLauncher::new(executable(), room.backend.clone());
        let error = launcher.run(command, &room.cancel).await.unwrap_err();
        assert!(error.to_string().contains("no-such-program cannot be started"), "{error}");
    }
}

#[tokio::test]
#[ignore = "measures; run it alone"]
async fn the_start_costs_milliseconds() {
    for backend in both() {
        let room = Room::new(backend);
        let mut command = room.command("");
        command.argv = vec!["/bin/true".into()];
        let launcher = SandboxLauncher::new(executable(), room.backend.clone());
        let mut best = Duration::MAX;
        for _ in 0..60 {
            let started = Instant::now();
            launcher.run(command.clone(), &room.cancel).await.unwrap();
            best = best.min(started.elapsed());
        }
        println!("{:?}: {best:?}", room.backend);
    }
}

/// Processes that have the room's folder on their command line, or work in it.
fn processes_in(room: &Room) -> usize {
    let folder = room.base.path().display().to_string();
    let works_there = |entry: &std::fs::DirEntry| {
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let cwd = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(&folder) || cwd.starts_with(room.base.path())
    };
    std::fs::read_dir("/proc").unwrap().flatten().filter(works_there).count()
}
