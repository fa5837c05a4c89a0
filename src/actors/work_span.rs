//! Work as spans of its trace, beside the messages: a step, a tool, a proof, a phase of a model call.
//!
//! Invariant: each span that begins is recorded once: as ended, or as killed where the work was dropped.

use crate::domain::trace::TraceContext;
use crate::supervision::ActorSystem;
use crate::supervision::trace::{ActorNumber, MessageOutcome, TraceRecord, TraceScope, current};

/// Work in progress.
pub(in crate::actors) struct WorkSpan {
    system: ActorSystem,
    /// Open until the work has ended.
    record: TraceRecord,
}

impl WorkSpan {
    /// Begins work of `actor`, caused by the current scope.
    pub(in crate::actors) fn begin(system: &ActorSystem, kind: &'static str, actor: ActorNumber) -> Self {
        Self::caused_by(current().as_ref(), system, kind, actor)
    }

    /// Begins work of the current scope's actor.
    pub(in crate::actors) fn here(system: &ActorSystem, kind: &'static str) -> Self {
        let actor = current().map_or(ActorNumber::OUTSIDE, |scope| scope.actor);
        Self::begin(system, kind, actor)
    }

    /// Begins work of `actor` for a job, wherever the notice of it came from.
    pub(in crate::actors) fn of_job(
        job: TraceContext,
        system: &ActorSystem,
        kind: &'static str,
        actor: ActorNumber,
    ) -> Self {
        let notice = current().filter(|scope| scope.context.trace == job.trace);
        let cause = notice.unwrap_or(TraceScope { context: job, actor: ActorNumber::OUTSIDE });
        Self::caused_by(Some(&cause), system, kind, actor)
    }

    fn caused_by(
        cause: Option<&TraceScope>,
        system: &ActorSystem,
        kind: &'static str,
        actor: ActorNumber,
    ) -> Self {
        let context = cause.map_or_else(TraceContext::new_root, |cause| cause.context.child());
        let now = system.ring().now_ns();
        let record = TraceRecord {
            trace: context.trace,
            span: context.span,
            parent: cause.map(|cause| cause.context.span),
            from: cause.map_or(ActorNumber::OUTSIDE, |cause| cause.actor),
            to: actor,
            kind,
            sent_ns: now,
            started_ns: now,
            ended_ns: 0,
            outcome: MessageOutcome::Open,
        };
        Self { system: system.clone(), record }
    }

    /// The scope in which the work runs, so that all it sends has this span as its cause.
    pub(in crate::actors) fn scope(&self) -> TraceScope {
        let context = TraceContext { trace: self.record.trace, span: self.record.span };
        TraceScope { context, actor: self.record.to }
    }

    /// Records the work as done.
    pub(in crate::actors) fn end(mut self, ok: bool) {
        self.close(if ok { MessageOutcome::Ok } else { MessageOutcome::Error });
    }

    fn close(&mut self, outcome: MessageOutcome) {
        self.record.ended_ns = self.system.ring().now_ns();
        self.record.outcome = outcome;
        self.system.ring().write(self.record);
    }
}

impl Drop for WorkSpan {
    fn drop(&mut self) {
        if self.record.outcome == MessageOutcome::Open {
            self.close(MessageOutcome::Killed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervision::trace::in_scope;

    const AGENT: ActorNumber = ActorNumber(7);

    fn written(system: &ActorSystem) -> Vec<TraceRecord> {
        system.ring().select(|record| record.to == AGENT)
    }

    #[tokio::test]
    async fn work_is_below_its_cause_and_is_the_cause_of_what_it_does() {
        let system = ActorSystem::default();
        let job = TraceContext::new_root();
        let step = WorkSpan::of_job(job, &system, "step", AGENT);
        in_scope(step.scope(), async { WorkSpan::begin(&system, "tool", AGENT).end(false) }).await;
        step.end(true);
        let mut spans = written(&system);
        spans.sort_by_key(|span| span.ended_ns);
        let [tool, step] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!((step.kind, step.parent, step.outcome), ("step", Some(job.span), MessageOutcome::Ok));
        assert_eq!((tool.kind, tool.parent, tool.outcome), ("tool", Some(step.span), MessageOutcome::Error));
        assert!(tool.trace == job.trace && step.ended_ns >= tool.ended_ns);
    }

    #[tokio::test]
    async fn a_notice_of_the_job_s_own_trace_is_the_cause_and_any_other_is_not() {
        let system = ActorSystem::default();
        let job = TraceContext::new_root();
        for (notice, cause) in [(job.child(), None), (TraceContext::new_root(), Some(job.span))] {
            let scope = TraceScope { context: notice, actor: ActorNumber(3) };
            let step = in_scope(scope, async { WorkSpan::of_job(job, &system, "step", AGENT) }).await;
            assert_eq!(step.record.parent, Some(cause.unwrap_or(notice.span)));
        }
    }

    #[test]
    fn dropped_work_was_killed() {
        let system = ActorSystem::default();
        drop(WorkSpan::begin(&system, "step", AGENT));
        assert_eq!(written(&system)[0].outcome, MessageOutcome::Killed);
    }
}
