//! Tests of the model by its inputs, and of frames by their text.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::{Value, json};

use super::draw::draw;
use super::model::{TuiEffect, TuiInput, TuiKey, TuiModel, TuiPage};
use super::wire::{TuiBlastRadius, TuiLogPage, TuiSnapshot};
use crate::domain::time::Timestamp;

fn live(value: Value) -> TuiInput {
    TuiInput::Live(Box::new(serde_json::from_value::<TuiSnapshot>(value).unwrap()))
}

fn swarm() -> Value {
    json!({
        "at": "2026-11-22T16:00:00Z",
        "health": { "line": "50 agents, all answering", "agents_down": 0 },
        "costs": { "minute": { "usd": 0.25, "tokens": 1200 }, "day": { "usd": 3.5, "tokens": 90_000 } },
        "tree": [
            { "no": 1, "name": "root", "parent": null, "status": "ok" },
            { "no": 2, "name": "architect-sup", "parent": 1, "status": "ok" },
            { "no": 3, "name": "architect", "parent": 2, "status": "ok", "role": "coord", "handled": 4 },
            { "no": 4, "name": "director-data-sup", "parent": 2, "status": "ok" },
            { "no": 5, "name": "director-data", "parent": 4, "status": "running", "restarts": 2, "depth": 3,
              "paused": true, "waiting_for": "person", "health": "degraded",
              "step": { "job_id": "ingest-1.data", "task": "ingest", "progress": 0.42, "progress_known": true }, "last_exit": "killed" },
            { "no": 6, "name": "accounts", "parent": 1, "status": "error", "beat_age_ms": 61_000 },
        ],
        "jobs": [{ "job_id": "ingest-1", "task": "ingest", "agent": "architect", "state": "running",
            "progress": 0.4, "progress_known": true, "note": "reading files", "created_at": "2026-11-22T15:59:00Z", "left": { "least_s": 60, "about_s": 90, "most_s": 140, "usual_s": 200 },
            "steps_total": 12, "steps_done": 5, "cost_usd": 0.0125 }],
        "approvals": [{ "approval_id": "ap-1", "job_id": "ingest-1.data", "agent": "director-data",
            "action": "retry a failed step", "detail": { "command": "rm -rf build" }, "waiting_s": 75.0,
            "blocked_descendants": 3, "usd_per_min": 0.5 }],
    })
}

fn shown() -> TuiModel {
    let mut model = TuiModel::default();
    model.update(live(swarm()));
    model
}

fn press(model: &mut TuiModel, keys: &str) -> Option<TuiEffect> {
    keys.chars().fold(None, |_, letter| {
        let key = match letter {
            '\n' => TuiKey::Enter,
            '\t' => TuiKey::Next,
            '\u{1b}' => TuiKey::Back,
            '↓' => TuiKey::Move(1),
            letter => TuiKey::Letter(letter),
        };
        model.update(TuiInput::Key(key))
    })
}

fn frame(model: &TuiModel, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let now: Timestamp = serde_json::from_value(json!("2026-11-22T16:00:05Z")).unwrap();
    terminal.draw(|frame| draw(model, now, frame)).unwrap();
    terminal.backend().to_string()
}

#[test]
fn an_agent_and_its_supervisor_are_one_row() {
    let model = shown();
    let names: Vec<_> = model.rows().iter().map(|row| row.target).map(str::to_owned).collect();
    assert_eq!(names, ["root", "architect", "director-data", "accounts"]);
}

#[test]
fn the_tree_in_a_wide_frame() {
    let mut model = shown();
    press(&mut model, "jj");
    insta::assert_snapshot!(frame(&model, 120, 20));
}

#[test]
fn every_page_in_a_narrow_frame() {
    let mut model = shown();
    let pages: Vec<String> = TuiPage::ALL
        .iter()
        .map(|_| {
            let drawn = frame(&model, 60, 22);
            press(&mut model, "\t");
            drawn
        })
        .collect();
    insta::assert_snapshot!(pages.join("\n"));
}

#[test]
fn a_tiny_frame_is_no_reason_to_fail() {
    let mut model = shown();
    press(&mut model, "jK");
    for (width, height) in [(1, 1), (10, 3), (20, 8)] {
        frame(&model, width, height);
    }
}

