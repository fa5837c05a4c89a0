//! A connect timeout per call.
//!
//! hyper's client has one timeout for all its connections. So the timeout travels with the sending task, and a
//! service around the connector enforces it. When hyper finishes a connection in the background for the pool, no
//! call waits for it and the default applies.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tower::Service;

use super::CallDeadlines;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

tokio::task_local! {
    static LIMIT: Duration;
}

/// The connect timeout passed.
#[derive(Debug, thiserror::Error)]
#[error("no connection within {0:?}")]
pub(super) struct ConnectTimeoutError(Duration);

/// Runs `send` with this timeout for its connections.
pub(super) async fn within<F: Future>(limit: Duration, send: F) -> F::Output {
    LIMIT.scope(limit, send).await
}

/// A connector with a timeout.
#[derive(Debug, Clone)]
pub(super) struct LimitedConnector<S>(pub(super) S);

impl<S, R> Service<R> for LimitedConnector<S>
where
    S: Service<R, Error = BoxError>,
    S::Future: Send + 'static,
    S::Response: 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, target: R) -> Self::Future {
        let limit = LIMIT.try_get().unwrap_or(CallDeadlines::default().connect);
        let connecting = self.0.call(target);
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(connection) => connection,
                Err(_) => Err(ConnectTimeoutError(limit).into()),
            }
        })
    }
}
