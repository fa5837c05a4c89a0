//! Runs the `git` program with settings under which nothing of a repository can run a program: environment
//! cleared, no system or user settings, hooks, filters, fsmonitor and upkeep off, and an end to waiting. A push alone
//! keeps the person's settings and credentials ([`GitCommand::by_person`]). Failure policy: a non-zero exit is a
//! [`GitFailure`] with git's own words; a git that hangs is killed with its children.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// Most bytes read of one answer; a listing of 200,000 files with long names is about 40 MB.
const MAX_ANSWER: usize = 512 << 20;
/// More of git's complaints helps nobody.
const MAX_COMPLAINT: usize = 8 << 10;
/// Enough for a checkout of 200,000 files on a slow disk; a git that waits for a FIFO would wait for ever.
const PATIENCE: Duration = Duration::from_secs(600);

/// The environment in which a person's git finds settings, keys and a way to the network.
const PERSONS_VARIABLES: &[&str] = &[
    "HOME",
    "USER",
    "LOGNAME",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "SSH_AUTH_SOCK",
    "SSH_AGENT_PID",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
];

/// What of the person's own settings a push goes without: it runs no hook and no upkeep, and takes one branch along.
const PUSH_SETTINGS: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.pager=cat",
    "gc.auto=0",
    "maintenance.auto=false",
    "protocol.ext.allow=never",
    "push.followTags=false",
    "push.recurseSubmodules=no",
];

/// Given on the command line, so they outrank what a repository's own settings say.
const SAFE_SETTINGS: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.pager=cat",
    "core.quotePath=false",
    "gc.auto=0",
    "gc.autoDetach=false",
    "maintenance.auto=false",
    "commit.gpgSign=false",
    "diff.external=",
    "protocol.allow=never",
    "protocol.file.allow=always",
    "submodule.recurse=false",
    "advice.addEmbeddedRepo=false",
];

#[derive(Debug, thiserror::Error)]
pub enum GitFailure {
    #[error("git could not be started ({0}): install git 2.38 or newer, and see that it is on PATH")]
    Start(std::io::Error),
    #[error("`git {command}` ended with {code}: {complaint}")]
    Exit { command: String, code: i32, complaint: String },
    #[error(
        "`git {command}` did not end within {seconds} s and was killed: look for a FIFO or a dead network disk"
    )]
    Patience { command: String, seconds: u64 },
    #[error("`git {command}` answered with something that could not be read: {detail}")]
    Answer { command: String, detail: String },
}

pub(super) struct GitAnswer {
    pub(super) code: i32,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
    /// The answer was longer than the cap, and git was stopped.
    pub(super) cut: bool,
}

pub(super) struct GitCommand {
    git_dir: PathBuf,
    work_tree: Option<PathBuf>,
    settings: Vec<OsString>,
    args: Vec<OsString>,
    envs: Vec<(&'static str, OsString)>,
    input: Vec<u8>,
    cap: usize,
    patience: Duration,
    is_persons: bool,
}

impl GitCommand {
    pub(super) fn at(git_dir: &Path) -> Self {
        Self {
            git_dir: git_dir.to_owned(),
            work_tree: None,
            settings: Vec::new(),
            args: Vec::new(),
            envs: Vec::new(),
            input: Vec::new(),
            cap: MAX_ANSWER,
            patience: PATIENCE,
            is_persons: false,
        }
    }

    /// With the settings, keys and proxies of the person whose daemon this is, as for a command that they typed. It asks
    /// nothing: a key or password that is not at hand is a failure.
    pub(super) fn by_person(mut self) -> Self {
        self.is_persons = true;
        self
    }

    pub(super) fn work_tree(mut self, tree: &Path) -> Self {
        self.work_tree = Some(tree.to_owned());
        self
    }

    pub(super) fn setting(mut self, setting: impl Into<OsString>) -> Self {
        self.settings.push(setting.into());
        self
    }

    pub(super) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub(super) fn args<I: IntoIterator<Item = A>, A: AsRef<OsStr>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    pub(super) fn env(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.envs.push((name, value.as_ref().to_owned()));
        self
    }

    pub(super) fn input(mut self, bytes: Vec<u8>) -> Self {
        self.input = bytes;
        self
    }

    pub(super) fn cap(mut self, bytes: usize) -> Self {
        self.cap = bytes;
        self
    }

