//! Writes small objects into a store without running git, which would cost more than the object: a snapshot
//! is taken around every tool call. Failure policy: plain I/O errors; an object is whole under its name or
//! absent.

use std::io;
use std::path::Path;

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

use super::layout::make_folder;

/// Stored without compression, so larger ones are left to git.
pub(super) const SMALL_OBJECT: usize = 64 << 10;
/// The longest stored block of deflate.
const BLOCK: usize = u16::MAX as usize;

/// Writes the object and returns its id.
pub(super) fn write_loose(store: &Path, object_format: &str, kind: &str, bytes: &[u8]) -> io::Result<String> {
    let mut object = format!("{kind} {}\0", bytes.len()).into_bytes();
    object.extend(bytes);
    let algorithm = if object_format == "sha256" { &SHA256 } else { &SHA1_FOR_LEGACY_USE_ONLY };
    let mut context = Context::new(algorithm);
    context.update(&object);
    let id: String = context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let folder = store.join(&id[..2]);
    let path = folder.join(&id[2..]);
    if path.symlink_metadata().is_ok() {
        return Ok(id);
    }
    make_folder(&folder)?;
    // git cleans up names of this form, should a crash leave one.
    let staged = folder.join(format!("tmp_obj_{id}"));
    std::fs::write(&staged, stored(&object))?;
    std::fs::rename(&staged, &path)?;
    Ok(id)
}

/// The zlib form of bytes that are not compressed.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let blocks = bytes.chunks(BLOCK);
    let last = blocks.len().saturating_sub(1);
    for (number, block) in blocks.enumerate() {
        out.push(u8::from(number == last));
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    out.extend(adler32(bytes).to_be_bytes());
    out
}

fn adler32(bytes: &[u8]) -> u32 {
    const PRIME: u32 = 65_521;
    // The longest run after which neither sum can have overflowed.
    const RUN: usize = 5_552;
    let (mut a, mut b) = (1_u32, 0_u32);
    for run in bytes.chunks(RUN) {
        for byte in run {
            a += u32::from(*byte);
            b += a;
        }
        a %= PRIME;
        b %= PRIME;
    }
    b << 16 | a
}

#[cfg(test)]
mod tests {
    use super::super::testing::git_in;
    use super::*;

    #[test]
    fn git_reads_what_was_written_and_calls_it_the_same() {
        for format in ["sha1", "sha256"] {
            let repo = tempfile::tempdir().unwrap();
            git_in(repo.path(), &["init", "-q", "--object-format", format]);
            for size in [0, 1, 5_553, 65_500, 65_535, 65_536, 200_000] {
                let bytes: Vec<u8> = (0..size).map(|n| u8::try_from(n * 31 % 251).unwrap()).collect();
                std::fs::write(repo.path().join("file"), &bytes).unwrap();
                let id = write_loose(&repo.path().join(".git/objects"), format, "blob", &bytes).unwrap();
                assert_eq!(git_in(repo.path(), &["hash-object", "file"]), id);
                assert_eq!(git_in(repo.path(), &["cat-file", "-s", &id]), size.to_string());
            }
            git_in(repo.path(), &["fsck", "--strict"]);
        }
    }
}
