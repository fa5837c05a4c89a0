//! "Connections": references between documents, groups, and links that lead outside or nowhere.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};

use super::{ReportPart, StandoutLine};
use crate::ingest::formats::{DocumentGraph, GraphNode};
use crate::ingest::report::network;
use crate::ingest::report::page::{
    CATEGORIES, NetworkEdge, NetworkNode, ReportBlock, ReportNetwork, ReportSection, ReportTable, ReportTone,
    RichText,
};
use crate::ingest::report::sources::ReportSources;
use crate::ingest::report::tally::NameTally;
use crate::ingest::report::words;

const ID: &str = "graph";
const TITLE: &str = "Connections";
/// Dots drawn: more make an unreadable tangle, and the layout takes quadratic time.
const MAX_NODES: usize = 150;
/// Lines drawn, strongest first, for the same reason.
const MAX_EDGES: usize = 400;
/// Documents in the table of the most referenced; their numbers in the table label the dots of the picture.
const MAX_REFERENCED: usize = 12;
const MAX_COMMUNITIES: usize = 12;
const MAX_HOSTS: usize = 10;
/// References that lead nowhere listed.
const MAX_BROKEN: usize = 10;

pub(in super::super) fn part(sources: &ReportSources) -> ReportPart {
    let Some(graph) = &sources.graph else {
        return ReportPart::quiet(ReportSection::absent(
            ID,
            TITLE,
            "References were not followed: that step was left out.",
        ));
    };
    if graph.nodes.is_empty() {
        return ReportPart::quiet(ReportSection::absent(
            ID,
            TITLE,
            "There was no document that could refer to another.",
        ));
    }
    let view = GraphView::of(graph, sources);
    let mut blocks = vec![ReportBlock::Para(view.summary())];
    blocks.extend(view.picture().map(ReportBlock::Network));
    let tables = [view.referenced_table(), view.communities(), view.hosts(), view.broken()];
    blocks.extend(tables.into_iter().flatten().map(ReportBlock::Table));
    ReportPart { section: ReportSection { id: ID, title: TITLE, blocks }, standouts: view.standouts() }
}

/// The graph with data that several parts of the section need.
struct GraphView<'a> {
    graph: &'a DocumentGraph,
    titles: HashMap<u32, &'a str>,
    paths: HashMap<u32, &'a str>,
    /// Document → number of documents that link to or mention it; zeros are absent.
    incoming: HashMap<u32, usize>,
    referenced: Vec<&'a GraphNode>,
}

impl<'a> GraphView<'a> {
    fn of(graph: &'a DocumentGraph, sources: &'a ReportSources) -> Self {
        let pairs: HashSet<(u32, u32)> = graph
            .edges
            .iter()
            .filter(|edge| edge.kind != "similar")
            .map(|edge| (edge.from, edge.to))
            .collect();
        let mut incoming: HashMap<u32, usize> = HashMap::new();
        for (_, to) in pairs {
            *incoming.entry(to).or_default() += 1;
        }
        let mut referenced: Vec<&GraphNode> =
            graph.nodes.iter().filter(|node| incoming.contains_key(&node.doc_id)).collect();
        referenced.sort_by(|a, b| {
            let count = |node: &GraphNode| Reverse(incoming.get(&node.doc_id));
            count(a).cmp(&count(b)).then(b.rank.total_cmp(&a.rank)).then(a.doc_id.cmp(&b.doc_id))
        });
        Self {
            graph,
            titles: sources.clean.iter().flatten().map(|row| (row.doc_id, row.title.as_str())).collect(),
            paths: graph.nodes.iter().map(|node| (node.doc_id, node.path.as_str())).collect(),
            incoming,
            referenced,
        }
    }

    fn summary(&self) -> RichText {
        let graph = self.graph;
        let kinds = NameTally::of(graph.edges.iter().map(|edge| edge.kind.as_str()));
        if graph.edges.is_empty() {
            return RichText::new().text(format!(
                "{}, and none refers to another.",
                words::count(graph.nodes.len(), "document", "documents")
            ));
        }
        let word = |kind: &str| match kind {
            "link" => "by link".to_owned(),
            "mention" => "by name".to_owned(),
            "similar" => "by likeness of their text".to_owned(),
            other => other.to_owned(),
        };
        RichText::new().text(format!(
            "{} with {} to one another: {}. {} of the documents are referred to by none.",
            words::count(graph.nodes.len(), "document", "documents"),
            words::count(graph.edges.len(), "connection", "connections"),
            kinds.in_words(3, word),
            words::percent((graph.nodes.len() - self.referenced.len()) as u64, graph.nodes.len() as u64),
        ))
    }

