//! Whether the daemon's ports are free, in use by our daemon, or taken by another program.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use super::DoctorCheck;
use crate::cli::client::DaemonClient;
use crate::config::SwarmConfig;
use crate::daemon::ports;

/// The program behind a port.
#[derive(Debug, Clone, PartialEq, Eq)]
enum PortOwner {
    Nobody,
    Ours,
    Other(String),
    Refused(String),
}

/// One finding for all good ports, and one for each bad port.
pub(super) async fn check(config: &SwarmConfig, client: &DaemonClient) -> Vec<DoctorCheck> {
    let mut free = Vec::new();
    let mut ours = Vec::new();
    let mut wrong = Vec::new();
    for place in ports() {
        let service = place.wire_name();
        let Some(port) = place.number.checked_add(config.http.port_offset) else {
            wrong.push(DoctorCheck::fail(
                "ports",
                format!("{} + offset is not a port", place.number),
                "lower --port-offset",
            ));
            continue;
        };
        let address = SocketAddr::new(config.http.bind, port);
        let identity = client.identity(place.number).await;
        match holder(address, &service, identity.as_deref()) {
            PortOwner::Nobody => free.push(port),
            PortOwner::Ours => ours.push(port),
            PortOwner::Other(who) => wrong.push(DoctorCheck::fail(
                "ports",
                format!("{port} ({service}) is taken by {who}"),
                format!("end that program, or use other ports: --port-offset 1000 (find it with `lsof -i :{port}`)"),
            )),
            PortOwner::Refused(why) => wrong.push(DoctorCheck::fail(
                "ports",
                format!("cannot listen on {address} ({service}): {why}"),
                "set --bind to an address of this machine",
            )),
        }
    }
    free.sort_unstable();
    ours.sort_unstable();
    let list = |ports: &[u16]| ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    let mut checks = Vec::new();
    if !ours.is_empty() {
        checks.push(DoctorCheck::ok("ports", format!("{}: a daemon answers", list(&ours))));
    }
    if !free.is_empty() && ours.is_empty() {
        checks.push(DoctorCheck::ok(
            "ports",
            format!("{} are free on {}; no daemon runs", list(&free), config.http.bind),
        ));
    } else if !free.is_empty() {
        let todo = "see its log, or restart it: `pas down`, `pas up`";
        checks.push(DoctorCheck::warn(
            "ports",
            format!("a daemon is running, but does not answer at {}", list(&free)),
            todo,
        ));
    }
    checks.extend(wrong);
    checks
}

fn holder(address: SocketAddr, service: &str, identity: Option<&str>) -> PortOwner {
    match identity {
        Some(name) if name == service => return PortOwner::Ours,
        Some(name) => return PortOwner::Other(format!("the service `{name}`")),
        None => {}
    }
    // std sets SO_REUSEADDR where that does not let two programs listen, so a port with old connections in
    // TIME_WAIT counts as free, for the daemon too.
    match TcpListener::bind(address) {
        Ok(_) => PortOwner::Nobody,
        Err(error) if error.kind() == ErrorKind::AddrInUse => PortOwner::Other("another program".into()),
        Err(error) => PortOwner::Refused(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_free_ours_or_another_s() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(holder(address, "registry", None), PortOwner::Other("another program".into()));
        assert_eq!(holder(address, "registry", Some("registry")), PortOwner::Ours);
        assert!(
            matches!(holder(address, "registry", Some("hmi")), PortOwner::Other(who) if who.contains("hmi"))
        );
        drop(listener);
        assert_eq!(holder(address, "registry", None), PortOwner::Nobody);
        // TEST-NET-1 (RFC 5737) is no address of any machine.
        let foreign = "192.0.2.1:6100".parse().unwrap();
        assert!(matches!(holder(foreign, "registry", None), PortOwner::Refused(_)));
    }
}
