//! New content, written but not yet in place. Failure policy: dropped unused, the file is removed if
//! possible.

use cap_std::fs::Dir;

use super::super::failure::ToolFailure;

/// New content beside the file to be replaced; removed when dropped unused.
#[derive(Debug)]
pub(crate) struct StagedFile {
    pub(super) parent: Dir,
    pub(super) temporary: String,
    pub(super) name: String,
    pub(super) is_done: bool,
}

impl StagedFile {
    pub(crate) fn put_in_place(mut self) -> Result<(), ToolFailure> {
        self.parent
            .rename(&self.temporary, &self.parent, &self.name)
            .map_err(|error| ToolFailure::from_io(&self.name, &error))?;
        self.is_done = true;
        Ok(())
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.is_done {
            // A leftover temporary file is untidy, not wrong.
            let _ = self.parent.remove_file(&self.temporary);
        }
    }
}
