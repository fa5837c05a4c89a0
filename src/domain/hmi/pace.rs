//! How long the steps of a kind of run take, learned from earlier runs of the kind; and with that, the time
//! left of a run.
//!
//! Pure. Nothing is told that no earlier run backs: a step that none of them had makes the time left
//! unknown, and so does a size that is not known yet. Times grow with the number of documents.

use std::collections::HashMap;
use std::time::Duration;

use super::past::IdleTimes;
use crate::ids::JobId;
use crate::job::{Job, JobState, plan};
use crate::time::Timestamp;

/// The output by which the first step of an ingest tells how much there is to do.
const SIZE: &str = "files";
/// Deepest nesting of plans followed.
const MAX_DEPTH: usize = 16;
/// Seconds that a step weighs at least: times are known to the millisecond, and a share of nothing is none.
const LEAST_WEIGHT: f64 = 0.001;
/// Progress of a step from which on its own rate says something.
const RATED_FROM: f64 = 0.05;
/// Room on both sides of what earlier runs took: no two runs are alike, and one run alone has no spread.
const ROOM: f64 = 0.25;

/// What one step, or one run, took.
#[derive(Debug, Clone, Copy, PartialEq)]
struct PaceSample {
    seconds: f64,
    /// Documents of its run, where the run told.
    size: Option<u64>,
}

/// What the steps of a kind of run took.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunPace {
    steps: HashMap<String, Vec<PaceSample>>,
    wholes: Vec<PaceSample>,
}

/// The time left of a run: what it takes at least, about and at most, and what a run like it takes in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLeft {
    pub least: Duration,
    pub about: Duration,
    pub most: Duration,
    pub usual: Duration,
}

/// How far a step is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StepPosition {
    /// 0 to 1.
    pub fraction: f64,
    /// Its units in all; 0 while unknown.
    pub total: u64,
}

/// Seconds: at least, about, at most.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct SecondsRange([f64; 3]);

impl SecondsRange {
    fn each(self, change: impl Fn(f64) -> f64) -> Self {
        Self(self.0.map(change))
    }

    fn join(self, other: Self, with: impl Fn(f64, f64) -> f64) -> Self {
        let ([a, b, c], [x, y, z]) = (self.0, other.0);
        Self([with(a, x), with(b, y), with(c, z)])
    }
}

impl RunPace {
    /// What the done ones of these runs show; each run with all its jobs, the root first, and when they did
    /// not work: what they waited for is no work of theirs, and the next run may not wait for it.
    #[must_use]
    pub fn learned<'r>(runs: impl IntoIterator<Item = (&'r [Job], &'r IdleTimes)>) -> Self {
        let mut pace = Self::default();
        for (run, idle) in runs {
            let Some(root) = run.first().filter(|root| root.state == JobState::Done) else { continue };
            let size = size_told(run);
            let took = |job: &Job| Some(worked(job, idle, job.ended_at?)?.as_secs_f64());
            // A step that was begun again, after a fault or with another daemon, does not tell of its work.
            let is_plain = |job: &&Job| job.state == JobState::Done && job.attempt <= 1 && job.fence <= 1;
            for step in run.iter().filter(|job| plan::find(&job.card.task).is_none()).filter(is_plain) {
                let sample = took(step).map(|seconds| PaceSample { seconds, size });
                pace.steps.entry(step.card.task.clone()).or_default().extend(sample);
            }
            pace.wholes.extend(took(root).map(|seconds| PaceSample { seconds, size }));
        }
        pace
    }

    /// The share of a task in a run, in seconds of work; of a divided one, that of its parts. `None` where a
    /// part is not known.
    #[must_use]
    pub fn weight(&self, task: &str) -> Option<f64> {
        self.weight_at(task, 0)
    }

    fn weight_at(&self, task: &str, depth: usize) -> Option<f64> {
        match plan::find(task) {
            _ if depth == MAX_DEPTH => None,
            Some(plan) => plan.steps.iter().map(|step| self.weight_at(&step.task, depth + 1)).sum(),
            None => Some(range_of(self.steps.get(task)?, None)?.0[1].max(LEAST_WEIGHT)),
        }
    }

    /// The time left of the first of `run`, which has all jobs of a run at work; `idle` tells when they were
    /// not, and `position` how far a job without parts is.
    #[must_use]
    pub fn time_left(
        &self,
        run: &[Job],
        now: Timestamp,
        idle: &IdleTimes,
        position: impl Fn(&Job) -> StepPosition,
    ) -> Option<TimeLeft> {
        let root = run.first()?;
        let begun = run.iter().filter(|job| job.state == JobState::Running);
        let found = || begun.map(|job| position(job).total).find(|total| *total > 0);
        // Until the first step has told the size, the total of its progress is what it has found.
        let size = size_told(run).or_else(found);
        let known = run.iter().map(|job| (&job.id, job)).collect();
        let view = RunView { pace: self, known, size, now, idle, position: &position };
        let rest = view.rest(&root.id, &root.card.task, 0)?;
        let usual = range_of(&self.wholes, size)?.0[1];
        let time = |seconds: f64| Duration::try_from_secs_f64(seconds.max(0.0)).ok();
        let SecondsRange([least, about, most]) = rest;
        Some(TimeLeft { least: time(least)?, about: time(about)?, most: time(most)?, usual: time(usual)? })
    }
}

