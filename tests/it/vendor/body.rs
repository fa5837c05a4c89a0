//! The way of an answer to the client: faults turn its frames into steps, steps become an HTTP body.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use hyper::body::{Body, Frame};
use parking_lot::Mutex;
use tokio::time::Sleep;

use super::answer::{Answer, Kind};
use super::fault::{At, Cut, Fault};
use super::seen::Seen;

/// Between the last byte and the end of a cut connection: both must not overtake the other on the wire.
const BEFORE_CUT: Duration = Duration::from_millis(20);
/// The longest piece of a random split.
const LONGEST_PIECE: usize = 12;

/// One thing to do for a body.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Send(Bytes),
    Wait(Duration),
    Cut(Cut),
}

/// What a fault makes of an answer's frames. Faults of status and content were applied before.
pub(super) fn steps(answer: &Answer, fault: &Fault) -> VecDeque<Step> {
    let whole = || answer.frames.concat().into_bytes();
    let frames = answer.frames.iter().map(|frame| Step::Send(Bytes::copy_from_slice(frame.as_bytes())));
    match fault {
        Fault::StallBeforeFirstByte(time) => std::iter::once(Step::Wait(*time)).chain(frames).collect(),
        Fault::StallAfter(count, time) => after(frames.collect(), *count, [Step::Wait(*time)]),
        Fault::Cut(At::After(count), how) => cut(frames.collect(), *count, *how),
        Fault::Cut(_, how) => [Step::Wait(BEFORE_CUT), Step::Cut(*how)].into(),
        Fault::MissingEnd if answer.kind.is_stream() => frames.rev().skip(1).rev().collect(),
        Fault::ErrorAfter(count) if answer.kind.is_stream() => {
            let trouble = Step::Send(Bytes::copy_from_slice(answer.trouble.as_bytes()));
            frames.take(*count).chain([trouble]).collect()
        }
        Fault::MalformedJson => second(answer, &answer.frames[at_second(answer)].replace("\":", "\"=")),
        Fault::MalformedFrames => second(answer, "<<garbage>>\n\u{0}{]not a frame\n\n"),
        Fault::Empty => VecDeque::new(),
        Fault::Drip(length, pause) => {
            let pieces: Vec<_> = whole().chunks((*length).max(1)).map(Bytes::copy_from_slice).collect();
            pieces.into_iter().flat_map(|piece| [Step::Send(piece), Step::Wait(*pause)]).collect()
        }
        Fault::EveryByte => whole().chunks(1).map(|byte| Step::Send(Bytes::copy_from_slice(byte))).collect(),
        Fault::Split(seed) => split(&whole(), *seed),
        Fault::OddFrames => answer.frames.iter().map(|frame| odd(answer.kind, frame)).collect(),
        _ => frames.collect(),
    }
}

fn after<const N: usize>(mut steps: VecDeque<Step>, count: usize, extra: [Step; N]) -> VecDeque<Step> {
    let rest = steps.split_off(count.min(steps.len()));
    steps.into_iter().chain(extra).chain(rest).collect()
}

fn cut(mut frames: VecDeque<Step>, count: usize, how: Cut) -> VecDeque<Step> {
    let count = count.min(frames.len().saturating_sub(1));
    if let Some(Step::Send(next)) = frames.get(count).cloned() {
        frames.truncate(count);
        frames.push_back(Step::Send(next.slice(..next.len() / 2)));
    }
    frames.extend([Step::Wait(BEFORE_CUT), Step::Cut(how)]);
    frames
}

const fn at_second(answer: &Answer) -> usize {
    if answer.frames.len() > 1 { 1 } else { 0 }
}

fn second(answer: &Answer, instead: &str) -> VecDeque<Step> {
    let at = at_second(answer);
    let frame = |(number, frame): (usize, &String)| {
        Step::Send(Bytes::copy_from_slice(if number == at { instead } else { frame }.as_bytes()))
    };
    answer.frames.iter().enumerate().map(frame).collect()
}

fn split(whole: &[u8], seed: u64) -> VecDeque<Step> {
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut rest, mut pieces) = (whole, VecDeque::new());
    while !rest.is_empty() {
        let (piece, others) = rest.split_at(random.usize(1..=LONGEST_PIECE).min(rest.len()));
        pieces.push_back(Step::Send(Bytes::copy_from_slice(piece)));
        rest = others;
    }
    pieces
}

/// The same frame in another of its allowed forms.
fn odd(kind: Kind, frame: &str) -> Step {
    let text = match kind {
        Kind::Sse => {
            let lines = frame.trim_end().replace("\r\n", "\n").replace(": {", ":{").replace('\n', "\r\n");
            format!(": a comment\r\nid: 7\r\nretry: 3000\r\n{lines}\r\n\r\n")
        }
        Kind::Ndjson => format!("\r\n{}\r\n", frame.trim_end()),
        Kind::Json | Kind::Html => format!("\r\n  {frame}\r\n"),
    };
    Step::Send(text.into())
}

/// The length to declare for a body that is no stream: a cut one promises its whole.
pub(super) fn length(answer: &Answer, steps: &VecDeque<Step>) -> usize {
    if steps.iter().any(|step| matches!(step, Step::Cut(_))) {
        return answer.frames.iter().map(String::len).sum();
    }
    steps.iter().map(|step| if let Step::Send(bytes) = step { bytes.len() } else { 0 }).sum()
}

/// Counts a client that leaves before its answer is whole, when dropped.
pub(super) struct Watch {
    pub(super) seen: Arc<Mutex<Seen>>,
    pub(super) done: bool,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.done {
            self.seen.lock().left_early += 1;
        }
    }
}

/// A body that carries out steps.
pub(super) struct Steps {
    pub(super) steps: VecDeque<Step>,
    pub(super) waiting: Option<Pin<Box<Sleep>>>,
    pub(super) watch: Watch,
    /// Set before a cut that is to be a reset.
    pub(super) reset: Arc<AtomicBool>,
}

impl Body for Steps {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        loop {
            if let Some(sleep) = &mut self.waiting {
                std::task::ready!(sleep.as_mut().poll(context));
                self.waiting = None;
            }
            let step = self.steps.pop_front();
            // Who leaves in the last pause has not waited for the end.
            let is_pause = matches!(step, Some(Step::Wait(_)));
            if self.steps.is_empty() && !is_pause || matches!(step, Some(Step::Cut(_))) {
                self.watch.done = true;
            }
            match step {
                None => return Poll::Ready(None),
                Some(Step::Send(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(Step::Wait(time)) => self.waiting = Some(Box::pin(tokio::time::sleep(time))),
                Some(Step::Cut(how)) => {
                    self.reset.store(how == Cut::Reset, Ordering::Relaxed);
                    return Poll::Ready(Some(Err(io::Error::other("cut, as scripted"))));
                }
            }
        }
    }
}
