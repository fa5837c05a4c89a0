//! The phases and deadlines of one connection.
//!
//! hyper's own header timeout starts when the connection falls silent, so it cannot distinguish an idle
//! keep-alive client from one that sends a head byte by byte; here each case has a deadline. Invariant: a
//! connection is always in one phase, and only a running request (which includes a streamed or upgraded
//! answer) has no deadline, unless the client has stopped reading. All transitions happen while the
//! connection's task is polled, so the watch needs no wake-ups.
//!
//! Failure policy: an overdue connection is dropped without an answer; nobody is there to read one.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};

use super::limits::PortLimits;
use super::places::EdgePlace;

/// The limit that a connection has exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OverdueLimit {
    /// The request head did not arrive in time.
    Head,
    /// No new request came on a kept-alive connection.
    Idle,
    /// The client does not read the answer.
    Write,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConnectionPhase {
    Head,
    Running,
    Idle,
}

#[derive(Debug)]
struct ConnectionActivity {
    phase: ConnectionPhase,
    since: Instant,
    stalled_since: Option<Instant>,
}

/// The shared view of one connection's activity.
#[derive(Debug, Clone)]
pub(super) struct ConnectionPulse(Arc<Mutex<ConnectionActivity>>);

impl ConnectionPulse {
    /// A fresh connection: the first head is due.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(ConnectionActivity {
            phase: ConnectionPhase::Head,
            since: Instant::now(),
            stalled_since: None,
        })))
    }

    fn enter(&self, phase: ConnectionPhase) {
        let mut activity = self.0.lock();
        activity.phase = phase;
        activity.since = Instant::now();
    }

    /// A request's head is complete; the handler runs.
    pub(super) fn request_started(&self) {
        self.enter(ConnectionPhase::Running);
    }

    /// The answer has been handed to the socket, or abandoned.
    pub(super) fn response_ended(&self) {
        self.enter(ConnectionPhase::Idle);
    }

    /// Since when no request is running and no answer waits for its client.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let activity = self.0.lock();
        let is_idle = activity.phase != ConnectionPhase::Running && activity.stalled_since.is_none();
        is_idle.then_some(activity.since)
    }

    fn bytes_arrived(&self) {
        let mut activity = self.0.lock();
        if activity.phase == ConnectionPhase::Idle {
            activity.phase = ConnectionPhase::Head;
            activity.since = Instant::now();
        }
    }

    fn wrote(&self, progress: bool) {
        let mut activity = self.0.lock();
        if progress {
            activity.stalled_since = None;
        } else if activity.stalled_since.is_none() {
            activity.stalled_since = Some(Instant::now());
        }
    }

    fn deadline(&self, limits: &PortLimits) -> Option<(Instant, OverdueLimit)> {
        let activity = self.0.lock();
        let phase = match activity.phase {
            ConnectionPhase::Head => Some((activity.since + limits.header_read, OverdueLimit::Head)),
            ConnectionPhase::Idle => Some((activity.since + limits.keep_alive_idle, OverdueLimit::Idle)),
            ConnectionPhase::Running => None,
        };
        let stall = activity.stalled_since.map(|since| (since + limits.write_stall, OverdueLimit::Write));
        [phase, stall].into_iter().flatten().min_by_key(|(at, _)| *at)
    }
}

/// Drives `connection` until its end or a missed deadline.
///
/// # Errors
/// The limit that the connection exceeded; the caller drops it.
pub(super) async fn until_overdue<C: Future>(
    mut connection: Pin<&mut C>,
    pulse: &ConnectionPulse,
    limits: &PortLimits,
) -> Result<C::Output, OverdueLimit> {
    let mut alarm = std::pin::pin!(sleep_until(Instant::now() + limits.header_read));
    poll_fn(move |cx| {
        if let Poll::Ready(output) = connection.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        loop {
            let Some((at, overdue)) = pulse.deadline(limits) else { return Poll::Pending };
            if at <= Instant::now() {
                return Poll::Ready(Err(overdue));
            }
            // An early alarm costs one check; moving the alarm on every request costs more.
            if alarm.deadline() > at || alarm.is_elapsed() {
                alarm.as_mut().reset(at);
            }
            if alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// A connection's socket: reports activity and keeps the connection's place under the cap, even when the
/// connection was upgraded and moved to a handler's task.
#[derive(Debug)]
pub(super) struct WatchedStream {
    stream: TcpStream,
    pulse: ConnectionPulse,
    _places: ConnectionPlaces,
}

/// A connection's place on its port, and among all connections.
pub(super) type ConnectionPlaces = (OwnedSemaphorePermit, EdgePlace);

impl WatchedStream {
    pub(super) fn new(stream: TcpStream, pulse: ConnectionPulse, places: ConnectionPlaces) -> Self {
        Self { stream, pulse, _places: places }
    }

    fn report_write<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.pulse.wrote(outcome.is_ready());
        outcome
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.pulse.bytes_arrived();
        }
        outcome
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.report_write(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.report_write(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::pin::pin;
    use std::time::Duration;

    use super::*;

    async fn end_of(pulse: &ConnectionPulse) -> (OverdueLimit, Duration) {
        let begun = Instant::now();
        let never = pin!(pending::<()>());
        let overdue = until_overdue(never, pulse, &PortLimits::default()).await.unwrap_err();
        (overdue, begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn each_phase_has_its_own_deadline() {
        let limits = PortLimits::default();
        let pulse = ConnectionPulse::new();
        let (overdue, after) = end_of(&pulse).await;
        assert_eq!(overdue, OverdueLimit::Head);
        assert!(after >= limits.header_read && after < limits.header_read * 2, "{after:?}");
        pulse.response_ended();
        let (overdue, after) = end_of(&pulse).await;
        assert_eq!(overdue, OverdueLimit::Idle);
        assert!(after >= limits.keep_alive_idle && after < limits.keep_alive_idle * 2, "{after:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn dripped_bytes_do_not_move_the_deadline_of_a_head() {
        let limits = PortLimits::default();
        let pulse = ConnectionPulse::new();
        pulse.response_ended();
        pulse.bytes_arrived();
        let due = pulse.deadline(&limits);
        tokio::time::advance(limits.header_read / 2).await;
        pulse.bytes_arrived();
        assert_eq!(pulse.deadline(&limits), due);
    }

    #[tokio::test(start_paused = true)]
    async fn a_running_answer_is_cut_only_when_nobody_takes_its_bytes() {
        let limits = PortLimits::default();
        let pulse = ConnectionPulse::new();
        pulse.request_started();
        assert_eq!(pulse.deadline(&limits), None);
        pulse.wrote(false);
        assert_eq!(end_of(&pulse).await.0, OverdueLimit::Write);
        pulse.wrote(true);
        assert_eq!(pulse.deadline(&limits), None);
    }
}
