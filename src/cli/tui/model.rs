//! The state of `pas tui` and its transitions: pure, without a terminal or a daemon.
//!
//! Inputs are keys and answers; an input yields at most one [`TuiEffect`] for the caller to perform.
//! Invariants: the cursor is on an existing row, or there is none; no action without a confirmed dialog;
//! all data come from the daemon (stale data are marked as such, never replaced by a guess).

use crate::cli::wire::WireJob;
use crate::domain::steering::SteeringAction;

use super::dialog::ActionDialog;
use super::rows::{self, TuiRow};
use super::transcript::TuiTranscript;
use super::wire::{TuiActionResult, TuiBlastRadius, TuiEvent, TuiLogPage, TuiSnapshot};

/// The pages, in the order of their tabs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TuiPage {
    /// The supervision tree.
    Tree,
    /// Submitted jobs, and the steps of the chosen one.
    Jobs,
    /// Pending approvals.
    Approvals,
    Log,
    /// The transcript of the job that was opened on the page of jobs; it has no tab.
    Transcript,
}

impl TuiPage {
    /// The pages with a tab.
    pub(super) const ALL: [Self; 4] = [Self::Tree, Self::Jobs, Self::Approvals, Self::Log];

    #[must_use]
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Tree => "Tree",
            Self::Jobs => "Jobs",
            Self::Approvals => "Approvals",
            Self::Log => "Log",
            Self::Transcript => "Transcript",
        }
    }

    /// Whether an action applies to the page's rows.
    #[must_use]
    pub(super) const fn offers(self, action: SteeringAction) -> bool {
        match self {
            Self::Tree => matches!(
                action,
                SteeringAction::Pause
                    | SteeringAction::Resume
                    | SteeringAction::Restart
                    | SteeringAction::Kill
            ),
            Self::Jobs => !matches!(action, SteeringAction::Approve | SteeringAction::Reject),
            Self::Approvals | Self::Transcript => {
                matches!(action, SteeringAction::Approve | SteeringAction::Reject)
            }
            Self::Log => false,
        }
    }

    fn turned(self, by: usize) -> Self {
        let at = Self::ALL.iter().position(|page| *page == self).unwrap_or_default();
        Self::ALL[(at + by) % Self::ALL.len()]
    }
}

/// The pages with a tab, and the transcript.
const PAGES: usize = TuiPage::ALL.len() + 1;

/// A key by its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TuiKey {
    Quit,
    /// Leave a dialog or a search without acting.
    Back,
    Enter,
    /// Rows; negative is up.
    Move(isize),
    /// To the first row.
    First,
    /// To the last row.
    Last,
    /// To the next tab, or the next field.
    Next,
    /// To the previous tab.
    Previous,
    /// A letter; the meaning depends on the page or field.
    Letter(char),
    /// Delete the last letter.
    Erase,
}

/// An input from outside.
#[derive(Debug)]
pub(super) enum TuiInput {
    Key(TuiKey),
    Live(Box<TuiSnapshot>),
    /// The newest events, oldest first.
    Events(Vec<TuiEvent>),
    /// The steps of the chosen job.
    Steps(Box<WireJob>),
    /// More rows of the opened job's log.
    Rows(TuiLogPage),
    /// The blast radius of a restart or kill.
    Blast(TuiBlastRadius),
    /// The result of an action.
    Done(TuiActionResult),
    /// Why there is no new snapshot.
    Lost(String),
    /// Why an action failed.
    Refused(String),
}

/// Work for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TuiEffect {
    Quit,
    /// Ask for the blast radius of an action.
    AskBlast {
        action: SteeringAction,
        target: String,
        /// Whether the action includes the whole subtree.
        subtree: bool,
    },
    Act(ConfirmedAction),
}

/// A confirmed action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConfirmedAction {
    pub(super) action: SteeringAction,
    /// The name of an agent, or the id of a job or approval.
    pub(super) target: String,
    /// May be empty.
    pub(super) reason: String,
    /// Whether the action includes the whole subtree.
    pub(super) subtree: bool,
    /// The agent that takes a job over.
    pub(super) to: Option<String>,
}

/// The line at the bottom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TuiNotice {
    Good(String),
    Bad(String),
}

