//! An actor that panics when it is asked to, for the benches of restarts.

use pas::supervision::{Actor, ActorContext, ActorError, ActorMessage, ReplySender};

pub(crate) enum FragileMessage {
    Crash,
    Ping(ReplySender<()>),
}

impl ActorMessage for FragileMessage {
    fn kind(&self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Ping(_) => "ping",
        }
    }
}

/// Panics on request, and answers otherwise.
pub(crate) struct FragileActor;

impl Actor for FragileActor {
    type Message = FragileMessage;

    async fn handle(
        &mut self,
        message: FragileMessage,
        _: &ActorContext<FragileMessage>,
    ) -> Result<(), ActorError> {
        match message {
            FragileMessage::Crash => panic!("on purpose"),
            FragileMessage::Ping(reply) => reply.send(()),
        }
        Ok(())
    }
}
