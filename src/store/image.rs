//! Images of a running store: its bytes of one moment, readable in full while writes go on.
//!
//! redb keeps the pages that a reader may need, but reuses the pages of its own bookkeeping as soon as a commit
//! is done, so a commit on the disk does not stay whole under its readers. Therefore what a write is about to
//! replace is set aside first, once a block. Such an image can be opened as a database of its own, and redb
//! checks the checksum of every page: on a read of the running store it checks none.
//!
//! Invariants: reading an image gives the bytes of its moment or an error, never newer ones; an image changes
//! nothing in the file. Failure policy: a block that cannot be set aside (a full disk) spoils the image, not the
//! write. Damage is an error with a sentence, also where redb panics.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use redb::{Database, StorageBackend};

use super::OpenError;
use super::backend;
use super::lock_methods::pass_locks_on;
use super::overlay::{BLOCK, BLOCK_BYTES, OverlayBackend, pieces};

/// The images in use of one store.
#[derive(Debug, Default)]
pub(super) struct StoreImages(Mutex<Vec<Weak<ImageBytes>>>);

/// The bytes of one moment: what a start would find that follows a `kill -9` of that moment. Clones are the same image.
#[derive(Debug, Clone)]
pub(super) struct FrozenImage(Arc<ImageBytes>);

#[derive(Debug)]
struct ImageBytes {
    /// The store's bytes, as they are now.
    bytes: Box<dyn StorageBackend>,
    /// Their length at the moment of the image.
    len: u64,
    aside: Mutex<BlocksAside>,
}

/// What has been replaced in the store since the moment of an image.
#[derive(Debug)]
struct BlocksAside {
    file: File,
    /// The place in the file of each block, counted in blocks.
    places: HashMap<u64, u64>,
    /// Why a block is missing.
    spoiled: Option<String>,
}

impl StoreImages {
    /// The image of this moment. `bytes` reads the store, `aside` is an empty file for what will be replaced in
    /// it. Call it on the thread that writes the store.
    pub(super) fn take(&self, bytes: Box<dyn StorageBackend>, aside: File) -> io::Result<FrozenImage> {
        let len = bytes.len()?;
        let aside = Mutex::new(BlocksAside { file: aside, places: HashMap::new(), spoiled: None });
        let image = Arc::new(ImageBytes { bytes, len, aside });
        self.0.lock().push(Arc::downgrade(&image));
        Ok(FrozenImage(image))
    }

    /// Sets aside what is about to be replaced from `start` to `end`.
    fn keep(&self, start: u64, end: u64) {
        self.0.lock().retain(|image| image.upgrade().map(|image| image.keep(start, end)).is_some());
    }
}

impl ImageBytes {
    fn keep(&self, start: u64, end: u64) {
        let mut aside = self.aside.lock();
        for number in start / BLOCK_BYTES..end.min(self.len).div_ceil(BLOCK_BYTES) {
            if aside.spoiled.is_some() {
                return;
            }
            if let Err(error) = self.set_aside(&mut aside, number) {
                aside.spoiled = Some(format!("what is replaced meanwhile cannot be set aside: {error}"));
            }
        }
    }

    fn set_aside(&self, aside: &mut BlocksAside, number: u64) -> io::Result<()> {
        if aside.places.contains_key(&number) {
            return Ok(());
        }
        let (start, mut block) = (number * BLOCK_BYTES, vec![0; BLOCK]);
        block.truncate(usize::try_from(self.len - start).unwrap_or(BLOCK));
        self.bytes.read(start, &mut block)?;
        let place = aside.places.len() as u64;
        aside.file.write_all_at(&block, place * BLOCK_BYTES)?;
        aside.places.insert(number, place);
        Ok(())
    }

    /// Reads a part of one block.
    fn read(&self, number: u64, within: usize, out: &mut [u8]) -> io::Result<()> {
        if self.aside.lock().read(number, within, out)? {
            return Ok(());
        }
        let read = self.bytes.read(number * BLOCK_BYTES + within as u64, out);
        // A block that was replaced meanwhile was set aside before.
        if self.aside.lock().read(number, within, out)? { Ok(()) } else { read }
    }
}

impl BlocksAside {
    /// Reads a part of a block, if the block is here.
    fn read(&self, number: u64, within: usize, out: &mut [u8]) -> io::Result<bool> {
        if let Some(why) = &self.spoiled {
            return Err(io::Error::other(why.clone()));
        }
        let Some(place) = self.places.get(&number) else { return Ok(false) };
        self.file.read_exact_at(out, place * BLOCK_BYTES + within as u64)?;
        Ok(true)
    }
}

impl FrozenImage {
    /// Opens the image as a database, after reading every page of its last commit.
    ///
    /// # Errors
    /// [`OpenError::Damaged`], or the fault that keeps the image from being read. A commit that was not settled
    /// may have been cut off by the disk, so it is such a fault when it is not whole.
    pub(super) fn open_checked(self, path: &Path) -> Result<Database, OpenError> {
        let failed = |error| OpenError::io(path, error);
        let bytes = OverlayBackend::new(Box::new(self.clone())).map_err(failed)?;
        let is_settled = hold_for_whole(&bytes).map_err(failed)?;
        let opened = backend::open_guarded(path, Box::new(bytes), &Arc::default(), true);
        // What a spoiled image reads like says nothing about the store.
        if let Some(why) = &self.0.aside.lock().spoiled {
            return Err(failed(io::Error::other(why.clone())));
        }
        opened.map_err(|error| match error {
            OpenError::Damaged { reason, .. } if !is_settled => {
                failed(io::Error::other(format!("its last commit is not whole on the disk ({reason})")))
            }
            error => error,
        })
    }
}

