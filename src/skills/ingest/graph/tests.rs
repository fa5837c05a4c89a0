//! The graph of small corpora, from rows to the file.

use super::*;
use crate::ingest::formats::DocumentDuplicate;
use crate::ingest::testing::{clean_row, step_with};

fn graph_of(rows: &[CleanRow], threads: usize) -> (DocumentGraph, StepOutcome) {
    let (_folder, step) = step_with(rows, threads);
    let outcome = run(&step).unwrap();
    (output::read_json(&step, formats::GRAPH).unwrap(), outcome)
}

fn edges(graph: &DocumentGraph) -> Vec<(u32, u32, &str)> {
    graph.edges.iter().map(|edge| (edge.from, edge.to, edge.kind.as_str())).collect()
}

#[test]
fn links_mentions_hosts_and_broken_links_are_told_apart() {
    let mut rows = vec![
        clean_row(
            0,
            "alpha-1.0.0/README.md",
            "[guide](docs/guide.md), [gone](gone.md), https://x.org/a. See NOTES.md.",
        ),
        clean_row(1, "alpha-1.0.0/NOTES.md", "Works with `beta` and gamma-tools; the log is written."),
        clean_row(2, "alpha-1.0.0/docs/guide.md", "[old](../../beta-2.0.0/COPY.md)"),
        clean_row(3, "beta-2.0.0/README.md", "Nothing."),
        clean_row(4, "beta-2.0.0/COPY.md", "Nothing."),
        clean_row(5, "gamma_tools-0.1.0/README.md", "Nothing else."),
        clean_row(6, "log-0.4.0/README.md", "A facade."),
    ];
    rows[4].duplicate_of = Some(DocumentDuplicate { doc_id: 3, how: "exact".to_owned(), similarity: 1.0 });
    let (graph, outcome) = graph_of(&rows, 2);
    assert_eq!(
        edges(&graph),
        [(0, 1, "mention"), (0, 2, "link"), (1, 3, "mention"), (1, 5, "mention"), (2, 3, "link"),]
    );
    assert_eq!(graph.broken, [(0, "gone.md".to_owned())]);
    assert_eq!(graph.outside_hosts, BTreeMap::from([("x.org".to_owned(), 1)]));
    assert_eq!(graph.nodes.len(), 6);
    assert_eq!(outcome.outputs["broken_links"], 1);
}

#[test]
fn a_name_in_ticks_counts_unless_many_use_the_word() {
    let mut rows = vec![
        clean_row(0, "bytes-1.0.0/README.md", "Buffers."),
        clean_row(1, "rare-1.0.0/README.md", "Uses `bytes` and `slabby`."),
        clean_row(2, "slabby-1.0.0/README.md", "Slots. Depends on bytes 1.4 for real."),
    ];
    rows.extend((3..20).map(|id| clean_row(id, &format!("p{id}/README.md"), "Counts bytes of text.")));
    let (graph, _) = graph_of(&rows, 1);
    assert_eq!(edges(&graph), [(1, 2, "mention"), (2, 0, "mention")]);
}

#[test]
fn the_bytes_are_the_same_on_any_number_of_threads() {
    let rows: Vec<_> = (0..200)
        .map(|id| {
            let text =
                format!("[next](../p{}/README.md) and `p{}` https://h{}.org", (id * 7) % 200, id / 3, id % 5);
            clean_row(id, &format!("p{id}/README.md"), &text)
        })
        .collect();
    let (graph, one) = graph_of(&rows, 1);
    let (_, four) = graph_of(&rows, 4);
    assert_eq!(one, four);
    assert!((graph.nodes.iter().map(|node| node.rank).sum::<f64>() - 1.0).abs() < 1e-6);
    assert!(graph.communities.windows(2).all(|pair| pair[0].members.len() >= pair[1].members.len()));
}

#[test]
fn an_empty_corpus_gives_an_empty_graph() {
    assert_eq!(graph_of(&[], 1).0, DocumentGraph::default());
}