    /// The best connected documents and the lines between them; `None` when nothing is connected.
    fn picture(&self) -> Option<ReportNetwork> {
        let ends: BTreeSet<u32> = self.graph.edges.iter().flat_map(|edge| [edge.from, edge.to]).collect();
        let mut nodes: Vec<&GraphNode> =
            self.graph.nodes.iter().filter(|node| ends.contains(&node.doc_id)).collect();
        nodes.sort_by(|a, b| b.rank.total_cmp(&a.rank).then(a.doc_id.cmp(&b.doc_id)));
        let connected = nodes.len();
        nodes.truncate(MAX_NODES);
        if nodes.is_empty() {
            return None;
        }
        let position: HashMap<u32, usize> =
            nodes.iter().enumerate().map(|(at, node)| (node.doc_id, at)).collect();
        let edges = self.lines(&position);
        let links: Vec<(usize, usize)> = edges.iter().map(|edge| (edge.from, edge.to)).collect();
        let places = network::layout(nodes.len(), &links);
        let heaviest = nodes.first().map_or(0.0, |node| node.rank);
        let dots = nodes.iter().zip(places).map(|(node, place)| self.dot(node, place, heaviest)).collect();
        let drawn = if connected > MAX_NODES {
            format!("The {MAX_NODES} best connected documents")
        } else {
            "Connected documents".to_owned()
        };
        let caption =
            format!("{drawn}, in the colours of their groups; the numbers are those of the table below");
        Some(ReportNetwork { caption, nodes: dots, edges, legend: self.legend(&nodes) })
    }

    /// Strongest first, each pair once.
    fn lines(&self, position: &HashMap<u32, usize>) -> Vec<NetworkEdge> {
        let mut edges: Vec<_> = self.graph.edges.iter().collect();
        edges.sort_by(|a, b| {
            let key = |kind: &str| kind == "similar";
            key(&a.kind)
                .cmp(&key(&b.kind))
                .then(b.weight.total_cmp(&a.weight))
                .then((a.from, a.to).cmp(&(b.from, b.to)))
        });
        let mut seen = HashSet::new();
        let line = |edge: &&crate::ingest::formats::GraphEdge| {
            let (from, to) = (*position.get(&edge.from)?, *position.get(&edge.to)?);
            let fresh = from != to && seen.insert((from.min(to), from.max(to)));
            fresh.then(|| NetworkEdge { from, to, faint: edge.kind == "similar" })
        };
        edges.iter().filter_map(line).take(MAX_EDGES).collect()
    }

    fn dot(&self, node: &GraphNode, (x, y): (f64, f64), heaviest: f64) -> NetworkNode {
        let number =
            self.referenced.iter().take(MAX_REFERENCED).position(|other| other.doc_id == node.doc_id);
        NetworkNode {
            x,
            y,
            weight: if heaviest > 0.0 { (node.rank / heaviest).clamp(0.0, 1.0) } else { 0.0 },
            tone: community_tone(node.community),
            name: RichText::new().code(&node.path),
            number: number.map(|at| at + 1),
        }
    }

    fn legend(&self, nodes: &[&GraphNode]) -> Vec<(ReportTone, RichText)> {
        let drawn: BTreeSet<u32> = nodes.iter().map(|node| node.community).collect();
        let named = drawn.iter().filter(|community| (**community as usize) < CATEGORIES);
        let mut legend: Vec<(ReportTone, RichText)> = named
            .filter_map(|at| {
                Some((community_tone(*at), label(&self.graph.communities.get(*at as usize)?.label)))
            })
            .collect();
        if drawn.iter().any(|community| *community as usize >= CATEGORIES) {
            legend.push((ReportTone::Muted, "smaller groups".into()));
        }
        legend
    }

