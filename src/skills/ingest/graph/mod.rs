//! The step of the graph builder: CLEAN rows in, one [`DocumentGraph`] out.
//!
//! Edges are `link` (a link by path) and `mention` (a file's name, a link to a project's page, or a project's
//! name). A project's name counts where it cannot be an English word: with a `-`, `_` or digit, before a
//! version, before words such as "crate"; and as code, unless the same word occurs in many documents of other
//! projects (`log`, `bytes`, `time`). Ranks come from both kinds; communities besides from a weak tie of each
//! document to the README of its project, so that a project's scattered notes do not fall apart. Outputs
//! follow `doc_id`; nothing is quadratic.

mod communities;
mod extract;
mod labels;
mod names;
mod rank;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use rayon::prelude::*;
use serde_json::json;

use self::labels::WordCounts;
use self::names::{CorpusNames, LinkTarget};
use super::formats::{self, AuditRow, CleanRow, DocumentGraph, GraphCommunity, GraphEdge, GraphNode};
use super::output;
use crate::{SkillError, StepContext, StepOutcome};

/// A word in more than this share of the documents of other projects is no sign of a project…
const COMMON_SHARE: f64 = 0.03;
/// …nor is one in more documents than this, however large the corpus; fewer never make it common.
const COMMON_FLOOR: f64 = 5.0;
/// Weight of lying in the same project against one reference.
const PROJECT_TIE: f64 = 0.5;
/// Shortest project name that is unmistakable by a `-`, `_` or digit (`h2`, `md5` are not).
const UNMISTAKABLE_LEN: usize = 5;

/// Builds the graph of all documents that are no duplicates.
///
/// Outputs: `nodes`, `links`, `mentions`, `communities` (of two or more), `alone`, `broken_links`,
/// `outside_hosts`, `most_referred` (up to five paths by rank).
///
/// # Errors
/// [`SkillError`] when CLEAN is missing or damaged, the disk refuses, or the step is stopped.
pub fn run(step: &StepContext) -> Result<StepOutcome, SkillError> {
    let mut documents: Vec<CleanRow> = output::read_rows(step, formats::CLEAN)?;
    // The audit knows the files that are no documents; without an audit, links to them count as broken.
    let audit: Vec<AuditRow> = match Path::exists(&step.run_dir().join(formats::AUDIT)) {
        true => output::read_rows(step, formats::AUDIT)?,
        false => Vec::new(),
    };
    let names = CorpusNames::new(&documents, &audit);
    documents.retain(|row| row.duplicate_of.is_none());
    step.begin(documents.len() as u64, "reading references");
    let findings = super::parallel::in_pool(step, || {
        documents
            .par_iter()
            .map(|document| ResolvedReferences::of(step, &names, document))
            .collect::<Result<Vec<_>, _>>()
    })?;
    let graph = assemble(&documents, &names, &findings);
    step.checkpoint()?;
    let artifact = output::write_json(step, formats::GRAPH, "graph", &graph)?;
    Ok(StepOutcome { artifacts: vec![artifact], outputs: summary(&graph) })
}

/// The references of one document, resolved as far as possible without the others.
#[derive(Debug, Default)]
struct ResolvedReferences {
    links: BTreeMap<u32, u32>,
    files: BTreeMap<u32, u32>,
    /// Projects named beyond doubt.
    named: BTreeMap<usize, u32>,
    /// Projects named as code: not counted when the name is a common word.
    ticked: BTreeMap<usize, u32>,
    /// Projects whose name occurs as a word anywhere.
    occurring: BTreeSet<usize>,
    hosts: BTreeMap<String, u32>,
    broken: BTreeSet<String>,
    words: WordCounts,
}

