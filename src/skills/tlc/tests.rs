//! Task and method checked against labelled queries.
//!
//! `tests/data/tmd_queries.jsonl` was written and committed before the rules, which were then tuned on that
//! file; `tmd_heldout.jsonl` was written after the tuning and has only been counted since, so only the second
//! figure is unbiased.

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct LabelledTask {
    query: String,
    task: QueryTask,
    method: RetrievalMethod,
}

/// Shares of right tasks and methods; prints the misses of readable sets.
fn accuracy(name: &str, text: &str, show_misses: bool) -> (f64, f64) {
    let queries: Vec<LabelledTask> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (mut tasks, mut methods) = (0, 0);
    for LabelledTask { query, task, method } in &queries {
        let found = extract(query, &[], None);
        tasks += usize::from(found.task.0 == *task);
        methods += usize::from(found.method.0 == *method);
        if show_misses && found.task.0 != *task {
            println!("{task:?}: {query} → {:?}", found.task);
        }
        if show_misses && found.method.0 != *method {
            println!("{method:?}: {query} → {:?}", found.method);
        }
    }
    let share = |right: usize| right as f64 / queries.len() as f64;
    println!("{name}: {} queries, task {:.3}, method {:.3}", queries.len(), share(tasks), share(methods));
    (share(tasks), share(methods))
}

#[test]
fn tasks_and_methods_of_the_tuning_set_are_told_above_the_floors() {
    let (tasks, methods) = accuracy("tuning", include_str!("../../../tests/data/tmd_queries.jsonl"), true);
    assert!(tasks >= 0.9 && methods >= 0.8, "{tasks:.3} {methods:.3}");
}

#[test]
fn tasks_and_methods_of_the_held_out_set_are_told_above_the_floors() {
    let (tasks, methods) = accuracy("held out", include_str!("../../../tests/data/tmd_heldout.jsonl"), false);
    assert!(tasks >= 0.9 && methods >= 0.85, "{tasks:.3} {methods:.3}");
}
