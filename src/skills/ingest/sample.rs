//! A believable corpus for tests: the rows that the earlier steps would have left, made from a seed.
//!
//! Invariant: the same number of documents gives the same rows, so that snapshots hold.

use std::path::Path;
use std::sync::Arc;

use fastrand::Rng;
use serde::Serialize;
use serde_json::Value;
use tempfile::TempDir;

use super::formats::*;
use super::output;
use crate::{StepContext, StepControl};

const PROJECTS: &[(&str, &str)] = &[
    ("redb-4.6.0", "MIT OR Apache-2.0"),
    ("brotli-8.0.2", "BSD-3-Clause AND MIT"),
    ("aho-corasick-1.1.4", "Unlicense OR MIT"),
    ("serde-1.0.229", "MIT OR Apache-2.0"),
    ("gpl-tools-2.4", "GPL-3.0-or-later"),
    ("handbook", ""),
    ("indicatif-0.18", "MIT"),
    ("option-ext-0.2", "MPL-2.0"),
    ("regex-1.12.2", "MIT OR Apache-2.0"),
    ("scratch", ""),
    ("tokio-1.54.1", "MIT"),
    ("unicode-ident-1.0", "(MIT OR Apache-2.0) AND Unicode-3.0"),
];
const FILES: &[(&str, &str)] = &[
    ("README.md", "markdown"),
    ("LICENSE", "licence"),
    ("CHANGELOG.md", "markdown"),
    ("docs/guide.md", "markdown"),
    ("src/lib.rs", "code"),
    ("Cargo.toml", "config"),
    ("docs/index.html", "html"),
    ("assets/logo.png", "binary"),
    ("NOTES.txt", "text"),
];
const DOMAINS_USED: &[&str] = &["software engineering", "law and policy", "data and databases", "networking"];

/// All rows of one made-up corpus.
#[derive(Default, Clone)]
pub(super) struct SampleCorpus {
    pub(super) audit: Vec<AuditRow>,
    pub(super) clean: Vec<CleanRow>,
    pub(super) chunks: Vec<ChunkRow>,
    pub(super) domains: Vec<DomainRow>,
    pub(super) graph: DocumentGraph,
}

impl SampleCorpus {
    /// A corpus of `count` files, in the order of their paths.
    pub(super) fn seeded(count: usize) -> Self {
        let mut rng = Rng::with_seed(0x5EED + count as u64);
        let mut audit: Vec<AuditRow> = (0..count).map(|index| audit_row(index, &mut rng)).collect();
        audit.sort_by(|a, b| a.path.cmp(&b.path));
        for (doc_id, row) in audit.iter_mut().enumerate() {
            row.doc_id = doc_id as u32;
        }
        let clean: Vec<CleanRow> = audit
            .iter()
            .filter(|row| row.status == AuditStatus::Ok)
            .map(|row| clean_row(row, &audit))
            .collect();
        let originals: Vec<CleanRow> =
            clean.iter().filter(|row| row.duplicate_of.is_none()).cloned().collect();
        let chunks = originals.iter().flat_map(|row| chunk_rows(row, &mut rng)).collect();
        let domains = originals.iter().map(|row| domain_row(row, &mut rng)).collect();
        let graph = graph(&originals, &mut rng);
        Self { audit, clean, chunks, domains, graph }
    }

    /// Writes all tables below `run_dir`, as the steps would have.
    pub(super) fn write(&self, run_dir: &Path) {
        let step = step(run_dir, Value::Null);
        write_all(&step, AUDIT, &self.audit);
        write_all(&step, CLEAN, &self.clean);
        write_all(&step, CHUNKS, &self.chunks);
        write_all(&step, DOMAINS, &self.domains);
        output::write_json(&step, GRAPH, "graph", &self.graph).unwrap();
        std::fs::create_dir_all(run_dir.join(INDEX)).unwrap();
    }

