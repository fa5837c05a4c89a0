//! A handler's view of the connection that its request came by.
//!
//! Stands below the accept loop, the guard, the trace and the front, which all read it.

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::limits::Limits;

/// What a handler may know about the connection its request came by; a request extension, cheap to clone.
#[derive(Debug, Clone)]
pub struct EdgeInfo(Arc<Connection>);

impl EdgeInfo {
    pub(super) fn new(connection: Connection) -> Self {
        Self(Arc::new(connection))
    }

    /// Runs what outlives its request (an upgraded connection, a session) as a task of the edge, which has
    /// not ended before it. It should watch [`Connection::shutdown`]; when the grace is over it is dropped.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let cut = self.cut.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = task => {}
                () = cut.cancelled() => {}
            }
        });
    }
}

impl Deref for EdgeInfo {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

/// One connection of a client.
#[derive(Debug)]
pub struct Connection {
    /// The daemon's side, with the port really bound.
    pub local: SocketAddr,
    pub peer: SocketAddr,
    pub limits: Arc<Limits>,
    /// Cancelled when the daemon shuts down: long answers end then.
    pub shutdown: CancellationToken,
    /// Cancelled when the grace of the shutdown is over.
    pub(super) cut: CancellationToken,
    pub(super) tasks: TaskTracker,
}
