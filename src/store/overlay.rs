//! A backend that reads the bytes and keeps every write in memory.
//!
//! Opening a file makes redb write (header, repairs), and a failed write makes it refuse even reads. Through
//! an overlay redb can open, repair and read a file whose disk takes no writes, and the file stays unchanged.

use std::collections::BTreeMap;
use std::io;

use parking_lot::RwLock;
use redb::StorageBackend;

use super::lock_methods::pass_locks_on;

/// Bytes kept together: one redb page, so that most writes replace whole blocks.
pub(super) const BLOCK: usize = 4096;
pub(super) const BLOCK_BYTES: u64 = BLOCK as u64;

/// Most blocks kept, 64 MiB: opening writes a header and the allocator's state, some pages a gigabyte.
const MAX_BLOCKS: usize = 16 * 1024;

#[derive(Debug)]
pub(super) struct OverlayBackend {
    inner: Box<dyn StorageBackend>,
    written: RwLock<OverlayWrites>,
}

#[derive(Debug)]
struct OverlayWrites {
    len: u64,
    /// Length up to which the inner bytes are valid: bytes beyond a truncation read as zero when the file
    /// grows again.
    inner_len: u64,
    blocks: BTreeMap<u64, Box<[u8]>>,
}

impl OverlayBackend {
    pub(super) fn new(inner: Box<dyn StorageBackend>) -> io::Result<Self> {
        let len = inner.len()?;
        let written = RwLock::new(OverlayWrites { len, inner_len: len, blocks: BTreeMap::new() });
        Ok(Self { inner, written })
    }

    fn block(&self, written: &OverlayWrites, number: u64) -> io::Result<Box<[u8]>> {
        if let Some(block) = written.blocks.get(&number) {
            return Ok(block.clone());
        }
        let mut block = vec![0; BLOCK].into_boxed_slice();
        let start = number * BLOCK_BYTES;
        let known = written.inner_len.saturating_sub(start).min(BLOCK_BYTES);
        let known = usize::try_from(known).map_err(io::Error::other)?;
        if known > 0 {
            self.inner.read(start, &mut block[..known])?;
        }
        Ok(block)
    }
}

/// Splits a range by block: the block's number, the part's offset in the block, and the part's place in the
/// range.
pub(super) fn pieces(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let position = offset + at as u64;
        let within = usize::try_from(position % BLOCK_BYTES).unwrap_or(0);
        let count = (BLOCK - within).min(len - at);
        let piece = (position / BLOCK_BYTES, within, at..at + count);
        at += count;
        (count > 0).then_some(piece)
    })
}

impl StorageBackend for OverlayBackend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written.read().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.written.read();
        if offset + out.len() as u64 > written.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (number, within, range) in pieces(offset, out.len()) {
            let count = range.len();
            out[range].copy_from_slice(&self.block(&written, number)?[within..within + count]);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut written = self.written.write();
        if len < written.len {
            let last = len / BLOCK_BYTES;
            let mut block = self.block(&written, last)?;
            block[usize::try_from(len % BLOCK_BYTES).unwrap_or(0)..].fill(0);
            written.blocks.retain(|number, _| *number < last);
            written.blocks.insert(last, block);
            written.inner_len = written.inner_len.min(len);
        }
        written.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.written.write();
        for (number, within, range) in pieces(offset, data.len()) {
            let mut block = self.block(&written, number)?;
            let count = range.len();
            block[within..within + count].copy_from_slice(&data[range]);
            written.blocks.insert(number, block);
        }
        if written.blocks.len() > MAX_BLOCKS {
            return Err(io::Error::other("more was written than opening a file for reading may need"));
        }
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    pass_locks_on!();
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;

    use super::*;

    #[derive(Debug, Clone)]
    enum OverlayAct {
        Write(u64, Vec<u8>),
        Resize(u64),
    }

    fn act() -> impl Strategy<Value = OverlayAct> {
        let write = (0..20_000_u64, prop::collection::vec(1..=255_u8, 1..9_000));
        prop_oneof![
            3 => write.prop_map(|(at, data)| OverlayAct::Write(at, data)),
            1 => (0..30_000_u64).prop_map(OverlayAct::Resize),
        ]
    }

    proptest! {
        #[test]
        fn an_overlay_reads_as_if_it_had_been_written(
            first in prop::collection::vec(any::<u8>(), 0..20_000),
            acts in prop::collection::vec(act(), 0..12),
        ) {
            let inner = InMemoryBackend::new();
            inner.set_len(first.len() as u64).unwrap();
            inner.write(0, &first).unwrap();
            let mut model = first;
            let overlay = OverlayBackend::new(Box::new(inner)).unwrap();
            for act in acts {
                match act {
                    OverlayAct::Resize(len) => {
                        overlay.set_len(len).unwrap();
                        model.resize(usize::try_from(len).unwrap(), 0);
                    }
                    OverlayAct::Write(at, data) => {
                        let (at, end) = (usize::try_from(at).unwrap(), usize::try_from(at).unwrap() + data.len());
                        if end <= model.len() {
                            overlay.write(at as u64, &data).unwrap();
                            model[at..end].copy_from_slice(&data);
                        }
                    }
                }
                let mut seen = vec![7; model.len()];
                overlay.read(0, &mut seen).unwrap();
                prop_assert!(seen == model, "what is read differs from what was written");
            }
            prop_assert!(overlay.read(model.len() as u64, &mut [0]).is_err());
        }
    }
}
