//! Communities by the Louvain method (Blondel et al. 2008), deterministic.
//!
//! Nodes are visited in their order and ties go to the lower community, so the same graph always gives the
//! same answer, in every release: a run's content hash covers the communities. The crates that do this
//! (`leiden-rs`, `graphrs`) visit nodes in an order drawn from rand's `StdRng`, whose numbers may change with
//! any release of rand, and `graphrs` seeds its Leiden at random; which is why this is our own code. Cost:
//! about edges × passes; both loops are bounded by name.

use std::collections::BTreeMap;

/// Most rounds of moving nodes on one level; gains vanish after a few.
const MAX_ROUNDS: usize = 32;
/// Most levels of merging; in practice each one at least halves the remaining nodes.
const MAX_LEVELS: usize = 16;
/// Least gain of modularity worth a move: below are rounding errors.
const MIN_GAIN: f64 = 1e-9;

/// A weighted undirected graph: for each node its neighbours with weights, both ways; a loop once.
type GraphAdjacency = Vec<BTreeMap<usize, f64>>;

/// The community of each of `nodes` nodes, numbered from 0 in the order of their first nodes.
pub(super) fn louvain(nodes: usize, edges: &[(usize, usize, f64)]) -> Vec<usize> {
    let mut graph: GraphAdjacency = vec![BTreeMap::new(); nodes];
    for (a, b, weight) in edges {
        *graph[*a].entry(*b).or_default() += weight;
        if a != b {
            *graph[*b].entry(*a).or_default() += weight;
        }
    }
    let mut membership: Vec<usize> = (0..nodes).collect();
    for _ in 0..MAX_LEVELS {
        let (communities, moved) = move_nodes(&graph);
        let communities = renumbered(&communities);
        for community in &mut membership {
            *community = communities[*community];
        }
        if !moved {
            break;
        }
        graph = merged(&graph, &communities);
    }
    renumbered(&membership)
}

/// One level: moves nodes to the neighbouring community of greatest gain until none gains.
fn move_nodes(graph: &GraphAdjacency) -> (Vec<usize>, bool) {
    let degrees: Vec<f64> = graph
        .iter()
        .enumerate()
        .map(|(node, row)| row.values().sum::<f64>() + row.get(&node).copied().unwrap_or_default())
        .collect();
    let total: f64 = degrees.iter().sum();
    let mut communities: Vec<usize> = (0..graph.len()).collect();
    let mut weights = degrees.clone();
    let mut moved = false;
    for _ in 0..MAX_ROUNDS {
        let mut moves = 0;
        for node in 0..graph.len() {
            let home = communities[node];
            weights[home] -= degrees[node];
            let best = best_community(graph, &communities, &weights, node, degrees[node] / total);
            weights[best] += degrees[node];
            communities[node] = best;
            moves += usize::from(best != home);
        }
        if moves == 0 {
            break;
        }
        moved = true;
    }
    (communities, moved)
}

fn best_community(
    graph: &GraphAdjacency,
    communities: &[usize],
    weights: &[f64],
    node: usize,
    share: f64,
) -> usize {
    let home = communities[node];
    let mut ties: BTreeMap<usize, f64> = BTreeMap::new();
    for (neighbour, weight) in graph[node].iter().filter(|(neighbour, _)| **neighbour != node) {
        *ties.entry(communities[*neighbour]).or_default() += weight;
    }
    let gain =
        |community: usize| ties.get(&community).copied().unwrap_or_default() - weights[community] * share;
    let mut best = (home, gain(home));
    for community in ties.keys().copied() {
        let gain = gain(community);
        if gain > best.1 + MIN_GAIN {
            best = (community, gain);
        }
    }
    best.0
}

/// The graph whose nodes are the communities.
fn merged(graph: &GraphAdjacency, communities: &[usize]) -> GraphAdjacency {
    let count = communities.iter().max().map_or(0, |last| last + 1);
    let mut merged: GraphAdjacency = vec![BTreeMap::new(); count];
    for (node, row) in graph.iter().enumerate() {
        for (neighbour, weight) in row {
            let (a, b) = (communities[node], communities[*neighbour]);
            // An edge inside a community is met from both ends and becomes one loop.
            let weight = if a == b && node != *neighbour { weight / 2.0 } else { *weight };
            *merged[a].entry(b).or_default() += weight;
        }
    }
    merged
}

fn renumbered(communities: &[usize]) -> Vec<usize> {
    let mut numbers: BTreeMap<usize, usize> = BTreeMap::new();
    communities
        .iter()
        .map(|community| {
            let next = numbers.len();
            *numbers.entry(*community).or_insert(next)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_cliques_joined_by_one_edge_are_two_communities_and_a_loner_is_its_own() {
        let mut edges = Vec::new();
        for base in [0, 5] {
            for a in 0..5 {
                edges.extend((a + 1..5).map(|b| (base + a, base + b, 1.0)));
            }
        }
        edges.push((4, 5, 1.0));
        assert_eq!(louvain(11, &edges), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2]);
    }

    #[test]
    fn a_ring_of_cliques_merges_by_clique() {
        let mut edges = Vec::new();
        for clique in 0..8_usize {
            let base = clique * 4;
            for a in 0..4 {
                edges.extend((a + 1..4).map(|b| (base + a, base + b, 1.0)));
            }
            edges.push((base + 3, (base + 4) % 32, 1.0));
        }
        let found = louvain(32, &edges);
        assert!((0..32).all(|node| found[node] == found[node / 4 * 4]));
        assert_eq!(found.iter().max(), Some(&7));
    }

    proptest! {
        #[test]
        fn components_never_share_a_community(edges in prop::collection::vec((0_usize..20, 0_usize..20), 0..60)) {
            // Even and odd nodes are never joined.
            let edges: Vec<_> = edges.into_iter().map(|(a, b)| (a, b / 2 * 2 + a % 2, 1.0)).collect();
            let found = louvain(22, &edges);
            for a in (0..22).step_by(2) {
                for b in (1..22).step_by(2) {
                    prop_assert_ne!(found[a], found[b]);
                }
            }
        }
    }
}
