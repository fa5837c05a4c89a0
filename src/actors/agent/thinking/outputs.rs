//! Whole outputs of calls: files named by their BLAKE3 below the run's folder, found by number within a step.

use std::io;
use std::path::PathBuf;

use crate::files;
use crate::tools::ResultSpill;

/// Below a run's folder.
const FOLDER: &str = "outputs";

/// The outputs of one step. A number is given when an output is kept, and becomes durable with the row that names it.
pub(super) struct StepOutputs {
    folder: PathBuf,
    hashes: Vec<String>,
}

impl StepOutputs {
    /// `hashes` are those that rows of the step name already, in their order.
    pub(super) fn new(run_dir: &std::path::Path, hashes: Vec<String>) -> Self {
        Self { folder: run_dir.join(FOLDER), hashes }
    }

    /// The hash under which the output of that number is kept.
    pub(super) fn hash(&self, number: u64) -> Option<&str> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        self.hashes.get(index).map(String::as_str)
    }

    /// Forgets outputs that no row names: the call that kept them was cut.
    pub(super) fn truncate(&mut self, rows: usize) {
        self.hashes.truncate(rows);
    }
}

impl ResultSpill for StepOutputs {
    fn store(&mut self, bytes: &[u8]) -> io::Result<u64> {
        let hash = blake3::hash(bytes).to_hex().to_string();
        files::create_folders(&self.folder)?;
        match files::create_file(&self.folder.join(&hash), bytes) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
        self.hashes.push(hash);
        Ok(self.hashes.len() as u64)
    }

    fn read(&self, number: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(hash) = self.hash(number) else { return Ok(None) };
        std::fs::read(self.folder.join(hash)).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_found_by_its_number_again_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut outputs = StepOutputs::new(dir.path(), Vec::new());
        assert_eq!(outputs.store(b"first").unwrap(), 1);
        assert_eq!(outputs.store(b"second").unwrap(), 2);
        let hashes = vec![outputs.hash(1).unwrap().to_owned()];
        let mut again = StepOutputs::new(dir.path(), hashes);
        assert_eq!(again.read(1).unwrap().unwrap(), b"first");
        assert_eq!(again.read(2).unwrap(), None, "no row names it");
        assert_eq!(again.store(b"first").unwrap(), 2, "the same bytes are one file under two numbers");
    }
}
