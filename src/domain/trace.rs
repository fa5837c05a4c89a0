//! Trace contexts: trace id, span id, and their form in a W3C `traceparent`.
//!
//! Source of the format: W3C Trace Context, level 1. Invariant: a [`TraceId`] and a [`SpanId`] are
//! never zero, because the format reserves zero for "none".

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The 16-byte id of a trace: everything caused by one outside event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(NonZeroU128);

/// The 8-byte id of a span: one message and the handling of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(NonZeroU64);

/// Why a text is no trace id, span id or `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid trace context: expected lower-case hexadecimal digits, not all zero")]
pub struct InvalidTrace;

impl TraceId {
    #[must_use]
    pub fn random() -> Self {
        Self(NonZeroU128::new(fastrand::u128(..)).unwrap_or(NonZeroU128::MIN))
    }

    /// The id of a number; `None` for zero.
    #[must_use]
    pub const fn from_u128(number: u128) -> Option<Self> {
        match NonZeroU128::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The id as a number (bytes read as big-endian).
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0.get()
    }
}

impl SpanId {
    #[must_use]
    pub fn random() -> Self {
        Self(NonZeroU64::new(fastrand::u64(..)).unwrap_or(NonZeroU64::MIN))
    }

    /// The id of a number; `None` for zero.
    #[must_use]
    pub const fn from_u64(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The id as a number (bytes read as big-endian).
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

fn is_lower_hex(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

impl FromStr for TraceId {
    type Err = InvalidTrace;
    fn from_str(text: &str) -> Result<Self, InvalidTrace> {
        let number = is_lower_hex(text, 32).then(|| u128::from_str_radix(text, 16).ok()).flatten();
        number.and_then(Self::from_u128).ok_or(InvalidTrace)
    }
}

impl FromStr for SpanId {
    type Err = InvalidTrace;
    fn from_str(text: &str) -> Result<Self, InvalidTrace> {
        let number = is_lower_hex(text, 16).then(|| u64::from_str_radix(text, 16).ok()).flatten();
        number.and_then(Self::from_u64).ok_or(InvalidTrace)
    }
}

macro_rules! serde_as_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    };
}
serde_as_text!(TraceId);
serde_as_text!(SpanId);

/// The current trace and span: passed from cause to effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    pub trace: TraceId,
    /// The span that causes everything done under this context.
    pub span: SpanId,
}

impl TraceContext {
    /// A new trace with a first span.
    #[must_use]
    pub fn new_root() -> Self {
        Self { trace: TraceId::random(), span: SpanId::random() }
    }

    /// A new span in the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        Self { trace: self.trace, span: SpanId::random() }
    }

    /// Reads a `traceparent` header (`00-<32 hex>-<16 hex>-<2 hex>`).
    ///
    /// # Errors
    /// [`InvalidTrace`] when the header does not follow the format; the receiver then starts a new
    /// trace, as the standard demands.
    pub fn from_traceparent(header: &str) -> Result<Self, InvalidTrace> {
        let mut parts = header.trim().split('-');
        let (Some(version), Some(trace), Some(span), Some(flags)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(InvalidTrace);
        };
        let more = parts.next().is_some();
        if !is_lower_hex(version, 2)
            || version == "ff"
            || !is_lower_hex(flags, 2)
            || (version == "00" && more)
        {
            return Err(InvalidTrace);
        }
        Ok(Self { trace: trace.parse()?, span: span.parse()? })
    }

    /// The `traceparent` header for an outgoing call; always sampled, as every message here is.
    #[must_use]
    pub fn traceparent(self) -> String {
        format!("00-{}-{}-01", self.trace, self.span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traceparent_round_trips() {
        let context = TraceContext::new_root();
        assert_eq!(TraceContext::from_traceparent(&context.traceparent()), Ok(context));
    }

    #[test]
    fn malformed_traceparents_are_refused() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(TraceContext::from_traceparent(good).is_ok());
        assert!(
            TraceContext::from_traceparent(&good.replacen("00-", "01-", 1)).is_ok(),
            "a later version is read"
        );
        for bad in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(TraceContext::from_traceparent(bad), Err(InvalidTrace), "{bad}");
        }
    }
}
