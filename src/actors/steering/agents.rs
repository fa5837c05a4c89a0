//! Actions on agents: pause, resume, restart, kill; on one, or on one with all agents below.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout};

use super::proof::{AgentProof, ProofReadings, SteeringScope};
use super::{SteeringAnswer, SteeringDeps, SteeringError, SteeringRequest};
use crate::actors::gateway::WatchedCalls;
use crate::domain::ids::AgentName;
use crate::domain::steering::{SteeringAction, in_hands};
use crate::supervision::policy::PlannedRestart;
use crate::supervision::tree::{ActorNode, ActorPhase};
use crate::supervision::{ControlError, SupervisionEvent, kill_scope};

/// How long an agent may take to be back: a start reads the store, some milliseconds.
const BACK_WAIT: Duration = Duration::from_secs(5);
/// Names listed in a message before the rest is counted.
const LISTED: usize = 3;

impl SteeringDeps {
    /// An agent, or an agent and those below it, each before its own descendants.
    pub(super) fn agents(&self, top: &AgentName, subtree: bool) -> Vec<Arc<str>> {
        let roster = self.jobs.agents.roster();
        let mut names = vec![Arc::from(top.as_str())];
        if subtree {
            for below in roster.children_of(top) {
                names.extend(self.agents(&below.name, true));
            }
        }
        names
    }

    /// Pauses or resumes the messages of agents.
    pub(super) fn pause_agents(
        &self,
        request: &SteeringRequest,
        top: &AgentName,
    ) -> Result<SteeringAnswer, SteeringError> {
        let is_pause = request.action == SteeringAction::Pause;
        let mut changed = Vec::new();
        for name in self.agents(top, request.subtree) {
            let was_paused = self.node(&name)?.vitals().is_some_and(|vitals| vitals.paused);
            self.system.set_paused(&name, is_pause)?;
            if was_paused != is_pause {
                changed.push(name);
            }
        }
        Ok(SteeringAnswer::without_proof(match (is_pause, changed.as_slice()) {
            (true, []) => format!("`{top}` was paused already; nothing changed"),
            (false, []) => format!("`{top}` was not paused; nothing changed"),
            (true, names) => format!("paused {}: messages wait until it is resumed", listed(names)),
            (false, names) => format!("resumed {}", listed(names)),
        }))
    }

    fn node(&self, name: &str) -> Result<Arc<ActorNode>, ControlError> {
        self.system.tree().by_name(name).ok_or_else(|| ControlError::Unknown(name.to_owned()))
    }

    /// Kills or restarts these workers, waits until they are back, and proves which work ended with them.
    pub(super) async fn end_agents(
        &self,
        request: &SteeringRequest,
        named: Vec<Arc<str>>,
    ) -> Result<SteeringAnswer, SteeringError> {
        let is_kill = request.action == SteeringAction::Kill;
        let touched = if is_kill { self.ended_with(&named)? } else { named.clone() };
        let readings = ProofReadings::take(self, self.concern_of(&touched)?);
        let named: HashSet<Arc<str>> = named.into_iter().collect();
        let (mut covered, mut lives, mut words) = (HashSet::<Arc<str>>::new(), Vec::new(), 0);
        for name in &touched {
            // A worker that ends together with another, by their supervisor's strategy, is not signalled
            // itself.
            let is_told = named.contains(name) && !covered.contains(name);
            if is_told && is_kill {
                covered.extend(self.ended_with(std::slice::from_ref(name))?);
            }
            words += usize::from(is_told);
            lives.push(self.end_one(self.node(name)?, is_told.then_some(request.action)));
        }
        let (agents, errors): (Vec<AgentProof>, Vec<_>) = join_all(lives).await.into_iter().unzip();
        let mut errors: Vec<ControlError> = errors.into_iter().flatten().collect();
        // Of many, some may be down already; the others count.
        if errors.len() == words
            && let Some(error) = errors.pop()
        {
            return Err(error.into());
        }
        readings.end_calls();
        let message = outcome_sentence(if is_kill { "killed" } else { "restarted" }, &agents);
        let proof = readings.proof(agents).await;
        Ok(SteeringAnswer { message, proof: Some(proof) })
    }

    /// All workers that end when these are killed, by the strategies of their supervisors.
    pub(super) fn ended_with(&self, named: &[Arc<str>]) -> Result<Vec<Arc<str>>, ControlError> {
        let tree = self.system.tree();
        let (mut ended, mut seen) = (Vec::new(), HashSet::new());
        for name in named {
            for no in kill_scope::of_kill(tree, self.node(name)?.number) {
                if seen.insert(no) {
                    ended.push(tree.name_of(no));
                }
            }
        }
        Ok(ended)
    }

