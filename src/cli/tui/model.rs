//! What `pas tui` shows and how it changes: pure, without a terminal or a daemon.
//!
//! Inputs are keys and answers; the outcome of one is at most one [`Effect`] for the caller to carry out.
//! Invariants: the cursor is on an existing row, or there is none; nothing is acted upon before a dialog
//! was confirmed; what is shown came from the daemon (an old picture is told to be old, never replaced by
//! a guess).

use crate::cli::wire::Job;
use crate::domain::steering::Action;

use super::dialog::Dialog;
use super::rows::{self, Row};
use super::wire::{BlastRadius, Done, Event, Live};

/// The pages, in the order of their tabs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    /// The agents by who supervises whom.
    Tree,
    /// Submitted jobs, and the steps of the chosen one.
    Jobs,
    /// What waits for a person.
    Approvals,
    Log,
}

impl Page {
    pub(super) const ALL: [Self; 4] = [Self::Tree, Self::Jobs, Self::Approvals, Self::Log];

    #[must_use]
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Tree => "Tree",
            Self::Jobs => "Jobs",
            Self::Approvals => "Approvals",
            Self::Log => "Log",
        }
    }

    /// Whether an action can be done to what the page lists.
    #[must_use]
    pub(super) const fn offers(self, action: Action) -> bool {
        match self {
            Self::Tree => matches!(action, Action::Pause | Action::Resume | Action::Restart | Action::Kill),
            Self::Jobs => !matches!(action, Action::Approve | Action::Reject),
            Self::Approvals => matches!(action, Action::Approve | Action::Reject),
            Self::Log => false,
        }
    }

    fn turned(self, by: usize) -> Self {
        let at = Self::ALL.iter().position(|page| *page == self).unwrap_or_default();
        Self::ALL[(at + by) % Self::ALL.len()]
    }
}

/// A key, by what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    /// Leave a dialog or a search; nothing is done.
    Back,
    Enter,
    /// By rows; negative is up.
    Move(isize),
    /// To the first row.
    First,
    /// To the last row.
    Last,
    /// To the next tab, or the next field.
    Next,
    /// To the tab before.
    Previous,
    /// A letter; what it means depends on where it is typed.
    Letter(char),
    /// Take the last letter back.
    Erase,
}

/// What came from outside.
#[derive(Debug)]
pub(super) enum Input {
    Key(Key),
    Live(Box<Live>),
    /// The newest events, oldest first.
    Events(Vec<Event>),
    /// The steps of the chosen job.
    Steps(Box<Job>),
    /// What a restart or kill would touch.
    Blast(BlastRadius),
    /// What an action did.
    Done(Done),
    /// Why there is no new picture.
    Lost(String),
    /// Why an action was not done.
    Refused(String),
}

/// What the caller is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    Quit,
    /// Ask what an action would touch.
    AskBlast {
        action: Action,
        target: String,
        /// With all below it.
        subtree: bool,
    },
    Act(Order),
}

/// An action that was confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) action: Action,
    /// An agent's name, a job's id or an approval's.
    pub(super) target: String,
    /// Why; may be empty.
    pub(super) reason: String,
    /// With all below it.
    pub(super) subtree: bool,
    /// Who takes a job over.
    pub(super) to: Option<String>,
}

/// What the line at the bottom tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Notice {
    Good(String),
    Bad(String),
}

/// All that is shown.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) page: Page,
    /// The last picture; nothing before the first answer.
    pub(super) live: Option<Live>,
    /// Why the picture is old; nothing while answers come.
    pub(super) lost: Option<String>,
    /// The newest events that are not heartbeats, oldest first.
    pub(super) events: Vec<Event>,
    /// The chosen job with its steps.
    pub(super) steps: Option<Job>,
    /// What is being asked.
    pub(super) dialog: Option<Dialog>,
    /// What the last action did.
    pub(super) notice: Option<Notice>,
    /// What rows must contain.
    pub(super) filter: String,
    /// Whether letters go into the filter.
    pub(super) searching: bool,
    cursors: [usize; Page::ALL.len()],
}

impl Default for Model {
    fn default() -> Self {
        Self {
            page: Page::Tree,
            live: None,
            lost: None,
            events: Vec::new(),
            steps: None,
            dialog: None,
            notice: None,
            filter: String::new(),
            searching: false,
            cursors: [0; Page::ALL.len()],
        }
    }
}

