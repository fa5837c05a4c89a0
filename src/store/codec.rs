//! The only file that names bincode: values to bytes and back.
//!
//! Form: one byte [`VERSION`], then the value in bincode 2's standard configuration through serde.
//! Not self-describing, so JSON travels inside values as [`pas_domain::json::JsonValue`].
//!
//! Invariants: an encoded value decodes to an equal value; any other bytes give an error, never a panic, and
//! never allocate more than [`DECODE_LIMIT`]. (A type that contains itself, or a sequence of zero-sized
//! elements, would give damaged bytes more room; no row may be one.)
//! Another codec takes over by a new version byte: rows of version 1 stay readable.

use bincode::config::{Config, standard};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// First byte of every value.
pub const VERSION: u8 = 1;

/// Largest encoded value in bytes. Rows are state, not content (content is in files): 4 MiB is a hundred
/// times the largest row in use, and keeps a batch of such rows below the memory of a laptop.
pub const MAX_VALUE_BYTES: usize = 4 << 20;

/// Most memory in bytes that decoding one value may claim. bincode counts decoded sizes, and one encoded byte
/// decodes to 16 at most (the densest number), so any value within [`MAX_VALUE_BYTES`] also decodes.
pub const DECODE_LIMIT: usize = 16 * MAX_VALUE_BYTES;

fn config() -> impl Config {
    standard().with_limit::<DECODE_LIMIT>()
}

/// Why a value could not be encoded or decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Encoding failed, by the type's own rules.
    #[error("the value cannot be encoded: {0}")]
    Encode(String),
    /// The encoded value exceeds [`MAX_VALUE_BYTES`].
    #[error("the value takes {0} bytes, more than the {MAX_VALUE_BYTES} a row may have")]
    TooLarge(usize),
    /// The first byte is no known version, or there is none.
    #[error("the value has codec version {0:?}, this program knows {VERSION}")]
    Version(Option<u8>),
    /// The bytes are no value of this type.
    #[error("the bytes are no such value: {0}")]
    Decode(String),
    /// A value was followed by this many other bytes.
    #[error("{0} bytes are left over after the value")]
    Trailing(usize),
}

/// Encodes a value.
///
/// # Errors
/// [`CodecError::TooLarge`], or [`CodecError::Encode`] when the type itself refuses.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = vec![VERSION];
    bincode::serde::encode_into_std_write(value, &mut bytes, config())
        .map_err(|error| CodecError::Encode(error.to_string()))?;
    if bytes.len() > MAX_VALUE_BYTES { Err(CodecError::TooLarge(bytes.len())) } else { Ok(bytes) }
}

/// Decodes a value written by [`encode`].
///
/// # Errors
/// [`CodecError`] for any other bytes.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let Some((&VERSION, body)) = bytes.split_first() else {
        return Err(CodecError::Version(bytes.first().copied()));
    };
    let (value, used) = bincode::serde::decode_from_slice(body, config())
        .map_err(|error| CodecError::Decode(error.to_string()))?;
    if used == body.len() { Ok(value) } else { Err(CodecError::Trailing(body.len() - used)) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use pas_domain::json::JsonValue;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    enum CodecStep {
        Idle,
        Working { by: String, attempt: u32 },
        Done(Vec<u8>),
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct CodecRow {
        name: String,
        number: i64,
        wide: u128,
        ratio: f64,
        maybe: Option<bool>,
        steps: Vec<CodecStep>,
        tags: BTreeMap<String, u64>,
        json: JsonValue,
    }

    fn step() -> impl Strategy<Value = CodecStep> {
        prop_oneof![
            Just(CodecStep::Idle),
            (".*", any::<u32>()).prop_map(|(by, attempt)| CodecStep::Working { by, attempt }),
            any::<Vec<u8>>().prop_map(CodecStep::Done),
        ]
    }

    prop_compose! {
        fn row()(
            name in ".*", number in any::<i64>(), wide in any::<u128>(), ratio in -1e300..1e300,
            maybe in any::<Option<bool>>(), steps in prop::collection::vec(step(), 0..5),
            tags in prop::collection::btree_map("[a-z]*", any::<u64>(), 0..4), text in ".*",
        ) -> CodecRow {
            let json = JsonValue(json!({ "text": text, "list": [1, null, { "deep": number }] }));
            CodecRow { name, number, wide, ratio, maybe, steps, tags, json }
        }
    }

    proptest! {
        #[test]
        fn what_was_encoded_decodes_to_an_equal_value(row in row()) {
            let bytes = encode(&row).unwrap();
            prop_assert_eq!(bytes[0], VERSION);
            prop_assert_eq!(decode::<CodecRow>(&bytes).unwrap(), row);
        }

        #[test]
        fn damaged_bytes_give_an_error_or_a_value_but_never_a_panic(
            row in row(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = encode(&row).unwrap();
            let place = at.index(bytes.len());
            bytes[place] = byte;
            let _ = decode::<CodecRow>(&bytes);
            let shorter = cut.index(bytes.len());
            prop_assert!(decode::<CodecRow>(&encode(&row).unwrap()[..shorter]).is_err());
        }

        #[test]
        fn noise_gives_an_error_or_a_value_but_never_a_panic(mut bytes in any::<Vec<u8>>()) {
            let _ = decode::<CodecRow>(&bytes);
            bytes.insert(0, VERSION);
            let _ = decode::<CodecRow>(&bytes);
        }
    }

    #[test]
    fn bytes_after_the_value_are_an_error() {
        let mut bytes = encode("row").unwrap();
        bytes.push(0);
        assert_eq!(decode::<String>(&bytes), Err(CodecError::Trailing(1)));
    }

    #[test]
    fn an_unknown_version_is_refused() {
        assert_eq!(decode::<u8>(&[]), Err(CodecError::Version(None)));
        assert_eq!(decode::<u8>(&[2, 7]), Err(CodecError::Version(Some(2))));
    }

    #[test]
    fn a_damaged_length_is_refused_before_memory_is_claimed() {
        // 253 announces a u64 length (bincode's varint); this one claims an exabyte of text.
        let bytes = [VERSION, 253, 0, 0, 0, 0, 0, 0, 0, 16];
        assert!(matches!(decode::<String>(&bytes), Err(CodecError::Decode(_))));
        assert!(matches!(decode::<Vec<u64>>(&bytes), Err(CodecError::Decode(_))));
    }

    #[test]
    fn the_largest_value_decodes_and_a_larger_one_is_refused() {
        let dense = vec![0_u128; MAX_VALUE_BYTES - 8];
        assert_eq!(decode::<Vec<u128>>(&encode(&dense).unwrap()).unwrap().len(), dense.len());
        assert!(matches!(encode(&vec![0_u8; MAX_VALUE_BYTES]), Err(CodecError::TooLarge(_))));
    }
}
