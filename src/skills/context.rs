//! What a running step may ask of, and must tell, whoever runs it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex};
use serde_json::Value;

use crate::domain::artifact::Artifact;
use crate::domain::time::Timestamp;

/// Why a step ended without an outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SkillError {
    /// The caller asked for the end; nothing is wrong.
    #[error("stopped on request")]
    Cancelled,
    /// Trying again may help, and each try counts: a panic, a file that was busy.
    #[error("{0}")]
    Transient(String),
    /// The machine lacks something for a while (files, memory, room on a disk): waited out, however long it
    /// takes.
    #[error("{0}")]
    Passing(String),
    /// Trying again cannot help: the input is missing or makes no sense.
    #[error("{0}")]
    Permanent(String),
    /// The skill itself panicked: a fault of the skill, which another attempt may still get around.
    #[error("{0}")]
    Panicked(String),
}

impl SkillError {
    /// An I/O error with what was being done, judged by its kind.
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

/// Whether an I/O error says nothing of the file and only that the machine is short of something now.
#[must_use]
pub fn is_passing(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{
        Interrupted, OutOfMemory, QuotaExceeded, ResourceBusy, StorageFull, WouldBlock,
    };
    // "Too many open files", of the process and of the system, have no kind of their own.
    let no_files =
        [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].map(|errno| Some(errno.raw_os_error()));
    let kinds = [Interrupted, OutOfMemory, QuotaExceeded, ResourceBusy, StorageFull, WouldBlock];
    kinds.contains(&error.kind()) || no_files.contains(&error.raw_os_error())
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Wish {
    #[default]
    Go,
    Hold,
    Stop,
}

/// The remote control of a running step: stop, hold, go on; and its progress in return.
///
/// Shared between the thread that works and the actor that answers for it.
#[derive(Debug, Default)]
pub struct Control {
    wish: Mutex<Wish>,
    changed: Condvar,
    done: AtomicU64,
    total: AtomicU64,
    beats: AtomicU64,
    /// When the last checkpoint was passed, in milliseconds since the epoch; 0 before the first.
    beat_at: AtomicI64,
    note: Mutex<String>,
}

/// How far a step is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Units finished (documents, mostly).
    pub done: u64,
    /// Units in all; 0 while unknown.
    pub total: u64,
    /// How often the step came by a checkpoint: shows life where `done` stands still.
    pub beats: u64,
    /// When it came by the last one.
    pub beat_at: Option<Timestamp>,
    /// What it is at, in a few words.
    pub note: String,
}

impl Control {
    /// Asks the step to end at its next checkpoint.
    pub fn stop(&self) {
        *self.wish.lock() = Wish::Stop;
        self.changed.notify_all();
    }

    /// Asks the step to wait at its next checkpoint; no effect after [`Control::stop`].
    pub fn hold(&self) {
        let mut wish = self.wish.lock();
        if *wish == Wish::Go {
            *wish = Wish::Hold;
        }
    }

    /// Lets a held step go on.
    pub fn go_on(&self) {
        let mut wish = self.wish.lock();
        if *wish == Wish::Hold {
            *wish = Wish::Go;
            self.changed.notify_all();
        }
    }

    /// Whether the step is asked to wait.
    #[must_use]
    pub fn is_held(&self) -> bool {
        *self.wish.lock() == Wish::Hold
    }

    /// Says in a few words what the step is at, before it says so itself.
    pub fn note(&self, note: &str) {
        note.clone_into(&mut self.note.lock());
    }

    /// How far the step is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress {
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

/// Everything a step is given.
#[derive(Debug, Clone)]
pub struct StepContext {
    run_dir: PathBuf,
    inputs: Arc<Value>,
    defaults: Arc<Value>,
    threads: usize,
    control: Arc<Control>,
    aside: Option<Arc<Value>>,
}

/// What a model is to be told before a step works, for the words in its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brief {
    /// The findings, a line each.
    pub digest: String,
    /// BLAKE3 of the digest, in hexadecimal.
    pub hash: String,
    /// What an earlier attempt was answered to the same digest: the step's aside.
    pub known: Option<Value>,
}

impl StepContext {
    /// A context for one attempt at one step.
    #[must_use]
    pub fn new(run_dir: PathBuf, inputs: Value, threads: usize, control: Arc<Control>) -> Self {
        let (inputs, defaults) = (Arc::new(inputs), Arc::default());
        Self { run_dir, inputs, defaults, threads: threads.max(1), control, aside: None }
    }

    /// The same with values for inputs that the card leaves out.
    #[must_use]
    pub fn with_defaults(self, defaults: Arc<Value>) -> Self {
        Self { defaults, ..self }
    }

    /// An input of the card, or else its default.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&Value> {
        let given = self.inputs.get(key).filter(|value| !value.is_null());
        given.or_else(|| self.defaults.get(key))
    }

    /// `artifacts/runs/<run_id>/`: outputs go below it, earlier steps' outputs are read from it.
    #[must_use]
    pub fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    #[must_use]
    pub fn inputs(&self) -> &Value {
        &self.inputs
    }

    /// The same with what its agent found out for it beforehand.
    #[must_use]
    pub fn with_aside(self, aside: Value) -> Self {
        Self { aside: Some(Arc::new(aside)), ..self }
    }

    /// What its agent found out for it beforehand.
    #[must_use]
    pub fn aside(&self) -> Option<&Value> {
        self.aside.as_deref()
    }

    /// How many threads the step may keep busy (at least 1).
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
        while *wish == Wish::Hold {
            self.control.changed.wait(&mut wish);
        }
        if *wish == Wish::Stop { Err(SkillError::Cancelled) } else { Ok(()) }
    }

    /// Says how much work there is and what is being done; resets the count of finished units.
    pub fn begin(&self, total: u64, note: &str) {
        self.control.done.store(0, Ordering::Relaxed);
        self.control.total.store(total, Ordering::Relaxed);
        note.clone_into(&mut self.control.note.lock());
    }

    pub fn advance(&self, units: u64) {
        self.control.done.fetch_add(units, Ordering::Relaxed);
    }
}

/// What a finished step hands back.
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

    fn context(control: &Arc<Control>) -> StepContext {
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
        let control = Arc::new(Control::default());
        control.hold();
        let step = context(&control);
        let worker = std::thread::spawn(move || step.checkpoint());
        while control.progress().beats == 0 {
            std::thread::yield_now();
        }
        assert!(!worker.is_finished());
        control.go_on();
        assert_eq!(worker.join().unwrap(), Ok(()));
    }

    #[test]
    fn stop_reaches_a_held_step_and_is_final() {
        let control = Arc::new(Control::default());
        control.hold();
        let step = context(&control);
        let worker = std::thread::spawn(move || step.checkpoint());
        control.stop();
        assert_eq!(worker.join().unwrap(), Err(SkillError::Cancelled));
        control.hold();
        control.go_on();
        assert_eq!(context(&control).checkpoint(), Err(SkillError::Cancelled));
    }
}
