//! Runs checked calls: the only way from an agent's loop to the tools.
//!
//! Owns [`ToolBox`] and [`ToolSession`]. Invariants: every call has exactly one return; a return fits the
//! session's budget; only offered tools run. Failure policy: nothing here fails; a failure is the text of a
//! return.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};

use super::answer::{FILE_RESULT_CAP, FileContext, ToolText};
use super::call::{CallScope, CallWork, CheckedCall, FileCall, no_tree};
use super::catalogue::{PresentExecutors, ThinkerRole, ToolCatalogue, ToolOffer};
use super::command::{CommandEnd, CommandRequest, CommandRunner, command_answer};
use super::denial::DenialScene;
use super::edit::edit;
use super::failure::{FailureClass, ToolFailure};
use super::glob::glob;
use super::grep::grep;
use super::name::{ToolClass, ToolName};
use super::outward::{OutwardAct, OutwardRunner, SqlReader};
use super::patch::patch;
use super::read::read;
use super::returned::ToolReturn;
use super::seen::SeenFiles;
use super::spill::{CutShape, ResultSpill, cut_result};
use super::sql::SqlStatement;
use super::tree::ToolTree;
use super::write::write;
use pas_domain::agent::Rights;

/// How long a search may take.
const SEARCH_TIME: Duration = Duration::from_secs(5);
/// The least room for a result: a failure must fit.
const MIN_CAP: usize = 1024;

/// The executors of everything but file tools.
#[derive(Clone, Default)]
pub struct ToolExecutors {
    pub commands: Option<Arc<dyn CommandRunner>>,
    pub outward: Option<Arc<dyn OutwardRunner>>,
    pub sql: Option<Arc<dyn SqlReader>>,
}

impl ToolExecutors {
    fn present(&self) -> PresentExecutors {
        PresentExecutors {
            commands: self.commands.is_some(),
            outward: self.outward.as_ref().map(|runner| runner.reach()).unwrap_or_default(),
            connections: self.sql.as_ref().map(|sql| sql.connections()).unwrap_or_default(),
        }
    }
}

/// Facts remembered between an agent's calls within one job.
pub struct ToolSession {
    pub seen: SeenFiles,
    pub spill: Box<dyn ResultSpill>,
    /// Most bytes of one result, by the room left in the window.
    pub budget: usize,
}

impl ToolSession {
    fn cap(&self) -> usize {
        self.budget.max(MIN_CAP)
    }
}

pub struct ToolBox {
    tree: Option<Arc<ToolTree>>,
    rights: Rights,
    can_push: bool,
    executors: ToolExecutors,
    offers: Vec<ToolOffer>,
}

impl ToolBox {
    /// The tools that `rights` grant to an agent in this role, over `tree` and the available executors.
    #[must_use]
    pub fn new(
        rights: Rights,
        role: ThinkerRole,
        tree: Option<Arc<ToolTree>>,
        executors: ToolExecutors,
    ) -> Self {
        let present = executors.present();
        let offers = ToolCatalogue::for_rights(rights, role, &present);
        let can_push = present.outward.push && role != ThinkerRole::Reviewer;
        Self { tree, rights: role.narrowed(rights), can_push, executors, offers }
    }

    #[must_use]
    pub fn offers(&self) -> &[ToolOffer] {
        &self.offers
    }

    /// Checks a call as written by the model.
    ///
    /// # Errors
    /// When this agent has no such tool, or the arguments are wrong.
    pub fn check(&self, name: &str, arguments_json: &str) -> Result<CheckedCall, ToolFailure> {
        let scope = CallScope { offers: &self.offers, tree: self.tree.as_deref(), can_push: self.can_push };
        scope.check(name, arguments_json)
    }

    /// Checks and runs a call, unless outward: such an act needs a person's consent between [`Self::check`]
    /// and [`Self::run_checked`].
    pub async fn run(&self, name: &str, arguments_json: &str, session: &mut ToolSession) -> ToolReturn {
        match self.check(name, arguments_json) {
            Ok(call) if call.class() == ToolClass::Outward => {
                let why = "this act has effects outside of the working tree, and nobody has approved it.";
                let advice = "go on without it, and report that it is to be done.";
                let failure = ToolFailure::new(FailureClass::NotGranted, name, why, advice);
                ToolReturn::failed(failure, session.cap())
            }
            Ok(call) => self.run_checked(call, session).await,
            Err(failure) => ToolReturn::failed(failure, session.cap()),
        }
    }

