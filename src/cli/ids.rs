//! Completion of partly typed ids.
//!
//! Invariant: a whole id always matches itself; a part must be unambiguous. The beginning of a run's id means
//! its root job, although the ids of all steps share that beginning.

use super::client::DaemonClient;
use super::exit::{CommandExit, CommandFailure};
use super::wire::{WireApproval, WireJob};

/// Jobs searched for a match: the largest page that the contract allows.
const NEWEST: &str = "1000";
/// Candidates named in an error; more don't help the choice.
const SHOWN: usize = 5;

/// The whole id of a job.
///
/// # Errors
/// No job matches, several do, or the daemon does not answer.
pub(super) async fn job(client: &DaemonClient, text: &str) -> Result<String, CommandFailure> {
    match client.get(&["jobs", text], &[]).await {
        Ok(_) => return Ok(text.to_owned()),
        Err(error) if error.is_not_found() || is_no_id(text) => {}
        Err(error) => return Err(error.into()),
    }
    let query = [("roots", "false".to_owned()), ("limit", NEWEST.to_owned())];
    let jobs: Vec<WireJob> = client.fetch_field(&["jobs"], &query, "jobs").await?;
    complete("job", text, jobs.iter().map(|job| job.job_id.as_str()))
}

/// The whole id of a run.
///
/// # Errors
/// As [`job`].
pub(super) async fn run(client: &DaemonClient, text: &str) -> Result<String, CommandFailure> {
    let job = job(client, text).await?;
    Ok(job.split('.').next().unwrap_or_default().to_owned())
}

/// The whole id of an approval, from a part of that id or of the waiting job's.
///
/// # Errors
/// As [`job`].
pub(super) async fn approval(client: &DaemonClient, text: &str) -> Result<String, CommandFailure> {
    let query = [("status", "all".to_owned())];
    let all: Vec<WireApproval> = client.fetch_field(&["approvals"], &query, "approvals").await?;
    if let Ok(id) = complete("approval", text, all.iter().map(|approval| approval.approval_id.as_str())) {
        return Ok(id);
    }
    let pending = || all.iter().filter(|approval| approval.status == "pending");
    let job = complete("approval", text, pending().map(|approval| approval.job_id.as_str()))?;
    let mut of_job = pending().filter(|approval| approval.job_id == job);
    match (of_job.next(), of_job.next()) {
        (Some(only), None) => Ok(only.approval_id.clone()),
        _ => Err(CommandFailure::usage(format!(
            "`{job}` waits for several approvals; `pas approvals` lists them"
        ))),
    }
}

/// The one id of `all` that equals `text`, or begins or ends with it.
///
/// # Errors
/// None matches, or several do.
pub(super) fn complete<'a>(
    what: &str,
    text: &str,
    all: impl Iterator<Item = &'a str>,
) -> Result<String, CommandFailure> {
    let mut found: Vec<&str> =
        all.filter(|id| !text.is_empty() && (id.starts_with(text) || id.ends_with(text))).collect();
    found.sort_unstable_by_key(|id| (id.len(), *id));
    found.dedup();
    let is_below =
        |id: &str, root: &str| id == root || id.strip_prefix(root).is_some_and(|s| s.starts_with('.'));
    match found.as_slice() {
        [] => Err(CommandFailure::not_found(format!(
            "no {what} has an id that equals `{text}`, or begins or ends with it"
        ))),
        [first, ..] if *first == text || found.iter().all(|id| is_below(id, first)) => {
            Ok((*first).to_owned())
        }
        many => {
            let shown = many[..many.len().min(SHOWN)].join("\n  ");
            let more = many.len().saturating_sub(SHOWN);
            let more = if more > 0 { format!("\n  … and {more} more") } else { String::new() };
            Err(CommandFailure::new(
                CommandExit::Usage,
                format!("`{text}` matches {} ids:\n  {shown}{more}", many.len()),
            ))
        }
    }
}

/// Text that the daemon refuses as an id may still be part of one (with a leading `-`, for example).
fn is_no_id(text: &str) -> bool {
    crate::domain::ids::JobId::new(text).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: [&str; 5] = [
        "ingest-k3v9x2m4ab",
        "ingest-k3v9x2m4ab.data",
        "ingest-k3v9x2m4ab.data.clean",
        "ingest-zz9x2m4abq",
        "ingest-zz9x2m4abq.data",
    ];

    fn found(text: &str) -> Result<String, CommandFailure> {
        complete("job", text, IDS.into_iter())
    }

    #[test]
    fn whole_ids_beginnings_and_ends_are_completed() {
        for (text, id) in [
            ("ingest-k3v9x2m4ab", IDS[0]),
            ("ingest-k3", IDS[0]),
            ("k3v9x2m4ab", IDS[0]),
            ("clean", IDS[2]),
            ("ingest-k3v9x2m4ab.data", IDS[1]),
            ("ingest-k3v9x2m4ab.data.c", IDS[2]),
            ("ingest-zz", IDS[3]),
        ] {
            assert_eq!(found(text).as_deref(), Ok(id), "{text}");
        }
    }

    #[test]
    fn several_or_none_are_refused_with_what_there_is() {
        let many = found("ingest").unwrap_err();
        assert_eq!(many.exit, CommandExit::Usage);
        assert!(many.message.contains("matches 5 ids") && many.message.contains(IDS[3]), "{many}");
        assert_eq!(found(".data").unwrap_err().exit, CommandExit::Usage);
        assert_eq!(found("nothing").unwrap_err().exit, CommandExit::NotFound);
        assert_eq!(found("").unwrap_err().exit, CommandExit::NotFound);
    }
}
