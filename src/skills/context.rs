//! The context of a running step: inputs, checkpoints, progress, and control from outside.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex};
use serde_json::Value;

use pas_domain::artifact::Artifact;
use pas_domain::time::Timestamp;

/// Why a step ended without an outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SkillError {
    /// Stopped at the caller's request.
    #[error("stopped on request")]
    Cancelled,
    /// A retry may help, and each attempt counts: a panic, a busy file.
    #[error("{0}")]
    Transient(String),
    /// The machine lacks something for now (descriptors, memory, disk space): retried without limit.
    #[error("{0}")]
    Passing(String),
    /// A retry is useless: the input is missing or invalid.
    #[error("{0}")]
    Permanent(String),
    /// The skill itself panicked: a bug that another attempt may still avoid.
    #[error("{0}")]
    Panicked(String),
}

impl SkillError {
    /// An I/O error with the failed operation, classified by kind.
    #[must_use]
    pub fn io(what: impl std::fmt::Display, error: &std::io::Error) -> Self {
        use std::io::ErrorKind::{InvalidInput, IsADirectory, NotADirectory, NotFound, PermissionDenied};
        let text = format!("{what}: {error}");
        match error.kind() {
            _ if is_passing(error) => Self::Passing(text),
            NotFound | PermissionDenied | NotADirectory | IsADirectory | InvalidInput => {
                Self::Permanent(text)
            }
            _ => Self::Transient(text),
        }
    }
}

