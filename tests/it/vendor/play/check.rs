//! What a play asserts on each request. A fault is a sentence; nothing here panics, as it runs in a server's task.

use super::super::Vendor;
use super::request::{PlayCallback, PlayMessage, PlayRequest};
use super::{Play, PlayTurn};

/// Bytes of a text that a fault shows.
const SHOWN: usize = 200;

/// Everything that is wrong with a request for a turn; no turn: the play is over.
pub(super) fn faults(play: &Play, turn: Option<&PlayTurn>, request: &PlayRequest) -> Vec<String> {
    let mut all = paired(request);
    all.extend(whole_request(play, request));
    if play.verbatim {
        all.extend(unchanged(play, request));
    }
    let Some(turn) = turn else {
        all.push(format!("asked for more than its {} turns", play.turns.len()));
        return all;
    };
    if request.one_call && turn.calls.len() > 1 {
        all.push("calls side by side are switched off, but this turn has several".to_owned());
    }
    let newest = request.newest();
    let unseen = turn.sees.iter().filter(|text| !newest.contains(text.as_str()));
    all.extend(unseen.map(|text| format!("{text:?} did not come; this did: {:?}", short(&newest))));
    let leaked = turn.lacks.iter().filter(|text| request.contains(text));
    all.extend(leaked.map(|text| format!("{text:?} is in the request, but must not be")));
    let expectations = play.expectations.iter().chain(&turn.expectations);
    all.extend(expectations.filter_map(|expectation| expectation(request).err()));
    all
}

/// What holds for every request of a play.
fn whole_request(play: &Play, request: &PlayRequest) -> Vec<String> {
    let mut all = Vec::new();
    let missing = play.cards.iter().filter(|card| !request.contains(card));
    all.extend(missing.map(|card| format!("the card is not in the request: {:?}", short(card))));
    let unoffered = play.offered.iter().filter(|tool| !request.tools.contains(tool));
    all.extend(unoffered.map(|tool| format!("the tool `{tool}` is not on offer")));
    let offered = play.withheld.iter().filter(|tool| request.tools.contains(tool));
    all.extend(offered.map(|tool| format!("the tool `{tool}` is on offer, but must not be")));
    match request.output_limit {
        None => all.push("no limit of output tokens is set".to_owned()),
        Some(limit) if limit > play.output_limit => {
            all.push(format!("the limit of output tokens is {limit}, above {}", play.output_limit));
        }
        Some(_) => {}
    }
    if play.cached && request.vendor == Vendor::Anthropic && request.cache_marks == 0 {
        all.push("nothing is marked for the prompt cache".to_owned());
    }
    all
}

/// Each call must have exactly one result in the next message, and each result its call in the one before.
fn paired(request: &PlayRequest) -> Vec<String> {
    let mut all = Vec::new();
    let mut open: &[PlayCallback] = &[];
    for message in &request.messages {
        let results = match message {
            PlayMessage::Results(results) => results.as_slice(),
            _ => &[],
        };
        for call in open {
            let count = results.iter().filter(|(id, _)| *id == call.id).count();
            if !call.id.is_empty() && count != 1 {
                all.push(format!("the call {} of `{}` has {count} results", call.id, call.tool));
            }
        }
        let strangers =
            results.iter().filter(|(id, _)| !id.is_empty() && !open.iter().any(|call| call.id == *id));
        all.extend(
            strangers
                .map(|(id, _)| format!("a result answers {id:?}, which the message before did not call")),
        );
        // Where the vendor has no ids, the order pairs them.
        let nameless = |id: &str| id.is_empty();
        let calls = open.iter().filter(|call| nameless(&call.id)).count();
        let given = results.iter().filter(|(id, _)| nameless(id)).count();
        if calls != given {
            all.push(format!("{calls} calls without ids have {given} results"));
        }
        open = match message {
            PlayMessage::Assistant { calls, .. } => calls,
            _ => &[],
        };
    }
    all.extend(open.iter().map(|call| format!("the call {} of `{}` has no result", call.id, call.tool)));
    all
}

/// Calls of this play must come back as they were made.
fn unchanged(play: &Play, request: &PlayRequest) -> Vec<String> {
    let mut all = Vec::new();
    let calls = request.messages.iter().flat_map(|message| match message {
        PlayMessage::Assistant { calls, .. } => calls.as_slice(),
        _ => &[],
    });
    for call in calls {
        let Some((turn, at)) = play.place_of(&call.id) else { continue };
        let Some(made) = play.turn(turn).and_then(|turn| turn.calls.get(at)) else {
            all.push(format!("no turn of this play made the call {}", call.id));
            continue;
        };
        if made.tool != call.tool {
            all.push(format!("the call {} of `{}` came back as one of `{}`", call.id, made.tool, call.tool));
        }
        if made.raw.is_none() && made.arguments != call.arguments {
            let (made, came) = (made.arguments.to_string(), call.arguments.to_string());
            all.push(format!(
                "the arguments of {} came back changed: {:?}, were {:?}",
                call.id,
                short(&came),
                short(&made)
            ));
        }
    }
    all
}

fn short(text: &str) -> String {
    if text.len() <= SHOWN {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(SHOWN)])
}