#[test]
fn nothing_is_killed_before_it_was_told_what_that_touches() {
    let mut model = shown();
    let asked = press(&mut model, "jK");
    assert!(
        matches!(asked, Some(TuiEffect::AskBlast { target, subtree: false, .. }) if target == "architect")
    );
    assert_eq!(press(&mut model, "\n"), None, "the answer is not there yet");
    model.update(TuiInput::Blast(TuiBlastRadius {
        agents: vec!["architect".into()],
        ..TuiBlastRadius::default()
    }));
    insta::assert_snapshot!(frame(&model, 80, 18));
    let Some(TuiEffect::Act(order)) = press(&mut model, "qk\n") else { panic!("confirmed") };
    assert_eq!((order.target.as_str(), order.reason.as_str(), order.subtree), ("architect", "qk", false));
    assert!(model.dialog.is_none());
}

#[test]
fn another_reach_is_asked_for_anew() {
    let mut model = shown();
    press(&mut model, "jK");
    model.update(TuiInput::Blast(TuiBlastRadius::default()));
    let asked = press(&mut model, "\t");
    assert!(matches!(asked, Some(TuiEffect::AskBlast { subtree: true, .. })));
    assert_eq!(press(&mut model, "\n"), None, "the first answer was for less");
}

#[test]
fn a_job_is_handed_to_an_agent_by_name() {
    let mut model = shown();
    press(&mut model, "2m");
    assert_eq!(press(&mut model, "\n"), None, "nobody is named");
    let Some(TuiEffect::Act(order)) = press(&mut model, "chunker\twhy\n") else { panic!("confirmed") };
    assert_eq!((order.to.as_deref(), order.reason.as_str()), (Some("chunker"), "why"));
}

#[test]
fn an_action_is_offered_where_it_fits() {
    let mut model = shown();
    assert_eq!(press(&mut model, "a"), None);
    assert!(model.dialog.is_none(), "an agent cannot be approved");
    press(&mut model, "3x");
    assert_eq!(model.dialog.as_ref().map(|dialog| dialog.target.as_str()), Some("ap-1"));
    press(&mut model, "\u{1b}");
    assert!(model.dialog.is_none());
    assert_eq!(press(&mut model, "q"), Some(TuiEffect::Quit));
}

#[test]
fn the_cursor_stays_on_what_was_chosen() {
    let mut model = shown();
    press(&mut model, "jj");
    assert_eq!(model.target().as_deref(), Some("director-data"));
    let mut other = swarm();
    other["tree"]
        .as_array_mut()
        .unwrap()
        .insert(1, json!({ "no": 9, "name": "a", "parent": 1, "status": "ok" }));
    model.update(live(other));
    assert_eq!(model.target().as_deref(), Some("director-data"));
    let mut fewer = swarm();
    fewer["tree"].as_array_mut().unwrap().truncate(1);
    model.update(live(fewer));
    assert_eq!(model.target().as_deref(), Some("root"));
}

#[test]
fn a_search_leaves_what_contains_its_words() {
    let mut model = shown();
    press(&mut model, "/DATA");
    assert_eq!(model.rows().len(), 1);
    press(&mut model, "\n");
    assert!(!model.searching);
    press(&mut model, "\u{1b}");
    assert_eq!(model.rows().len(), 4);
}

#[test]
fn an_old_picture_is_told_to_be_old() {
    let mut model = shown();
    model.update(TuiInput::Lost("no daemon answers at http://127.0.0.1:6100".into()));
    let drawn = frame(&model, 120, 12);
    assert!(drawn.contains("STALE: 5 s") && drawn.contains("no daemon answers"), "{drawn}");
    model.update(live(swarm()));
    assert!(!frame(&model, 120, 12).contains("STALE"));
}

#[test]
fn before_the_first_answer_the_reason_is_told() {
    let mut model = TuiModel::default();
    assert!(frame(&model, 80, 8).contains("waiting for the daemon"));
    model.update(TuiInput::Lost("the token is missing".into()));
    assert!(frame(&model, 80, 8).contains("the token is missing"));
}

#[test]
fn the_log_shows_no_heartbeats_and_follows_its_end() {
    let mut model = shown();
    let event = |seq: u64, kind: &str| {
        json!({ "seq": seq, "event_type": kind, "data": { "actor": "a", "event": "restarted" },
            "server_timestamp": "2026-11-22T16:00:00Z" })
    };
    let first = json!([event(1, "heartbeat"), event(2, "supervision")]);
    model.update(TuiInput::Events(serde_json::from_value(first).unwrap()));
    press(&mut model, "4");
    assert_eq!((model.rows().len(), model.cursor()), (1, Some(0)));
    let more = json!([event(2, "supervision"), event(3, "supervision"), event(4, "alert")]);
    model.update(TuiInput::Events(serde_json::from_value(more).unwrap()));
    assert_eq!((model.rows().len(), model.cursor()), (3, Some(2)));
    assert!(frame(&model, 80, 12).contains("a restarted"));
}

