//! Folders of the daemon that only its user may enter: they hold the text of documents, prompts and answers.
//!
//! Failure policy: a folder whose rights cannot be changed is told in the log; the daemon starts all the same.

use crate::config::SwarmConfig;
use crate::files;

/// Folder of artifacts, receipts and inboxes, below the working directory.
const ARTIFACTS: &str = "artifacts";

pub(super) fn keep_others_out(config: &SwarmConfig) {
    for folder in [config.daemon.data_dir.clone(), config.daemon.workdir.join(ARTIFACTS)] {
        if let Err(error) = files::create_private_folder(&folder) {
            tracing::warn!(folder = %folder.display(), %error, "other users may be able to enter a folder of the daemon");
        }
    }
}
