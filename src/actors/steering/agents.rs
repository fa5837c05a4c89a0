//! What is done to agents: pause, resume, restart, kill; one, or one with all below it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout};

use super::proof::{AgentProof, Concern, Readings};
use super::{Answer, Means, Request, SteerError};
use crate::actors::gateway::Watched;
use crate::domain::ids::AgentName;
use crate::domain::steering::{Action, in_hands};
use crate::supervision::policy::PlannedRestart;
use crate::supervision::tree::{Node, Phase};
use crate::supervision::{ControlError, SupervisionEvent, reach};

/// How long an agent may take to be back: its start is a read of the store, some milliseconds.
const BACK_WAIT: Duration = Duration::from_secs(5);
/// Names that a message lists before it counts.
const LISTED: usize = 3;

impl Means {
    /// An agent, or an agent and those below it, each before those below it.
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

    /// Holds messages back, or lets them go on.
    pub(super) fn pause_agents(&self, request: &Request, top: &AgentName) -> Result<Answer, SteerError> {
        let is_pause = request.action == Action::Pause;
        let mut changed = Vec::new();
        for name in self.agents(top, request.subtree) {
            let was_paused = self.node(&name)?.vitals().is_some_and(|vitals| vitals.paused);
            self.system.set_paused(&name, is_pause)?;
            if was_paused != is_pause {
                changed.push(name);
            }
        }
        Ok(Answer::told(match (is_pause, changed.as_slice()) {
            (true, []) => format!("`{top}` was paused already; nothing changed"),
            (false, []) => format!("`{top}` was not paused; nothing changed"),
            (true, names) => format!("paused {}: messages wait until it is resumed", listed(names)),
            (false, names) => format!("resumed {}", listed(names)),
        }))
    }

    fn node(&self, name: &str) -> Result<Arc<Node>, ControlError> {
        self.system.tree().by_name(name).ok_or_else(|| ControlError::Unknown(name.to_owned()))
    }

    /// Kills or restarts these workers, waits until they are back, and proves what went with them.
    pub(super) async fn end_agents(
        &self,
        request: &Request,
        named: Vec<Arc<str>>,
    ) -> Result<Answer, SteerError> {
        let is_kill = request.action == Action::Kill;
        let touched = if is_kill { self.ended_with(&named)? } else { named.clone() };
        let readings = Readings::take(self, self.concern_of(&touched)?);
        let named: HashSet<Arc<str>> = named.into_iter().collect();
        let (mut covered, mut lives, mut words) = (HashSet::<Arc<str>>::new(), Vec::new(), 0);
        for name in &touched {
            // One that its supervisor ends together with another needs no word of its own.
            let is_told = named.contains(name) && !covered.contains(name);
            if is_told && is_kill {
                covered.extend(self.ended_with(std::slice::from_ref(name))?);
            }
            words += usize::from(is_told);
            lives.push(self.end_one(self.node(name)?, is_told.then_some(request.action)));
        }
        let (agents, errors): (Vec<AgentProof>, Vec<_>) = join_all(lives).await.into_iter().unzip();
        let mut errors: Vec<ControlError> = errors.into_iter().flatten().collect();
        // Of many, some may be down already; what was done to the others counts.
        if errors.len() == words
            && let Some(error) = errors.pop()
        {
            return Err(error.into());
        }
        readings.end_calls();
        let message = told_of(if is_kill { "killed" } else { "restarted" }, &agents);
        let proof = readings.proof(agents).await;
        Ok(Answer { message, proof: Some(proof) })
    }

    /// All workers that end when these are killed, by the strategies of their supervisors.
    pub(super) fn ended_with(&self, named: &[Arc<str>]) -> Result<Vec<Arc<str>>, ControlError> {
        let tree = self.system.tree();
        let (mut ended, mut seen) = (Vec::new(), HashSet::new());
        for name in named {
            for no in reach::of_kill(tree, self.node(name)?.no) {
                if seen.insert(no) {
                    ended.push(tree.name_of(no));
                }
            }
        }
        Ok(ended)
    }

    /// Watches the calls of models that these workers make now.
    pub(super) fn calls_of(&self, workers: &[Arc<str>]) -> Result<Watched, SteerError> {
        let concern = self.concern_of(workers)?;
        Ok(self.gateway.watch_calls(|owner| concern.has_owner(owner)))
    }

    /// What these workers have in their hands: the jobs they have claimed, and the calls they make.
    fn concern_of(&self, workers: &[Arc<str>]) -> Result<Concern, SteerError> {
        let agents: HashSet<AgentName> =
            workers.iter().filter_map(|name| AgentName::new(&**name).ok()).collect();
        let active = self.jobs.book.active()?;
        let jobs = in_hands(&active, &agents).map(|job| job.id.clone()).collect();
        Ok(Concern { agents, jobs, with_those_below: false })
    }

    /// Ends a worker, where it is told to itself, and waits until it is back.
    fn end_one(
        &self,
        node: Arc<Node>,
        how: Option<Action>,
    ) -> impl Future<Output = (AgentProof, Option<ControlError>)> {
        // Now, before any other is told anything: no life and no event is missed.
        let (before, happenings) = (node.state().incarnation, self.system.events().subscribe());
        async move {
            let began = Instant::now();
            let told = match how {
                Some(Action::Kill) => self.system.kill(&node.name).await.map(|_| ()),
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
async fn back(node: &Node, before: u64, mut happenings: broadcast::Receiver<SupervisionEvent>) {
    loop {
        let state = node.state();
        if state.incarnation > before && state.phase == Phase::Running {
            return;
        }
        // Events that were missed are looked for in the node; the log ends with the system alone.
        if let Err(RecvError::Closed) = happenings.recv().await {
            std::future::pending::<()>().await;
        }
    }
}

/// What was done to how many, and how many of them are back.
fn told_of(done: &str, agents: &[AgentProof]) -> String {
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
        let words = told_of("killed", &[life("a", 2, Some(0.5))]);
        assert_eq!(words, "killed `a`; it is back as incarnation 2");
        let words = told_of("killed", &[life("a", 2, Some(0.5)), life("b", 1, None)]);
        assert_eq!(words, "killed `a` and `b`; 1 of them were not back within 5 s");
        let five: Vec<_> = ["a", "b", "c", "d", "e"].map(|name| life(name, 2, Some(1.0))).into();
        assert_eq!(told_of("restarted", &five), "restarted `a`, `b`, `c` and 2 more; all of them are back");
    }
}