fn rows(wanted: &str, rows: &Value) -> TuiInput {
    let page = serde_json::from_value::<TuiLogPage>(json!({ "rows": rows })).unwrap();
    TuiInput::Rows(TuiLogPage { wanted: wanted.to_owned(), ..page })
}

/// A change that has been proved once in vain and asks now.
fn change_log() -> Value {
    let row = |seq: u64, kind: &str, headline: &str, row: Value| json!({ "seq": seq, "kind": kind, "headline": headline, "row": row });
    json!([
        row(1, "begun", "begun: Goal:…", json!({})),
        row(2, "answered", "turn 1: edit; 1200 in, 80 out, 0.002300 USD", json!({ "cost_nano": 2_300_000 })),
        row(
            3,
            "returned",
            "call 1.0: done in 23 ms: edited a.py",
            json!({ "diffstat": " a.py | 2 +-\n 1 file changed" })
        ),
        row(
            4,
            "answered",
            "turn 2: report; 1300 in, 40 out, 0.002200 USD",
            json!({ "cost_nano": 2_200_000 })
        ),
        row(
            5,
            "proof_ended",
            "proof failed in 900 ms: after…",
            json!({ "passed": false, "text": "after: exit 1\n1 failed" })
        ),
        row(6, "question_asked", "question: May a.py go?", json!({})),
    ])
}

#[test]
fn a_job_is_opened_and_its_transcript_grows() {
    let mut model = shown();
    press(&mut model, "2\n");
    assert_eq!(model.wanted_rows(), Some(("ingest-1".to_owned(), 0)));
    assert!(frame(&model, 120, 12).contains("No model has worked"));
    model.update(rows("ingest-1", &change_log()));
    // An answer that was on its way twice, and one for another job.
    model.update(rows("ingest-1", &change_log()));
    model.update(rows("other", &json!([{ "seq": 9, "kind": "ended", "headline": "ended" }])));
    assert_eq!((model.rows().len(), model.cursor()), (6, Some(5)), "the end is followed");
    assert_eq!(model.wanted_rows(), Some(("ingest-1".to_owned(), 6)));
    model.update(live(swarm()));
    assert_eq!(model.cursor(), Some(5), "a new snapshot moves nothing");
    let drawn = frame(&model, 120, 26);
    for word in [
        "Transcript of ingest-1",
        "2 answered",
        "turn 1: edit",
        "turns      2",
        "cost       $0.0045",
        "asks, a approves, x rejects",
        "retry a failed step",
        "proof      failed",
        "1 file changed",
        "question: May a.py go?",
        "Esc jobs",
    ] {
        assert!(drawn.contains(word), "{word:?} is not shown:\n{drawn}");
    }
    frame(&model, 10, 4);
}

#[test]
fn the_question_of_a_transcript_is_decided_there() {
    let mut model = shown();
    press(&mut model, "2\n");
    model.update(rows("ingest-1", &change_log()));
    let Some(TuiEffect::Act(order)) = press(&mut model, "ayes\n") else { panic!("confirmed") };
    assert_eq!((order.target.as_str(), order.reason.as_str()), ("ap-1", "yes"));
    let mut calm = swarm();
    calm["approvals"] = json!([]);
    model.update(live(calm));
    press(&mut model, "a");
    assert!(model.dialog.is_none(), "nothing is asked any more");
    press(&mut model, "\u{1b}");
    assert_eq!((model.page, model.wanted_rows()), (TuiPage::Jobs, None));
}

#[test]
fn a_snapshot_leaves_the_log_where_it_was_read() {
    let mut model = shown();
    let event = |seq: u64| json!({ "seq": seq, "event_type": "alert", "data": {}, "server_timestamp": "2026-11-22T16:00:00Z" });
    model.update(TuiInput::Events(serde_json::from_value(json!([event(1), event(2), event(3)])).unwrap()));
    press(&mut model, "4G");
    model.update(live(swarm()));
    assert_eq!(model.cursor(), Some(2));
}
