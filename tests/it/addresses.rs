//! Every address that the daemon names has a listener, and an agent without an address is called by name.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Api, Place, http_client};

/// The ports in a text: those of URLs on this machine.
fn ports_of_urls(text: &str) -> BTreeSet<u16> {
    let hosts = ["http://localhost:", "http://127.0.0.1:", "ws://localhost:", "ws://127.0.0.1:"];
    let after = hosts.iter().flat_map(|host| text.split(host).skip(1));
    after
        .map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap())
        .collect()
}

/// The ports in a document: those of URLs, and every field named `port`.
fn named_ports(value: &Value, found: &mut BTreeSet<u16>) {
    let number = |value: &Value| match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64().and_then(|port| u16::try_from(port).ok()),
    };
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match name.as_str() {
                    "port" => found.extend(number(field)),
                    "ports" => found.extend(field.as_object().unwrap().values().filter_map(number)),
                    _ => named_ports(field, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| named_ports(item, found)),
        Value::String(text) => found.extend(ports_of_urls(text)),
        _ => {}
    }
}

#[test]
fn ports_are_found_wherever_they_are_named() {
    let mut found = BTreeSet::new();
    let document = json!({
        "items": [{ "url": "http://localhost:1", "labels": { "port": "2" } }, { "port": 3, "id": 9 }],
        "ports": { "a": 4 }, "text": "see http://127.0.0.1:5/docs", "other": { "port": null },
    });
    named_ports(&document, &mut found);
    assert_eq!(found, BTreeSet::from([1, 2, 3, 4, 5]));
}

async fn get(api: &Api, port: u16, path: &str) -> Value {
    api.with_base(format!("http://{}", api.address_of(port))).get(path).await
}

async fn post(api: &Api, port: u16, path: &str, body: Value) -> Value {
    api.with_base(format!("http://{}", api.address_of(port))).ask(path, body).await
}

fn pas(place: &Place, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_pas"))
        .args(args)
        .env("PAS_HTTP__PORT_OFFSET", place.offset.to_string())
        .current_dir(place.dir.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_address_that_is_named_is_listened_on() {
    let place = Place::with_documents(1);
    let swarm = place.start().await;
    let api = &swarm.api;
    let services = get(api, 6121, "/services").await;
    let mut named = BTreeSet::new();
    for document in [
        services.clone(),
        get(api, 6121, "/discover").await,
        get(api, 6101, "/api/services").await,
        get(api, 6101, "/api/tree").await,
        get(api, 6101, "/api/live").await,
        get(api, 6101, "/api/metrics").await,
        post(api, 6119, "/discover", json!({ "limit": 100 })).await,
    ] {
        named_ports(&document, &mut named);
    }
    for args in [&["agents"][..], &["agents", "contract-tester"], &["agents", "registry"], &["tree"]] {
        named.extend(ports_of_urls(&pas(&place, args)));
    }
    assert!(named.contains(&(6121 + api.offset)) && named.len() > 10, "{named:?}");
    for port in named {
        let health = http_client().get(format!("http://127.0.0.1:{port}/health")).send().await;
        let health = health.unwrap_or_else(|error| panic!("{port} is named, and nobody listens: {error}"));
        let told: Value = health.json().await.unwrap();
        assert_eq!(told["port"], port, "{told}");
    }

    let agents = services["items"].as_array().unwrap().iter().filter(|item| item["type"] == "agent");
    let (mut with, mut without) = (0, 0);
    for agent in agents {
        let url = agent["url"].as_str().unwrap();
        let Some(name) = url.strip_prefix("internal://agents/") else {
            with += 1;
            continue;
        };
        without += 1;
        if agent["labels"]["agent_role"] != "system" {
            continue;
        }
        let call = json!({ "request_id": format!("call-{name}"), "agent_name": name, "payload": {} });
        let answer = post(api, 6119, "/invoke", call).await;
        assert_eq!(answer["status"], "success", "{name} has no address and does not answer: {answer}");
    }
    assert_eq!((with, without), (7, 43));
    swarm.stop().await;
}
