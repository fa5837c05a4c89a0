//! Names of commits, trees, paths and folders, checked once where they enter. Failure policy: a name that
//! does not fit is refused, because names become arguments of git and parts of paths.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

fn is_object_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

macro_rules! object_id {
    ($name:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Takes 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits.
            pub fn parse(text: &str) -> Option<Self> {
                is_object_id(text).then(|| Self(text.to_owned()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                Self::parse(&text).ok_or_else(|| format!("{text:?} is no object id of git"))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

object_id!(CommitId, "The id of a commit.");
object_id!(TreeId, "The id of a tree: equal trees have equal ids.");

/// A path inside a tree, relative, as bytes: git and Linux allow any but NUL.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GitPath(Vec<u8>);

impl GitPath {
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    pub fn file_name(&self) -> &[u8] {
        self.0.rsplit(|b| *b == b'/').next().unwrap_or_default()
    }
}

/// Control characters and bytes that are no UTF-8 are escaped, so that a name cannot write on a terminal.
impl fmt::Display for GitPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for GitPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The folder of a tree below the root: a run, and a name within the run (`main`, a step, a writer).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TreeName {
    run: String,
    name: String,
}

impl TreeName {
    /// Long enough for a UUID with a prefix; short enough for any file system.
    const MAX_PART: usize = 80;

    pub fn new(run: &str, name: &str) -> Option<Self> {
        let fits = |part: &str| {
            !part.is_empty()
                && part.len() <= Self::MAX_PART
                && !part.starts_with(['.', '-'])
                && !part.ends_with('.')
                && !part.ends_with(".lock")
                && !part.contains("..")
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        (fits(run) && fits(name)).then(|| Self { run: run.to_owned(), name: name.to_owned() })
    }

    /// The tree of a job of a run, by the job's id: the run's, and its steps behind dots.
    pub fn of_job(run: &str, job: &str) -> Option<Self> {
        let steps = job.strip_prefix(run)?.trim_start_matches('.');
        let name = if steps.is_empty() { "main".to_owned() } else { steps.replace('.', "_") };
        Self::new(run, &name)
    }

    pub fn run(&self) -> &str {
        &self.run
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for TreeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.run, self.name)
    }
}
