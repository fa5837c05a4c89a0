//! Folders of the daemon that only its user may enter: they hold the text of documents, prompts and answers.
//!
//! Rights that are taken from others are told in the log. Failure policy: so is a folder whose rights cannot be changed;
//! the daemon starts all the same.

use crate::config::SwarmConfig;
use crate::files;

/// Folder of artifacts, receipts and inboxes, below the working directory.
const ARTIFACTS: &str = "artifacts";

pub(super) fn keep_others_out(config: &SwarmConfig) {
    for folder in [config.daemon.data_dir.clone(), config.daemon.workdir.join(ARTIFACTS)] {
        match files::create_private_folder(&folder) {
            Ok(None) => {}
            Ok(Some(before)) => {
                tracing::info!(
                    folder = %folder.display(),
                    before = format_args!("{before:o}"),
                    "other users could enter a folder of the daemon, and no longer can"
                );
            }
            Err(error) => {
                tracing::warn!(folder = %folder.display(), %error, "other users may be able to enter a folder of the daemon");
            }
        }
    }
}
