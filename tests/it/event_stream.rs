//! Port 6102 on a whole daemon: three transports, one order, nothing missed over a `kill -9`.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::contracts::assert_fits;
use crate::support::{Api, PATIENCE, Place, http_client};

const PORT: u16 = 6102;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(api: &Api, path: &str) -> Socket {
    connect_async(format!("ws://{}{path}", api.address_of(PORT))).await.unwrap().0
}

/// The next text message.
async fn text(socket: &mut Socket) -> String {
    loop {
        let message = timeout(PATIENCE, socket.next()).await.expect("a message comes").unwrap().unwrap();
        match message {
            Message::Text(text) => return text.to_string(),
            Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn event(socket: &mut Socket) -> Value {
    serde_json::from_str(&text(socket).await).unwrap()
}

/// The next event of a kind.
async fn of_kind(socket: &mut Socket, kind: &str) -> Value {
    loop {
        let event = event(socket).await;
        if event["event_type"] == kind {
            return event;
        }
    }
}

async fn broadcast(api: &Api, body: impl Into<reqwest::Body>) -> (u16, Value) {
    let url = format!("http://{}/broadcast", api.address_of(PORT));
    let answer = http_client().post(url).header("content-type", "application/json").body(body);
    let answer = answer.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn get(api: &Api, path: &str) -> Value {
    http_client()
        .get(format!("http://{}{path}", api.address_of(PORT)))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_broadcast_reaches_every_transport_as_the_contract_says() {
    let place = Place::with_documents(2);
    let swarm = place.start().await;
    let api = &swarm.api;
    let mut plain = connect(api, "/ws").await;
    let mut socket_io = connect(api, "/socket.io/?EIO=4&transport=websocket").await;
    assert!(text(&mut socket_io).await.starts_with('0'), "Engine.IO opens");
    socket_io.send(Message::text("40")).await.unwrap();
    // Whatever comes first: Engine.IO's pings may come at any time and want their pong.
    let after = async |socket: &mut Socket, prefix: &str| -> String {
        loop {
            let text = text(socket).await;
            match text.strip_prefix(prefix) {
                Some(rest) => return rest.to_owned(),
                None => {
                    assert_eq!(text, "2", "a ping");
                    socket.send(Message::text("3")).await.unwrap();
                }
            }
        }
    };
    assert!(after(&mut socket_io, "40").await.contains("sid"), "Socket.IO connects");
    let packet =
        async |socket: &mut Socket| -> Value { serde_json::from_str(&after(socket, "42").await).unwrap() };
    let hello = packet(&mut socket_io).await;
    assert_eq!((&hello[0], &hello[1]["status"]), (&json!("connected"), &json!("connected")));
    assert!(hello[1]["buffered_events"].as_u64().unwrap() > 0, "the start of the daemon was told");
    let history = packet(&mut socket_io).await;
    assert_eq!(history[0], "event_history");
    assert!(history[1].as_array().unwrap().len() <= 100, "{history}");

    let (status, answer) = broadcast(api, r#"{"event_type": "greeting", "data": {"to": "all"}}"#).await;
    assert_eq!((status, &answer["status"], &answer["clients"]), (200, &json!("broadcasted"), &json!(2)));
    let plainly = of_kind(&mut plain, "greeting").await;
    assert_eq!((&plainly["data"]["to"], &plainly["seq"]), (&json!("all"), &answer["seq"]));
    loop {
        let packet = packet(&mut socket_io).await;
        assert_eq!(packet[0], "event");
        if packet[1]["event_type"] == "greeting" {
            assert_eq!(packet[1], plainly);
            break;
        }
    }
    socket_io.send(Message::text(r#"42["ping"]"#)).await.unwrap();
    while packet(&mut socket_io).await[0] != "pong" {}
    plain.send(Message::text("ping")).await.unwrap();
    while event(&mut plain).await["type"] != "pong" {}

    let url = format!("http://{}/events?since={}", api.address_of(PORT), answer["seq"].as_u64().unwrap() - 1);
    let mut stream = http_client().get(url).send().await.unwrap().bytes_stream();
    let first = String::from_utf8(stream.next().await.unwrap().unwrap().to_vec()).unwrap();
    assert!(
        first.starts_with("id: ") && first.contains("\nevent: event\n") && first.contains("greeting"),
        "{first}"
    );

    let recent = get(api, "/events/recent?limit=3").await;
    assert_eq!(recent["events"].as_array().unwrap().len(), 3);
    let health = get(api, "/health").await;
    assert_eq!((&health["service"], &health["status"]), (&json!("event_stream"), &json!("ok")));
    assert_eq!(health["connected_clients"], 3);
    drop((plain, socket_io, stream));
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_json_and_who_is_a_stranger_is_refused() {
    let place = Place::with_documents(2);
    let swarm = place.start().await;
    let api = &swarm.api;
    for body in ["", "no json", "[1]"] {
        let (status, answer) = broadcast(api, body).await;
        assert_eq!(status, 400, "{body}: {answer}");
        assert!(answer["error"].is_string(), "{answer}");
    }
    let (status, answer) = broadcast(api, r#"{"data": 7}"#).await;
    assert_eq!((status, &answer["event_type"]), (200, &json!("unknown")));
    assert_eq!(broadcast(api, format!(r#"{{"event_type": "{}"}}"#, "x".repeat(101))).await.0, 422);

    let from = async |origin: &str, path: &str| {
        let mut request = format!("ws://{}{path}", api.address_of(PORT)).into_client_request().unwrap();
        request.headers_mut().insert("origin", origin.parse().unwrap());
        match connect_async(request).await {
            Ok(_) => 101,
            Err(tungstenite::Error::Http(answer)) => answer.status().as_u16(),
            Err(error) => panic!("{error}"),
        }
    };
    for path in ["/ws", "/socket.io/?EIO=4&transport=websocket"] {
        assert_eq!(from("http://evil.test", path).await, 403, "{path}");
        assert_eq!(from(&format!("http://{}", api.address_of(6121)), path).await, 101, "{path}");
    }
    let own = format!("http://{}", api.address_of(6121));
    let asked = http_client()
        .request(reqwest::Method::OPTIONS, format!("http://{}/broadcast", api.address_of(PORT)))
        .header("origin", &own)
        .header("access-control-request-method", "POST");
    let answer = asked.send().await.unwrap();
    assert_eq!(answer.status(), 204);
    assert_eq!(answer.headers()["access-control-allow-origin"], own.as_str());
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_comes_back_after_a_crash_has_missed_nothing() {
    let place = Place::with_documents(8);
    let process = place.start_process().await;
    let mut socket = connect(&process.api, "/ws").await;
    let run = process.api.ingest(json!({})).await;
    let mut seen = vec![of_kind(&mut socket, "status_update").await];
    drop(socket);
    process.kill();

    let process = place.start_process().await;
    let api = &process.api;
    api.done(&run).await;
    let last = api.events(&run).await.last().unwrap()["seq"].as_u64().unwrap();
    let since = seen[0]["seq"].as_u64().unwrap();
    let mut socket = connect(api, &format!("/ws?since={since}")).await;
    let mut before = since;
    while seen.last().unwrap()["data"]["seq"].as_u64().unwrap() < last {
        let event = event(&mut socket).await;
        let seq = event["seq"].as_u64().unwrap();
        assert_eq!(seq, before + 1, "{event}");
        before = seq;
        if event["data"]["run_id"] == *run {
            seen.push(event);
        }
    }
    let told: Vec<&Value> = seen.iter().map(|event| &event["data"]["seq"]).collect();
    let events = api.events(&run).await;
    let kept: Vec<&Value> = events.iter().map(|event| &event["seq"]).collect();
    assert_eq!(told, kept, "every event of the run, once and in order");
    let document = pas::http::contract::bundled("event-stream.json").unwrap();
    for event in &seen {
        assert_fits(&document, &document["components"]["schemas"]["Event"], event, "an event");
    }
}
