//! Where the daemons of the kill matrix are killed: around every row of a run's logs, and in the middle of effects.

use serde_json::Value;

/// The jobs of a run that think.
pub(super) const WRITER: &str = ".code.lane.write";
pub(super) const REVIEWER: &str = ".code.lane.write.review1";
/// Runs that the cuts are dealt out to; the first also has the cuts in the middle of effects.
pub(super) const RUNS: usize = 3;

/// Where a daemon is killed, in words and for the machine.
#[derive(Debug, Clone)]
pub(super) struct MatrixCut {
    pub(super) name: String,
    pub(super) place: CutPlace,
    /// The job whose log has so many more rows afterwards than an undisturbed one: an ask or a call that is begun again.
    pub(super) job: &'static str,
    pub(super) extra: u64,
}

#[derive(Debug, Clone)]
pub(super) enum CutPlace {
    /// At a row, by its number in an undisturbed log.
    Row { is_after: bool, seq: u64 },
    /// At the commit that holds this text.
    Text { is_after: bool, text: &'static str },
    /// While a command runs in the tree of this name.
    Command(&'static str),
    /// While the vendor has a request and takes its time.
    Request,
    /// While a person is asked.
    Question,
}

/// The key of a row in the store: the end of its job's id, the end of a text, its number.
pub(super) fn key(job: &str, seq: u64) -> Vec<u8> {
    [job.as_bytes(), &[0, 1], &seq.to_be_bytes()].concat()
}

/// A row's name: its kind, and its call or turn.
pub(super) fn name_of(row: &Value) -> String {
    let (kind, body) = (row["kind"].as_str().unwrap(), &row["row"]);
    match (body["place"].as_object(), body["turn"].as_u64()) {
        (Some(place), _) => format!("{kind} {}.{}", place["turn"], place["index"]),
        (None, Some(turn)) => format!("{kind} {turn}"),
        (None, None) => kind.to_owned(),
    }
}

/// Both sides of each row of a log.
fn around_rows(rows: &[Value], job: &'static str) -> Vec<[MatrixCut; 2]> {
    let follows_its_begin = |at: usize| at > 0 && rows[at - 1]["kind"] == "called";
    let sides = |(at, row): (usize, &Value)| {
        let (name, seq) = (name_of(row), row["seq"].as_u64().unwrap());
        let cut = |side: &str, is_after, is_repeated| MatrixCut {
            name: format!("{side} {name}"),
            place: CutPlace::Row { is_after, seq },
            job,
            extra: u64::from(is_repeated),
        };
        let kind = row["kind"].as_str().unwrap();
        let is_begun = kind == "answered" || (kind == "returned" && follows_its_begin(at));
        [cut("before", false, is_begun), cut("after", true, ["asked", "called"].contains(&kind))]
    };
    rows.iter().enumerate().map(sides).collect()
}

/// The cuts of a run in the order in which it comes to them.
pub(super) fn cuts(writer: &[Value], reviewer: &[Value]) -> Vec<MatrixCut> {
    let within = |name: &str, place, extra| MatrixCut { name: name.to_owned(), place, job: WRITER, extra };
    let mut all = Vec::new();
    for (row, sides) in writer.iter().zip(around_rows(writer, WRITER)) {
        let name = name_of(row);
        if name == "proof_ended" {
            all.push(within("in the proof", CutPlace::Command("code_lane_write-proof"), 0));
            all.extend(around_rows(reviewer, REVIEWER).into_iter().flatten());
        }
        all.extend(sides);
        match name.as_str() {
            "called 2.0" => all.push(within("in a command", CutPlace::Command("code_lane_write"), 1)),
            "question_asked" => all.push(within("while a question waits", CutPlace::Question, 0)),
            "asked 2" => all.push(within("in a request", CutPlace::Request, 1)),
            // The branch is delivered, and the job's end is not written.
            "ended" => {
                for (side, is_after) in [("before", false), ("after", true)] {
                    let place = CutPlace::Text { is_after, text: "git merge pas/" };
                    all.push(within(&format!("{side} the job's end"), place, 0));
                }
            }
            _ => {}
        }
    }
    all
}

/// The cuts of one of the runs: every third at commits, and with the first run those in the middle of effects.
pub(super) fn dealt(all: &[MatrixCut], run: usize) -> Vec<MatrixCut> {
    let mut number = 0;
    let mut dealt = Vec::new();
    for cut in all {
        let is_commit = matches!(cut.place, CutPlace::Row { .. } | CutPlace::Text { .. });
        number += usize::from(is_commit);
        let is_ours = if is_commit { number % RUNS == run } else { run == 0 };
        dealt.extend(is_ours.then(|| cut.clone()));
    }
    dealt
}
