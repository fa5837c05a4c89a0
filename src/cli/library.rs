//! `pas search` and `pas backup`: what is kept.

use std::path::Path;

use serde_json::{Value, json};

use super::args::Search;
use super::client::{LONG_CALL, ORCHESTRATOR};
use super::exit::{Exit, Failure, Outcome};
use super::render::{cards, count, units};
use super::wire::{self, Hit};
use super::{Context, ids};

/// `pas search`: nothing found is exit 4, so that scripts can tell.
pub(super) async fn search(context: &Context, args: &Search) -> Outcome {
    let mut query = vec![("q", args.words.join(" ")), ("limit", args.limit.to_string())];
    if let Some(run) = &args.run {
        query.push(("run_id", ids::run(&context.client, run).await?));
    }
    let answer = context.client.get(&["search"], &query).await?;
    let hits: Vec<Hit> = wire::read(&answer["hits"])?;
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
    Ok(if hits.is_empty() { Exit::NotFound } else { Exit::Done })
}

/// `pas backup`.
pub(super) async fn backup(context: &Context, path: Option<&Path>) -> Outcome {
    let body = match path {
        // The daemon may run in another folder than this command.
        Some(path) => json!({ "path": absolute(path)? }),
        None => json!({}),
    };
    let answer = context.client.post_to(ORCHESTRATOR, &["backup"], &body, LONG_CALL).await?;
    context.screen.show(&answer, |answer| {
        let number = |field: &str| answer[field].as_u64().unwrap_or_default();
        let path = answer["path"].as_str().unwrap_or_default();
        let size = units::bytes(number("bytes"));
        Ok(format!("{path}  {size}, {} rows in {} tables", number("rows"), number("tables")))
    })?;
    Ok(Exit::Done)
}

fn absolute(path: &Path) -> Result<Value, Failure> {
    let path = std::path::absolute(path)
        .map_err(|error| Failure::usage(format!("{} is no usable path: {error}", path.display())))?;
    path.to_str()
        .map(Value::from)
        .ok_or_else(|| Failure::usage(format!("{} is not UTF-8, which JSON needs", path.display())))
}