    /// A run folder with all tables and the compliance check's answer.
    pub(super) fn checked_run(&self) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        self.write(folder.path());
        super::compliance::run(&step(folder.path(), Value::Null)).unwrap();
        folder
    }
}

/// A context for one step on `run_dir`.
pub(super) fn step(run_dir: &Path, inputs: Value) -> StepContext {
    StepContext::new(run_dir.to_owned(), inputs, 1, Arc::new(StepControl::default()))
}

pub(super) fn write_all<T: Serialize>(step: &StepContext, path: &str, rows: &[T]) {
    output::write_rows(step, path, "test", rows).unwrap();
}

fn audit_row(index: usize, rng: &mut Rng) -> AuditRow {
    let (project, licence) = PROJECTS[index % PROJECTS.len()];
    // Each project starts elsewhere in the list, so that a small corpus has all kinds too.
    let (file, kind) = FILES[(index / PROJECTS.len() + 2 * (index % PROJECTS.len())) % FILES.len()];
    let round = index / (PROJECTS.len() * FILES.len());
    let path =
        if round == 0 { format!("{project}/{file}") } else { format!("{project}/part-{round:03}/{file}") };
    let mut row = AuditRow {
        raw_path: String::new(),
        format: String::new(),
        doc_id: 0,
        bytes: 1 << rng.u64(6..17) | rng.u64(0..64),
        status: AuditStatus::Ok,
        reason: String::new(),
        kind: kind.to_owned(),
        encoding: if index % 17 == 3 { "windows-1252".into() } else { "UTF-8".into() },
        decode_errors: u64::from(index == 29),
        language: ["eng", "eng", "eng", "deu", "eng", "fra", ""][index % 7].to_owned(),
        licences: Vec::new(),
        flags: Vec::new(),
        blake3: format!("{index:064x}"),
        path,
    };
    match kind {
        "binary" => skip(&mut row, AuditStatus::Binary, "the first bytes are not text"),
        "licence" if !licence.is_empty() => row.licences.push(hit(licence, 0.97, "text")),
        "config" if !licence.is_empty() => row.licences.push(hit(licence, 1.0, "manifest")),
        _ => {}
    }
    if file == "NOTES.txt" && index % 5 == 1 {
        skip(&mut row, AuditStatus::TooLarge, "larger than 8 MB");
    }
    mark(&mut row);
    row
}

/// The secrets and addresses that the second look is about.
fn mark(row: &mut AuditRow) {
    let flag = |class: &str, kind: &str, line: u32, masked: &str| AuditFlag {
        class: class.into(),
        kind: kind.into(),
        line,
        column: 1,
        masked: masked.into(),
    };
    match row.path.as_str() {
        "scratch/README.md" => row.flags.push(flag("secret", "private_key", 12, "-----BEGIN…KEY-----")),
        "tokio-1.54.1/docs/guide.md" => {
            row.flags.push(flag("secret", "aws_access_key", 40, "AKIA************MPLE"));
        }
        path if path.ends_with("/README.md") && row.flags.is_empty() => {
            row.flags.push(flag("pii", "email", 7, "a***@example.org"));
        }
        _ => {}
    }
}

fn skip(row: &mut AuditRow, status: AuditStatus, reason: &str) {
    row.status = status;
    reason.clone_into(&mut row.reason);
    row.encoding.clear();
    row.language.clear();
}

fn hit(spdx: &str, confidence: f32, by: &str) -> LicenceHit {
    LicenceHit { spdx: spdx.into(), confidence, by: by.into(), line: 1 }
}

