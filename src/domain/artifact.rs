//! Artifacts of a step, as named in rows, in manifests and on the wire.

use serde::{Deserialize, Serialize};

/// A file (or a folder, for the full-text index) that a step produced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Path relative to the run's folder, with `/` between segments.
    pub path: String,
    /// A word for people: `audit`, `chunks`, `report`, …
    pub kind: String,
    /// Media type, such as `application/x-ndjson`.
    pub media_type: String,
    /// Size in bytes (of all files, for a folder).
    pub bytes: u64,
    /// BLAKE3 of the content in hexadecimal. For the index folder: of the logical content, because the files
    /// carry random segment names.
    pub blake3: String,
    /// Whether the same input always gives the same hash. False for files with times.
    pub deterministic: bool,
}
