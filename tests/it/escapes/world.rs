//! The surroundings of a sandbox in a test: a person's home and repository, another run, servers and a
//! process.

use std::collections::BTreeMap;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use pas::domain::agent::Rights;
use pas::sandbox::{SandboxGit, SandboxLimits, SandboxPlaces, SandboxProfile, ToolchainSet};
use tempfile::TempDir;

/// Present in everything that must not be read.
pub(crate) const MARK: &str = "SECRET-7f3a91";
/// Printed by an attempt that succeeded.
pub(crate) const GOT_OUT: &str = "GOT-OUT";

pub(crate) struct EscapeWorld {
    pub(crate) base: TempDir,
    pub(crate) victim: Child,
    before: BTreeMap<PathBuf, String>,
    tcp: TcpListener,
    tcp6: Option<TcpListener>,
    udp: UdpSocket,
    path: UnixListener,
    path_datagram: UnixDatagram,
    named: UnixListener,
    pub(crate) name: String,
    /// Inherited by every child process, as files left open by terminals and editors are.
    _inherited: std::fs::File,
}

impl EscapeWorld {
    pub(crate) fn new(repository: &Path) -> Self {
        let base = tempfile::Builder::new().prefix("pas-escape-").tempdir().unwrap();
        let at = |path: &str| base.path().join(path);
        for folder in ["person/.ssh", "run/tree", "run/scratch", "other/tree", "person/inside"] {
            std::fs::create_dir_all(at(folder)).unwrap();
        }
        let copied = Command::new("cp").arg("-a").arg(repository).arg(at("person/repo")).status().unwrap();
        assert!(copied.success());
        let copied =
            Command::new("cp").arg("-a").arg(repository.join(".git")).arg(at("run/git")).status().unwrap();
        assert!(copied.success());
        for file in ["secret", ".env", ".ssh/id_ed25519", ".ssh/authorized_keys", ".bashrc", "victim.txt"] {
            std::fs::write(at("person").join(file), format!("{MARK}\n")).unwrap();
        }
        std::fs::write(at("other/tree/file"), format!("{MARK}\n")).unwrap();
        std::fs::write(at("run/tree/mine"), "mine\n").unwrap();
        std::fs::set_permissions(at("person/.ssh/id_ed25519"), PermissionsExt::from_mode(0o600)).unwrap();
        let name = base.path().file_name().unwrap().to_string_lossy().into_owned();
        let abstract_name = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
        let (path, path_datagram) = (at("person/socket"), at("person/datagrams"));
        let victim = Command::new("sleep")
            .args(["1000"])
            .env("PAS_SECRET", MARK)
            .stdin(std::fs::File::open(at("person/secret")).unwrap())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let inherited = std::fs::File::open(at("person/secret")).unwrap();
        rustix::io::fcntl_setfd(&inherited, rustix::io::FdFlags::empty()).unwrap();
        let mut world = Self {
            _inherited: inherited,
            victim,
            before: BTreeMap::new(),
            tcp: TcpListener::bind("127.0.0.1:0").unwrap(),
            tcp6: TcpListener::bind("[::1]:0").ok(),
            udp: UdpSocket::bind("127.0.0.1:0").unwrap(),
            path: UnixListener::bind(path).unwrap(),
            path_datagram: UnixDatagram::bind(path_datagram).unwrap(),
            named: UnixListener::bind_addr(&abstract_name).unwrap(),
            name,
            base,
        };
        world.before = world.snapshot();
        world
    }

    pub(crate) fn places(&self) -> SandboxPlaces {
        let at = |path: &str| self.base.path().join(path);
        let git = SandboxGit {
            directory: at("run/git"),
            borrowed: vec![at("person/repo/.git/objects")],
            protected: vec![at("run/git/config"), at("run/git/hooks")],
        };
        SandboxPlaces { tree: at("run/tree"), scratch: at("run/scratch"), git: Some(git) }
    }

    pub(crate) fn profile(&self) -> SandboxProfile {
        SandboxProfile::of(Rights::ALL, &self.places(), &ToolchainSet::default(), SandboxLimits::default())
    }