/// How long a begun job has worked until `to`.
fn worked(job: &Job, idle: &IdleTimes, to: Timestamp) -> Option<Duration> {
    let began = job.started_at?;
    Some(to.since(began).saturating_sub(idle.between(&job.id, began, to)))
}

/// The size that a run has told.
fn size_told(run: &[Job]) -> Option<u64> {
    run.iter().find_map(|job| job.outputs.0.get(SIZE)?.as_u64()).filter(|size| *size > 0)
}

/// What samples say of a run of this size: the quartiles with some room, and the median. `None` without
/// samples, and for samples of known sizes where the size is not known.
fn range_of(samples: &[PaceSample], size: Option<u64>) -> Option<SecondsRange> {
    let scaled = samples.iter().map(|sample| match (sample.size, size) {
        (Some(then), Some(now)) => sample.seconds * (now as f64 / then as f64),
        _ => sample.seconds,
    });
    let mut seconds: Vec<f64> = scaled.collect();
    seconds.sort_by(f64::total_cmp);
    let last = seconds.len().checked_sub(1)?;
    let at = |quarters: usize| seconds[(last * quarters + 2) / 4];
    Some(SecondsRange([at(1) * (1.0 - ROOM), at(2), at(3) * (1.0 + ROOM)]))
}

struct RunView<'v> {
    pace: &'v RunPace,
    known: HashMap<&'v JobId, &'v Job>,
    size: Option<u64>,
    now: Timestamp,
    idle: &'v IdleTimes,
    position: &'v dyn Fn(&Job) -> StepPosition,
}