    /// Watches the current model calls of these workers.
    pub(super) fn calls_of(&self, workers: &[Arc<str>]) -> Result<WatchedCalls, SteeringError> {
        let concern = self.concern_of(workers)?;
        Ok(self.gateway.watch_calls(|owner| concern.has_owner(owner)))
    }

    /// The jobs these workers have claimed, and the calls they make.
    fn concern_of(&self, workers: &[Arc<str>]) -> Result<SteeringScope, SteeringError> {
        let agents: HashSet<AgentName> =
            workers.iter().filter_map(|name| AgentName::new(&**name).ok()).collect();
        let active = self.jobs.book.active()?;
        let jobs = in_hands(&active, &agents).map(|job| job.id.clone()).collect();
        Ok(SteeringScope { agents, jobs, with_those_below: false })
    }

    /// Ends a worker, unless another's end includes it, and waits until the worker is back.
    fn end_one(
        &self,
        node: Arc<ActorNode>,
        how: Option<SteeringAction>,
    ) -> impl Future<Output = (AgentProof, Option<ControlError>)> {
        // Subscribed before any worker is signalled, so that no incarnation and no event is missed.
        let (before, happenings) = (node.state().incarnation, self.system.events().subscribe());
        async move {
            let began = Instant::now();
            let told = match how {
                Some(SteeringAction::Kill) => self.system.kill(&node.name).await.map(|_| ()),
                Some(_) => self.system.restart(&node.name, PlannedRestart::Operator).await.map(|_| ()),
                None => Ok(()),
            };
            let is_back = told.is_ok() && timeout(BACK_WAIT, back(&node, before, happenings)).await.is_ok();
            let back_ms = is_back.then(|| began.elapsed().as_secs_f64() * 1e3);
            let after = node.state().incarnation;
            (AgentProof { name: Arc::clone(&node.name), before, after, back_ms }, told.err())
        }
    }
}

/// Waits until a worker is up in a later life than `before`.
async fn back(node: &ActorNode, before: u64, mut happenings: broadcast::Receiver<SupervisionEvent>) {
    loop {
        let state = node.state();
        if state.incarnation > before && state.phase == ActorPhase::Running {
            return;
        }
        // Missed events are made up for by reading the node; the log ends only with the system.
        if let Err(RecvError::Closed) = happenings.recv().await {
            std::future::pending::<()>().await;
        }
    }
}

/// The action with the number of agents, and how many of them are back.
fn outcome_sentence(done: &str, agents: &[AgentProof]) -> String {
    let names: Vec<_> = agents.iter().map(|agent| Arc::clone(&agent.name)).collect();
    let away = agents.iter().filter(|agent| agent.back_ms.is_none()).count();
    let back = match (agents, away) {
        ([only], 0) => format!("it is back as incarnation {}", only.after),
        (_, 0) => "all of them are back".to_owned(),
        ([_], _) => format!("it was not back within {} s", BACK_WAIT.as_secs()),
        (_, away) => format!("{away} of them were not back within {} s", BACK_WAIT.as_secs()),
    };
    format!("{done} {}; {back}", listed(&names))
}

/// `a`; `a` and `b`; `a`, `b`, `c` and 7 more.
fn listed(names: &[Arc<str>]) -> String {
    let quoted: Vec<String> = names.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(LISTED) {
        0 => match quoted.as_slice() {
            [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
            all => all.join(", "),
        },
        more => format!("{} and {more} more", quoted.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(name: &str, after: u64, back_ms: Option<f64>) -> AgentProof {
        AgentProof { name: name.into(), before: 1, after, back_ms }
    }

    #[test]
    fn the_words_say_how_many_and_who_is_missing() {
        let words = outcome_sentence("killed", &[life("a", 2, Some(0.5))]);
        assert_eq!(words, "killed `a`; it is back as incarnation 2");
        let words = outcome_sentence("killed", &[life("a", 2, Some(0.5)), life("b", 1, None)]);
        assert_eq!(words, "killed `a` and `b`; 1 of them were not back within 5 s");
        let five: Vec<_> = ["a", "b", "c", "d", "e"].map(|name| life(name, 2, Some(1.0))).into();
        assert_eq!(
            outcome_sentence("restarted", &five),
            "restarted `a`, `b`, `c` and 2 more; all of them are back"
        );
    }
}
