//! Texts that are checked once, where they come in, and trusted afterwards.

/// Declares a text that `$check`, a `fn(&str) -> Result<(), $refusal>`, has let pass. On the wire it is a string,
/// and checked again when read.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $refusal:ty, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Checks and takes a text.
            ///
            /// # Errors
            /// The check's refusal.
            pub fn new(text: impl Into<String>) -> Result<Self, $refusal> {
                let text = text.into();
                let check: fn(&str) -> Result<(), $refusal> = $check;
                check(&text).map(|()| Self(text))
            }

            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $refusal;
            fn from_str(text: &str) -> Result<Self, $refusal> {
                Self::new(text)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use checked_text;
