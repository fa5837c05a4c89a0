//! The dialog before an action: blast radius, reason, and the agent that takes over.

use super::model::{ConfirmedAction, TuiEffect, TuiKey};
use super::wire::TuiBlastRadius;
use crate::domain::steering::SteeringAction;

/// Longest reason that can be typed; the daemon takes more.
const MAX_TYPED: usize = 200;

/// A field that can be typed into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DialogField {
    /// The agent that takes the job over.
    To,
    Reason,
}

#[derive(Debug)]
pub(super) struct ActionDialog {
    pub(super) action: SteeringAction,
    pub(super) target: String,
    /// Whether the action includes the whole subtree.
    pub(super) subtree: bool,
    /// The agent that takes the job over; only for [`SteeringAction::Reassign`].
    pub(super) to: String,
    pub(super) reason: String,
    pub(super) field: DialogField,
    /// The blast radius; `None` until the daemon has answered.
    pub(super) blast: Option<TuiBlastRadius>,
}

impl ActionDialog {
    #[must_use]
    pub(super) const fn new(action: SteeringAction, target: String) -> Self {
        let field =
            if matches!(action, SteeringAction::Reassign) { DialogField::To } else { DialogField::Reason };
        Self { action, target, subtree: false, to: String::new(), reason: String::new(), field, blast: None }
    }

    /// Whether this action ends something, so that the blast radius is shown first.
    #[must_use]
    pub(super) const fn ends_something(&self) -> bool {
        matches!(self.action, SteeringAction::Kill | SteeringAction::Restart)
    }

    /// Whether the action can include the subtree.
    #[must_use]
    pub(super) const fn has_subtree(&self) -> bool {
        !matches!(self.action, SteeringAction::Reassign | SteeringAction::Approve | SteeringAction::Reject)
    }

    /// Asks for the blast radius, where the action has one.
    #[must_use]
    pub(super) fn ask_blast(&self) -> Option<TuiEffect> {
        self.ends_something().then(|| TuiEffect::AskBlast {
            action: self.action,
            target: self.target.clone(),
            subtree: self.subtree,
        })
    }

    /// Any key that does not end the dialog.
    pub(super) fn key(&mut self, key: TuiKey) -> Option<TuiEffect> {
        match key {
            TuiKey::Letter(letter) if self.typed().chars().count() < MAX_TYPED => self.typed().push(letter),
            TuiKey::Erase => drop(self.typed().pop()),
            TuiKey::Next if self.action == SteeringAction::Reassign => {
                self.field =
                    if self.field == DialogField::To { DialogField::Reason } else { DialogField::To };
            }
            TuiKey::Next if self.has_subtree() => {
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
            DialogField::To => &mut self.to,
            DialogField::Reason => &mut self.reason,
        }
    }

    /// The confirmed order; `None` while incomplete: no kill before the blast radius is on the screen.
    #[must_use]
    pub(super) fn order(&self) -> Option<ConfirmedAction> {
        let to = self.to.trim();
        let is_complete = match self.action {
            SteeringAction::Reassign => !to.is_empty(),
            _ => !self.ends_something() || self.blast.is_some(),
        };
        is_complete.then(|| ConfirmedAction {
            action: self.action,
            target: self.target.clone(),
            reason: self.reason.trim().to_owned(),
            subtree: self.subtree,
            to: (!to.is_empty()).then(|| to.to_owned()),
        })
    }
}
