//! Names similar to a missing one. Best effort: no failures, and bounded.

use std::ops::ControlFlow;

use super::failure::{FailureClass, ToolFailure};
use super::tree::{ToolTree, TreePath, shown_path};
use super::walk::TreeWalk;
use pas_domain::similar_name::{LEAST_LIKENESS, likeness};

/// Most files compared with the missing name.
const MAX_COMPARED: usize = 20_000;
/// How many names are suggested.
const SUGGESTIONS: usize = 3;

/// A failure over a missing file, with the files most like it in its `do`.
pub(super) fn with_nearest_files(
    tree: &ToolTree,
    missing: &TreePath,
    mut failure: ToolFailure,
) -> ToolFailure {
    if failure.class != FailureClass::NotFound {
        return failure;
    }
    let wanted = missing.as_str();
    let wanted_name = wanted.rsplit('/').next().unwrap_or(wanted);
    let mut scored: Vec<(f64, String)> = Vec::new();
    let mut compared = 0;
    let walk = TreeWalk::new(tree, false, &|| false).run(&TreePath::root(), &mut |file| {
        compared += 1;
        if let Some(name) = file.name.to_str() {
            let name_score = likeness(wanted_name, name);
            if name_score >= LEAST_LIKENESS {
                let path = shown_path(file.path);
                // The name decides; the folder only orders equal names.
                let score = name_score + 0.1 * likeness(wanted, &path);
                scored.push((score, path));
            }
        }
        if compared < MAX_COMPARED { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    if walk.is_ok() && !scored.is_empty() {
        let names: Vec<_> = scored.iter().take(SUGGESTIONS).map(|(_, path)| format!("`{path}`")).collect();
        failure.do_next = format!("nearest names: {}.", names.join(", "));
    }
    failure
}
