//! New content on its way to its place. Failure policy: an unused one removes itself as well as it can.

use cap_std::fs::Dir;

use super::super::failure::ToolFailure;

/// New content beside the file that it will replace; removed when dropped unused.
#[derive(Debug)]
pub(in crate::tools) struct StagedFile {
    pub(super) parent: Dir,
    pub(super) temporary: String,
    pub(super) name: String,
    pub(super) is_done: bool,
}

impl StagedFile {
    pub(in crate::tools) fn put_in_place(mut self) -> Result<(), ToolFailure> {
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
            // A temporary file that stays is untidy, not wrong.
            let _ = self.parent.remove_file(&self.temporary);
        }
    }
}
