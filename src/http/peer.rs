//! Whose connection it is: the user of the process at the other end.
//!
//! All users of a machine share its loopback addresses, so a port there is open to all of them. Without a token the
//! kernel is asked who holds the other end. Invariant: only this process's own user and root pass; an end that nobody
//! holds any more has no user, though the kernel then says 0, root's number. Failure policy: a connection of which the
//! kernel says nothing is refused; a system that answers no such question is told to the operator at the start.

use std::fmt;
use std::io;
use std::net::SocketAddr;

/// Who may use a port on loopback without a token.
#[derive(Debug)]
pub(super) struct PeerRule {
    own: u32,
    sockets: kernel::SocketTable,
}

/// A connection of somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StrangerUser {
    own: u32,
    /// `None` where nobody holds the other end, or the kernel says nothing of it.
    other: Option<u32>,
}

impl fmt::Display for StrangerUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this daemon serves user {}, and ", self.own)?;
        match self.other {
            Some(other) => write!(f, "this connection is user {other}'s")?,
            None => f.write_str("nobody is known to hold this connection")?,
        }
        f.write_str("; let others in with `http.local_users = \"any\"`, or give them a token (`http.token`)")
    }
}

impl PeerRule {
    /// Only this process's user, and root.
    ///
    /// # Errors
    /// Where the system answers no questions about connections, or gives other users the number of ours.
    pub(super) fn own_user() -> io::Result<Self> {
        let own = rustix::process::geteuid().as_raw();
        if kernel::stands_for_many(own) {
            return Err(io::Error::other("in this user namespace other users have the daemon's number, too"));
        }
        Ok(Self { own, sockets: kernel::SocketTable::open()? })
    }

    /// The stranger at `peer`, if one is connected to our end at `local`.
    pub(super) fn stranger(&self, local: SocketAddr, peer: SocketAddr) -> Option<StrangerUser> {
        let holder = self.sockets.holder(peer, local).unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot ask whose connection it is; it is refused");
            None
        });
        let may = |user: u32| user == self.own || user == ROOT;
        (!holder.is_some_and(may)).then_some(StrangerUser { own: self.own, other: holder })
    }
}

/// Whom no rule of ours would keep out.
const ROOT: u32 = 0;

#[cfg(target_os = "linux")]
mod kernel {
    use std::io;
    use std::net::SocketAddr;
    use std::os::fd::OwnedFd;

    use netlink_packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
    use netlink_packet_sock_diag::SockDiagMessage;
    use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
    use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
    use parking_lot::Mutex;
    use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
    use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

    /// One socket with its attributes takes some 100 bytes.
    const MAX_ANSWER: usize = 4096;
    /// Any socket of that address, whatever its cookie (sock_diag(7)).
    const NO_COOKIE: [u8; 8] = [0xff; 8];

    /// The kernel's table of TCP sockets, by sock_diag(7). One descriptor, kept: it is needed when others run out.
    #[derive(Debug)]
    pub(super) struct SocketTable(Mutex<(OwnedFd, u32)>);

    impl SocketTable {
        pub(super) fn open() -> io::Result<Self> {
            let (family, kind, flags) = (AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC);
            let socket = rustix::net::socket_with(family, kind, flags, Some(SOCK_DIAG))?;
            let table = Self(Mutex::new((socket, 0)));
            table.probe()?;
            Ok(table)
        }

        /// The own end of a connection with this process has its holder: no container's rule hides sockets from us.
        fn probe(&self) -> io::Result<()> {
            let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
            let stream = std::net::TcpStream::connect(listener.local_addr()?)?;
            match self.holder(stream.local_addr()?, stream.peer_addr()?)? {
                Some(_) => Ok(()),
                None => Err(io::Error::other("the kernel does not know this process's own sockets")),
            }
        }