impl Model {
    /// The rows of the page, as the filter leaves them.
    #[must_use]
    pub(super) fn rows(&self) -> Vec<Row<'_>> {
        rows::of(self)
    }

    /// Which row is chosen.
    #[must_use]
    pub(super) fn cursor(&self) -> Option<usize> {
        let rows = self.rows().len();
        (rows > 0).then(|| self.cursors[self.page as usize].min(rows - 1))
    }

    /// The name or id of what is chosen.
    #[must_use]
    pub(super) fn target(&self) -> Option<String> {
        let rows = self.rows();
        rows.get(self.cursor()?).map(|row| row.target.to_owned())
    }

    /// The job whose steps are wanted.
    #[must_use]
    pub(super) fn wanted_job(&self) -> Option<String> {
        (self.page == Page::Jobs).then(|| self.target()).flatten()
    }

    /// Takes one input in.
    pub(super) fn update(&mut self, input: Input) -> Option<Effect> {
        match input {
            Input::Key(key) => return self.key(key),
            Input::Live(live) => {
                let chosen = self.target();
                self.live = Some(*live);
                self.lost = None;
                self.follow(chosen.as_deref());
            }
            Input::Events(events) => {
                let was_last = self.cursors[Page::Log as usize] + 1 >= self.events.len();
                self.events = events.into_iter().filter(|event| event.event_type != "heartbeat").collect();
                if was_last {
                    self.cursors[Page::Log as usize] = self.events.len().saturating_sub(1);
                }
            }
            Input::Steps(job) => self.steps = Some(*job),
            Input::Blast(blast) => {
                if let Some(dialog) = &mut self.dialog {
                    dialog.blast = Some(blast);
                }
            }
            Input::Done(done) => self.notice = Some(Notice::Good(super::words::done(&done))),
            Input::Lost(why) => self.lost = Some(why),
            Input::Refused(why) => self.notice = Some(Notice::Bad(why)),
        }
        None
    }

    /// Keeps the cursor on what was chosen when rows come and go.
    fn follow(&mut self, chosen: Option<&str>) {
        let at = self.rows().iter().position(|row| Some(row.target) == chosen);
        if let Some(at) = at {
            self.cursors[self.page as usize] = at;
        }
    }

    fn key(&mut self, key: Key) -> Option<Effect> {
        if let Some(dialog) = &mut self.dialog {
            return match key {
                Key::Back => {
                    self.dialog = None;
                    None
                }
                Key::Quit => Some(Effect::Quit),
                Key::Enter => {
                    let order = dialog.order()?;
                    self.dialog = None;
                    self.notice = None;
                    Some(Effect::Act(order))
                }
                key => dialog.key(key),
            };
        }
        if self.searching {
            self.search(key);
            return (key == Key::Quit).then_some(Effect::Quit);
        }
        match key {
            Key::Quit | Key::Letter('q') => return Some(Effect::Quit),
            Key::Back => self.filter.clear(),
            Key::Next => self.page = self.page.turned(1),
            Key::Previous => self.page = self.page.turned(Page::ALL.len() - 1),
            Key::Move(by) => self.step(by),
            Key::First => self.cursors[self.page as usize] = 0,
            Key::Last => self.cursors[self.page as usize] = self.rows().len().saturating_sub(1),
            Key::Letter(letter) => return self.letter(letter),
            Key::Enter | Key::Erase => {}
        }
        None
    }

    fn search(&mut self, key: Key) {
        match key {
            Key::Letter(letter) => self.filter.push(letter),
            Key::Erase => drop(self.filter.pop()),
            Key::Back => {
                self.filter.clear();
                self.searching = false;
            }
            Key::Enter => self.searching = false,
            Key::Move(by) => self.step(by),
            _ => {}
        }
    }

    fn step(&mut self, by: isize) {
        let last = self.rows().len().saturating_sub(1);
        let at = self.cursor().unwrap_or_default();
        self.cursors[self.page as usize] = at.saturating_add_signed(by).min(last);
    }

    fn letter(&mut self, letter: char) -> Option<Effect> {
        match letter {
            '1'..='4' => self.page = Page::ALL[letter as usize - '1' as usize],
            'j' => self.step(1),
            'k' => self.step(-1),
            'g' => self.cursors[self.page as usize] = 0,
            'G' => self.cursors[self.page as usize] = self.rows().len().saturating_sub(1),
            '/' => self.searching = true,
            'p' => return self.ask(Action::Pause),
            'r' => return self.ask(Action::Resume),
            'R' => return self.ask(Action::Restart),
            'K' => return self.ask(Action::Kill),
            'm' => return self.ask(Action::Reassign),
            'a' => return self.ask(Action::Approve),
            'x' => return self.ask(Action::Reject),
            _ => {}
        }
        None
    }

    /// Opens the dialog of an action on what is chosen.
    fn ask(&mut self, action: Action) -> Option<Effect> {
        if !self.page.offers(action) {
            return None;
        }
        let dialog = Dialog::new(action, self.target()?);
        let effect = dialog.ask_blast();
        self.dialog = Some(dialog);
        effect
    }
}
