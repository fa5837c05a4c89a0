//! A handler's view of the request's connection.
//!
//! A module of its own, because accept loop, guard, trace and front all read it.

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::limits::PortLimits;

/// The connection of a request, as handlers see it; a request extension, cheap to clone.
#[derive(Debug, Clone)]
pub struct EdgeInfo(Arc<EdgeConnection>);

impl EdgeInfo {
    pub(super) fn new(connection: EdgeConnection) -> Self {
        Self(Arc::new(connection))
    }

    /// Runs work that outlives the request (an upgraded connection, a session) as a task of the edge, which
    /// waits for the task. The task should watch [`EdgeConnection::shutdown`]; after the grace it is dropped.
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
    type Target = EdgeConnection;

    fn deref(&self) -> &EdgeConnection {
        &self.0
    }
}

/// One connection of a client.
#[derive(Debug)]
pub struct EdgeConnection {
    /// The daemon's address, with the bound port.
    pub local: SocketAddr,
    pub peer: SocketAddr,
    pub limits: Arc<PortLimits>,
    /// Cancelled when the daemon shuts down: long answers end then.
    pub shutdown: CancellationToken,
    /// Cancelled when the grace period of the shutdown is over.
    pub(super) cut: CancellationToken,
    pub(super) tasks: TaskTracker,
}