impl RunView<'_> {
    /// What a job and those below it still take, begun or not: the longest way through its plan.
    fn rest(&self, id: &JobId, task: &str, depth: usize) -> Option<SecondsRange> {
        let job = self.known.get(id).copied();
        if depth == MAX_DEPTH {
            return None;
        }
        if job.is_some_and(|job| job.state.is_terminal()) {
            return Some(SecondsRange::default());
        }
        let Some(plan) = plan::find(task) else { return self.rest_of_step(job, task) };
        let inputs = job.map(|job| &job.card.inputs.0).unwrap_or(&serde_json::Value::Null);
        let mut ends = HashMap::<&str, SecondsRange>::new();
        for step in &plan.steps {
            let own = self.rest(&id.child(&step.name, 0).ok()?, step.task_for(inputs), depth + 1)?;
            let earlier = step.after.iter().filter_map(|name| ends.get(&**name));
            let begin = earlier.fold(SecondsRange::default(), |all, end| all.join(*end, f64::max));
            ends.insert(&step.name, begin.join(own, |begin, own| begin + own));
        }
        Some(ends.into_values().fold(SecondsRange::default(), |all, end| all.join(end, f64::max)))
    }

    fn rest_of_step(&self, job: Option<&Job>, task: &str) -> Option<SecondsRange> {
        let samples = self.pace.steps.get(task)?;
        if self.size.is_none() && samples.iter().any(|sample| sample.size.is_some()) {
            return None;
        }
        let whole = range_of(samples, self.size)?;
        let running = job.filter(|job| job.state == JobState::Running);
        let Some((job, elapsed)) = running.and_then(|job| Some((job, worked(job, self.idle, self.now)?)))
        else {
            return Some(whole);
        };
        let fraction = (self.position)(job).fraction.clamp(0.0, 1.0);
        let learned = whole.each(|seconds| seconds * (1.0 - fraction));
        if fraction < RATED_FROM {
            return Some(learned);
        }
        // The further it is, the more its own rate says.
        let rated = elapsed.as_secs_f64() * (1.0 - fraction) / fraction;
        Some(learned.each(|seconds| seconds * (1.0 - fraction) + rated * fraction))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::past::IdleSpan;
    use super::super::progress::ProgressMeasure;
    use super::*;
    use crate::hmi::waiting::tests::job;
    use crate::json::JsonValue;

    const STEPS: [(&str, &str); 4] = [
        ("run.data.lane.audit", "ingest.audit"),
        ("run.data.lane.clean", "ingest.clean"),
        ("run.compliance.lane.check", "ingest.compliance.check"),
        ("run.report.lane.write", "ingest.report.write"),
    ];
    const ABOVE: [(&str, &str); 7] = [
        ("run", "ingest"),
        ("run.data", "ingest.data"),
        ("run.data.lane", "ingest.data.lane"),
        ("run.compliance", "ingest.compliance"),
        ("run.compliance.lane", "ingest.compliance.lane"),
        ("run.report", "ingest.report"),
        ("run.report.lane", "ingest.report.lane"),
    ];
    const SIDE: [(&str, &str); 5] = [
        ("run.data.lane.chunk", "ingest.chunk"),
        ("run.data.lane.classify", "ingest.classify"),
        ("run.data.lane.graph", "ingest.graph"),
        ("run.data.lane.index", "ingest.index"),
        ("run.metrics", "ingest.metrics"),
    ];

    fn at(seconds: f64) -> Timestamp {
        Timestamp::from_millis(0).plus(Duration::from_secs_f64(seconds))
    }

    /// A job that ran from `from` on, and to `to` if it is done.
    fn timed(id: &str, task: &str, from: f64, to: Option<f64>) -> Job {
        let state = if to.is_some() { JobState::Done } else { JobState::Running };
        Job { started_at: Some(at(from)), ended_at: to.map(at), attempt: 1, ..job(id, task, state) }
    }

    fn with_size(job: Job, size: u64) -> Job {
        Job { outputs: JsonValue(json!({ "files": size })), ..job }
    }

    /// A done ingest of `size` documents: one after the other its four long steps take `each` seconds.
    fn done(size: u64, each: f64) -> Vec<Job> {
        let end = each * 4.0;
        let mut run: Vec<Job> = ABOVE.iter().map(|(id, task)| timed(id, task, 0.0, Some(end))).collect();
        for (place, (id, task)) in STEPS.iter().enumerate() {
            let from = each * place as f64;
            run.push(timed(id, task, from, Some(from + each)));
        }
        run.extend(SIDE.iter().map(|(id, task)| timed(id, task, 0.0, Some(0.0))));
        run[ABOVE.len()] = with_size(run[ABOVE.len()].clone(), size);
        run
    }

    /// The same run under way, `progress` of 4 through its steps.
    fn under_way(size: u64, each: f64, progress: f64) -> (Vec<Job>, f64) {
        let mut run: Vec<Job> = ABOVE.iter().map(|(id, task)| timed(id, task, 0.0, None)).collect();
        let begun = STEPS.iter().enumerate().filter(|(place, _)| *place as f64 <= progress);
        for (place, (id, task)) in begun {
            let from = each * place as f64;
            let step = timed(id, task, from, (progress >= (place + 1) as f64).then_some(from + each));
            run.push(if place == 0 && step.ended_at.is_some() { with_size(step, size) } else { step });
        }
        (run, progress - progress.floor())
    }

    fn learned<'r>(runs: impl IntoIterator<Item = &'r [Job]>) -> RunPace {
        let none = IdleTimes::default();
        RunPace::learned(runs.into_iter().map(|run| (run, &none)))
    }

    fn left(history: &[Vec<Job>], run: &[Job], now: f64, fraction: f64, total: u64) -> Option<TimeLeft> {
        let pace = learned(history.iter().map(Vec::as_slice));
        pace.time_left(run, at(now), &IdleTimes::default(), |_| StepPosition { fraction, total })
    }

    #[test]
    fn nothing_is_foretold_that_no_earlier_run_backs() {
        let (run, fraction) = under_way(100, 10.0, 2.5);
        assert_eq!(left(&[], &run, 25.0, fraction, 100), None, "no history");
        let failed: Vec<Job> =
            done(100, 10.0).into_iter().map(|job| Job { state: JobState::Failed, ..job }).collect();
        assert_eq!(
            left(&[failed], &run, 25.0, fraction, 100),
            None,
            "of runs that failed nothing is learned"
        );
        let (early, _) = under_way(100, 10.0, 0.0);
        assert_eq!(
            left(&[done(100, 10.0)], &early, 0.1, 0.0, 0),
            None,
            "how much there is, is not known yet"
        );
        assert!(left(&[done(100, 10.0)], &early, 0.1, 0.0, 100).is_some(), "the files are counted");
    }

    #[test]
    fn a_folder_of_twice_the_size_takes_twice_the_time() {
        let (run, fraction) = under_way(200, 20.0, 1.0);
        let found = left(&[done(100, 10.0), done(50, 5.0)], &run, 20.0, fraction, 200).unwrap();
        assert!((found.about.as_secs_f64() - 60.0).abs() < 1.0, "{found:?}");
        assert_eq!(found.usual, Duration::from_secs(80));
    }

    #[test]
    fn a_step_weighs_what_it_took() {
        let mut run = done(10, 1.0);
        run[ABOVE.len()].ended_at = run[ABOVE.len()].started_at.map(|from| from.plus(Duration::from_secs(9)));
        let pace = learned([run.as_slice()]);
        assert_eq!(pace.weight("ingest.audit"), Some(9.0));
        let whole = pace.weight("ingest").unwrap();
        assert!((whole - 12.0).abs() < 0.1, "its parts together: {whole}");
        assert_eq!(pace.weight("change"), None);
    }

    #[test]
    fn a_step_that_took_no_time_has_a_weight() {
        let pace = learned([done(10, 0.0).as_slice()]);
        assert_eq!(pace.weight("ingest.audit"), Some(LEAST_WEIGHT));
        let (run, _) = under_way(10, 0.0, 0.0);
        let before = HashMap::new();
        let measure = ProgressMeasure { root_task: "ingest", pace: &pace, before: &before };
        let found = measure.of_jobs(&run, |_| StepPosition::default());
        assert!(found.values().all(|progress| progress.fraction.is_finite()), "{found:?}");
    }

    /// A wait of `seconds` of the step at `place`, a second after its start, and of all above it.
    fn waited(run: &mut [Job], place: usize, seconds: f64, activity: JobState) -> IdleTimes {
        let later = Duration::from_secs_f64(seconds);
        let own = run[ABOVE.len() + place].clone();
        let from = own.started_at.unwrap().plus(Duration::from_secs(1));
        let to = from.plus(later);
        for job in &mut *run {
            if job.started_at.is_some_and(|at| at >= from) {
                job.started_at = job.started_at.map(|at| at.plus(later));
            }
            if job.ended_at.is_some_and(|at| at >= from) {
                job.ended_at = job.ended_at.map(|at| at.plus(later));
            }
        }
        let idle = run.iter().filter(|job| own.id.is_within(&job.id));
        let spans = idle.map(|job| (job.id.clone(), vec![IdleSpan { from, to: Some(to), activity }]));
        IdleTimes { spans: spans.collect(), cut_at: None }
    }

    #[test]
    fn a_step_that_another_daemon_began_again_is_not_learned_from() {
        let mut run = done(10, 1.0);
        run[ABOVE.len()].fence = 2;
        let pace = learned([run.as_slice()]);
        assert_eq!((pace.weight("ingest.audit"), pace.weight("ingest.clean")), (None, Some(1.0)));
    }

    #[test]
    fn what_a_run_waited_for_is_not_learned() {
        for activity in [JobState::AwaitingApproval, JobState::Blocked, JobState::Paused, JobState::Queued] {
            let mut run = done(100, 10.0);
            let idle = waited(&mut run, 1, 3600.0, activity);
            let pace = RunPace::learned([(run.as_slice(), &idle)]);
            assert_eq!(pace, learned([done(100, 10.0).as_slice()]), "{activity:?}");
        }
        let (mut run, fraction) = under_way(100, 10.0, 1.5);
        let idle = waited(&mut run, 1, 3600.0, JobState::AwaitingApproval);
        let now = at(3615.0);
        let found = learned([done(100, 10.0).as_slice()])
            .time_left(&run, now, &idle, |_| StepPosition { fraction, total: 100 })
            .unwrap();
        assert!(
            (found.about.as_secs_f64() - 25.0).abs() < 1.0,
            "nor does it count for its own rate: {found:?}"
        );
    }

    proptest! {
        #[test]
        fn it_is_within_a_factor_of_two_after_a_quarter_and_never_grows(
            speeds in proptest::collection::vec(0.75..1.3_f64, 2..8),
            own in 0.75..1.3_f64,
            size in 10..10_000_u64,
        ) {
            let seconds = |size: u64, speed: f64| size as f64 * 0.1 * speed;
            let history: Vec<_> = speeds.iter().map(|speed| done(500, seconds(500, *speed))).collect();
            let each = seconds(size, own);
            let mut last = f64::INFINITY;
            for tenth in 10..40 {
                let progress = f64::from(tenth) / 10.0;
                let (run, fraction) = under_way(size, each, progress);
                let found = left(&history, &run, each * progress, fraction, size).unwrap();
                let (about, real) = (found.about.as_secs_f64(), each * (4.0 - progress));
                prop_assert!(about <= real * 2.0 && about >= real / 2.0, "{about} for {real} at {progress}");
                prop_assert!(found.least <= found.about && found.about <= found.most, "{found:?}");
                // Within a step its own rate replaces what was learned, which may differ a little.
                prop_assert!(about <= last * 1.05, "{about} after {last} at {progress}");
                last = about;
            }
        }
    }
}
