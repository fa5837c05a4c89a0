//! Plays: the right turn for each request in every vendor's form, and what they find fault with.

use super::super::play::*;
use super::super::{At, Cut, Fault, RetryAfter, Server, Vendor, Vendors};
use super::talk::VendorTalk;
use super::*;

const NONE: [String; 0] = [];
const CARD: &str = "Fix the sum.\nProve it with `cargo test`.";

fn fix() -> Play {
    Play::new([
        turn(calls![bash("cargo test"), read("src/lib.rs")]).saying("I look first."),
        say("It is the sign.").sees("bash ran").sees("read ran"),
        turn(edit("src/lib.rs", [("a - b", "a + b")])),
        turn(report("done", "the sign was wrong")).sees("edit ran"),
    ])
    .card(CARD)
    .offers(["bash", "read"])
    .withholds(["docker"])
}

fn tools(calls: &[(String, String, String)]) -> Vec<&str> {
    calls.iter().map(|(_, tool, _)| tool.as_str()).collect()
}

#[tokio::test]
async fn a_play_goes_turn_by_turn_at_every_vendor() {
    for vendor in Vendor::ALL {
        for stream in [false, true] {
            let server = Server::start(vendor).await;
            server.perform(&fix());
            let mut talk = VendorTalk::new(&server, stream, CARD);
            let first = talk.turn().await;
            assert_eq!((first.text.as_str(), tools(&first.calls)), ("I look first.", vec!["bash", "read"]));
            assert_eq!(first.calls[0].2, r#"{"command":"cargo test"}"#, "{vendor:?} {stream}");
            assert_eq!(talk.turn().await.text, "It is the sign.");
            talk.hear("Call a tool or report.");
            let third = talk.ask().await.unwrap();
            assert_eq!(talk.turn().await, third, "the same request has the same answer");
            assert_eq!(tools(&talk.turn().await.calls), ["report"]);
            assert_eq!(server.play_faults(), NONE);
            let turns: Vec<usize> = server.turns_served().iter().map(|served| served.turn).collect();
            assert_eq!(turns, [0, 1, 2, 2, 3]);
            let served = server.turns_served();
            assert!(served[2].request == served[3].request && served[1].request != served[2].request);
            assert_eq!(talk.ask().await.unwrap().calls, [], "after the end it only says so");
            assert_eq!(server.play_faults(), ["play, turn 4: asked for more than its 4 turns"]);
        }
    }
}

#[tokio::test]
async fn an_answer_can_be_cut_broken_empty_or_a_refusal() {
    let cut_in_arguments = || bash("cargo test --workspace");
    for vendor in [Vendor::OpenAi, Vendor::Anthropic] {
        for stream in [false, true] {
            let server = Server::start(vendor).await;
            server.perform(&Play::new([
                turn(calls![read("a"), cut_in_arguments()]).cut(),
                turn(cut_in_arguments()).cut(),
                say("And so I thought that").cut(),
                silence(),
                silence(),
                turn(bad_json("bash", r#"{"command": "ls"#)),
                turn(call("frobnicate", json!({ "speed": 11 }))),
                decline("I can't help with that."),
            ]));
            let (length, stop) =
                if vendor == Vendor::OpenAi { ("length", "stop") } else { ("max_tokens", "end_turn") };
            let object = vendor == Vendor::Anthropic && !stream;
            let half = |text: &'static str| if object { "{}" } else { text };
            let mut talk = VendorTalk::new(&server, stream, CARD);
            let mut cut = talk.ask().await.unwrap();
            assert_eq!(
                (cut.finish.as_str(), cut.calls[1].2.as_str()),
                (length, half(r#"{"command":"cargo "#))
            );
            cut.calls.pop();
            talk.take(&cut, &["text of a"]);
            assert_eq!(tools(&talk.ask().await.unwrap().calls), ["bash"]);
            talk.hear("Your answer was cut.");
            let prose = talk.turn().await;
            assert_eq!((prose.text.as_str(), prose.finish.as_str()), ("And so I thought that", length));
            for nudge in ["Go on.", "Call a tool or report."] {
                talk.hear(nudge);
                let empty = talk.ask().await.unwrap();
                assert_eq!((empty.text.as_str(), empty.calls.len(), empty.finish.as_str()), ("", 0, stop));
                assert_eq!(talk.ask().await.unwrap(), empty, "asked again, the same");
            }
            talk.hear("Still nothing. Go on.");
            let broken = talk.turn().await;
            assert_eq!(broken.calls[0].2, half(r#"{"command": "ls"#), "{vendor:?} {stream}");
            assert_eq!(tools(&talk.turn().await.calls), ["frobnicate"]);
            let refused = talk.ask().await.unwrap();
            match vendor {
                Vendor::OpenAi => assert_eq!(refused.refusal, "I can't help with that."),
                _ => assert_eq!(refused.finish, "refusal"),
            }
            assert_eq!(server.play_faults(), NONE);
        }
    }
}

/// Clients differ in whether an empty answer leaves a message behind.
#[tokio::test]
async fn an_empty_answer_that_is_shown_counts_once() {
    for placeholder in [None, Some("(nothing was said)")] {
        let server = Server::start(Vendor::OpenAi).await;
        server.perform(&Play::new([silence(), silence(), say("one"), turn(bash("true")), say("two")]));
        let mut talk = VendorTalk::new(&server, false, CARD);
        for _ in 0..2 {
            let mut empty = talk.ask().await.unwrap();
            assert_eq!(empty.text, "");
            if let Some(text) = placeholder {
                empty.text = text.to_owned();
                talk.take(&empty, &[]);
            }
            talk.hear("Call a tool or report.");
        }
        let said = [talk.turn().await, talk.turn().await, talk.turn().await];
        assert_eq!([&said[0].text, &said[1].text, &said[2].text], ["one", "", "two"], "{placeholder:?}");
        assert_eq!(server.play_faults(), NONE);
    }
}

#[tokio::test]
async fn the_first_asks_of_a_turn_can_go_wrong() {
    let limited = Fault::RateLimited(RetryAfter::Seconds(1));
    let broken = Fault::Cut(At::After(2), Cut::Reset);
    let play = || {
        Play::new([
            turn(bash("true")),
            turn(bash("cargo test")).after(limited.clone()).after(broken.clone()),
            say("done"),
        ])
    };
    for vendor in [Vendor::OpenAi, Vendor::Anthropic] {
        let server = Server::start(vendor).await;
        server.perform(&play());
        let mut talk = VendorTalk::new(&server, true, CARD);
        talk.turn().await;
        assert!(talk.ask().await.unwrap_err().contains("429"));
        assert!(talk.ask().await.is_err());
        assert_eq!(tools(&talk.turn().await.calls), ["bash"]);
        assert_eq!(talk.turn().await.text, "done");
        assert_eq!(server.play_faults(), NONE);
        let served: Vec<(usize, Fault)> =
            server.turns_served().into_iter().map(|served| (served.turn, served.fault)).collect();
        assert_eq!(served, [(0, Fault::None), (1, broken.clone()), (1, Fault::None), (2, Fault::None)]);
    }
}

#[tokio::test]
async fn several_agents_play_side_by_side_and_across_vendors() {
    let vendors = Vendors::start().await;
    let author =
        Play::new([turn(bash("true")), turn(bash("false")), say("written")]).named("author").marked(CARD);
    let review = |request: &PlayRequest| request.system.contains("review");
    let reviewer =
        Play::new([turn(read("src/lib.rs")), say("good")]).named("reviewer").when(review).instructed("You");
    vendors.perform(&author);
    vendors.perform(&reviewer);
    let (openai, anthropic) = (vendors.get(Vendor::OpenAi), vendors.get(Vendor::Anthropic));
    let mut writes = VendorTalk::new(openai, true, CARD);
    let mut reads = VendorTalk::new(anthropic, false, "Here is a diff.");
    reads.system = "You review.".to_owned();
    assert_eq!(tools(&writes.turn().await.calls), ["bash"]);
    assert_eq!(tools(&reads.turn().await.calls), ["read"]);
    // The author goes on at the other vendor's, with the beginning summed up: its last id is there.
    let second = writes.ask().await.unwrap();
    let mut other = VendorTalk::new(anthropic, true, CARD);
    other.take(&second, &["false ran"]);
    assert_eq!(other.turn().await.text, "written");
    assert_eq!(reads.turn().await.text, "good");
    vendors.assert_plays();
    let names: Vec<String> = vendors.turns_served().into_iter().map(|served| served.play).collect();
    assert_eq!(names, ["author", "reviewer", "author", "author", "reviewer"]);
}

#[tokio::test]
async fn what_a_request_lacks_is_kept() {
    let server = Server::start(Vendor::Anthropic).await;
    let play = fix()
        .cached()
        .steady()
        .output_limit(500)
        .expects(|request| if request.streams { Ok(()) } else { Err("it does not stream".to_owned()) });
    server.perform(&play);
    let mut talk = VendorTalk::new(&server, false, "Fix the SUM.");
    talk.tools = vec!["bash", "docker"];
    talk.turn().await;
    let faults = server.play_faults();
    let all = [
        "the card is not in the request",
        "`read` is not on offer",
        "`docker` is on offer",
        "is 1000, above 500",
        "nothing is marked",
        "it does not stream",
    ];
    for expected in all {
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{expected}: {faults:#?}");
    }
    talk.ask().await.unwrap();
    assert_eq!(server.play_faults().len(), faults.len() + all.len(), "each once a turn");
    talk.system.push('!');
    talk.ask().await.unwrap();
    let last = server.play_faults().pop().unwrap();
    assert!(last.contains("instructions or tools differ"), "{last}");
}

#[tokio::test]
async fn changed_calls_and_unpaired_results_are_found() {
    for vendor in [Vendor::OpenAi, Vendor::Anthropic] {
        let server = Server::start(vendor).await;
        server.perform(&fix());
        let mut talk = VendorTalk::new(&server, false, CARD);
        let mut first = talk.ask().await.unwrap();
        first.calls[0].2 = r#"{"command":"true"}"#.to_owned();
        first.calls[1].1 = "bash".to_owned();
        talk.take(&first, &["it ran", "read ran"]);
        talk.ask().await.unwrap();
        let faults = server.play_faults();
        for expected in ["came back changed", "came back as one of `bash`", "\"bash ran\" did not come"] {
            assert!(faults.iter().any(|fault| fault.contains(expected)), "{expected}: {faults:#?}");
        }
        // One result twice, the other never.
        let twice = match vendor {
            Vendor::OpenAi => {
                talk.messages.pop();
                talk.messages.last().unwrap().clone()
            }
            _ => {
                let results = talk.messages.last_mut().unwrap()["content"].as_array_mut().unwrap();
                results[1] = results[0].clone();
                Value::Null
            }
        };
        talk.messages.extend(Some(twice).filter(Value::is_object));
        let refused = talk.ask().await.unwrap_err();
        assert!(refused.contains("400"), "the vendor refuses it too: {refused}");
        let faults = server.play_faults();
        for expected in ["has 2 results", "has 0 results"] {
            assert!(faults.iter().any(|fault| fault.contains(expected)), "{expected}: {faults:#?}");
        }
    }
}

#[tokio::test]
async fn requests_of_nobody_are_a_fault_only_with_tools() {
    let server = Server::start(Vendor::OpenAi).await;
    server.perform(&fix().named("fix").marked(CARD));
    let mut talk = VendorTalk::new(&server, false, "Sum this up");
    talk.tools.clear();
    assert_eq!(talk.turn().await.text, "You said: Sum this up");
    assert_eq!(server.play_faults(), NONE);
    talk.tools.push("bash");
    assert_eq!(talk.ask().await.unwrap().calls, []);
    assert!(server.play_faults()[0].starts_with("no play is for a request with tools"));
    assert_eq!(server.turns_served(), []);
}

#[tokio::test]
async fn the_last_turns_can_loop() {
    let server = Server::start(Vendor::OpenAi).await;
    server.perform(&Play::new([turn(bash("ls")), turn(read("a")), turn(grep("b"))]).looping(2));
    let mut talk = VendorTalk::new(&server, true, CARD);
    for expected in ["bash", "read", "grep", "read", "grep", "read"] {
        assert_eq!(tools(&talk.turn().await.calls), [expected]);
    }
    assert_eq!(server.play_faults(), NONE);
}

#[tokio::test]
async fn loops_have_no_end() {
    let all = [
        loops::same_call(),
        loops::cycle(3),
        loops::same_error(),
        loops::to_and_fro("a", "1", "2"),
        loops::only_plans(),
        loops::only_silence(),
        loops::only_words(),
        loops::always_cut(),
    ];
    for play in all {
        let server = Server::start(Vendor::Anthropic).await;
        server.perform(&play);
        let mut talk = VendorTalk::new(&server, false, CARD);
        for number in 0..25 {
            let mut came = talk.ask().await.unwrap();
            came.calls.truncate(if came.finish == "max_tokens" { 0 } else { came.calls.len() });
            if !came.text.is_empty() || !came.calls.is_empty() {
                let results = vec!["ran"; came.calls.len()];
                talk.take(&came, &results);
            }
            talk.hear("Go on.");
            assert_eq!(server.turns_served()[number].turn, number, "{}", play.name());
        }
        assert_eq!(server.play_faults(), NONE, "{}", play.name());
    }
}

#[test]
fn files_are_plays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("play.json");
    let text = r#"{"name": "p", "turns": [{"say": "x", "calls": [{"tool": "bash", "arguments": {"command": "ls {{folder}}"}},
        {"tool": "bash", "raw": "{"}], "sees": ["y"], "cut": true}, {"decline": "no"}]}"#;
    std::fs::write(&path, text).unwrap();
    let play = Play::load(&path, &[("folder", "/tmp/a\"b")]).unwrap();
    assert_eq!((play.name(), play.turns().len()), ("p", 2));
    assert_eq!(play.turns()[0].calls(), calls![bash("ls /tmp/a\"b"), bad_json("bash", "{")]);
    assert!(matches!(Play::load(&path, &[]), Err(PlayFileError::Unfilled(_, word)) if word == "folder"));
    std::fs::write(&path, r#"{"name": "p", "turns": [{"says": "x"}]}"#).unwrap();
    assert!(matches!(Play::load(&path, &[]), Err(PlayFileError::Malformed(..))));
    assert!(matches!(Play::load(&dir.path().join("none"), &[]), Err(PlayFileError::Unreadable(..))));
}