        /// The user who holds the socket at `at` that is connected to `to`; `None` where nobody does.
        pub(super) fn holder(&self, at: SocketAddr, to: SocketAddr) -> io::Result<Option<u32>> {
            let mut guard = self.0.lock();
            let (socket, number) = &mut *guard;
            *number = number.wrapping_add(1);
            let question = question(at, to, *number);
            rustix::net::sendto(&*socket, &question, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
            let mut answer = [0; MAX_ANSWER];
            loop {
                // The kernel has answered by the time the question is sent.
                let (bytes, _) = rustix::net::recv(&*socket, &mut answer[..], RecvFlags::DONTWAIT)?;
                let read = NetlinkMessage::<SockDiagMessage>::deserialize(&answer[..bytes]);
                let NetlinkMessage { header, payload, .. } = read.map_err(io::Error::other)?;
                if header.sequence_number != *number {
                    continue;
                }
                return match payload {
                    NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(found)) => {
                        // Without an inode no process has it open any more, and the user is 0 whoever it was. A
                        // socket that listens at the address has taken the place of one that is gone.
                        let is_connected = found.header.socket_id.destination_port == to.port();
                        Ok((is_connected && found.header.inode != 0).then_some(found.header.uid))
                    }
                    NetlinkPayload::Error(error) => match error.to_io() {
                        error if error.kind() == io::ErrorKind::NotFound => Ok(None),
                        error => Err(error),
                    },
                    _ => Err(io::Error::other("an answer that is none to sock_diag(7)")),
                };
            }
        }
    }

    /// Whether the kernel gives this number to all users that have none here (user_namespaces(7)).
    pub(super) fn stands_for_many(user: u32) -> bool {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let overflow: Option<u32> = read("/proc/sys/kernel/overflowuid").trim().parse().ok();
        let map = read("/proc/self/uid_map");
        let maps_all = map.split_whitespace().eq(["0", "0", "4294967295"]);
        !maps_all && overflow == Some(user)
    }

    fn question(at: SocketAddr, to: SocketAddr, number: u32) -> Vec<u8> {
        let (source, destination) = (at.ip().to_canonical(), to.ip().to_canonical());
        let request = InetRequest {
            family: if source.is_ipv4() { AF_INET } else { AF_INET6 },
            protocol: IPPROTO_TCP,
            extensions: ExtensionFlags::empty(),
            states: StateFlags::all(),
            socket_id: SocketId {
                source_port: at.port(),
                destination_port: to.port(),
                source_address: source,
                destination_address: destination,
                interface_id: 0,
                cookie: NO_COOKIE,
            },
        };
        let mut header = NetlinkHeader::default();
        (header.flags, header.sequence_number) = (NLM_F_REQUEST, number);
        let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        bytes
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use std::io;
    use std::net::SocketAddr;

    pub(super) use self::NoSockets as SocketTable;

    /// Other systems answer no such question without privileges.
    #[derive(Debug)]
    pub(super) enum NoSockets {}

    pub(super) fn stands_for_many(_: u32) -> bool {
        false
    }

    impl NoSockets {
        pub(super) fn open() -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(super) fn holder(&self, _: SocketAddr, _: SocketAddr) -> io::Result<Option<u32>> {
            match *self {}
        }
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};

    use super::*;

    fn connection(listener: &TcpListener) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn the_own_user_is_no_stranger_on_either_loopback_address() {
        let rule = PeerRule::own_user().unwrap();
        for address in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
            let listener = TcpListener::bind(SocketAddr::new(address, 0)).unwrap();
            let (_client, server) = connection(&listener);
            assert_eq!(rule.stranger(server.local_addr().unwrap(), server.peer_addr().unwrap()), None);
        }
    }

    #[test]
    fn an_end_that_was_left_is_nobodys_and_not_roots() {
        let rule = PeerRule::own_user().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (client, server) = connection(&listener);
        drop(client);
        let stranger = rule.stranger(server.local_addr().unwrap(), server.peer_addr().unwrap()).unwrap();
        assert_eq!(stranger.other, None);
        assert!(stranger.to_string().contains("http.local_users"), "{stranger}");
    }

    #[test]
    fn who_listens_where_an_end_was_left_does_not_hold_it() {
        let rule = PeerRule::own_user().unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (client, server) = connection(&listener);
        let (local, peer) = (server.local_addr().unwrap(), server.peer_addr().unwrap());
        // A reset leaves nothing behind at the address.
        rustix::net::sockopt::set_socket_linger(&client, Some(std::time::Duration::ZERO)).unwrap();
        drop(client);
        let _heir = TcpListener::bind(peer).unwrap();
        assert_eq!(rule.stranger(local, peer).unwrap().other, None);
    }

    #[test]
    fn another_user_is_a_stranger_and_root_is_not() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (_client, server) = connection(&listener);
        let (local, peer) = (server.local_addr().unwrap(), server.peer_addr().unwrap());
        let own = rustix::process::geteuid().as_raw();
        // As a daemon of another user would see this process.
        let rule = PeerRule { own: own + 1, ..PeerRule::own_user().unwrap() };
        let stranger = rule.stranger(local, peer);
        assert_eq!(stranger.is_none(), own == ROOT, "{stranger:?}");
    }
}
