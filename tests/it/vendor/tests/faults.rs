//! What is scripted happens, to the call it is scripted for.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;

use super::super::{At, Cut, FOREVER, Fault, RetryAfter, Server, Vendor};
use super::*;

#[tokio::test]
async fn faults_of_status_come_in_the_vendors_form_and_then_all_is_well() {
    for vendor in Vendor::ALL {
        let server = Server::start(vendor).await;
        let seconds = Fault::RateLimited(RetryAfter::Seconds(7));
        server.script([seconds, Fault::RateLimited(RetryAfter::Date(60)), Fault::Status(529)]);
        let limited = send(&server, true).await.unwrap();
        assert_eq!(limited.status(), StatusCode::TOO_MANY_REQUESTS);
        let header = limited.headers().get("retry-after").cloned();
        let body: Value = limited.json().await.unwrap();
        if vendor == Vendor::Gemini {
            assert_eq!(body["error"]["details"][0]["retryDelay"], "7s");
        } else {
            assert_eq!(header.unwrap(), "7", "{body}");
        }
        let dated = send(&server, false).await.unwrap();
        let date = dated.headers()["retry-after"].to_str().unwrap();
        assert!(jiff::fmt::rfc2822::parse(date).is_ok(), "{date}");
        let overloaded = send(&server, false).await.unwrap();
        assert_eq!(overloaded.status().as_u16(), 529);
        assert!(overloaded.json::<Value>().await.unwrap().is_object());
        assert!(server.script_is_done());
        assert!(send(&server, false).await.unwrap().status().is_success());
    }
}

#[tokio::test]
async fn cuts_are_seen_as_cuts() {
    for vendor in Vendor::ALL {
        let server = Server::start(vendor).await;
        for how in [Cut::Close, Cut::Reset] {
            for stream in [false, true] {
                server.script(
                    [At::BeforeHeaders, At::BeforeFirstByte, At::After(2)].map(|at| Fault::Cut(at, how)),
                );
                assert!(send(&server, stream).await.is_err());
                assert!(send(&server, stream).await.unwrap().bytes().await.is_err());
                let mut cut = send(&server, stream).await.unwrap();
                assert!(!cut.chunk().await.unwrap().unwrap().is_empty());
                let end = loop {
                    match cut.chunk().await {
                        Ok(Some(_)) => {}
                        end => break end,
                    }
                };
                assert!(end.is_err(), "{vendor:?} {how:?} {stream}");
            }
        }
        assert_eq!(server.left_early(), 0, "it was the server that left");
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_counted() {
    let server = Server::start(Vendor::OpenAi).await;
    let stalls = [
        Fault::StallBeforeHeaders(FOREVER),
        Fault::StallBeforeFirstByte(FOREVER),
        Fault::StallAfter(2, FOREVER),
    ];
    server.script(stalls);
    let short = Duration::from_millis(100);
    tokio::select! {
        answer = send(&server, true) => panic!("no stall: {answer:?}"),
        () = until(|| server.calls() == 1) => {}
    }
    for frames in [0, 1] {
        let mut answer = send(&server, true).await.unwrap();
        for _ in 0..frames {
            assert!(answer.chunk().await.unwrap().is_some());
        }
        let rest = async { while answer.chunk().await.unwrap().is_some() {} };
        assert!(tokio::time::timeout(short, rest).await.is_err());
        drop(answer);
    }
    until(|| server.left_early() == 3).await;
}

#[tokio::test]
async fn splits_and_odd_frames_say_the_same() {
    for vendor in Vendor::ALL {
        let server = Server::start(vendor).await;
        let plain = send(&server, true).await.unwrap().text().await.unwrap();
        let drip = Fault::Drip(64, Duration::from_micros(100));
        for fault in [Fault::EveryByte, Fault::Split(1), Fault::Split(2), drip] {
            server.script([fault]);
            assert_eq!(send(&server, true).await.unwrap().text().await.unwrap(), plain);
        }
        server.script([Fault::OddFrames, Fault::OddFrames, Fault::Split(3)]);
        let odd = send(&server, true).await.unwrap().text().await.unwrap();
        assert_ne!(odd, plain);
        assert_eq!(streamed(vendor, &odd), SAID, "{odd}");
        for _ in 0..2 {
            let whole: Value = send(&server, false).await.unwrap().json().await.unwrap();
            assert_eq!(whole.pointer(text_at(vendor)).unwrap(), SAID);
        }
    }
}

#[tokio::test]
async fn broken_bodies_are_broken() {
    for vendor in Vendor::ALL {
        let server = Server::start(vendor).await;
        let whole = async |fault| {
            server.script([fault]);
            send(&server, false).await.unwrap().text().await.unwrap()
        };
        let is_json = |text: &str| serde_json::from_str::<Value>(text).is_ok();
        assert!(!is_json(&whole(Fault::MalformedJson).await));
        assert!(!is_json(&whole(Fault::MalformedFrames).await));
        assert!(whole(Fault::Html(200)).await.starts_with("<!DOCTYPE html>"));
        assert_eq!(whole(Fault::Empty).await, "");
        assert!(whole(Fault::Huge(3 << 20)).await.len() > 3 << 20);
        assert!(!whole(Fault::MissingUsage).await.to_lowercase().contains("usage"));
        server.script([Fault::None, Fault::MissingEnd, Fault::ErrorAfter(2), Fault::MissingUsage]);
        let plain = send(&server, true).await.unwrap().text().await.unwrap();
        let endless = send(&server, true).await.unwrap().text().await.unwrap();
        assert!(plain.starts_with(&endless) && endless.len() < plain.len());
        let failing = send(&server, true).await.unwrap().text().await.unwrap();
        assert!(!events(vendor, &failing).last().unwrap()["error"].is_null(), "{failing}");
        let silent = send(&server, true).await.unwrap().text().await.unwrap();
        let reports = ["\"usage\":{", "usageMetadata", "eval_count"];
        assert!(!reports.iter().any(|report| silent.contains(report)), "{silent}");
        assert_eq!(streamed(vendor, &silent), SAID);
    }
}

#[tokio::test]
async fn a_closed_port_refuses_until_it_is_open_again() {
    let server = Server::start(Vendor::Grok).await;
    server.down().await;
    assert!(send(&server, false).await.unwrap_err().is_connect());
    server.up().await;
    assert!(send(&server, false).await.unwrap().status().is_success());
}
