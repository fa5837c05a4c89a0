//! The question before an action: whom it would touch, why, and who takes over.

use super::model::{Effect, Key, Order};
use super::wire::BlastRadius;
use crate::domain::steering::Action;

/// Longest reason that can be typed; the daemon takes more.
const MAX_TYPED: usize = 200;

/// A field that can be typed into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// Who takes the job over.
    To,
    Reason,
}

/// What is being asked.
#[derive(Debug)]
pub(super) struct Dialog {
    pub(super) action: Action,
    pub(super) target: String,
    /// With all below it.
    pub(super) subtree: bool,
    /// Who takes the job over; only for [`Action::Reassign`].
    pub(super) to: String,
    pub(super) reason: String,
    pub(super) field: Field,
    /// Whom it would touch; nothing until the daemon has answered.
    pub(super) blast: Option<BlastRadius>,
}

impl Dialog {
    /// Before anything is typed.
    #[must_use]
    pub(super) const fn new(action: Action, target: String) -> Self {
        let field = if matches!(action, Action::Reassign) { Field::To } else { Field::Reason };
        Self { action, target, subtree: false, to: String::new(), reason: String::new(), field, blast: None }
    }

    /// Whether this action ends something, so that it is first told what.
    #[must_use]
    pub(super) const fn ends_something(&self) -> bool {
        matches!(self.action, Action::Kill | Action::Restart)
    }

    /// Whether it can be meant for all below as well.
    #[must_use]
    pub(super) const fn has_subtree(&self) -> bool {
        !matches!(self.action, Action::Reassign | Action::Approve | Action::Reject)
    }

    /// Asks whom it would touch, where that matters.
    #[must_use]
    pub(super) fn ask_blast(&self) -> Option<Effect> {
        self.ends_something().then(|| Effect::AskBlast {
            action: self.action,
            target: self.target.clone(),
            subtree: self.subtree,
        })
    }

    /// A key other than those that end the dialog.
    pub(super) fn key(&mut self, key: Key) -> Option<Effect> {
        match key {
            Key::Letter(letter) if self.typed().chars().count() < MAX_TYPED => self.typed().push(letter),
            Key::Erase => drop(self.typed().pop()),
            Key::Next if self.action == Action::Reassign => {
                self.field = if self.field == Field::To { Field::Reason } else { Field::To };
            }
            Key::Next if self.has_subtree() => {
                self.subtree = !self.subtree;
                self.blast = None;
                return self.ask_blast();
            }
            _ => {}
        }
        None
    }

    fn typed(&mut self) -> &mut String {
        match self.field {
            Field::To => &mut self.to,
            Field::Reason => &mut self.reason,
        }
    }

    /// What was confirmed; nothing while it is not complete: no kill before it was told whom it touches.
    #[must_use]
    pub(super) fn order(&self) -> Option<Order> {
        let to = self.to.trim();
        let is_complete = match self.action {
            Action::Reassign => !to.is_empty(),
            _ => !self.ends_something() || self.blast.is_some(),
        };
        is_complete.then(|| Order {
            action: self.action,
            target: self.target.clone(),
            reason: self.reason.trim().to_owned(),
            subtree: self.subtree,
            to: (!to.is_empty()).then(|| to.to_owned()),
        })
    }
}