/// Where redb's header has its flags, and the flag of a settled commit.
const FLAGS_AT: u64 = 9;
const IS_SETTLED: u8 = 4;

/// Marks the last commit as settled; whether it was. Without the mark redb takes damage in that commit for a
/// commit that a crash cut off, and silently falls back to the one before.
fn hold_for_whole(bytes: &OverlayBackend) -> io::Result<bool> {
    let mut flags = [0];
    bytes.read(FLAGS_AT, &mut flags)?;
    bytes.write(FLAGS_AT, &[flags[0] | IS_SETTLED])?;
    Ok(flags[0] & IS_SETTLED != 0)
}

impl StorageBackend for FrozenImage {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if offset + out.len() as u64 > self.0.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (number, within, range) in pieces(offset, out.len()) {
            self.0.read(number, within, &mut out[range])?;
        }
        Ok(())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, _: u64, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

/// The store's bytes, whose images stay as they are.
#[derive(Debug)]
pub(super) struct ImagedBackend {
    pub(super) inner: Box<dyn StorageBackend>,
    pub(super) images: Arc<StoreImages>,
}

impl StorageBackend for ImagedBackend {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.images.keep(len, u64::MAX);
        self.inner.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.images.keep(offset, offset + data.len() as u64);
        self.inner.write(offset, data)
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

    /// Two ways to the same bytes.
    #[derive(Debug, Clone)]
    struct SharedBytes(Arc<InMemoryBackend>);

    impl StorageBackend for SharedBytes {
        fn len(&self) -> io::Result<u64> {
            self.0.len()
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.0.read(offset, out)
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.0.set_len(len)
        }

        fn sync_data(&self) -> io::Result<()> {
            self.0.sync_data()
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.0.write(offset, data)
        }
    }

    fn bytes(first: &[u8]) -> (SharedBytes, ImagedBackend) {
        let shared = SharedBytes(Arc::new(InMemoryBackend::new()));
        shared.set_len(first.len() as u64).unwrap();
        shared.write(0, first).unwrap();
        (shared.clone(), ImagedBackend { inner: Box::new(shared), images: Arc::default() })
    }

    fn all_of(image: &FrozenImage) -> io::Result<Vec<u8>> {
        let mut seen = vec![7; usize::try_from(image.len()?).unwrap()];
        image.read(0, &mut seen).map(|()| seen)
    }

    #[derive(Debug, Clone)]
    enum StoreAct {
        Write(u64, Vec<u8>),
        Resize(u64),
        TakeImage,
    }

    fn act() -> impl Strategy<Value = StoreAct> {
        let write = (0..20_000_u64, prop::collection::vec(1..=255_u8, 1..9_000));
        prop_oneof![
            3 => write.prop_map(|(at, data)| StoreAct::Write(at, data)),
            1 => (0..30_000_u64).prop_map(StoreAct::Resize),
            1 => Just(StoreAct::TakeImage),
        ]
    }

    proptest! {
        #[test]
        fn an_image_reads_as_the_bytes_were_whatever_is_written_meanwhile(
            first in prop::collection::vec(any::<u8>(), 0..20_000),
            acts in prop::collection::vec(act(), 0..16),
        ) {
            let (shared, store) = bytes(&first);
            let (mut now, mut images) = (first, Vec::new());
            for act in acts {
                match act {
                    StoreAct::TakeImage => {
                        let reader = Box::new(shared.clone());
                        let image = store.images.take(reader, tempfile::tempfile().unwrap()).unwrap();
                        images.push((image, now.clone()));
                    }
                    StoreAct::Resize(len) => {
                        store.set_len(len).unwrap();
                        now.resize(usize::try_from(len).unwrap(), 0);
                    }
                    StoreAct::Write(at, data) => {
                        let start = usize::try_from(at).unwrap();
                        if start + data.len() <= now.len() {
                            store.write(at, &data).unwrap();
                            now[start..start + data.len()].copy_from_slice(&data);
                        }
                    }
                }
                for (image, then) in &images {
                    prop_assert!(all_of(image).unwrap() == *then, "the image has moved");
                }
            }
        }
    }

    #[test]
    fn an_image_that_cannot_be_kept_is_an_error_and_the_write_stands() {
        let (shared, store) = bytes(&[1; 3 * BLOCK]);
        let unwritable = File::open(tempfile::NamedTempFile::new().unwrap().path()).unwrap();
        let image = store.images.take(Box::new(shared.clone()), unwritable).unwrap();
        assert!(all_of(&image).unwrap() == [1; 3 * BLOCK]);
        store.write(0, &[2; 9]).unwrap();
        assert!(all_of(&image).err().is_some_and(|error| error.to_string().contains("set aside")));
        let damaged = image.open_checked(Path::new("store")).err().unwrap();
        assert!(matches!(damaged, OpenError::Io { .. }), "{damaged}");
        let mut seen = [0; 9];
        shared.read(0, &mut seen).unwrap();
        assert_eq!(seen, [2; 9]);
    }

    #[test]
    fn an_image_that_is_gone_costs_nothing_more() {
        let (shared, store) = bytes(&[1; BLOCK]);
        drop(store.images.take(Box::new(shared), tempfile::tempfile().unwrap()).unwrap());
        store.write(0, &[2]).unwrap();
        assert!(store.images.0.lock().is_empty());
    }
}
