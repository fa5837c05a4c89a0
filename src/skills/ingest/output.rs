//! Writes a step's outputs atomically, and reads earlier steps' outputs.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{SkillError, StepContext};
use pas_domain::artifact::Artifact;
use pas_files::replace_file;

/// Writes `bytes` to `path` (relative to the run's folder) atomically: readers never see a partial file.
///
/// # Errors
/// [`SkillError`] by the kind of the I/O error, with the path.
pub fn write_file(
    step: &StepContext,
    path: &str,
    kind: &str,
    media_type: &str,
    bytes: &[u8],
) -> Result<Artifact, SkillError> {
    let target = step.run_dir().join(path);
    replace_file(&target, bytes)
        .map_err(|error| SkillError::io(format_args!("write {}", target.display()), &error))?;
    Ok(Artifact {
        path: path.to_owned(),
        kind: kind.to_owned(),
        media_type: media_type.to_owned(),
        bytes: bytes.len() as u64,
        blake3: blake3::hash(bytes).to_hex().to_string(),
        deterministic: true,
    })
}

/// Writes rows as JSON lines, with the guarantees of [`write_file`].
///
/// # Errors
/// [`SkillError`] by the kind of the I/O error, with the path.
pub fn write_rows<T: Serialize>(
    step: &StepContext,
    path: &str,
    kind: &str,
    rows: impl IntoIterator<Item = T>,
) -> Result<Artifact, SkillError> {
    let mut bytes = Vec::new();
    for row in rows {
        serde_json::to_writer(&mut bytes, &row)
            .map_err(|error| SkillError::Permanent(format!("encode a row of {path}: {error}")))?;
        bytes.push(b'\n');
    }
    write_file(step, path, kind, "application/x-ndjson", &bytes)
}

/// Writes one value as readable JSON, with the guarantees of [`write_file`].
///
/// # Errors
/// [`SkillError`] by the kind of the I/O error, with the path.
pub fn write_json<T: Serialize>(
    step: &StepContext,
    path: &str,
    kind: &str,
    value: &T,
) -> Result<Artifact, SkillError> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| SkillError::Permanent(format!("encode {path}: {error}")))?;
    bytes.push(b'\n');
    write_file(step, path, kind, "application/json", &bytes)
}

/// Reads the JSON lines of an earlier step.
///
/// # Errors
/// [`SkillError::Permanent`] when the file is missing or damaged (names file and line).
pub fn read_rows<T: DeserializeOwned>(step: &StepContext, path: &str) -> Result<Vec<T>, SkillError> {
    let source = step.run_dir().join(path);
    let file = File::open(&source)
        .map_err(|error| SkillError::io(format_args!("read {}", source.display()), &error))?;
    let mut rows = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|error| SkillError::io(format_args!("read {}", source.display()), &error))?;
        rows.push(serde_json::from_str(&line).map_err(|error| {
            SkillError::Permanent(format!("{} line {} is damaged: {error}", source.display(), number + 1))
        })?);
    }
    Ok(rows)
}

/// Reads a JSON value of an earlier step.
///
/// # Errors
/// [`SkillError::Permanent`] when the file is missing or damaged.
pub fn read_json<T: DeserializeOwned>(step: &StepContext, path: &str) -> Result<T, SkillError> {
    let source = step.run_dir().join(path);
    let bytes = fs::read(&source)
        .map_err(|error| SkillError::io(format_args!("read {}", source.display()), &error))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| SkillError::Permanent(format!("{} is damaged: {error}", source.display())))
}
