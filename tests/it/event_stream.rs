//! Port 6102 on a whole daemon: three transports, one order, nothing missed over a `kill -9`.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::contracts::assert_fits;
use crate::support::{Api, PATIENCE, Place, http_client, until};

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
    // Skips Engine.IO's pings, which may come at any time and need a pong.
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_number_is_given_twice_when_the_files_are_lost_after_a_kill() {
    let place = Place::with_documents(2);
    let process = place.start_process().await;
    let (_, answer) = broadcast(&process.api, r#"{"event_type": "before"}"#).await;
    let before = answer["seq"].as_u64().unwrap();
    process.kill();
    std::fs::remove_dir_all(place.dir.path().join("artifacts/hmi")).unwrap();

    let process = place.start_process().await;
    let (status, answer) = broadcast(&process.api, r#"{"event_type": "after"}"#).await;
    assert_eq!(status, 200);
    let after = answer["seq"].as_u64().unwrap();
    let mut socket = connect(&process.api, &format!("/ws?since={before}")).await;
    let mut last = before;
    while last < after {
        let event = event(&mut socket).await;
        let seq = event["seq"].as_u64().unwrap();
        assert!(seq > last, "{event}");
        last = seq;
    }
    let grows = format!(r#"{{"data": [{}1]}}"#, "1e15,".repeat(300_000));
    let (status, answer) = broadcast(&process.api, grows).await;
    assert_eq!(status, 413, "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("bytes as JSON"), "{answer}");
}

/// A session by polling: its id, and the address of its polls.
async fn session(api: &Api) -> (String, String) {
    let base = format!("http://{}/socket.io/?EIO=4&transport=polling", api.address_of(PORT));
    let opened = http_client().get(&base).send().await.unwrap().text().await.unwrap();
    let opened: Value = serde_json::from_str(opened.strip_prefix('0').expect("an opening")).unwrap();
    assert_eq!((&opened["upgrades"], &opened["pingInterval"]), (&json!(["websocket"]), &json!(25_000)));
    let sid = opened["sid"].as_str().unwrap().to_owned();
    let url = format!("{base}&sid={sid}");
    (sid, url)
}

async fn poll(url: &str) -> (u16, String) {
    let answer = http_client().get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn post(url: &str, body: &'static str) -> (u16, String) {
    let answer = http_client().post(url).header("content-type", "text/plain;charset=UTF-8").body(body);
    let answer = answer.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// As the JavaScript client does: poll, try a WebSocket meanwhile, and change over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_changes_from_polling_to_websocket_and_misses_nothing() {
    let place = Place::with_documents(2);
    let swarm = place.start().await;
    let api = &swarm.api;
    let (sid, url) = session(api).await;
    assert_eq!(post(&url, "40{\"since\":0}").await, (200, "ok".into()));
    let packets = poll(&url).await.1;
    let mut packets = packets.split('\u{1e}');
    assert!(packets.next().unwrap().starts_with("40{\"sid\""));
    assert!(packets.next().unwrap().starts_with("42[\"connected\""));
    let event = |packet: &str| -> Value {
        let event: Value = serde_json::from_str(packet.strip_prefix("42").expect("an event")).unwrap();
        assert_eq!(event[0], "event");
        event[1].clone()
    };
    let mut seen: Vec<u64> = packets.map(|packet| event(packet)["seq"].as_u64().unwrap()).collect();
    assert_eq!(seen.first(), Some(&1), "what was missed comes as events");

    let mut socket = connect(api, &format!("/socket.io/?EIO=4&transport=websocket&sid={sid}")).await;
    let waiting = async {
        loop {
            let (status, packets) = poll(&url).await;
            assert_eq!(status, 200);
            let mut packets: Vec<&str> = packets.split('\u{1e}').collect();
            let is_over = packets.last() == Some(&"6");
            packets.truncate(packets.len() - usize::from(is_over));
            seen.extend(packets.iter().map(|packet| event(packet)["seq"].as_u64().unwrap()));
            if is_over {
                return;
            }
        }
    };
    let trying = async {
        socket.send(Message::text("2probe")).await.unwrap();
        assert_eq!(text(&mut socket).await, "3probe");
    };
    tokio::join!(waiting, trying);
    socket.send(Message::text("5")).await.unwrap();
    let (_, answer) = broadcast(api, r#"{"event_type": "greeting"}"#).await;
    while seen.last() != answer["seq"].as_u64().as_ref() {
        seen.push(event(&text(&mut socket).await)["seq"].as_u64().unwrap());
    }
    assert!(seen.windows(2).all(|pair| pair[1] == pair[0] + 1), "every number once, in order: {seen:?}");
    assert_eq!(poll(&url).await.0, 400, "the transport has changed");
    socket.send(Message::text("41")).await.unwrap();
    until("the session is over", async || (poll(&url).await.1.contains("Session ID unknown")).then_some(()))
        .await;
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_engine_io_does_not_know_is_refused_in_its_words() {
    let place = Place::with_documents(2);
    let swarm = place.start().await;
    let api = &swarm.api;
    let base = format!("http://{}/socket.io/", api.address_of(PORT));
    for (query, code) in [
        ("?EIO=3&transport=polling", 5),
        ("?transport=polling", 5),
        ("?EIO=4&transport=smoke", 0),
        ("?EIO=4&transport=polling&sid=nobody", 1),
        ("?EIO=4&transport=websocket&sid=nobody", 1),
    ] {
        let (status, body) = poll(&format!("{base}{query}")).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &body["code"]), (400, &json!(code)), "{query}");
        assert_eq!(body["message"], body["detail"]);
    }
    assert_eq!(poll(&format!("{base}?EIO=4&transport=websocket")).await.0, 426);
    assert_eq!(post(&format!("{base}?EIO=4&transport=polling"), "40").await.0, 400, "no session");
    let (_, url) = session(api).await;
    assert_eq!(post(&url, "40/admin,{}").await.0, 200);
    assert_eq!(poll(&url).await.1, "44/admin,{\"message\":\"Invalid namespace\"}");
    assert_eq!(post(&url, "40\u{1e}what").await.0, 400);
    assert_eq!(poll(&url).await.0, 400, "a malformed packet ends the session");
    let (_, url) = session(api).await;
    let large = Box::leak("4".repeat(65 * 1024).into_boxed_str());
    assert_eq!(post(&url, large).await.0, 400);
    swarm.stop().await;
}

/// A client that asks again before reading gets one answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_that_are_asked_for_at_once_are_one() {
    let place = Place::with_documents(2);
    let swarm = place.start().await;
    let api = &swarm.api;
    let (_, url) = session(api).await;
    assert_eq!(post(&url, "40").await.0, 200);
    let greeting = poll(&url).await.1;
    assert!(greeting.contains("\u{1e}42[\"event_history\",[{"), "{greeting}");
    let many = Box::leak(vec!["42[\"request_history\"]"; 1000].join("\u{1e}").into_boxed_str());
    assert_eq!(post(&url, many).await.0, 200);
    let (mut histories, mut pongs) = (0, 0);
    let (_, answer) = broadcast(api, r#"{"event_type": "last"}"#).await;
    let mut last = false;
    while !(last && histories > 0) {
        for packet in poll(&url).await.1.split('\u{1e}') {
            histories += usize::from(packet.starts_with("42[\"event_history\""));
            last |= packet.contains(&format!("\"seq\":{},", answer["seq"]));
        }
    }
    assert_eq!(histories, 1);
    let many = Box::leak(vec!["42[\"ping\"]"; 1000].join("\u{1e}").into_boxed_str());
    assert_eq!(post(&url, many).await.0, 200);
    assert_eq!(post(&url, "42[\"request_history\"]").await.0, 200);
    while histories < 2 {
        for packet in poll(&url).await.1.split('\u{1e}') {
            histories += usize::from(packet.starts_with("42[\"event_history\""));
            pongs += usize::from(packet.starts_with("42[\"pong\""));
        }
    }
    assert_eq!(pongs, 16, "those that wait are bounded");
    swarm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_events_are_paged_back_and_filtered_before_the_cut() {
    let place = Place::with_documents(2);
    let swarm = place.start().await;
    let api = &swarm.api;
    for number in 0..5 {
        broadcast(api, json!({ "event_type": "mine", "data": { "number": number } }).to_string()).await;
        broadcast(api, r#"{"event_type": "other"}"#).await;
    }
    let (mut path, mut numbers) = ("/events/recent?event_type=mine&limit=2".to_owned(), Vec::new());
    loop {
        let page = get(api, &path).await;
        let events = page["events"].as_array().unwrap();
        assert_eq!((&page["count"], &page["total"]), (&json!(events.len()), &json!(5)));
        numbers
            .push(events.iter().map(|event| event["data"]["number"].as_u64().unwrap()).collect::<Vec<_>>());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/events/recent?event_type=mine&limit=2&cursor={cursor}");
    }
    assert_eq!(numbers, [vec![3, 4], vec![1, 2], vec![0]]);
    let none = get(api, "/events/recent?event_type=nothing").await;
    assert_eq!(
        (&none["events"], &none["total"], &none["next_cursor"]),
        (&json!([]), &json!(0), &Value::Null)
    );
    swarm.stop().await;
}