    pub(super) fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    fn words(&self) -> String {
        self.args.iter().take(3).map(|a| a.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    fn build(&self) -> Command {
        let mut command = Command::new("git");
        command.env_clear();
        // Outside every tree, so that a search upwards from here finds no repository.
        command.current_dir("/");
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        self.set_environment(&mut command);
        command.envs(self.envs.iter().map(|(name, value)| (name, value)));
        for setting in if self.is_persons { PUSH_SETTINGS } else { SAFE_SETTINGS } {
            command.arg("-c").arg(setting);
        }
        for setting in &self.settings {
            command.arg("-c").arg(setting);
        }
        let mut place = OsString::from("--git-dir=");
        place.push(&self.git_dir);
        command.arg(place);
        if let Some(tree) = &self.work_tree {
            let mut place = OsString::from("--work-tree=");
            place.push(tree);
            command.arg(place);
            command.current_dir(tree);
        }
        command.args(&self.args);
        command.stdin(if self.input.is_empty() { Stdio::null() } else { Stdio::piped() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        command
    }

    /// Command line and whole environment, for whoever else runs it.
    pub(super) fn parts(&self) -> (Vec<OsString>, Vec<(OsString, OsString)>) {
        let command = self.build();
        let argv = std::iter::once(command.get_program()).chain(command.get_args());
        let environment = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        (
            argv.map(OsStr::to_owned).collect(),
            environment.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        )
    }

    fn set_environment(&self, command: &mut Command) {
        command.env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0").env("GIT_OPTIONAL_LOCKS", "0");
        if self.is_persons {
            let own = PERSONS_VARIABLES.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
            command.envs(own);
            // Nobody sits at this terminal: a question of ssh's gets no answer.
            command.env("SSH_ASKPASS", "/bin/false").env("SSH_ASKPASS_REQUIRE", "force");
            return;
        }
        for (name, value) in [
            ("HOME", "/nonexistent"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_NO_LAZY_FETCH", "1"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            ("GIT_AUTHOR_NAME", "PAS"),
            ("GIT_AUTHOR_EMAIL", "pas@localhost"),
            ("GIT_COMMITTER_NAME", "PAS"),
            ("GIT_COMMITTER_EMAIL", "pas@localhost"),
        ] {
            command.env(name, value);
        }
    }

    /// The answer, whatever the exit code.
    pub(super) fn answer(mut self) -> Result<GitAnswer, GitFailure> {
        let mut child = self.build().spawn().map_err(GitFailure::Start)?;
        let input = std::mem::take(&mut self.input);
        let (sender, receiver) = channel();
        if let Some(mut stdin) = child.stdin.take() {
            // Ends with the child: a git that does not read the input closes the pipe.
            std::thread::spawn(move || drop(stdin.write_all(&input)));
        }
        if let Some(stdout) = child.stdout.take() {
            read_aside(stdout, self.cap, sender.clone(), ReadEnd::Stdout);
        }
        if let Some(stderr) = child.stderr.take() {
            read_aside(stderr, MAX_COMPLAINT, sender, ReadEnd::Stderr);
        }
        let read = gather(&receiver, self.patience);
        let in_time = read.is_some();
        let (stdout, cut, stderr) = read.unwrap_or_default();
        if cut || !in_time {
            end_group(&mut child);
        }
        let status = child.wait().map_err(GitFailure::Start)?;
        if !in_time {
            return Err(GitFailure::Patience { command: self.words(), seconds: self.patience.as_secs() });
        }
        let stderr = String::from_utf8_lossy(&stderr).trim().to_owned();
        Ok(GitAnswer { code: status.code().unwrap_or(-1), stdout, stderr, cut })
    }

    /// git's standard output; any exit but 0 is a failure.
    pub(super) fn run(self) -> Result<Vec<u8>, GitFailure> {
        let words = self.words();
        let answer = self.answer()?;
        if answer.code != 0 && !answer.cut {
            return Err(GitFailure::Exit { command: words, code: answer.code, complaint: answer.stderr });
        }
        Ok(answer.stdout)
    }

    /// git's standard output, as a trimmed line.
    pub(super) fn line(self) -> Result<String, GitFailure> {
        self.run().map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned())
    }
}

enum ReadEnd {
    Stdout,
    Stderr,
}

fn read_aside<R: Read + Send + 'static>(
    mut from: R,
    cap: usize,
    sender: Sender<(ReadEnd, Vec<u8>, bool)>,
    end: ReadEnd,
) {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let whole = from.by_ref().take(cap as u64).read_to_end(&mut bytes).is_ok();
        let mut more = [0_u8; 1];
        let cut = whole && bytes.len() == cap && matches!(from.read(&mut more), Ok(1));
        if matches!(end, ReadEnd::Stderr) && cut {
            // The rest is read and dropped, so that git does not block on a full pipe.
            drop(std::io::copy(&mut from, &mut std::io::sink()));
        }
        // An error means that the deadline has passed and nobody waits.
        drop(sender.send((end, bytes, cut)));
    });
}

fn gather(
    receiver: &Receiver<(ReadEnd, Vec<u8>, bool)>,
    patience: Duration,
) -> Option<(Vec<u8>, bool, Vec<u8>)> {
    let until = Instant::now() + patience;
    let mut stdout = (Vec::new(), false);
    let mut stderr = Vec::new();
    loop {
        match receiver.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok((ReadEnd::Stdout, bytes, true)) => return Some((bytes, true, stderr)),
            Ok((ReadEnd::Stdout, bytes, false)) => stdout = (bytes, false),
            Ok((ReadEnd::Stderr, bytes, _)) => stderr = bytes,
            Err(RecvTimeoutError::Disconnected) => return Some((stdout.0, stdout.1, stderr)),
            Err(RecvTimeoutError::Timeout) => return None,
        }
    }
}

fn end_group(child: &mut Child) {
    if let Ok(id) = i32::try_from(child.id())
        && let Some(group) = rustix::process::Pid::from_raw(id)
    {
        // An error means that the group has already ended.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}
