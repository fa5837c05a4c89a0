//! Reads the user's price file, if one is named, over the built-in table.

use std::io;
use std::path::{Path, PathBuf};

use crate::domain::accounts::price::{PriceTable, PriceTableError};

/// Largest price file: thousands of rows take a few hundred kilobytes.
const MAX_BYTES: u64 = 4 << 20;

/// Why there are no prices.
#[derive(Debug, thiserror::Error)]
pub enum PricesError {
    /// The file cannot be read.
    #[error("{}: the prices cannot be read: {source}; `prices.file` names this file", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// The file is invalid.
    #[error(transparent)]
    Wrong(#[from] PriceTableError),
}

/// The prices in force.
///
/// # Errors
/// [`PricesError`] names the file, and the line where there is one.
pub fn load(own: Option<&Path>) -> Result<PriceTable, PricesError> {
    let Some(path) = own else { return Ok(PriceTable::new(None)?) };
    let unreadable = |source| PricesError::Unreadable { path: path.to_owned(), source };
    let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if bytes > MAX_BYTES {
        return Err(unreadable(io::Error::other(format!("{bytes} bytes are too many for a price file"))));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    Ok(PriceTable::new(Some((&path.display().to_string(), &text)))?)
}
