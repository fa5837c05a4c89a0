//! Examines and repairs a receipt file: after a crash, after a failed write, after damage.
//!
//! A crash leaves a torn last line, which is cut off. Only a person or a disk leaves a bad line before good
//! ones: then the file is set aside under another name, untouched, and rewritten from the store and the good
//! lines; that is logged as an error. Invariant: a receipt that was in the file or in the store is in the
//! file afterwards, once.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::domain::accounts::receipt::{Receipt, wire};
use crate::domain::time::Timestamp;
use crate::files::{DraftFile, create_folders, folder_of, sync_folder};

#[derive(Debug, Default)]
pub(super) struct ReceiptFileContent {
    /// The file's receipts, by `seq`.
    pub(super) receipts: BTreeMap<u64, Arc<Receipt>>,
    /// Bytes up to the end of the last good line.
    whole: u64,
    bytes: u64,
    /// Whether a bad line comes before a good one, or a receipt appears twice.
    pub(super) is_damaged: bool,
}

/// Reads a receipt file; a missing file is empty.
pub(super) fn examine(path: &Path) -> io::Result<ReceiptFileContent> {
    let text = match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ReceiptFileContent::default()),
        read => read?,
    };
    let mut found = ReceiptFileContent { bytes: text.len() as u64, ..ReceiptFileContent::default() };
    let (mut position, mut bad) = (0, false);
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        position += line.len() as u64;
        let receipt = line.ends_with(b"\n").then(|| wire::receipt_of(line).ok()).flatten();
        let Some(receipt) = receipt else {
            bad = true;
            continue;
        };
        found.whole = position;
        let twice = found.receipts.insert(receipt.seq, Arc::new(receipt)).is_some();
        found.is_damaged |= bad || twice;
    }
    Ok(found)
}

/// Repairs a file, so that it has the old receipts and `wanted`. Durable on return.
///
/// `stored` returns all of the run's receipts in the store; called only for a damaged file.
pub(super) fn mend(
    path: &Path,
    found: &ReceiptFileContent,
    wanted: &[Arc<Receipt>],
    stored: impl FnOnce() -> io::Result<Vec<Arc<Receipt>>>,
) -> io::Result<()> {
    if found.is_damaged {
        let mut all = found.receipts.clone();
        all.extend(stored()?.into_iter().chain(wanted.iter().cloned()).map(|receipt| (receipt.seq, receipt)));
        return rewrite(path, &all);
    }
    let missing: Vec<_> =
        wanted.iter().filter(|receipt| !found.receipts.contains_key(&receipt.seq)).collect();
    if missing.is_empty() && found.whole == found.bytes {
        return Ok(());
    }
    let folder = folder_of(path);
    create_folders(folder)?;
    let is_new = !path.exists();
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    if found.whole < found.bytes {
        tracing::warn!(file = %path.display(), bytes = found.bytes - found.whole, "a torn last line was cut off");
        file.set_len(found.whole)?;
    }
    let mut out = BufWriter::new(file);
    for receipt in missing {
        out.write_all(&wire::line_of(receipt)?)?;
    }
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_data()?;
    if is_new { sync_folder(folder) } else { Ok(()) }
}

fn rewrite(path: &Path, receipts: &BTreeMap<u64, Arc<Receipt>>) -> io::Result<()> {
    let mut draft = DraftFile::beside(path)?;
    for receipt in receipts.values() {
        draft.write_all(&wire::line_of(receipt)?)?;
    }
    // First, so that a full disk does not leave a set-aside file for every try.
    draft.sync()?;
    let aside = aside(path);
    match std::fs::hard_link(path, &aside) {
        // The file was taken away meanwhile: there is nothing to set aside.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        linked => linked?,
    }
    draft.publish()?;
    tracing::error!(
        file = %path.display(), set_aside = %aside.display(), receipts = receipts.len(),
        "a receipt file was damaged; it was set aside and rewritten from the store and its good lines"
    );
    Ok(())
}

/// A free name beside a damaged file.
fn aside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stamp = Timestamp::now().as_millis();
    let names = (0_u32..).map(|n| path.with_file_name(format!("{name}.damaged-{stamp}-{n}")));
    names.into_iter().find(|name| !name.exists()).unwrap_or_else(|| path.with_extension("damaged"))
}