    /// Names for the attempts' scripts, in a form readable by both shell and Python.
    pub(crate) fn names(&self, quote_all: bool) -> String {
        let base = self.base.path().display();
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let numbers = [
            ("PORT", u32::from(port(&self.tcp))),
            ("PORT6", self.tcp6.as_ref().map_or(1, |listener| u32::from(port(listener)))),
            ("UDP", u32::from(self.udp.local_addr().unwrap().port())),
            ("VICTIM", self.victim.id()),
        ];
        let mut text: String = numbers.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        let strings = [
            ("B", format!("{base}")),
            ("P", format!("{base}/person")),
            ("T", format!("{base}/run/tree")),
            ("G", format!("{base}/run/git")),
            ("O", format!("{base}/other/tree")),
            ("NAME", self.name.clone()),
        ];
        let quote = if quote_all { "'" } else { "" };
        text.extend(strings.iter().map(|(name, value)| format!("{name}={quote}{value}{quote}\n")));
        text
    }

    /// An attempt's effects outside the sandbox, in words.
    pub(crate) fn changes(&mut self) -> Vec<String> {
        let mut changes = Vec::new();
        let after = self.snapshot();
        for path in self.before.keys().chain(after.keys()) {
            let (before, after) = (self.before.get(path), after.get(path));
            if before != after {
                changes.push(format!("{} changed: {before:?} {after:?}", path.display()));
            }
        }
        for folder in ["/tmp", "/dev/shm", "/var/tmp"] {
            let left = Path::new(folder).join(format!("{}-left", self.name));
            if left.symlink_metadata().is_ok() {
                changes.push(format!("{} was made", left.display()));
                let _ = std::fs::remove_file(&left).or_else(|_| std::fs::remove_dir(&left));
            }
        }
        let reached = [
            ("tcp", {
                self.tcp.set_nonblocking(true).unwrap();
                self.tcp.accept().is_ok()
            }),
            (
                "tcp6",
                self.tcp6.as_ref().is_some_and(|tcp| {
                    tcp.set_nonblocking(true).unwrap();
                    tcp.accept().is_ok()
                }),
            ),
            ("udp", {
                self.udp.set_nonblocking(true).unwrap();
                self.udp.recv(&mut [0; 9]).is_ok()
            }),
            ("unix path", {
                self.path.set_nonblocking(true).unwrap();
                self.path.accept().is_ok()
            }),
            ("unix datagrams", {
                self.path_datagram.set_nonblocking(true).unwrap();
                self.path_datagram.recv(&mut [0; 9]).is_ok()
            }),
            ("abstract", {
                self.named.set_nonblocking(true).unwrap();
                self.named.accept().is_ok()
            }),
        ];
        changes.extend(reached.iter().filter(|(_, is)| *is).map(|(name, _)| format!("{name} was reached")));
        let works_here = |entry: &std::fs::DirEntry| {
            let cwd = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
            cwd.starts_with(self.base.path())
        };
        if std::fs::read_dir("/proc").unwrap().flatten().any(|entry| works_here(&entry)) {
            changes.push("a process was left".into());
        }
        if self.victim.try_wait().unwrap().is_some() {
            changes.push("the process outside was ended".into());
        }
        changes
    }

    fn snapshot(&self) -> BTreeMap<PathBuf, String> {
        let own = ["run/tree", "run/scratch"].map(|path| self.base.path().join(path));
        let git = self.base.path().join("run/git");
        let (mut open, mut seen) = (vec![self.base.path().to_owned()], BTreeMap::new());
        while let Some(path) = open.pop() {
            let is_open_git = path.starts_with(&git) && path.file_name().is_none_or(|name| name != "config");
            if own.contains(&path) || (is_open_git && path != git) {
                continue;
            }
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_dir() {
                open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
            if metadata.is_dir() && (path == *self.base.path() || path.ends_with("run") || path == git) {
                continue;
            }
            seen.insert(path.clone(), describe(&path, &metadata));
        }
        seen
    }
}

fn describe(path: &Path, metadata: &std::fs::Metadata) -> String {
    let content = if metadata.is_file() { std::fs::read(path).unwrap_or_default() } else { Vec::new() };
    let mut names = [0_u8; 256];
    let attributes = rustix::fs::llistxattr(path, &mut names[..]).unwrap_or(0);
    let (mode, links) = (metadata.mode(), metadata.nlink());
    format!("{mode:o} {links} {} {attributes} {:?}", metadata.mtime(), String::from_utf8_lossy(&content))
}

impl Drop for EscapeWorld {
    fn drop(&mut self) {
        let _ = self.victim.kill();
        let _ = self.victim.wait();
    }
}

/// A repository of a person with one commit.
pub(crate) fn repository(folder: &Path) {
    let script = "git init -q -b main . && echo hi > file && git add file && \
                  git -c user.name=p -c user.email=p@x commit -q -m one";
    let made =
        Command::new("sh").args(["-c", script]).current_dir(folder).env("GIT_CONFIG_NOSYSTEM", "1").status();
    assert!(made.unwrap().success());
}
