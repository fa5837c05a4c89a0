//! Resolves written references to documents.
//!
//! A path is resolved from the document's folder, then from the project's and from the source folder; a
//! folder means its README. A bare file name means the file beside the document, else the only one of that
//! name in the project. A project is a top-level folder without the version (`serde-1.0.229` → `serde`),
//! represented by the README of the newest version. References to a duplicate mean the document it repeats.
//! Invariant: all look-ups are by hash, none scans documents.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::ingest::formats::{AuditRow, CleanRow};
use crate::ingest::percent;

/// The resolved target of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LinkTarget {
    /// Another document of the corpus.
    Document(u32),
    /// A file or folder that exists, but is no document.
    File,
    Outside {
        /// Lower case, without port and `www.`.
        host: String,
        /// The project that the address names, if in the corpus.
        project: Option<usize>,
    },
    /// A path to nothing.
    Broken(String),
    /// An anchor, an e-mail address, an item of code: no reference between documents.
    Nothing,
}

/// The corpus by path, by file name and by project.
pub(super) struct CorpusNames {
    documents: HashMap<String, u32>,
    others: HashSet<String>,
    by_name: HashMap<(String, String), Option<u32>>,
    projects: HashMap<String, usize>,
    representatives: Vec<u32>,
}

impl CorpusNames {
    /// Of all cleaned rows (duplicates included) and, where the audit is there, all files met.
    pub(super) fn new(documents: &[CleanRow], audit: &[AuditRow]) -> Self {
        let mut names = Self {
            documents: HashMap::new(),
            others: HashSet::new(),
            by_name: HashMap::new(),
            projects: HashMap::new(),
            representatives: Vec::new(),
        };
        for row in documents {
            names.add_document(row);
        }
        for path in
            audit.iter().map(|row| row.path.as_str()).chain(documents.iter().map(|row| row.path.as_str()))
        {
            names.add_file(path);
        }
        names.add_projects(documents);
        names
    }

    fn add_document(&mut self, row: &CleanRow) {
        let meant = meant(row);
        self.documents.insert(row.path.clone(), meant);
        let (folder, name) = row.path.rsplit_once('/').unwrap_or(("", &row.path));
        if folder.to_ascii_lowercase() != *name && is_readme(name) {
            self.documents.entry(folder.to_owned()).or_insert(meant);
        }
        let key = (top(&row.path).to_owned(), name.to_owned());
        self.by_name
            .entry(key)
            .and_modify(|known| *known = known.filter(|id| *id == meant))
            .or_insert(Some(meant));
    }

    fn add_file(&mut self, path: &str) {
        self.others.insert(path.to_owned());
        let mut folder = path;
        while let Some((parent, _)) = folder.rsplit_once('/') {
            if !self.others.insert(parent.to_owned()) {
                break;
            }
            folder = parent;
        }
    }

    fn add_projects(&mut self, documents: &[CleanRow]) {
        let mut best: BTreeMap<String, (bool, Vec<u64>, usize, u32)> = BTreeMap::new();
        for row in documents.iter().filter(|row| row.path.contains('/')) {
            let (name, version) = project_of(&row.path);
            let depth = usize::MAX - row.path.matches('/').count();
            let file = row.path.rsplit('/').next().unwrap_or_default();
            let candidate = (is_readme(file), version, depth, meant(row));
            let known = best.entry(name).or_insert_with(|| candidate.clone());
            if (candidate.0, &candidate.1, candidate.2) > (known.0, &known.1, known.2) {
                *known = candidate;
            }
        }
        for (name, (.., document)) in best {
            self.projects.insert(name, self.representatives.len());
            self.representatives.push(document);
        }
    }

    /// The project of that name, in any spelling of case, `-` and `_`.
    pub(super) fn project(&self, name: &str) -> Option<usize> {
        self.projects.get(&normal(name)).copied()
    }

    pub(super) fn project_at(&self, path: &str) -> Option<usize> {
        self.projects.get(&project_of(path).0).copied()
    }

