//! Another user of the machine is nobody to the daemon: loopback is open to all, so the kernel is asked who connects.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::support::Place;

/// Debian's `nobody`; any number but root's would do.
const NOBODY: u32 = 65_534;

/// One request of bash's own, as `user`: its whole answer.
fn ask_as(user: u32, port: u16, line: &str) -> String {
    let script = r#"exec 3<>"/dev/tcp/127.0.0.1/$1"
printf '%s HTTP/1.1\r\nhost: localhost:%s\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}' "$2" "$1" >&3
cat <&3"#;
    let mut command = Command::new("bash");
    command.args(["-c", script, "bash", &port.to_string(), line]).current_dir("/").uid(user).gid(user);
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

#[tokio::test]
async fn another_user_can_neither_read_nor_stop_anything() {
    if !rustix::process::geteuid().is_root() {
        // Only root may act as somebody else; the rule itself has tests of its own in `pas::http::peer`.
        return;
    }
    let place = Place::with_documents(1);
    let process = place.start_process().await;
    let port = 6100 + process.api.offset;
    for line in ["GET /jobs", "POST /jobs", "POST /shutdown"] {
        let answer = tokio::task::spawn_blocking(move || ask_as(NOBODY, port, line)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 403"), "{line}: {answer}");
        assert!(answer.contains("serves user 0, and this connection is user 65534's"), "{answer}");
        assert!(answer.contains("http.local_users"), "it says how to let others in: {answer}");
    }
    let own = tokio::task::spawn_blocking(move || ask_as(0, port, "GET /jobs")).await.unwrap();
    assert!(own.starts_with("HTTP/1.1 200"), "{own}");
    for folder in [".pas", "artifacts"] {
        let mode = std::fs::metadata(place.dir.path().join(folder)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{folder} is open to others: {mode:o}");
    }
}

#[tokio::test]
async fn a_daemon_opened_to_all_users_answers_them() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::with_documents(1).setting("PAS_HTTP__LOCAL_USERS", "any");
    let process = place.start_process().await;
    let port = 6100 + process.api.offset;
    let answer = tokio::task::spawn_blocking(move || ask_as(NOBODY, port, "GET /jobs")).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn another_user_takes_nobodys_place() {
    const PLACES: u16 = 16;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::with_documents(1).setting("PAS_HTTP__MAX_CONNECTIONS", PLACES.to_string());
    let process = place.start_process().await;
    let port = 6100 + process.api.offset;
    let mut own = BufReader::new(TcpStream::connect(("127.0.0.1", port)).unwrap());
    let mut ask = || {
        write!(own.get_mut(), "HEAD /health HTTP/1.1\r\nhost: localhost:{port}\r\n\r\n").unwrap();
        let lines = own.by_ref().lines().map_while(Result::ok);
        let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        head.into_iter().next().unwrap_or_default()
    };
    assert_eq!(ask(), "HTTP/1.1 200 OK");
    let script = r#"for ((open = 0; open < $2; open++)); do exec {last}<>"/dev/tcp/127.0.0.1/$1"; done; cat <&"$last""#;
    let (to, count) = (port.to_string(), (2 * PLACES).to_string());
    let mut command = Command::new("bash");
    command.args(["-c", script, "bash", &to, &count]).current_dir("/").uid(NOBODY).gid(NOBODY);
    let told = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(told.stdout.starts_with(b"HTTP/1.1 403"), "{told:?}");
    assert_eq!(ask(), "HTTP/1.1 200 OK", "it was idle, and did not give way");
}