/// Whether an I/O error is about the machine's resources rather than the file.
#[must_use]
pub fn is_passing(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{
        Interrupted, OutOfMemory, QuotaExceeded, ResourceBusy, StorageFull, WouldBlock,
    };
    // "Too many open files", of the process and of the system, has no `ErrorKind`.
    let no_files =
        [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].map(|errno| Some(errno.raw_os_error()));
    let kinds = [Interrupted, OutOfMemory, QuotaExceeded, ResourceBusy, StorageFull, WouldBlock];
    kinds.contains(&error.kind()) || no_files.contains(&error.raw_os_error())
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum StepSignal {
    #[default]
    Go,
    Pause,
    Stop,
}

/// The control of a running step (stop, pause, resume) and the step's progress.
///
/// Shared between the working thread and the responsible actor.
#[derive(Debug, Default)]
pub struct StepControl {
    wish: Mutex<StepSignal>,
    changed: Condvar,
    /// Like `changed`, for attempts that are tasks rather than threads.
    woken: tokio::sync::Notify,
    done: AtomicU64,
    total: AtomicU64,
    beats: AtomicU64,
    /// When the last checkpoint was passed, in milliseconds since the epoch; 0 before the first.
    beat_at: AtomicI64,
    note: Mutex<String>,
    /// Waits for others that are under way ([`StepWait`]).
    waits: AtomicUsize,
}

/// A step's wait for other jobs, for resources or for a proof, which has a time limit of its own. Waits may overlap.
#[derive(Debug)]
pub struct StepWait(Arc<StepControl>);

impl Drop for StepWait {
    fn drop(&mut self) {
        self.0.waits.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StepProgress {
    /// Units finished (documents, mostly).
    pub done: u64,
    /// Units in all; 0 while unknown.
    pub total: u64,
    /// Number of checkpoints passed: a sign of life while `done` stays the same.
    pub beats: u64,
    /// Time of the last checkpoint.
    pub beat_at: Option<Timestamp>,
    /// The current activity, in a few words.
    pub note: String,
}

impl StepControl {
    /// Asks the step to end at the next checkpoint.
    pub fn stop(&self) {
        *self.wish.lock() = StepSignal::Stop;
        self.changed.notify_all();
        self.woken.notify_waiters();
    }

    /// Asks the step to wait at the next checkpoint; no effect after [`StepControl::stop`].
    pub fn pause(&self) {
        let mut wish = self.wish.lock();
        if *wish == StepSignal::Go {
            *wish = StepSignal::Pause;
        }
    }

    pub fn resume(&self) {
        let mut wish = self.wish.lock();
        if *wish == StepSignal::Pause {
            *wish = StepSignal::Go;
            self.changed.notify_all();
            self.woken.notify_waiters();
        }
    }

    /// The step waits for others until the guard is dropped: that time is not its own.
    #[must_use]
    pub fn wait(self: &Arc<Self>) -> StepWait {
        self.waits.fetch_add(1, Ordering::Relaxed);
        StepWait(Arc::clone(self))
    }

    pub fn is_waiting(&self) -> bool {
        self.waits.load(Ordering::Relaxed) > 0
    }

    /// A checkpoint of an attempt that is a task: waits while paused.
    ///
    /// # Errors
    /// [`SkillError::Cancelled`] once asked to stop.
    pub async fn pass(&self) -> Result<(), SkillError> {
        self.beats.fetch_add(1, Ordering::Relaxed);
        self.beat_at.store(Timestamp::now().as_millis(), Ordering::Relaxed);
        match self.until(|wish| wish != StepSignal::Pause).await {
            StepSignal::Stop => Err(SkillError::Cancelled),
            StepSignal::Go | StepSignal::Pause => Ok(()),
        }
    }

    /// Returns once the attempt is asked to stop.
    pub async fn stopped(&self) {
        self.until(|wish| wish == StepSignal::Stop).await;
    }

    async fn until(&self, is_met: impl Fn(StepSignal) -> bool) -> StepSignal {
        loop {
            // Created before the check, so that no change is missed between the two.
            let woken = self.woken.notified();
            let wish = *self.wish.lock();
            if is_met(wish) {
                return wish;
            }
            woken.await;
        }
    }

    #[must_use]
    pub fn is_paused(&self) -> bool {
        *self.wish.lock() == StepSignal::Pause
    }

    /// Sets the activity before the step's own first report.
    pub fn note(&self, note: &str) {
        note.clone_into(&mut self.note.lock());
    }

    #[must_use]
    pub fn progress(&self) -> StepProgress {
        StepProgress {
            done: self.done.load(Ordering::Relaxed),
            total: self.total.load(Ordering::Relaxed),
            beats: self.beats.load(Ordering::Relaxed),
            beat_at: Some(self.beat_at.load(Ordering::Relaxed))
                .filter(|at| *at > 0)
                .map(Timestamp::from_millis),
            note: self.note.lock().clone(),
        }
    }
}

#[derive(Debug, Clone)]
pub struct StepContext {
    run_dir: PathBuf,
    inputs: Arc<Value>,
    defaults: Arc<Value>,
    threads: usize,
    control: Arc<StepControl>,
    aside: Option<Arc<Value>>,
    program: Option<Arc<Path>>,
}

/// The digest for a model, sent before the step works, for the prose of the outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepBrief {
    /// The findings, a line each.
    pub digest: String,
    /// BLAKE3 of the digest, in hexadecimal.
    pub hash: String,
    /// An earlier attempt's answer to the same digest: the step's aside.
    pub known: Option<Value>,
}

impl StepContext {
    /// A context for one attempt at one step.
    #[must_use]
    pub fn new(run_dir: PathBuf, inputs: Value, threads: usize, control: Arc<StepControl>) -> Self {
        let (inputs, defaults) = (Arc::new(inputs), Arc::default());
        Self { run_dir, inputs, defaults, threads: threads.max(1), control, aside: None, program: None }
    }

    /// The same with defaults for inputs missing from the card.
    #[must_use]
    pub fn with_defaults(self, defaults: Arc<Value>) -> Self {
        Self { defaults, ..self }
    }

    /// The same with the `pas` binary, for work that needs a process of its own.
    #[must_use]
    pub fn with_program(self, program: &Path) -> Self {
        Self { program: Some(program.into()), ..self }
    }

    /// The `pas` binary, which carries out [`super::run_hidden`]; work that needs it is left where it is not known.
    #[must_use]
    pub fn program(&self) -> Option<&Path> {
        self.program.as_deref()
    }

    /// An input of the card, or else the default.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&Value> {
        let given = self.inputs.get(key).filter(|value| !value.is_null());
        given.or_else(|| self.defaults.get(key))
    }

    /// A default alone: what a card must not change.
    #[must_use]
    pub fn configured(&self, key: &str) -> Option<&Value> {
        self.defaults.get(key)
    }

    /// `artifacts/runs/<run_id>/`: outputs go there, earlier steps' outputs are read from there.
    #[must_use]
    pub fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    #[must_use]
    pub fn inputs(&self) -> &Value {
        &self.inputs
    }

    /// The same with the answer that the agent obtained beforehand.
    #[must_use]
    pub fn with_aside(self, aside: Value) -> Self {
        Self { aside: Some(Arc::new(aside)), ..self }
    }

    /// The answer that the step's agent obtained beforehand.
    #[must_use]
    pub fn aside(&self) -> Option<&Value> {
        self.aside.as_deref()
    }

    /// The number of threads for the step (at least 1).
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Must be called at least once per document, from any thread of the step. Waits while the job is
    /// paused.
    ///
    /// # Errors
    /// [`SkillError::Cancelled`] once the step has been asked to stop.
    pub fn checkpoint(&self) -> Result<(), SkillError> {
        self.control.beats.fetch_add(1, Ordering::Relaxed);
        self.control.beat_at.store(Timestamp::now().as_millis(), Ordering::Relaxed);
        let mut wish = self.control.wish.lock();
        while *wish == StepSignal::Pause {
            self.control.changed.wait(&mut wish);
        }
        if *wish == StepSignal::Stop { Err(SkillError::Cancelled) } else { Ok(()) }
    }

    /// Sets the total and the activity; resets the count of finished units.
    pub fn begin(&self, total: u64, note: &str) {
        self.control.done.store(0, Ordering::Relaxed);
        self.control.total.store(total, Ordering::Relaxed);
        note.clone_into(&mut self.control.note.lock());
    }

    /// Sets the activity; the count goes on, so that the progress of a step with several passes never goes back.
    pub fn note(&self, note: &str) {
        self.control.note(note);
    }

    pub fn advance(&self, units: u64) {
        self.control.done.fetch_add(units, Ordering::Relaxed);
    }
}

/// The result of a finished step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepOutcome {
    /// Files written, in a stable order.
    pub artifacts: Vec<Artifact>,
    /// Counts and headlines for the card's `outputs` (a JSON object).
    pub outputs: Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(control: &Arc<StepControl>) -> StepContext {
        StepContext::new(PathBuf::new(), Value::Null, 1, Arc::clone(control))
    }

    #[test]
    fn a_lack_that_passes_is_told_from_a_fault_of_the_input() {
        use std::io::{Error, ErrorKind};
        let judged = |error: Error| SkillError::io("read a.md", &error);
        for errno in [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE, rustix::io::Errno::NOSPC] {
            let error = judged(Error::from_raw_os_error(errno.raw_os_error()));
            assert!(matches!(error, SkillError::Passing(_)), "{error:?}");
        }
        assert!(matches!(judged(ErrorKind::NotFound.into()), SkillError::Permanent(_)));
        assert!(matches!(judged(ErrorKind::BrokenPipe.into()), SkillError::Transient(_)));
    }

    #[test]
    fn a_held_step_waits_and_goes_on_where_it_was() {
        let control = Arc::new(StepControl::default());
        control.pause();
        let step = context(&control);
        let worker = std::thread::spawn(move || step.checkpoint());
        while control.progress().beats == 0 {
            std::thread::yield_now();
        }
        assert!(!worker.is_finished());
        control.resume();
        assert_eq!(worker.join().unwrap(), Ok(()));
    }

    #[test]
    fn stop_reaches_a_held_step_and_is_final() {
        let control = Arc::new(StepControl::default());
        control.pause();
        let step = context(&control);
        let worker = std::thread::spawn(move || step.checkpoint());
        control.stop();
        assert_eq!(worker.join().unwrap(), Err(SkillError::Cancelled));
        control.pause();
        control.resume();
        assert_eq!(context(&control).checkpoint(), Err(SkillError::Cancelled));
    }
}
