//! The packets of Engine.IO 4 and Socket.IO 5, as far as the contract's clients send them. Pure.
//!
//! Engine.IO is the envelope (one digit, then the payload), Socket.IO the payload of a message. Sources:
//! the protocols' documents, github.com/socketio/engine.io-protocol and socket.io-protocol.

use serde::Deserialize;
use serde_json::Value;

/// Separates packets in a polling body.
pub(super) const SEPARATOR: char = '\u{1e}';
/// Engine.IO's own packets that leave the server.
pub(super) const PING: &str = "2";
pub(super) const NOOP: &str = "6";
pub(super) const PROBE: &str = "2probe";
pub(super) const PROBE_ANSWER: &str = "3probe";
pub(super) const UPGRADE: &str = "5";
pub(super) const DISCONNECT: &str = "41";

/// A packet of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ClientPacket {
    /// Ends the session.
    Close,
    /// Answers our ping.
    Pong,
    /// Asks for events after this number.
    Connect { since: Option<u64> },
    /// Connects to an unknown namespace.
    ConnectElsewhere { namespace: String },
    /// Emits `ping`.
    Ping,
    /// Emits `request_history`.
    RequestHistory,
    /// Ignored: other events, acknowledgements.
    Other,
}

/// A packet that breaks the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a packet is malformed")]
pub(super) struct MalformedPacket;

/// Longest namespace repeated in a refusal.
const MAX_NAMESPACE: usize = 100;

#[derive(Deserialize, Default)]
struct ConnectAuth {
    since: Option<u64>,
}

/// Reads one packet of Engine.IO.
pub(super) fn read(packet: &str) -> Result<ClientPacket, MalformedPacket> {
    match packet.split_at_checked(1).ok_or(MalformedPacket)? {
        ("1", _) => Ok(ClientPacket::Close),
        ("3", _) => Ok(ClientPacket::Pong),
        ("4", message) => read_message(message),
        // Client pings (of the previous version), late probes, and noops.
        ("2" | "5" | "6", _) => Ok(ClientPacket::Other),
        _ => Err(MalformedPacket),
    }
}

/// Reads one packet of Socket.IO.
fn read_message(message: &str) -> Result<ClientPacket, MalformedPacket> {
    let (kind, rest) = message.split_at_checked(1).ok_or(MalformedPacket)?;
    // `/name,` for other namespaces; the comma may be missing at the end.
    let (namespace, rest) = match rest.strip_prefix('/') {
        Some(_) => rest.split_once(',').unwrap_or((rest, "")),
        None => ("/", rest),
    };
    let namespace = namespace.split('?').next().unwrap_or_default();
    match kind {
        "0" if namespace != "/" => {
            let shown = namespace.chars().take(MAX_NAMESPACE).collect();
            Ok(ClientPacket::ConnectElsewhere { namespace: shown })
        }
        "0" if rest.is_empty() => Ok(ClientPacket::Connect { since: None }),
        "0" => {
            let auth: Value = serde_json::from_str(rest).map_err(|_| MalformedPacket)?;
            // Clients may put other things there.
            let ConnectAuth { since } = ConnectAuth::deserialize(auth).unwrap_or_default();
            Ok(ClientPacket::Connect { since })
        }
        "1" => Ok(ClientPacket::Close),
        "2" => read_event(rest),
        // Acknowledgements and events with binary parts; the parts themselves are refused.
        "3" | "5" | "6" => Ok(ClientPacket::Other),
        _ => Err(MalformedPacket),
    }
}

/// `["name", …]`, after the number of a requested acknowledgement, which no event here has.
fn read_event(text: &str) -> Result<ClientPacket, MalformedPacket> {
    let array = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let event: Vec<Value> = serde_json::from_str(array).map_err(|_| MalformedPacket)?;
    match event.first().and_then(Value::as_str).ok_or(MalformedPacket)? {
        "ping" => Ok(ClientPacket::Ping),
        "request_history" => Ok(ClientPacket::RequestHistory),
        _ => Ok(ClientPacket::Other),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn packets_of_the_contracts_clients_are_read() {
        for (packet, meant) in [
            ("1", ClientPacket::Close),
            ("3", ClientPacket::Pong),
            ("3probe", ClientPacket::Pong),
            ("40", ClientPacket::Connect { since: None }),
            ("40{}", ClientPacket::Connect { since: None }),
            ("40{\"since\":7}", ClientPacket::Connect { since: Some(7) }),
            ("40{\"since\":-1}", ClientPacket::Connect { since: None }),
            ("40/,{\"since\":7}", ClientPacket::Connect { since: Some(7) }),
            ("40/admin,{}", ClientPacket::ConnectElsewhere { namespace: "/admin".into() }),
            ("40/admin", ClientPacket::ConnectElsewhere { namespace: "/admin".into() }),
            ("41", ClientPacket::Close),
            ("42[\"ping\"]", ClientPacket::Ping),
            ("42/,[\"ping\",{\"a\":1}]", ClientPacket::Ping),
            ("4212[\"request_history\"]", ClientPacket::RequestHistory),
            ("42[\"other\"]", ClientPacket::Other),
            ("430[]", ClientPacket::Other),
            ("6", ClientPacket::Other),
        ] {
            assert_eq!(read(packet), Ok(meant), "{packet}");
        }
        for wrong in ["", "b", "9", "4", "42", "42{}", "42[]", "42[7]", "40{", "4x", "bAAAA", "é"] {
            assert_eq!(read(wrong), Err(MalformedPacket), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(packet in "[0-9b]{0,3}[/a-z,]{0,4}[\\PC]{0,20}") {
            let _ = read(&packet);
        }
    }
}
