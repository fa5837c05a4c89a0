//! `pas search`, `pas backup` and `pas prune`.

use std::io;
use std::path::Path;

use serde_json::json;

use super::args::SearchArgs;
use super::client::{LONG_CALL, ORCHESTRATOR};
use super::exit::{CommandExit, CommandFailure, CommandResult};
use super::render::table::{self, TableColumn};
use super::render::{cards, count, units};
use super::wire::{self, WireHit, WireKept};
use super::{CommandContext, ids};

/// `pas search`: no hit is exit 4, for scripts.
pub(super) async fn search(context: &CommandContext, args: &SearchArgs) -> CommandResult {
    let mut query = vec![("q", args.words.join(" ")), ("limit", args.limit.to_string())];
    if let Some(run) = &args.run {
        query.push(("run_id", ids::run(&context.client, run).await?));
    }
    let answer = context.client.get(&["search"], &query).await?;
    let hits: Vec<WireHit> = wire::read(&answer["hits"])?;
    context.screen.show(&answer, |answer| {
        let run = answer["run_id"].as_str().unwrap_or_default();
        let found = count(hits.len(), "document", "documents");
        let head = format!("{found} in {run}");
        Ok(if hits.is_empty() {
            head
        } else {
            format!("{}\n{head}", cards::hits(&hits, context.screen.width()))
        })
    })?;
    Ok(if hits.is_empty() { CommandExit::NotFound } else { CommandExit::Done })
}

/// `pas backup`: the daemon writes a backup, which this command copies to `path`.
pub(super) async fn backup(context: &CommandContext, path: Option<&Path>) -> CommandResult {
    let refused = |path: &Path, why: &dyn std::fmt::Display| {
        CommandFailure::failed(format!("cannot write {}: {why}", path.display()))
    };
    if let Some(path) = path
        && path.try_exists().map_err(|error| refused(path, &error))?
    {
        return Err(refused(path, &"the file exists; a backup overwrites nothing, choose another name"));
    }
    let mut answer = context.client.post_to(ORCHESTRATOR, &["backup"], &json!({}), LONG_CALL).await?;
    let made = answer["path"].as_str().unwrap_or_default().to_owned();
    if let Some(path) = path {
        copy_whole(Path::new(&made), path)
            .map_err(|error| refused(path, &format_args!("{error}; the backup itself is at {made}")))?;
        answer["copy"] = json!(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    }
    context.screen.show(&answer, |answer| {
        let number = |field: &str| answer[field].as_u64().unwrap_or_default();
        let path = answer["copy"].as_str().or_else(|| answer["path"].as_str()).unwrap_or_default();
        let size = units::bytes(number("bytes"));
        Ok(format!("{path}  {size}, {} rows in {} tables", number("rows"), number("tables")))
    })?;
    Ok(CommandExit::Done)
}

/// `pas prune`: the daemon deletes what it keeps no longer, or says what that would be.
pub(super) async fn prune(context: &CommandContext, dry_run: bool) -> CommandResult {
    let body = json!({ "dry_run": dry_run });
    let answer = context.client.post_to(ORCHESTRATOR, &["prune"], &body, LONG_CALL).await?;
    let kinds: Vec<WireKept> = wire::read(&answer["kinds"])?;
    context.screen.show(&answer, |_| Ok(kept(&kinds, dry_run, context.screen.width())))?;
    Ok(CommandExit::Done)
}

fn kept(kinds: &[WireKept], dry_run: bool, width: usize) -> String {
    let columns = [
        TableColumn::left("kind"),
        TableColumn::right("kept"),
        TableColumn::right("size"),
        TableColumn::left("limit"),
        TableColumn::right(if dry_run { "would go" } else { "gone" }),
        TableColumn::right("size"),
        TableColumn::left("oldest"),
    ];
    let row = |row: &WireKept| {
        [
            row.kind.clone(),
            row.kept.count.to_string(),
            units::bytes(row.kept.bytes),
            row.limit(),
            row.gone.count.to_string(),
            units::bytes(row.gone.bytes),
            row.gone.oldest.map_or_else(|| "-".to_owned(), |at| at.to_string()),
        ]
    };
    table::draw(columns, 6, &kinds.iter().map(row).collect::<Vec<_>>(), width)
}

/// Copies a file to a new name: complete and synced, or not at all.
fn copy_whole(from: &Path, to: &Path) -> io::Result<()> {
    let folder =
        to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut draft = tempfile::Builder::new().prefix(".backup-").tempfile_in(folder)?;
    io::copy(&mut std::fs::File::open(from)?, draft.as_file_mut())?;
    draft.as_file().sync_all()?;
    draft.persist_noclobber(to).map_err(|error| error.error)?;
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_whole_or_not_there_and_overwrites_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| directory.path().join(name));
        assert!(copy_whole(&from, &to).is_err() && !to.exists(), "there is nothing to copy");
        std::fs::write(&from, "bytes").unwrap();
        copy_whole(&from, &to).unwrap();
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "bytes");
        std::fs::write(&from, "others").unwrap();
        assert_eq!(copy_whole(&from, &to).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "bytes");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    }
}