#[derive(Debug)]
pub(super) struct TuiModel {
    pub(super) page: TuiPage,
    /// The last snapshot; `None` before the first answer.
    pub(super) live: Option<TuiSnapshot>,
    /// Why the snapshot is stale; `None` while answers come.
    pub(super) lost: Option<String>,
    /// The newest events that are not heartbeats, oldest first.
    pub(super) events: Vec<TuiEvent>,
    /// The chosen job with its steps.
    pub(super) steps: Option<WireJob>,
    /// The job that was opened, with the rows of its log so far.
    pub(super) transcript: Option<TuiTranscript>,
    pub(super) dialog: Option<ActionDialog>,
    /// The result of the last action.
    pub(super) notice: Option<TuiNotice>,
    /// Text that rows must contain.
    pub(super) filter: String,
    /// Whether typed letters go into the filter.
    pub(super) searching: bool,
    cursors: [usize; PAGES],
}

impl Default for TuiModel {
    fn default() -> Self {
        Self {
            page: TuiPage::Tree,
            live: None,
            lost: None,
            events: Vec::new(),
            steps: None,
            transcript: None,
            dialog: None,
            notice: None,
            filter: String::new(),
            searching: false,
            cursors: [0; PAGES],
        }
    }
}

impl TuiModel {
    /// The rows of the page that match the filter.
    #[must_use]
    pub(super) fn rows(&self) -> Vec<TuiRow<'_>> {
        rows::of(self)
    }

    /// Index of the chosen row.
    #[must_use]
    pub(super) fn cursor(&self) -> Option<usize> {
        let rows = self.rows().len();
        (rows > 0).then(|| self.cursors[self.page as usize].min(rows - 1))
    }

    /// The name or id of the chosen row.
    #[must_use]
    pub(super) fn target(&self) -> Option<String> {
        let rows = self.rows();
        rows.get(self.cursor()?).map(|row| row.target.to_owned())
    }

    /// The job whose steps are shown.
    #[must_use]
    pub(super) fn wanted_job(&self) -> Option<String> {
        (self.page == TuiPage::Jobs).then(|| self.target()).flatten()
    }

    /// The job whose log is shown, and how far it is known.
    #[must_use]
    pub(super) fn wanted_rows(&self) -> Option<(String, u64)> {
        let open = self.transcript.as_ref().filter(|_| self.page == TuiPage::Transcript)?;
        Some((open.job_id.clone(), open.last_seq()))
    }

    /// Applies one input.
    pub(super) fn update(&mut self, input: TuiInput) -> Option<TuiEffect> {
        match input {
            TuiInput::Key(key) => return self.key(key),
            TuiInput::Live(live) => {
                let chosen = self.target();
                self.live = Some(*live);
                self.lost = None;
                self.follow(chosen.as_deref());
            }
            TuiInput::Events(events) => {
                let was_last = self.cursors[TuiPage::Log as usize] + 1 >= self.events.len();
                self.events = events.into_iter().filter(|event| event.event_type != "heartbeat").collect();
                if was_last {
                    self.cursors[TuiPage::Log as usize] = self.events.len().saturating_sub(1);
                }
            }
            TuiInput::Steps(job) => self.steps = Some(*job),
            TuiInput::Rows(page) => self.add_rows(page),
            TuiInput::Blast(blast) => {
                if let Some(dialog) = &mut self.dialog {
                    dialog.blast = Some(blast);
                }
            }
            TuiInput::Done(done) => self.notice = Some(TuiNotice::Good(super::words::done(&done))),
            TuiInput::Lost(why) => self.lost = Some(why),
            TuiInput::Refused(why) => self.notice = Some(TuiNotice::Bad(why)),
        }
        None
    }

    /// Shows more of a log; a cursor on its last row stays on the last.
    fn add_rows(&mut self, page: TuiLogPage) {
        let Some(open) = self.transcript.as_mut().filter(|open| open.job_id == page.wanted) else { return };
        let was_last = self.cursors[TuiPage::Transcript as usize] + 1 >= open.rows.len();
        open.add(page.rows);
        if was_last {
            self.cursors[TuiPage::Transcript as usize] = open.rows.len().saturating_sub(1);
        }
    }

    /// Keeps the cursor on the chosen row when rows come and go; rows of a log only come.
    fn follow(&mut self, chosen: Option<&str>) {
        if matches!(self.page, TuiPage::Log | TuiPage::Transcript) {
            return;
        }
        let at = self.rows().iter().position(|row| Some(row.target) == chosen);
        if let Some(at) = at {
            self.cursors[self.page as usize] = at;
        }
    }

    fn key(&mut self, key: TuiKey) -> Option<TuiEffect> {
        if let Some(dialog) = &mut self.dialog {
            return match key {
                TuiKey::Back => {
                    self.dialog = None;
                    None
                }
                TuiKey::Quit => Some(TuiEffect::Quit),
                TuiKey::Enter => {
                    let order = dialog.order()?;
                    self.dialog = None;
                    self.notice = None;
                    Some(TuiEffect::Act(order))
                }
                key => dialog.key(key),
            };
        }
        if self.searching {
            self.search(key);
            return (key == TuiKey::Quit).then_some(TuiEffect::Quit);
        }
        match key {
            TuiKey::Quit | TuiKey::Letter('q') => return Some(TuiEffect::Quit),
            TuiKey::Back if self.page == TuiPage::Transcript && self.filter.is_empty() => {
                self.page = TuiPage::Jobs;
            }
            TuiKey::Back => self.filter.clear(),
            TuiKey::Enter if self.page == TuiPage::Jobs => self.open(),
            TuiKey::Next => self.page = self.page.turned(1),
            TuiKey::Previous => self.page = self.page.turned(TuiPage::ALL.len() - 1),
            TuiKey::Move(by) => self.step(by),
            TuiKey::First => self.cursors[self.page as usize] = 0,
            TuiKey::Last => self.cursors[self.page as usize] = self.rows().len().saturating_sub(1),
            TuiKey::Letter(letter) => return self.letter(letter),
            TuiKey::Enter | TuiKey::Erase => {}
        }
        None
    }

    /// Opens the transcript of the chosen job.
    fn open(&mut self) {
        let Some(job) = self.target() else { return };
        if self.transcript.as_ref().is_none_or(|open| open.job_id != job) {
            self.transcript = Some(TuiTranscript::new(job));
            self.cursors[TuiPage::Transcript as usize] = 0;
        }
        self.filter.clear();
        self.page = TuiPage::Transcript;
    }

    fn search(&mut self, key: TuiKey) {
        match key {
            TuiKey::Letter(letter) => self.filter.push(letter),
            TuiKey::Erase => drop(self.filter.pop()),
            TuiKey::Back => {
                self.filter.clear();
                self.searching = false;
            }
            TuiKey::Enter => self.searching = false,
            TuiKey::Move(by) => self.step(by),
            _ => {}
        }
    }

    fn step(&mut self, by: isize) {
        let last = self.rows().len().saturating_sub(1);
        let at = self.cursor().unwrap_or_default();
        self.cursors[self.page as usize] = at.saturating_add_signed(by).min(last);
    }

    fn letter(&mut self, letter: char) -> Option<TuiEffect> {
        match letter {
            '1'..='4' => self.page = TuiPage::ALL[letter as usize - '1' as usize],
            'j' => self.step(1),
            'k' => self.step(-1),
            'g' => self.cursors[self.page as usize] = 0,
            'G' => self.cursors[self.page as usize] = self.rows().len().saturating_sub(1),
            '/' => self.searching = true,
            'p' => return self.ask(SteeringAction::Pause),
            'r' => return self.ask(SteeringAction::Resume),
            'R' => return self.ask(SteeringAction::Restart),
            'K' => return self.ask(SteeringAction::Kill),
            'm' => return self.ask(SteeringAction::Reassign),
            'a' => return self.ask(SteeringAction::Approve),
            'x' => return self.ask(SteeringAction::Reject),
            _ => {}
        }
        None
    }

    /// Opens the dialog of an action on the chosen row.
    fn ask(&mut self, action: SteeringAction) -> Option<TuiEffect> {
        if !self.page.offers(action) {
            return None;
        }
        // Of a transcript without an open question there is nothing to decide.
        let dialog = ActionDialog::new(action, self.target().filter(|target| !target.is_empty())?);
        let effect = dialog.ask_blast();
        self.dialog = Some(dialog);
        effect
    }
}