/// Licence texts of one licence repeat each other; so do some changelogs, nearly.
fn clean_row(row: &AuditRow, audit: &[AuditRow]) -> CleanRow {
    let twin = |how: &str, similarity: f32| {
        let same = |other: &&AuditRow| {
            other.kind == row.kind && other.licences == row.licences && other.status == row.status
        };
        let first = audit.iter().find(same)?;
        (first.doc_id < row.doc_id).then(|| DocumentDuplicate {
            doc_id: first.doc_id,
            how: how.into(),
            similarity,
        })
    };
    let duplicate_of = match row.kind.as_str() {
        "licence" if !row.licences.is_empty() => twin("exact", 1.0),
        "html" => twin("near", 0.91),
        _ => None,
    };
    let key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us\n";
    let text = match row.path.as_str() {
        "scratch/README.md" => key.to_owned(),
        "tokio-1.54.1/docs/guide.md" => "Set AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE first.".to_owned(),
        path => format!("The text of {path}."),
    };
    CleanRow {
        doc_id: row.doc_id,
        path: row.path.clone(),
        kind: row.kind.clone(),
        title: row.path.rsplit('/').next().unwrap_or_default().to_owned(),
        text,
        repairs: if row.encoding == "UTF-8" { vec![] } else { vec![format!("decoded:{}", row.encoding)] },
        duplicate_of,
    }
}

fn chunk_rows(row: &CleanRow, rng: &mut Rng) -> Vec<ChunkRow> {
    let chunk = |level: &str, ordinal: u32, length: u64| ChunkRow {
        chunk_id: format!("{}-{level}-{ordinal}", row.doc_id),
        doc_id: row.doc_id,
        level: level.into(),
        ordinal,
        parent: None,
        start: 0,
        end: length,
        heading: String::new(),
        text: String::new(),
    };
    let mut chunks = vec![chunk("section", 0, rng.u64(800..4000))];
    chunks.extend((0..3).map(|ordinal| chunk("paragraph", ordinal, rng.u64(150..900))));
    chunks.extend((0..8).map(|ordinal| chunk("sentence", ordinal, rng.u64(20..200))));
    chunks
}

fn domain_row(row: &CleanRow, rng: &mut Rng) -> DomainRow {
    let domain =
        if row.kind == "licence" { DOMAINS_USED[1] } else { DOMAINS_USED[[0, 0, 0, 2, 3][rng.usize(..5)]] };
    let confidence = (30 + rng.u8(0..65)) as f32 / 100.0;
    DomainRow {
        doc_id: row.doc_id,
        path: row.path.clone(),
        domain: domain.to_owned(),
        confidence,
        top: vec![(domain.to_owned(), confidence)],
    }
}

/// One community a project; every document points at the first one of the project, some at other projects.
fn graph(rows: &[CleanRow], rng: &mut Rng) -> DocumentGraph {
    let mut communities: Vec<GraphCommunity> = Vec::new();
    let mut graph = DocumentGraph::default();
    for row in rows {
        let project = super::compliance::project(&row.path).to_owned();
        let found = communities.iter().position(|community| community.label == project);
        let community = found.unwrap_or_else(|| {
            communities.push(GraphCommunity { members: Vec::new(), label: project });
            communities.len() - 1
        });
        communities[community].members.push(row.doc_id);
        let hub = communities[community].members[0];
        let edge =
            |to: u32, kind: &str, weight: f64| GraphEdge { from: row.doc_id, to, kind: kind.into(), weight };
        if hub != row.doc_id {
            graph.edges.push(edge(hub, "link", 1.0));
        }
        if rng.u8(..10) < 3 {
            let other = rows[rng.usize(..rows.len())].doc_id;
            graph.edges.push(edge(other, ["mention", "similar"][rng.usize(..2)], 0.5));
        }
        let rank = if hub == row.doc_id { 0.04 } else { 0.004 } + f64::from(rng.u8(..99)) / 1e5;
        graph.nodes.push(GraphNode {
            doc_id: row.doc_id,
            path: row.path.clone(),
            community: community as u32,
            rank,
        });
    }
    graph.edges.retain(|edge| edge.from != edge.to);
    graph.outside_hosts = [("docs.rs".to_owned(), 31), ("github.com".to_owned(), 57)].into();
    graph.broken = rows.first().map(|row| (row.doc_id, "docs/missing.md".to_owned())).into_iter().collect();
    graph.communities = communities;
    graph
}
