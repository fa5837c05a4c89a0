//! The daily file of alerts: `artifacts/hmi/events/heartbeat_alerts_<YYYYMMDD>.jsonl`, a line an alert.
//!
//! Owned by one task of the heartbeat monitor, so lines keep their order and the actor never waits for the
//! disk. Failure policy: an alert that cannot be written, or finds the queue full, is logged and missing only
//! from the file; the monitor goes on.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::domain::heartbeat::HeartbeatAlert;
use crate::supervision::{ActorContext, ActorMessage};

/// The folder of the files, relative to the working directory.
pub const FOLDER: &str = "artifacts/hmi/events";
/// Alerts that may wait for the disk: enough for a start at which a thousand services are all missed.
const QUEUE: usize = 1024;
/// Longest wait for the last lines at an orderly end.
const FLUSH: Duration = Duration::from_secs(2);

enum AlertJournalEntry {
    Line(Box<HeartbeatAlert>),
    Flush(oneshot::Sender<()>),
}

/// The way in for alerts.
#[derive(Debug)]
pub(super) struct AlertJournal(mpsc::Sender<AlertJournalEntry>);

impl AlertJournal {
    /// Starts the writer as a task of the actor of `context`.
    pub(super) fn start<M: ActorMessage>(workdir: &Path, context: &ActorContext<M>) -> Self {
        let (sender, mut entries) = mpsc::channel(QUEUE);
        let folder = workdir.join(FOLDER);
        context.spawn(async move {
            while let Some(entry) = entries.recv().await {
                match entry {
                    AlertJournalEntry::Line(alert) => {
                        if let Err(error) = append(&folder, &alert).await {
                            tracing::warn!(folder = %folder.display(), %error, "an alert is not in its file");
                        }
                    }
                    // Nobody waits any more, which is fine.
                    AlertJournalEntry::Flush(done) => drop(done.send(())),
                }
            }
        });
        Self(sender)
    }

    /// Queues an alert; never waits.
    pub(super) fn append(&self, alert: &HeartbeatAlert) {
        if self.0.try_send(AlertJournalEntry::Line(Box::new(alert.clone()))).is_err() {
            tracing::warn!(
                service = alert.service_id,
                "an alert is not in its file: too many are waiting for the disk"
            );
        }
    }

    /// Waits until all queued alerts are written, at most for [`FLUSH`].
    pub(super) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        let flushed = async {
            self.0.send(AlertJournalEntry::Flush(done)).await.ok()?;
            written.await.ok()
        };
        if timeout(FLUSH, flushed).await.is_err() {
            tracing::warn!("the last alerts may not be in their file: the disk takes too long");
        }
    }
}

/// The file of an alert's day.
fn file_of(folder: &Path, alert: &HeartbeatAlert) -> PathBuf {
    folder.join(format!("heartbeat_alerts_{}.jsonl", alert.ts.date()))
}

/// The day in the name of a file of alerts; `None` for other names.
pub(super) fn day_of(name: &str) -> Option<&str> {
    name.strip_prefix("heartbeat_alerts_")?.strip_suffix(".jsonl")
}

async fn append(folder: &Path, alert: &HeartbeatAlert) -> io::Result<()> {
    let mut line = serde_json::to_vec(alert)?;
    line.push(b'\n');
    tokio::fs::create_dir_all(folder).await?;
    let mut file =
        tokio::fs::OpenOptions::new().create(true).append(true).open(file_of(folder, alert)).await?;
    // One write for each line: in append mode, lines of two daemons would not mix either.
    file.write_all(&line).await?;
    file.flush().await
}
