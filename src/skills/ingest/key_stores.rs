//! Files and folders that hold keys by their nature (`.ssh`, a browser's profile): an ingest copies what it reads into
//! artifacts, an index and a report, where keys must not go.
//!
//! Invariant: the names come from the configuration alone; a card cannot shorten them.

use std::ffi::OsString;
use std::path::Path;

use super::formats::AuditStatus;
use super::source::FileTrouble;

/// The setting's name.
pub(super) const SETTING: &str = "key_stores";

/// The names, each with its parts.
#[derive(Debug)]
pub(super) struct KeyStores(Vec<(String, Vec<OsString>)>);

impl KeyStores {
    pub(super) fn new(names: &[String]) -> Self {
        let parts = |name: &String| parts(Path::new(name));
        let stores = names.iter().map(|name| (name.clone(), parts(name)));
        Self(stores.filter(|(_, parts)| !parts.is_empty()).collect())
    }

    /// The name of the store that `path`, an absolute path, is or lies in.
    pub(super) fn around(&self, path: &Path) -> Option<&str> {
        let path = parts(path);
        // File systems of macOS and Windows do not tell cases apart.
        let begins = |at: &[OsString], store: &[OsString]| {
            at.len() == store.len() && at.iter().zip(store).all(|(a, b)| a.eq_ignore_ascii_case(b))
        };
        let is_in = |store: &[OsString]| path.windows(store.len()).any(|at| begins(at, store));
        self.0.iter().find(|(_, store)| is_in(store)).map(|(name, _)| name.as_str())
    }

    /// As [`Self::around`]: the row of such a file or folder.
    pub(super) fn withheld(&self, path: &Path) -> Result<(), FileTrouble> {
        self.around(path).map_or(Ok(()), |name| Err((AuditStatus::Withheld, remark(name))))
    }
}

/// What is said of a store, and how it may be read.
pub(super) fn remark(name: &str) -> String {
    format!(
        "holds keys, so it is not read; to read it, take \"{name}\" out of `{SETTING}` in [ingest] of pas.toml"
    )
}

fn parts(path: &Path) -> Vec<OsString> {
    path.components().map(|part| part.as_os_str().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_known_by_its_whole_name_anywhere_in_a_path() {
        let stores = KeyStores::new(&[".ssh", ".docker/config.json", "", "/srv/keys"].map(str::to_owned));
        for (path, store) in [
            ("/people/me/.ssh", Some(".ssh")),
            ("/people/me/.SSH/id_ed25519", Some(".ssh")),
            ("/people/me/.docker/config.json", Some(".docker/config.json")),
            ("/srv/keys/a", Some("/srv/keys")),
            ("/data/srv/keys/a", None),
            ("/people/me/.docker/other.json", None),
            ("/people/me/config.json", None),
            ("/people/me/.sshd", None),
            ("/people/me", None),
        ] {
            assert_eq!(stores.around(Path::new(path)), store, "{path}");
        }
    }
}
