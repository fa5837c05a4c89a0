//! The law: whatever a client does with what it got, each next ask gets the next turn, and the same ask the same.

use proptest::prelude::*;
use serde_json::Value;

use super::super::super::Vendor;
use super::super::request::{PlayCallback, PlayMessage, PlayRequest};
use super::super::{Play, PlayTurn, bash, say, silence, turn};
use super::PlaceMemory;

/// Which ids calls come back with.
#[derive(Debug, Clone, Copy, PartialEq)]
enum CallIds {
    /// None, as the vendor has none.
    Absent,
    /// The play's.
    Kept,
    /// The client's, by place.
    Renamed,
}

/// How a client keeps its conversation.
#[derive(Debug, Clone, Copy)]
struct ClientHabits {
    /// It writes a placeholder for an answer with nothing in it.
    shows_empty: bool,
    ids: CallIds,
    /// After so many turns it keeps its card and its last turn with a call only.
    sums_up_after: Option<usize>,
}

fn turns() -> impl Strategy<Value = Vec<PlayTurn>> {
    let one = prop_oneof![
        4 => (1..4_usize).prop_map(|calls| turn(vec![bash("true"); calls])),
        1 => Just(say("prose")),
        1 => Just(silence()),
        1 => Just(turn(bash("true")).cut()),
        1 => Just(turn(vec![bash("true"); 2]).cut()),
        1 => Just(say("half").cut()),
    ];
    prop::collection::vec(one, 1..12)
}

fn habits() -> impl Strategy<Value = ClientHabits> {
    let sums_up = prop::option::of(1..8_usize);
    let ids = prop_oneof![Just(CallIds::Absent), Just(CallIds::Kept), Just(CallIds::Renamed)];
    (any::<bool>(), ids, sums_up).prop_map(|(shows_empty, ids, sums_up_after)| ClientHabits {
        shows_empty,
        ids,
        // Without ids only the count is left, which a summary changes.
        sums_up_after: sums_up_after.filter(|_| ids != CallIds::Absent),
    })
}

/// What a client adds for an answer.
fn take(play: &Play, number: usize, habits: ClientHabits, messages: &mut Vec<PlayMessage>) {
    let said = &play.turns()[number];
    let whole = said.calls().len() - usize::from(said.cut && !said.calls().is_empty());
    let call = |at| PlayCallback {
        id: match habits.ids {
            CallIds::Absent => String::new(),
            CallIds::Kept => format!("call_{}", play.call_id(number, at)),
            CallIds::Renamed => format!("c{:05}{at:03}", number + 1),
        },
        tool: "bash".to_owned(),
        arguments: Value::Null,
    };
    let calls: Vec<PlayCallback> = (0..whole).map(call).collect();
    let is_empty = said.text().is_empty() && calls.is_empty();
    let text = if is_empty && habits.shows_empty { "(nothing)" } else { said.text() }.to_owned();
    let results: Vec<(String, String)> = calls.iter().map(|call| (call.id.clone(), String::new())).collect();
    if !is_empty || habits.shows_empty {
        messages.push(PlayMessage::Assistant { text, calls });
    }
    messages.push(if results.is_empty() {
        PlayMessage::User("Call a tool or report.".to_owned())
    } else {
        PlayMessage::Results(results)
    });
}

/// Keeps the card and everything from the last message with a call on.
fn sum_up(messages: &mut Vec<PlayMessage>) {
    let with_call =
        |message: &PlayMessage| matches!(message, PlayMessage::Assistant { calls, .. } if !calls.is_empty());
    if let Some(last) = messages.iter().rposition(with_call) {
        messages.drain(1..last);
    }
}

proptest! {
    #[test]
    fn each_ask_gets_its_turn(turns in turns(), habits in habits()) {
        let play = Play::new(turns);
        let mut memory = PlaceMemory::default();
        let mut request = PlayRequest::of(Vendor::OpenAi, "", &Value::Null);
        request.messages.push(PlayMessage::User("card".to_owned()));
        for number in 0..play.turns().len() {
            if habits.sums_up_after == Some(number) {
                sum_up(&mut request.messages);
            }
            for _ in 0..2 {
                prop_assert_eq!(memory.place(&play, &request), number);
                memory.served(&play, number, &request);
            }
            // An ask that failed before an answer changes nothing.
            prop_assert_eq!(memory.place(&play, &request), number);
            take(&play, number, habits, &mut request.messages);
        }
        prop_assert_eq!(memory.place(&play, &request), play.turns().len());
    }
}