    fn referenced_table(&self) -> Option<ReportTable> {
        let row = |(at, node): (usize, &&GraphNode)| {
            let title = self.titles.get(&node.doc_id).copied().unwrap_or_default();
            let incoming = self.incoming.get(&node.doc_id).copied().unwrap_or(0);
            vec![
                RichText::from((at + 1).to_string()),
                RichText::new().code(&node.path),
                title.into(),
                words::number(incoming as u64).into(),
            ]
        };
        let rows: Vec<_> = self.referenced.iter().take(MAX_REFERENCED).enumerate().map(row).collect();
        (!rows.is_empty()).then(|| ReportTable {
            caption: "Most referenced documents",
            head: vec!["No.", "Document", "Title", "Referred to by"],
            rows,
            note: words::rest(self.referenced.len(), MAX_REFERENCED, "document", "documents"),
        })
    }

    fn communities(&self) -> Option<ReportTable> {
        let several: Vec<_> =
            self.graph.communities.iter().filter(|community| community.members.len() > 1).collect();
        let rows: Vec<_> = several
            .iter()
            .take(MAX_COMMUNITIES)
            .map(|community| {
                let example =
                    community.members.first().and_then(|id| self.paths.get(id)).copied().unwrap_or_default();
                vec![
                    label(&community.label),
                    words::number(community.members.len() as u64).into(),
                    RichText::new().code(example),
                ]
            })
            .collect();
        (!rows.is_empty()).then(|| ReportTable {
            caption: "Groups of documents that refer to each other",
            head: vec!["Group", "Documents", "For example"],
            rows,
            note: words::rest(several.len(), MAX_COMMUNITIES, "group", "groups"),
        })
    }

    fn hosts(&self) -> Option<ReportTable> {
        let hosts = &self.graph.outside_hosts;
        let mut ranked: Vec<(&String, &u32)> = hosts.iter().collect();
        ranked.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let row = |(host, count): &(&String, &u32)| {
            vec![RichText::new().code(host), words::number(u64::from(**count)).into()]
        };
        (!ranked.is_empty()).then(|| ReportTable {
            caption: "Where it points outside",
            head: vec!["Host", "References"],
            rows: ranked.iter().take(MAX_HOSTS).map(row).collect(),
            note: words::rest(ranked.len(), MAX_HOSTS, "host", "hosts"),
        })
    }

    fn broken(&self) -> Option<ReportTable> {
        let broken = &self.graph.broken;
        let row = |(from, target): &(u32, String)| {
            let path = self.paths.get(from).copied().unwrap_or_default();
            vec![RichText::new().code(path), RichText::new().code(target)]
        };
        (!broken.is_empty()).then(|| ReportTable {
            caption: "References that lead nowhere",
            head: vec!["In", "To"],
            rows: broken.iter().take(MAX_BROKEN).map(row).collect(),
            note: words::rest(broken.len(), MAX_BROKEN, "reference", "references"),
        })
    }

    fn standouts(&self) -> Vec<StandoutLine> {
        let mut lines = Vec::new();
        if let Some(top) = self.referenced.first() {
            let count = self.incoming.get(&top.doc_id).copied().unwrap_or(0);
            let text = RichText::new()
                .text("The document most referred to is ")
                .code(&top.path)
                .text(format!(", by {}.", words::count(count, "other", "others")));
            lines.push(StandoutLine::new(if count > 1 { 52 } else { 16 }, text));
        } else {
            lines.push(StandoutLine::new(17, "No document refers to another.".into()));
        }
        if let Some((from, target)) = self.graph.broken.first() {
            let path = self.paths.get(from).copied().unwrap_or_default();
            let text = RichText::new()
                .text(format!(
                    "{} nowhere, such as the one to ",
                    words::count(self.graph.broken.len(), "reference leads", "references lead")
                ))
                .code(target)
                .text(" in ")
                .code(path)
                .text(".");
            lines.push(StandoutLine::new(54, text));
        }
        lines
    }
}

fn community_tone(community: u32) -> ReportTone {
    let at = community as usize;
    if at < CATEGORIES { ReportTone::Category(at) } else { ReportTone::Muted }
}

fn label(label: &str) -> RichText {
    if label.trim().is_empty() { "(no common words)".into() } else { label.into() }
}
