//! Plays that make no progress, each in its own way and without end: what a limit on loops must stop.

use super::tools::{bash, edit, read, todo};
use super::turn::{PlayTurn, say, silence, turn};
use super::{Play, calls};

/// Turns of plays whose every turn is another: more than any limit allows.
const MANY: usize = 60;

/// The same call again and again.
pub(crate) fn same_call() -> Play {
    Play::new([turn(bash("true"))]).named("same call").looping(1)
}

/// The same few calls in turn, each with other words before it.
pub(crate) fn cycle(period: usize) -> Play {
    let one = |at: usize| turn(bash(&format!("echo {}", at % period))).saying(format!("Now I try way {at}."));
    Play::new((0..period * MANY).map(one)).named(format!("cycle of {period}"))
}

/// One kind of error, whatever the arguments: files that are not there.
pub(crate) fn same_error() -> Play {
    let one = |at| turn(read(&format!("missing/file-{at}.txt")));
    Play::new((0..MANY).map(one)).named("same error")
}

/// A file goes from one text to the other and back. The first of them must be in the file, once.
pub(crate) fn to_and_fro(path: &str, one: &str, other: &str) -> Play {
    Play::new([turn(read(path)), turn(edit(path, [(one, other)])), turn(edit(path, [(other, one)]))])
        .named("to and fro")
        .looping(2)
}

/// Plans, never the same, and nothing done.
pub(crate) fn only_plans() -> Play {
    Play::new((0..MANY).map(|at| turn(todo(&format!("- think of way {at}"))))).named("only plans")
}

/// Nothing in any answer.
pub(crate) fn only_silence() -> Play {
    Play::new([silence()]).named("only silence").looping(1)
}

/// Words without a call.
pub(crate) fn only_words() -> Play {
    Play::new((0..MANY).map(|at| say(format!("I think of way {at}.")))).named("only words")
}

/// Every answer ends at the limit, in the middle of a call.
pub(crate) fn always_cut() -> Play {
    let one =
        |at| -> PlayTurn { turn(calls![bash(&format!("echo {at}"))]).saying("I write it all down:").cut() };
    Play::new((0..MANY).map(one)).named("always cut")
}
