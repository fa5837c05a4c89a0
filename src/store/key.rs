//! Keys as bytes whose order is the order of the values.
//!
//! Form, so that redb's byte order is the order of the keys and tuples can be searched by their first parts:
//! numbers are big-endian (signed ones with the sign bit flipped); text at the end of a key is plain UTF-8;
//! text before another part ends with `TEXT_END`, and a zero byte in such text (ids have none) becomes
//! `TEXT_ZERO`, which sorts after every end.
//!
//! Laws, checked by the tests: `a < b` as values exactly if `a < b` as bytes; decoding undoes encoding; other
//! bytes give an error, never a panic.

use pas_domain::ids::{AgentName, ApprovalId, JobId, RunId};
use pas_domain::time::Timestamp;
use pas_domain::trace::TraceId;

/// Ends a text that is not the last part of a key. Sorts before every continuation of a longer text.
const TEXT_END: [u8; 2] = [0, 1];

/// Encodes a zero byte within such a text.
const TEXT_ZERO: [u8; 2] = [0, 255];

/// Bytes that are no key of the expected type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no key of this table")]
pub struct KeyError;

/// A value that can be a key, or a part of a tuple that is one.
pub trait StoreKey: Sized {
    /// Appends the form for the end of a key.
    fn put(&self, out: &mut Vec<u8>);

    /// Appends the form for any other place in a key. For numbers the same as [`StoreKey::put`].
    fn put_part(&self, out: &mut Vec<u8>);

    /// Reads the form of [`StoreKey::put`].
    ///
    /// # Errors
    /// [`KeyError`] for other bytes.
    fn take(bytes: &[u8]) -> Result<Self, KeyError>;

    /// Reads the form of [`StoreKey::put_part`], and returns the rest.
    ///
    /// # Errors
    /// [`KeyError`] for other bytes.
    fn take_part(bytes: &[u8]) -> Result<(Self, &[u8]), KeyError>;

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.put(&mut bytes);
        bytes
    }
}

/// A text key, searchable by prefix.
pub trait TextKey: StoreKey {}

/// A tuple key whose first part, or first parts, are `P`.
pub trait StartsWith<P: StoreKey>: StoreKey {}

macro_rules! number_key {
    ($($number:ty),*) => {$(
        impl StoreKey for $number {
            fn put(&self, out: &mut Vec<u8>) {
                // Flipping the sign bit moves negative numbers below the others; MIN is 0 for unsigned
                // numbers.
                out.extend_from_slice(&(*self ^ <$number>::MIN).to_be_bytes());
            }

            fn put_part(&self, out: &mut Vec<u8>) {
                self.put(out);
            }

            fn take(bytes: &[u8]) -> Result<Self, KeyError> {
                let bytes = bytes.try_into().map_err(|_| KeyError)?;
                Ok(<$number>::from_be_bytes(bytes) ^ <$number>::MIN)
            }

            fn take_part(bytes: &[u8]) -> Result<(Self, &[u8]), KeyError> {
                let (own, rest) = bytes.split_at_checked(size_of::<Self>()).ok_or(KeyError)?;
                Ok((Self::take(own)?, rest))
            }
        }
    )*};
}

number_key!(u8, u16, u32, u64, u128, i64);

/// Gives a type the key of another: `to` converts to that one, `from` back.
macro_rules! key_by {
    ($($type:ty => $inner:ty, $to:expr, $from:expr);* $(;)?) => {$(
        impl StoreKey for $type {
            fn put(&self, out: &mut Vec<u8>) {
                let to: fn(&$type) -> $inner = $to;
                to(self).put(out);
            }

            fn put_part(&self, out: &mut Vec<u8>) {
                let to: fn(&$type) -> $inner = $to;
                to(self).put_part(out);
            }

            fn take(bytes: &[u8]) -> Result<Self, KeyError> {
                let from: fn($inner) -> Option<$type> = $from;
                from(<$inner>::take(bytes)?).ok_or(KeyError)
            }

            fn take_part(bytes: &[u8]) -> Result<(Self, &[u8]), KeyError> {
                let from: fn($inner) -> Option<$type> = $from;
                let (inner, rest) = <$inner>::take_part(bytes)?;
                Ok((from(inner).ok_or(KeyError)?, rest))
            }
        }
    )*};
}

key_by!(
    bool => u8, |flag| u8::from(*flag), |byte| match byte { 0 => Some(false), 1 => Some(true), _ => None };
    Timestamp => i64, |time| time.as_millis(), |millis| Some(Self::from_millis(millis));
    TraceId => u128, |id| id.as_u128(), Self::from_u128;
);

fn put_text_part(text: &str, out: &mut Vec<u8>) {
    for &byte in text.as_bytes() {
        match byte {
            0 => out.extend_from_slice(&TEXT_ZERO),
            other => out.push(other),
        }
    }
    out.extend_from_slice(&TEXT_END);
}

fn take_text_part(bytes: &[u8]) -> Result<(String, &[u8]), KeyError> {
    let mut text = Vec::new();
    let mut rest = bytes;
    loop {
        let zero = rest.iter().position(|&byte| byte == 0).ok_or(KeyError)?;
        text.extend_from_slice(&rest[..zero]);
        let (mark, after) = rest[zero..].split_first_chunk::<2>().ok_or(KeyError)?;
        rest = after;
        match *mark {
            TEXT_END => return Ok((String::from_utf8(text).map_err(|_| KeyError)?, rest)),
            TEXT_ZERO => text.push(0),
            _ => return Err(KeyError),
        }
    }
}

