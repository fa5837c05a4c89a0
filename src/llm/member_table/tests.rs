//! Every row of the table through the real translators.

use std::sync::Arc;

use bytes::Bytes;
use hyper::header::HeaderMap;
use serde_json::{Map, Value, json};

use super::MemberFate::{Dropped, Mapped, Passed, Refused};
use super::*;
use crate::inbound::anthropic;
use crate::passage::{GenerateTarget, OriginalRequest, PassedRequest};
use crate::{Vendor, dialect, exact_integers};

const MODEL: &str = "some-model";
/// The vendors of the table's columns; of OpenAI's chat form, one that has nothing else.
const COLUMNS: [Vendor; 4] = [Vendor::Grok, Vendor::Anthropic, Vendor::Gemini, Vendor::Ollama];

fn rows() -> impl Iterator<Item = &'static MemberRow> {
    [CHAT_MEMBERS, RESPONSES_MEMBERS, MESSAGES_MEMBERS, GENERATE_MEMBERS].into_iter().flatten()
}

/// A small request with these members.
fn request(protocol: WireProtocol, parts: &[&str]) -> Value {
    let mut body = match protocol {
        WireProtocol::Responses => json!({"model": MODEL, "input": "hi", "max_output_tokens": 4_000}),
        WireProtocol::Generate => json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
        _ => json!({"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4_000}),
    };
    for part in parts {
        let members: Map<String, Value> = exact_integers::read(part.as_bytes()).unwrap();
        body.as_object_mut().unwrap().extend(members);
    }
    body
}

fn original(protocol: WireProtocol, body: &Value) -> OriginalRequest {
    let (text, headers) = (Bytes::from(exact_integers::text_of(body)), HeaderMap::new());
    let read = match protocol {
        WireProtocol::Generate => {
            let target = GenerateTarget { model: MODEL.to_owned(), is_stream: false };
            OriginalRequest::read_generate(target, text, &headers)
        }
        _ => OriginalRequest::read(protocol, text, None, &headers),
    };
    read.unwrap()
}

/// The body that a vendor of another protocol gets, or the sentence of the refusal.
fn translated(protocol: WireProtocol, vendor: Vendor, body: &Value) -> Result<Value, String> {
    let original = original(protocol, body);
    let mut chat = original.translated().map_err(|problem| problem.message)?.chat.clone();
    if vendor != Vendor::Anthropic {
        anthropic::without_own_fields(&mut chat);
    }
    let wire = dialect::chat_request(vendor, &chat, false).map_err(|failure| failure.message)?;
    Ok(serde_json::from_slice(&wire.body).unwrap())
}

/// The fate of the row's member at this vendor.
fn found(row: &MemberRow, vendor: Vendor, promised: MemberFate) -> Result<MemberFate, String> {
    let without = request(row.protocol, &[row.beside]);
    let with = request(row.protocol, &[row.beside, row.sample]);
    let base = translated(row.protocol, vendor, &without).map_err(|why| format!("without it: {why}"))?;
    let sent = match translated(row.protocol, vendor, &with) {
        Err(why) if why.is_empty() => return Err("a refusal says nothing".to_owned()),
        Err(_) => return Ok(Refused),
        Ok(sent) => sent,
    };
    let sample: Map<String, Value> = serde_json::from_str(row.sample).unwrap();
    if sent == base {
        return Ok(Dropped);
    }
    if sample.iter().all(|(name, value)| sent.get(name) == Some(value)) {
        return Ok(Passed);
    }
    match promised {
        Mapped(place) if sent.pointer(place).is_some() && sent.pointer(place) != base.pointer(place) => {
            Ok(promised)
        }
        _ => Err(format!("it became {sent}")),
    }
}

#[test]
fn every_member_fares_at_every_vendor_as_the_table_says() {
    let mut wrong = Vec::new();
    for row in rows() {
        for (vendor, promised) in COLUMNS.into_iter().zip(row.fates) {
            let Some(promised) = promised else { continue };
            match found(row, vendor, promised) {
                Ok(fate) if fate == promised => {}
                other => wrong.push(format!(
                    "{:?} `{}` at {vendor}: the table says {promised:?}, but {other:?}",
                    row.protocol, row.member
                )),
            }
        }
    }
    assert!(wrong.is_empty(), "{} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn between_client_and_vendor_of_one_protocol_every_member_passes() {
    for row in rows() {
        let body = request(row.protocol, &[row.beside, row.sample]);
        let (vendor, body) = match row.protocol {
            WireProtocol::Messages => (Vendor::Anthropic, body),
            WireProtocol::Generate => (Vendor::Gemini, body),
            _ => (Vendor::OpenAi, body),
        };
        let original = Arc::new(original(row.protocol, &body));
        let passed = PassedRequest { original, model: MODEL.to_owned(), limit: None };
        let wire = passed.wire(vendor);
        assert_eq!(String::from_utf8_lossy(&wire.body), exact_integers::text_of(&body), "`{}`", row.member);
    }
}

#[test]
fn members_keep_their_order_and_integers_their_digits_in_every_translation() {
    for row in rows() {
        for vendor in COLUMNS {
            let body = request(row.protocol, &[row.beside, row.sample]);
            let Ok(chat) = original(row.protocol, &body).translated().map(|made| made.chat.clone()) else {
                continue;
            };
            let Ok(wire) = dialect::chat_request(vendor, &chat, false) else { continue };
            let sent = String::from_utf8(wire.body.to_vec()).unwrap();
            if body.to_string().contains("\"properties\":{\"z\"") {
                let (z, a) = (sent.find("\"z\":"), sent.find("\"a\":"));
                assert!(z.is_some() && z < a, "{vendor} `{}`: {sent}", row.member);
            }
            if row.sample.contains("12345678901234567890123") {
                assert!(sent.contains("12345678901234567890123"), "{vendor} `{}`: {sent}", row.member);
            }
        }
    }
}