impl ResolvedReferences {
    fn of(step: &StepContext, names: &CorpusNames, document: &CleanRow) -> Result<Self, SkillError> {
        step.checkpoint()?;
        let references = extract::references(document);
        let mut finding = Self { words: labels::word_counts(document), ..Self::default() };
        for target in &references.targets {
            finding.add_target(names.target(&document.path, target));
        }
        for word in &references.words {
            if let Some(file) = names.file(&document.path, word) {
                *finding.files.entry(file).or_default() += 1;
            } else if let Some(project) = names.project(word) {
                finding.occurring.insert(project);
                if is_unmistakable(word) {
                    *finding.named.entry(project).or_default() += 1;
                }
            }
        }
        for project in references.versioned.iter().filter_map(|name| names.project(name)) {
            *finding.named.entry(project).or_default() += 1;
        }
        for project in references.ticked.iter().filter_map(|name| names.project(name)) {
            *finding.ticked.entry(project).or_default() += 1;
        }
        finding.leave_out(document.doc_id, names.project_at(&document.path));
        step.advance(1);
        Ok(finding)
    }

    fn add_target(&mut self, target: LinkTarget) {
        match target {
            LinkTarget::Document(document) => *self.links.entry(document).or_default() += 1,
            LinkTarget::Outside { host, project } => {
                *self.hosts.entry(host).or_default() += 1;
                if let Some(project) = project {
                    *self.named.entry(project).or_default() += 1;
                }
            }
            LinkTarget::Broken(path) => {
                self.broken.insert(path);
            }
            LinkTarget::File | LinkTarget::Nothing => {}
        }
    }

    /// Removes references of a document to itself, and by name to its own project.
    fn leave_out(&mut self, document: u32, project: Option<usize>) {
        self.links.remove(&document);
        self.files.remove(&document);
        if let Some(project) = project {
            self.named.remove(&project);
            self.ticked.remove(&project);
            self.occurring.remove(&project);
        }
    }
}

fn is_unmistakable(word: &str) -> bool {
    word.len() >= UNMISTAKABLE_LEN && word.contains(|c: char| c == '-' || c == '_' || c.is_ascii_digit())
}

fn assemble(documents: &[CleanRow], names: &CorpusNames, findings: &[ResolvedReferences]) -> DocumentGraph {
    let positions: HashMap<u32, usize> =
        documents.iter().enumerate().map(|(at, document)| (document.doc_id, at)).collect();
    let edges = edges(documents, names, findings, &positions);
    let by_position: Vec<_> =
        edges.iter().map(|edge| (positions[&edge.from], positions[&edge.to], edge.weight)).collect();
    let ranks = rank::page_rank(documents.len(), &by_position);
    let groups = groups(documents, names, &positions, by_position);
    let words: Vec<WordCounts> = findings.iter().map(|finding| finding.words.clone()).collect();
    let folders: Vec<&str> = documents.iter().map(|document| names::top(&document.path)).collect();
    let labels = labels::labels(&words, &folders, &groups);
    let mut membership = vec![0; documents.len()];
    for (community, members) in groups.iter().enumerate() {
        members.iter().for_each(|member| membership[*member] = community as u32);
    }
    let node = |(at, document): (usize, &CleanRow)| GraphNode {
        doc_id: document.doc_id,
        path: document.path.clone(),
        community: membership[at],
        rank: rounded(ranks[at]),
    };
    let community = |(members, label): (&Vec<usize>, String)| GraphCommunity {
        members: members.iter().map(|member| documents[*member].doc_id).collect(),
        label,
    };
    DocumentGraph {
        nodes: documents.iter().enumerate().map(node).collect(),
        edges,
        outside_hosts: hosts(findings),
        broken: broken(documents, findings),
        communities: groups.iter().zip(labels).map(community).collect(),
    }
}

