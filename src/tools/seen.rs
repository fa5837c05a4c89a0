//! The files an agent has read or written in this job, by the hash of their content at that time.
//!
//! Owns [`SeenFiles`]. The hashes decide; the contents are kept only to show a later change, up to a
//! bound, and are lost on serialisation. Invariant: a file counts as seen at exactly one hash, the latest.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::tree::TreePath;

/// Most bytes kept of one file to show a difference.
const MAX_KEPT_FILE: usize = 256 * 1024;
/// Most bytes kept of all files together.
const MAX_KEPT: usize = 4 * 1024 * 1024;

/// Whether a file has changed since the agent last saw it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SeenStanding<'a> {
    Never,
    Same,
    /// Changed; the earlier content, if still kept.
    Changed(Option<&'a [u8]>),
}

/// The files whose content an agent knows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SeenFiles {
    /// BLAKE3 of the content, in hexadecimal, by path.
    hashes: BTreeMap<String, String>,
    #[serde(skip)]
    kept: BTreeMap<String, Vec<u8>>,
    #[serde(skip)]
    order: VecDeque<String>,
}

impl SeenFiles {
    pub(super) fn remember(&mut self, path: &TreePath, content: &[u8]) {
        self.remember_hash(path, hash_of(content));
        if content.len() <= MAX_KEPT_FILE {
            self.kept.insert(path.as_str().to_owned(), content.to_vec());
            self.order.push_back(path.as_str().to_owned());
            self.drop_oldest();
        }
    }

    /// Remembers a file whose content is too large to keep.
    pub(super) fn remember_hash(&mut self, path: &TreePath, hash: String) {
        self.forget(path);
        self.hashes.insert(path.as_str().to_owned(), hash);
    }

    pub(super) fn forget(&mut self, path: &TreePath) {
        self.hashes.remove(path.as_str());
        if self.kept.remove(path.as_str()).is_some() {
            self.order.retain(|name| name != path.as_str());
        }
    }

    pub(super) fn standing(&self, path: &TreePath, content: &[u8]) -> SeenStanding<'_> {
        match self.hashes.get(path.as_str()) {
            None => SeenStanding::Never,
            Some(hash) if *hash == hash_of(content) => SeenStanding::Same,
            Some(_) => SeenStanding::Changed(self.kept.get(path.as_str()).map(Vec::as_slice)),
        }
    }

    fn drop_oldest(&mut self) {
        let mut total: usize = self.kept.values().map(Vec::len).sum();
        while total > MAX_KEPT {
            let Some(oldest) = self.order.pop_front() else { return };
            total -= self.kept.remove(&oldest).map_or(0, |content| content.len());
        }
    }
}

pub(super) fn hash_of(content: &[u8]) -> String {
    blake3::hash(content).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::ToolTree;

    #[test]
    fn contents_are_bounded_and_hashes_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let tree = ToolTree::open(folder.path(), &[]).unwrap();
        let mut seen = SeenFiles::default();
        let content = vec![b'x'; MAX_KEPT_FILE];
        for number in 0..20 {
            seen.remember(&tree.path(&format!("f{number}")).unwrap(), &content);
        }
        let first = tree.path("f0").unwrap();
        assert_eq!(seen.standing(&first, &content), SeenStanding::Same);
        assert_eq!(seen.standing(&first, b"y"), SeenStanding::Changed(None));
        let last = tree.path("f19").unwrap();
        assert_eq!(seen.standing(&last, b"y"), SeenStanding::Changed(Some(&content)));
        let again: SeenFiles = serde_json::from_str(&serde_json::to_string(&seen).unwrap()).unwrap();
        assert_eq!(again.standing(&last, &content), SeenStanding::Same);
        assert_eq!(again.standing(&last, b"y"), SeenStanding::Changed(None));
        seen.forget(&last);
        assert_eq!(seen.standing(&last, &content), SeenStanding::Never);
    }
}
