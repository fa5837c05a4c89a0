//! A counter that panics on zero, under a supervisor that restarts it: what is lost, what is kept, and what the
//! tree and the trace show of it.

use std::time::Duration;

use pas_supervision::policy::SupervisorPolicy;
use pas_supervision::{
    Actor, ActorContext, ActorError, ActorMessage, ActorSystem, ReplySender, WorkerOptions,
};

enum CounterMessage {
    Divide(u32),
    Handled(ReplySender<u32>),
}

impl ActorMessage for CounterMessage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Divide(_) => "divide",
            Self::Handled(_) => "handled",
        }
    }
}

/// Divisions of this incarnation: a restart begins at none.
#[derive(Default)]
struct FlakyCounter(u32);

impl Actor for FlakyCounter {
    type Message = CounterMessage;

    async fn handle(
        &mut self,
        message: CounterMessage,
        _: &ActorContext<CounterMessage>,
    ) -> Result<(), ActorError> {
        match message {
            CounterMessage::Divide(by) => self.0 += u32::from(100 / by > 0),
            CounterMessage::Handled(reply) => reply.send(self.0),
        }
        Ok(())
    }
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let system = ActorSystem::default();
    let start = |_| async { Ok(FlakyCounter::default()) };
    let (child, counter) = system.worker("counter", WorkerOptions::default(), start);
    let root = system.start("root", SupervisorPolicy::default(), vec![child]).await?;

    // The zero crashes the actor. What was queued behind it is handled by the next incarnation, at the same address.
    for by in [5, 4, 0, 2, 1] {
        counter.send(CounterMessage::Divide(by)).await?;
    }
    let handled = counter.call(Duration::from_secs(10), CounterMessage::Handled).await?;
    println!("the second incarnation divided {handled} times");

    let node = system.tree().by_name("counter").ok_or("the counter is in the tree")?;
    let state = node.state();
    let last = state.last_exit.map_or_else(String::new, |(reason, at)| format!(", last at {at} ({reason})"));
    println!("it was restarted {} time(s){last}", state.restarts);
    for record in system.ring().select(|record| record.to == counter.number()) {
        println!("{:>8} {:?} after {} ns", record.kind, record.outcome, record.ended_ns - record.sent_ns);
    }
    root.shutdown().await;
    Ok(())
}