fn edges(
    documents: &[CleanRow],
    names: &CorpusNames,
    findings: &[ResolvedReferences],
    positions: &HashMap<u32, usize>,
) -> Vec<GraphEdge> {
    let common = common_projects(names, findings);
    let mut edges = Vec::new();
    for (document, finding) in documents.iter().zip(findings) {
        let mut mentions = finding.files.clone();
        let ticked = finding.ticked.iter().filter(|(project, _)| !common.contains(*project));
        for (project, count) in finding.named.iter().chain(ticked) {
            *mentions.entry(names.representative(*project)).or_default() += count;
        }
        for (kind, targets) in [("link", &finding.links), ("mention", &mentions)] {
            let known =
                targets.iter().filter(|(to, _)| **to != document.doc_id && positions.contains_key(to));
            edges.extend(known.map(|(to, count)| GraphEdge {
                from: document.doc_id,
                to: *to,
                kind: kind.to_owned(),
                weight: f64::from(*count),
            }));
        }
    }
    edges.sort_by(|a, b| (a.from, a.to, &a.kind).cmp(&(b.from, b.to, &b.kind)));
    edges
}

fn common_projects(names: &CorpusNames, findings: &[ResolvedReferences]) -> BTreeSet<usize> {
    let mut documents = vec![0_u32; names.projects()];
    for project in findings.iter().flat_map(|finding| &finding.occurring) {
        documents[*project] += 1;
    }
    let limit = (findings.len() as f64 * COMMON_SHARE).max(COMMON_FLOOR);
    (0..documents.len()).filter(|project| f64::from(documents[*project]) > limit).collect()
}

/// Positions of documents by community, largest first, then by first member.
fn groups(
    documents: &[CleanRow],
    names: &CorpusNames,
    positions: &HashMap<u32, usize>,
    mut ties: Vec<(usize, usize, f64)>,
) -> Vec<Vec<usize>> {
    // The tenth mention says less than the first.
    ties.iter_mut().for_each(|(_, _, weight)| *weight = weight.ln_1p());
    for (at, document) in documents.iter().enumerate() {
        let project = names.project_at(&document.path).map(|project| names.representative(project));
        if let Some(readme) =
            project.and_then(|readme| positions.get(&readme)).filter(|readme| **readme != at)
        {
            ties.push((at, *readme, PROJECT_TIE));
        }
    }
    let membership = communities::louvain(documents.len(), &ties);
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (at, community) in membership.into_iter().enumerate() {
        groups.entry(community).or_default().push(at);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    groups
}

fn hosts(findings: &[ResolvedReferences]) -> BTreeMap<String, u32> {
    let mut hosts: BTreeMap<String, u32> = BTreeMap::new();
    for (host, count) in findings.iter().flat_map(|finding| &finding.hosts) {
        *hosts.entry(host.clone()).or_default() += count;
    }
    hosts
}

fn broken(documents: &[CleanRow], findings: &[ResolvedReferences]) -> Vec<(u32, String)> {
    let of = |(document, finding): (&CleanRow, &ResolvedReferences)| {
        finding.broken.iter().map(|path| (document.doc_id, path.clone())).collect::<Vec<_>>()
    };
    documents.iter().zip(findings).flat_map(of).collect()
}

/// Twelve places: far below any difference that matters, above rounding errors.
fn rounded(rank: f64) -> f64 {
    (rank * 1e12).round() / 1e12
}

fn summary(graph: &DocumentGraph) -> serde_json::Value {
    let count = |kind: &str| graph.edges.iter().filter(|edge| edge.kind == kind).count();
    let alone = graph.communities.iter().filter(|community| community.members.len() == 1).count();
    let mut best: Vec<&GraphNode> = graph.nodes.iter().collect();
    best.sort_by(|a, b| b.rank.total_cmp(&a.rank).then_with(|| a.doc_id.cmp(&b.doc_id)));
    json!({
        "nodes": graph.nodes.len(),
        "links": count("link"),
        "mentions": count("mention"),
        "communities": graph.communities.len() - alone,
        "alone": alone,
        "broken_links": graph.broken.len(),
        "outside_hosts": graph.outside_hosts.len(),
        "most_referred": best.iter().take(5).map(|node| &node.path).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests;
