//! The plays of a test's servers, what was served of them, and what was wrong with the requests.

use std::collections::HashMap;

use parking_lot::Mutex;
use pas::domain::usage::TokenUsage;

use super::super::Vendor;
use super::super::fault::Fault;
use super::super::model::{Call, Finish};
use super::super::seen::Heard;
use super::place::PlaceMemory;
use super::request::PlayRequest;
use super::{Play, PlayTurn, check};

/// All plays of one set of servers: a play may begin at one vendor's and go on at another's.
#[derive(Debug, Default)]
pub(crate) struct PlayStage {
    shared: Mutex<PlayStageState>,
}

#[derive(Debug, Default)]
struct PlayStageState {
    plays: Vec<StagedPlay>,
    served: Vec<ServedTurn>,
    faults: Vec<String>,
}

#[derive(Debug)]
struct StagedPlay {
    play: Play,
    places: PlaceMemory,
    /// Asks of each turn that has scripted faults.
    asked: HashMap<usize, usize>,
    /// Instructions and tools of the first request at each vendor's.
    prefixes: HashMap<Vendor, blake3::Hash>,
}

/// An answer of a play that went out, whole or not.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ServedTurn {
    pub(crate) play: String,
    pub(crate) turn: usize,
    pub(crate) vendor: Vendor,
    pub(crate) model: String,
    /// What was done to it on the way.
    pub(crate) fault: Fault,
    /// Eight hex digits of the request: the same for one that was sent again.
    pub(crate) request: String,
}

/// What a request gets from a play.
#[derive(Debug)]
pub(in super::super) struct PlayCue {
    pub(in super::super) line: PlayLine,
    place: Option<(usize, usize)>,
    request: PlayRequest,
    digest: String,
}

/// What the model says in place of its own.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct PlayLine {
    pub(in super::super) blocks: Vec<serde_json::Value>,
    pub(in super::super) text: String,
    pub(in super::super) calls: Vec<Call>,
    pub(in super::super) finish: Finish,
    pub(in super::super) refused: bool,
    pub(in super::super) usage: Option<TokenUsage>,
}

impl PlayStage {
    /// Adds a play. The first one that wants a request gets it.
    pub(crate) fn perform(&self, play: &Play) {
        let play = play.clone();
        let (places, asked, prefixes) = (PlaceMemory::default(), HashMap::new(), HashMap::new());
        self.shared.lock().plays.push(StagedPlay { play, places, asked, prefixes });
    }