    /// The document that represents a project.
    pub(super) fn representative(&self, project: usize) -> u32 {
        self.representatives[project]
    }

    /// How many projects there are.
    pub(super) fn projects(&self) -> usize {
        self.representatives.len()
    }

    /// The target of a link in the document at `from`.
    pub(super) fn target(&self, from: &str, target: &str) -> LinkTarget {
        let target = target.trim();
        if let Some(rest) = target.strip_prefix("https://").or_else(|| target.strip_prefix("http://")) {
            return self.outside(rest);
        }
        let path = target.split(['#', '?']).next().unwrap_or_default();
        if path.is_empty() || path.contains(':') || path.starts_with("//") {
            return LinkTarget::Nothing;
        }
        let path = percent::decoded(path);
        for base in [folder(from), top(from), ""] {
            let Some(candidate) = joined(base, &path) else { continue };
            if let Some(document) = self.documents.get(&candidate) {
                return LinkTarget::Document(*document);
            }
            if candidate.is_empty() || self.others.contains(&candidate) {
                return LinkTarget::File;
            }
        }
        if looks_like_path(&path) { LinkTarget::Broken(path) } else { LinkTarget::Nothing }
    }

    /// The document that a file name in the text of the document at `from` means.
    pub(super) fn file(&self, from: &str, word: &str) -> Option<u32> {
        let name_like = word.rsplit_once('.').is_some_and(|(stem, ending)| {
            !stem.is_empty()
                && (1..=5).contains(&ending.len())
                && ending.starts_with(|c: char| c.is_ascii_alphabetic())
        });
        let shouted =
            word.len() >= 4 && !word.chars().any(char::is_lowercase) && word.contains(char::is_alphabetic);
        if !(name_like || shouted) {
            return None;
        }
        let beside = joined(folder(from), word).and_then(|path| self.documents.get(&path).copied());
        beside.or_else(|| self.by_name.get(&(top(from).to_owned(), word.to_owned())).copied().flatten())
    }

    fn outside(&self, rest: &str) -> LinkTarget {
        let (authority, path) = rest.split_once(['/', '?', '#']).unwrap_or((rest, ""));
        let host = authority.rsplit('@').next().unwrap_or_default();
        let host = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let host = host.strip_prefix("www.").unwrap_or(&host).to_owned();
        if !host.contains('.') || !host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-') {
            return LinkTarget::Nothing;
        }
        let mut segments = path.split(['/', '?', '#']);
        // Where package registries and forges put a project's name.
        let name = match host.as_str() {
            "crates.io" | "lib.rs" | "npmjs.com" | "pypi.org" => segments.nth(1),
            "docs.rs" => segments.next(),
            "github.com" | "gitlab.com" | "codeberg.org" => segments.nth(1),
            _ => None,
        };
        let project = name.and_then(|name| self.project(name.trim_end_matches(".git")));
        LinkTarget::Outside { host, project }
    }
}

fn meant(row: &CleanRow) -> u32 {
    row.duplicate_of.as_ref().map_or(row.doc_id, |original| original.doc_id)
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The top-level folder of a path; empty for a file beside the folders.
pub(super) fn top(path: &str) -> &str {
    path.split_once('/').map_or("", |(top, _)| top)
}

fn is_readme(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default();
    stem.eq_ignore_ascii_case("readme") || name.eq_ignore_ascii_case("index.html")
}

fn normal(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "_")
}

/// The project's name and version numbers, from the top-level folder.
fn project_of(path: &str) -> (String, Vec<u64>) {
    let top = top(path);
    let split = top.match_indices('-').find(|(at, _)| {
        let rest = &top[at + 1..];
        rest.starts_with(|c: char| c.is_ascii_digit()) && rest.contains('.')
    });
    match split {
        Some((at, _)) => {
            let numbers = top[at + 1..].split(['.', '-', '+']).map_while(|part| part.parse().ok());
            (normal(&top[..at]), numbers.collect())
        }
        None => (normal(top), Vec::new()),
    }
}

