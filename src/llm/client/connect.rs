//! The time limit of making a connection, chosen call by call.
//!
//! reqwest has one limit a client, and its errors do not tell a slow connection from a slow answer. So the
//! limit travels with the task that sends, and a layer around the connector keeps it. Where hyper finishes
//! a connection in the background for the pool, no call waits for it and the default applies.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tower::{Layer, Service};

use super::Deadlines;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

tokio::task_local! {
    static LIMIT: Duration;
}

/// Connecting took too long.
#[derive(Debug, thiserror::Error)]
#[error("no connection within {0:?}")]
pub(super) struct TooSlow(Duration);

/// Runs `send` with this limit on the connections it makes.
pub(super) async fn within<F: Future>(limit: Duration, send: F) -> F::Output {
    LIMIT.scope(limit, send).await
}

/// The layer around the connector.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimeLimit;

impl<S> Layer<S> for TimeLimit {
    type Service = Limited<S>;
    fn layer(&self, connector: S) -> Limited<S> {
        Limited(connector)
    }
}

/// A connector with a time limit.
#[derive(Debug, Clone)]
pub(super) struct Limited<S>(S);

impl<S, R> Service<R> for Limited<S>
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
        let limit = LIMIT.try_get().unwrap_or(Deadlines::default().connect);
        let connecting = self.0.call(target);
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(connection) => connection,
                Err(_) => Err(TooSlow(limit).into()),
            }
        })
    }
}