    /// Everything that requests lacked, each once.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.shared.lock().faults.clone()
    }

    /// All answers of plays, oldest first.
    pub(crate) fn served(&self) -> Vec<ServedTurn> {
        self.shared.lock().served.clone()
    }

    /// Plays whose last turn was never served whole.
    pub(crate) fn unfinished(&self) -> Vec<String> {
        let state = self.shared.lock();
        let is_over = |play: &Play| {
            let last = play.turns.len().checked_sub(1);
            let mut whole = state.served.iter().filter(|served| served.fault == Fault::None);
            last.is_none_or(|last| whole.any(|served| served.play == play.name && served.turn == last))
        };
        state
            .plays
            .iter()
            .filter(|played| !is_over(&played.play))
            .map(|played| played.play.name.clone())
            .collect()
    }

    /// Finds the play and the turn for a chat; `None` leaves the answer to the ordinary model.
    pub(in super::super) fn cue(&self, vendor: Vendor, heard: &Heard) -> Option<PlayCue> {
        if self.shared.lock().plays.is_empty() || !heard.body.is_object() {
            return None;
        }
        let request = PlayRequest::of(vendor, &heard.path, &heard.body);
        let mut state = self.shared.lock();
        let PlayStageState { plays, faults, .. } = &mut *state;
        let found = plays.iter_mut().enumerate().find(|(_, played)| played.play.wants(&request));
        let digest = heard.digest();
        let Some((at, played)) = found else {
            if request.tools.is_empty() {
                return None;
            }
            keep(faults, format!("no play is for a request with tools: {:.200}", request.text()));
            return Some(PlayCue { line: PlayLine::over(), place: None, request, digest });
        };
        let number = played.places.place(&played.play, &request);
        let turn = played.play.turn(number);
        let unsteady = played.play.steady
            && *played.prefixes.entry(vendor).or_insert_with(|| request.prefix()) != request.prefix();
        let unsteady = unsteady.then(|| "instructions or tools differ from the first request's".to_owned());
        for fault in check::faults(&played.play, turn, &request).into_iter().chain(unsteady) {
            keep(faults, format!("{}, turn {number}: {fault}", played.play.name));
        }
        let line = turn.map_or_else(PlayLine::over, |turn| PlayLine::of(&played.play, number, turn));
        let place = turn.map(|_| (at, number));
        Some(PlayCue { line, place, request, digest })
    }

    /// The turn's own fault for this ask of it, if it has one left.
    pub(in super::super) fn next_fault(&self, cue: &PlayCue) -> Option<Fault> {
        let (at, turn) = cue.place?;
        self.shared.lock().plays[at].next_fault(turn)
    }

    /// Panics unless every play came to its last turn and no request lacked anything.
    pub(crate) fn assert(&self) {
        let (faults, unfinished) = (self.faults(), self.unfinished());
        assert!(
            faults.is_empty() && unfinished.is_empty(),
            "faults: {faults:#?}\nunfinished plays: {unfinished:?}\nserved: {:#?}",
            self.served()
        );
    }

    /// Keeps that a cue's answer goes out.
    pub(in super::super) fn went_out(&self, cue: &PlayCue, fault: &Fault) {
        let Some((at, turn)) = cue.place else { return };
        let mut state = self.shared.lock();
        let played = &mut state.plays[at];
        played.places.served(&played.play, turn, &cue.request);
        let (play, vendor) = (played.play.name.clone(), cue.request.vendor);
        let (model, request, fault) = (cue.request.model.clone(), cue.digest.clone(), fault.clone());
        state.served.push(ServedTurn { play, turn, vendor, model, fault, request });
    }
}

impl StagedPlay {
    fn next_fault(&mut self, number: usize) -> Option<Fault> {
        let faults = &self.play.turn(number)?.faults;
        if faults.is_empty() {
            return None;
        }
        let asked = self.asked.entry(number).or_default();
        *asked += 1;
        faults.get(*asked - 1).cloned()
    }
}

impl PlayLine {
    fn of(play: &Play, number: usize, turn: &PlayTurn) -> Self {
        let last = turn.calls.len().saturating_sub(1);
        let call = |(at, call): (usize, &super::PlayCall)| {
            let whole = call.raw.clone().unwrap_or_else(|| call.arguments.to_string());
            let half = || whole[..whole.floor_char_boundary(whole.len() / 2)].to_owned();
            let raw = if turn.cut && at == last { Some(half()) } else { call.raw.clone() };
            let arguments = if raw.is_some() { serde_json::json!({}) } else { call.arguments.clone() };
            Call { id: Some(play.call_id(number, at)), name: call.tool.clone(), arguments, raw }
        };
        let finish = match turn {
            _ if turn.refused => Finish::Filter,
            _ if turn.cut => Finish::Length,
            _ if turn.calls.is_empty() => Finish::Stop,
            _ => Finish::Tools,
        };
        Self {
            blocks: turn.blocks.clone(),
            text: turn.text.clone(),
            calls: turn.calls.iter().enumerate().map(call).collect(),
            finish,
            refused: turn.refused,
            usage: turn.usage,
        }
    }

    /// For requests that no turn is there for.
    fn over() -> Self {
        let text = "There is no turn of a play for this request.".to_owned();
        Self { text, ..Self::default() }
    }
}

fn keep(faults: &mut Vec<String>, fault: String) {
    if !faults.contains(&fault) {
        faults.push(fault);
    }
}