/// `base/path` without `.` and `..`; `None` when that leads out of the source folder.
fn joined(base: &str, path: &str) -> Option<String> {
    let mut segments: Vec<&str> = base.split('/').filter(|segment| !segment.is_empty()).collect();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop()?;
            }
            name => segments.push(name),
        }
    }
    Some(segments.join("/"))
}

/// A target that must be a file: items of documented code (`Vec`, `struct.Foo.html`) are none.
fn looks_like_path(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let generated = ["struct.", "enum.", "trait.", "fn.", "macro.", "type.", "constant.", "attr.", "derive."];
    if generated.iter().any(|prefix| name.starts_with(prefix)) || path.contains([' ', '(', '<', '`']) {
        return false;
    }
    path.contains('/') || name.rsplit_once('.').is_some_and(|(stem, _)| !stem.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::testing::clean_row;

    fn names(paths: &[&str]) -> CorpusNames {
        let rows: Vec<_> = paths.iter().zip(0..).map(|(path, id)| clean_row(id, path, "")).collect();
        CorpusNames::new(&rows, &[])
    }

    #[test]
    fn paths_resolve_from_the_folder_the_project_and_the_source() {
        let names = names(&["a-1.0.0/README.md", "a-1.0.0/docs/x y.md", "b/notes.md"]);
        let from = "a-1.0.0/docs/x y.md";
        assert_eq!(names.target(from, "../README.md#top"), LinkTarget::Document(0));
        assert_eq!(names.target(from, "/docs/x%20y.md"), LinkTarget::Document(1));
        assert_eq!(names.target(from, "b/notes.md"), LinkTarget::Document(2));
        assert_eq!(names.target(from, ".."), LinkTarget::Document(0));
        assert_eq!(names.target(from, "../docs"), LinkTarget::File);
        assert_eq!(
            names.target(from, "../../../../etc/passwd"),
            LinkTarget::Broken("../../../../etc/passwd".to_owned())
        );
        assert_eq!(names.target(from, "gone.md"), LinkTarget::Broken("gone.md".to_owned()));
        for nothing in ["#here", "mailto:a@b.c", "crate::Item", "Item", "struct.Item.html", ""] {
            assert_eq!(names.target(from, nothing), LinkTarget::Nothing, "{nothing}");
        }
    }

    #[test]
    fn addresses_give_their_host_and_the_project_they_name() {
        let names = names(&["rust-stemmers-1.2.0/README.md"]);
        let outside = |host: &str, project| LinkTarget::Outside { host: host.to_owned(), project };
        assert_eq!(names.target("x", "https://docs.rs/rust_stemmers/1.0"), outside("docs.rs", Some(0)));
        assert_eq!(
            names.target("x", "http://me@www.GitHub.com:443/o/rust-stemmers.git"),
            outside("github.com", Some(0))
        );
        assert_eq!(names.target("x", "https://example.org"), outside("example.org", None));
        assert_eq!(names.target("x", "http://localhost:80/"), LinkTarget::Nothing);
    }

    #[test]
    fn a_project_is_its_folder_without_the_version_and_the_newest_readme_stands_for_it() {
        let names = names(&["p-0.9.0/README.md", "p-0.10.0/README.md", "p-0.10.0/a.md", "q-rs/z.md"]);
        assert_eq!(names.project("P").map(|project| names.representative(project)), Some(1));
        assert_eq!(names.project("q_rs").map(|project| names.representative(project)), Some(3));
        assert_eq!(names.projects(), 2);
    }

    #[test]
    fn file_names_mean_the_file_beside_or_the_only_one_in_the_project() {
        let names = names(&["a/README.md", "a/d/LICENSE-MIT", "b/README.md", "a/d/x.txt", "a/e/x.txt"]);
        assert_eq!(names.file("b/README.md", "README.md"), Some(2));
        assert_eq!(names.file("a/README.md", "LICENSE-MIT"), Some(1));
        assert_eq!(names.file("a/README.md", "x.txt"), None);
        assert_eq!(names.file("a/README.md", "license-mit"), None);
    }
}
