//! Whether the daemon's ports are free, ours already, or taken by another program.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use super::Check;
use crate::cli::client::Client;
use crate::config::Config;
use crate::daemon::ports;

/// Who has a port.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Holder {
    Nobody,
    Ours,
    Other(String),
    Refused(String),
}

/// One finding for all ports that are well, and one for each that is not.
pub(super) async fn check(config: &Config, client: &Client) -> Vec<Check> {
    let mut free = Vec::new();
    let mut ours = Vec::new();
    let mut wrong = Vec::new();
    for place in ports() {
        let service = place.wire_name();
        let Some(port) = place.number.checked_add(config.http.port_offset) else {
            wrong.push(Check::fail(
                "ports",
                format!("{} + offset is no port", place.number),
                "lower --port-offset",
            ));
            continue;
        };
        let address = SocketAddr::new(config.http.bind, port);
        let identity = client.identity(place.number).await;
        match holder(address, &service, identity.as_deref()) {
            Holder::Nobody => free.push(port),
            Holder::Ours => ours.push(port),
            Holder::Other(who) => wrong.push(Check::fail(
                "ports",
                format!("{port} ({service}) is taken by {who}"),
                format!("end that program, or use other ports: --port-offset 1000 (find it with `lsof -i :{port}`)"),
            )),
            Holder::Refused(why) => wrong.push(Check::fail(
                "ports",
                format!("{address} ({service}) cannot be listened on: {why}"),
                "give an address of this machine with --bind",
            )),
        }
    }
    free.sort_unstable();
    ours.sort_unstable();
    let list = |ports: &[u16]| ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    let mut checks = Vec::new();
    if !ours.is_empty() {
        checks.push(Check::ok("ports", format!("{}: a daemon answers", list(&ours))));
    }
    if !free.is_empty() && ours.is_empty() {
        checks.push(Check::ok(
            "ports",
            format!("{} are free on {}; no daemon runs", list(&free), config.http.bind),
        ));
    } else if !free.is_empty() {
        let todo = "look into its log, or start it anew: `pas down`, `pas up`";
        checks.push(Check::warn(
            "ports",
            format!("a daemon runs, but nobody answers at {}", list(&free)),
            todo,
        ));
    }
    checks.extend(wrong);
    checks
}

fn holder(address: SocketAddr, service: &str, identity: Option<&str>) -> Holder {
    match identity {
        Some(name) if name == service => return Holder::Ours,
        Some(name) => return Holder::Other(format!("the service `{name}`")),
        None => {}
    }
    // std sets SO_REUSEADDR where that does not let two programs listen, so a port that only waits out
    // its old connections counts as free, as it does for the daemon.
    match TcpListener::bind(address) {
        Ok(_) => Holder::Nobody,
        Err(error) if error.kind() == ErrorKind::AddrInUse => Holder::Other("another program".into()),
        Err(error) => Holder::Refused(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_free_ours_or_another_s() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(holder(address, "registry", None), Holder::Other("another program".into()));
        assert_eq!(holder(address, "registry", Some("registry")), Holder::Ours);
        assert!(
            matches!(holder(address, "registry", Some("hmi")), Holder::Other(who) if who.contains("hmi"))
        );
        drop(listener);
        assert_eq!(holder(address, "registry", None), Holder::Nobody);
        // TEST-NET-1 (RFC 5737) is no address of any machine.
        let foreign = "192.0.2.1:6100".parse().unwrap();
        assert!(matches!(holder(foreign, "registry", None), Holder::Refused(_)));
    }
}