macro_rules! text_key {
    ($($type:ty, $from:expr);* $(;)?) => {$(
        impl StoreKey for $type {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(self.as_str().as_bytes());
            }

            fn put_part(&self, out: &mut Vec<u8>) {
                put_text_part(self.as_str(), out);
            }

            fn take(bytes: &[u8]) -> Result<Self, KeyError> {
                let from: fn(String) -> Option<$type> = $from;
                let text = std::str::from_utf8(bytes).map_err(|_| KeyError)?;
                from(text.to_owned()).ok_or(KeyError)
            }

            fn take_part(bytes: &[u8]) -> Result<(Self, &[u8]), KeyError> {
                let from: fn(String) -> Option<$type> = $from;
                let (text, rest) = take_text_part(bytes)?;
                Ok((from(text).ok_or(KeyError)?, rest))
            }
        }

        impl TextKey for $type {}
    )*};
}

text_key!(
    String, Some;
    AgentName, |text| Self::new(text).ok();
    ApprovalId, |text| Self::new(text).ok();
    JobId, |text| Self::new(text).ok();
    RunId, |text| Self::new(text).ok();
);

impl<A: StoreKey, B: StoreKey> StoreKey for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put_part(out);
        self.1.put(out);
    }

    fn put_part(&self, out: &mut Vec<u8>) {
        self.0.put_part(out);
        self.1.put_part(out);
    }

    fn take(bytes: &[u8]) -> Result<Self, KeyError> {
        let (first, rest) = A::take_part(bytes)?;
        Ok((first, B::take(rest)?))
    }

    fn take_part(bytes: &[u8]) -> Result<(Self, &[u8]), KeyError> {
        let (first, rest) = A::take_part(bytes)?;
        let (second, rest) = B::take_part(rest)?;
        Ok(((first, second), rest))
    }
}

impl<A: StoreKey, B: StoreKey, C: StoreKey> StoreKey for (A, B, C) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put_part(out);
        self.1.put_part(out);
        self.2.put(out);
    }

    fn put_part(&self, out: &mut Vec<u8>) {
        self.0.put_part(out);
        self.1.put_part(out);
        self.2.put_part(out);
    }

    fn take(bytes: &[u8]) -> Result<Self, KeyError> {
        let (first, rest) = A::take_part(bytes)?;
        let (second, third) = <(B, C)>::take(rest)?;
        Ok((first, second, third))
    }

    fn take_part(bytes: &[u8]) -> Result<(Self, &[u8]), KeyError> {
        let (first, rest) = A::take_part(bytes)?;
        let ((second, third), rest) = <(B, C)>::take_part(rest)?;
        Ok(((first, second, third), rest))
    }
}

impl<A: StoreKey, B: StoreKey> StartsWith<A> for (A, B) {}
impl<A: StoreKey, B: StoreKey, C: StoreKey> StartsWith<A> for (A, B, C) {}
impl<A: StoreKey, B: StoreKey, C: StoreKey> StartsWith<(A, B)> for (A, B, C) {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type KeyTriple = (String, i64, (String, u8));

    /// Few letters, zero bytes and short texts, so that prefixes of one another are common.
    fn text() -> impl Strategy<Value = String> {
        "[ab\u{0}\u{1}\u{ff}é]{0,4}"
    }

    fn triple() -> impl Strategy<Value = KeyTriple> {
        (text(), any::<i64>(), (text(), any::<u8>()))
    }

    fn part(key: &impl StoreKey) -> Vec<u8> {
        let mut bytes = Vec::new();
        key.put_part(&mut bytes);
        bytes
    }

    proptest! {
        #[test]
        fn the_order_of_the_bytes_is_the_order_of_the_keys(a in triple(), b in triple()) {
            prop_assert_eq!(a.to_bytes().cmp(&b.to_bytes()), a.cmp(&b));
            prop_assert_eq!(part(&a).cmp(&part(&b)), a.cmp(&b));
            prop_assert_eq!(a.0.to_bytes().cmp(&b.0.to_bytes()), a.0.cmp(&b.0));
            prop_assert_eq!(a.1.to_bytes().cmp(&b.1.to_bytes()), a.1.cmp(&b.1));
        }

        #[test]
        fn decoding_undoes_encoding(key in triple(), rest in any::<Vec<u8>>()) {
            prop_assert_eq!(KeyTriple::take(&key.to_bytes()), Ok(key.clone()));
            let mut bytes = part(&key);
            bytes.extend_from_slice(&rest);
            prop_assert_eq!(KeyTriple::take_part(&bytes), Ok((key, rest.as_slice())));
        }

        #[test]
        fn other_bytes_never_panic(bytes in any::<Vec<u8>>()) {
            let _ = KeyTriple::take(&bytes);
            let _ = <(JobId, Timestamp, bool)>::take(&bytes);
            let _ = <(TraceId, RunId)>::take_part(&bytes);
        }
    }

    #[test]
    fn ids_keep_their_rules_when_read_back() {
        let key = (RunId::new("ingest-1").unwrap(), 7_u64);
        assert_eq!(<(RunId, u64)>::take(&key.to_bytes()), Ok(key));
        assert_eq!(RunId::take(b"Not an id"), Err(KeyError));
        assert_eq!(TraceId::take(&[0; 16]), Err(KeyError));
        assert_eq!(bool::take(&[2]), Err(KeyError));
    }

    #[test]
    fn numbers_of_another_width_are_refused() {
        assert_eq!(u64::take(&[0; 7]), Err(KeyError));
        assert_eq!(u64::take(&[0; 9]), Err(KeyError));
    }
}