    /// Runs a call that was checked and, if outward, approved. Work on files blocks the thread, and is handed
    /// over by the runtime where it can.
    pub async fn run_checked(&self, call: CheckedCall, session: &mut ToolSession) -> ToolReturn {
        let tool = call.tool();
        let result = match call.work {
            CallWork::File(file) => blocking(|| self.run_file(tool, &file, session)),
            CallWork::Commands(requests) => self.run_commands(tool, requests, session).await,
            CallWork::Query(statement) => self.run_query(statement, session).await,
            CallWork::Outward(act) => self.run_outward(act, session).await,
            CallWork::Control(control) => {
                let text = format!("{} noted.", tool.as_str());
                let returned = ToolReturn::of(Ok(ToolText::unchanged(text)), session.cap());
                return ToolReturn { control: Some(control), ..returned };
            }
        };
        ToolReturn::of(result, session.cap())
    }

    fn run_file(
        &self,
        tool: ToolName,
        call: &FileCall,
        session: &mut ToolSession,
    ) -> Result<ToolText, ToolFailure> {
        let start = Instant::now();
        let expired = || start.elapsed() > SEARCH_TIME;
        let cap = FILE_RESULT_CAP.min(session.cap());
        let context = &mut FileContext {
            tree: self.tree.as_deref().ok_or_else(|| no_tree(tool))?,
            seen: &mut session.seen,
            spill: &mut *session.spill,
            cap,
        };
        match call {
            FileCall::Read(arguments) => read(arguments, context),
            FileCall::Grep(arguments) => grep(arguments, context, &expired),
            FileCall::Glob(arguments) => glob(arguments, context, &expired),
            FileCall::Write(arguments) => write(arguments, context),
            FileCall::Edit(arguments) => edit(arguments, context),
            FileCall::Patch(arguments) => patch(arguments, context),
        }
    }

    async fn run_commands(
        &self,
        tool: ToolName,
        requests: Vec<CommandRequest>,
        session: &mut ToolSession,
    ) -> Result<ToolText, ToolFailure> {
        let runner = self.executors.commands.as_ref().ok_or_else(|| no_executor(tool.as_str()))?;
        let mut end = CommandEnd::default();
        for request in requests {
            let next = runner.run(request).await.map_err(|refusal| refusal.failure(tool.as_str()))?;
            end = joined(end, next);
            if end.exit != Some(0) || end.timed_out {
                break;
            }
        }
        let mut roots = runner.reachable();
        roots.extend(self.tree.iter().flat_map(|tree| tree.roots()).cloned());
        let cap = session.cap();
        let scene = DenialScene { rights: self.rights, roots: &roots };
        Ok(command_answer(&end, &scene, cap, &mut *session.spill))
    }

    async fn run_query(
        &self,
        statement: SqlStatement,
        session: &mut ToolSession,
    ) -> Result<ToolText, ToolFailure> {
        let reader = self.executors.sql.as_ref().ok_or_else(|| no_executor("sql"))?;
        let rows = reader.query(statement).await.map_err(|fault| {
            ToolFailure::new(
                FailureClass::CommandFailed,
                "sql",
                format!("{fault}."),
                "correct the statement.",
            )
        })?;
        Ok(cut_answer(&rows, session))
    }

    async fn run_outward(&self, act: OutwardAct, session: &mut ToolSession) -> Result<ToolText, ToolFailure> {
        let tool = act.tool();
        let runner = self.executors.outward.as_ref().ok_or_else(|| no_executor(tool))?;
        let end = runner.carry_out(act).await.map_err(|refusal| refusal.failure(tool))?;
        let mut answer = cut_answer(&end.output, session);
        answer.class = (!end.succeeded).then_some(FailureClass::CommandFailed);
        Ok(answer)
    }
}

fn cut_answer(output: &[u8], session: &mut ToolSession) -> ToolText {
    let cap = FILE_RESULT_CAP.min(session.cap());
    let cut = cut_result(output, cap, CutShape::HeadAndTail, &mut *session.spill);
    let text = if cut.text.is_empty() { "[no output]\n".to_owned() } else { cut.text };
    ToolText { text, full_output: cut.full_output, ..ToolText::default() }
}

fn no_executor(tool: &str) -> ToolFailure {
    let why = "nothing on this machine carries it out.";
    ToolFailure::new(FailureClass::NotGranted, tool, why, "go on without it, or report the obstacle.")
}

/// Two commands as one: the end of the second, with the output and changes of both.
fn joined(mut first: CommandEnd, mut second: CommandEnd) -> CommandEnd {
    first.output.append(&mut second.output);
    let changed_files = match (first.changed_files, second.changed_files) {
        (Some(mut files), Some(more)) => {
            files.extend(more);
            files.sort();
            files.dedup();
            Some(files)
        }
        (one, other) => one.or(other),
    };
    CommandEnd {
        output: first.output,
        output_lost: first.output_lost + second.output_lost,
        elapsed: first.elapsed + second.elapsed,
        ended_processes: first.ended_processes + second.ended_processes,
        changed_files,
        ..second
    }
}

fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current() {
        Ok(handle) if handle.runtime_flavor() == RuntimeFlavor::MultiThread => {
            tokio::task::block_in_place(work)
        }
        _ => work(),
    }
}

#[cfg(test)]
mod tests;
