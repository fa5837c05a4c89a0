//! Integers beyond 64 bits, kept digit by digit through JSON values.
//!
//! `serde_json` reads them as floating-point numbers and so changes the ids of some databases. Its feature
//! `arbitrary_precision` would keep them, but breaks types with `flatten`, `untagged` or a tag, which the wire
//! forms are made of. So a number that does not fit is read as a marked text, and is a number again where the value
//! is written. Invariant: whatever reads with [`value_of`] or [`read`] writes with [`text_of`] or [`restored_bytes`].

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Begins the text of a number; a private character that no model writes.
const MARK: &str = "\u{F8FF}integer:";
/// All integers of fewer digits fit into 64 bits.
const MANY_DIGITS: usize = 19;

/// The value of a text, with its large integers marked.
///
/// # Errors
/// The text is no JSON.
pub(super) fn value_of(text: &str) -> serde_json::Result<Value> {
    serde_json::from_str(&marked(text))
}

/// The same for the bytes of an answer, in a form of their own.
///
/// # Errors
/// The bytes are not of that form.
pub(super) fn read<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    // Invalid UTF-8 is refused below, in the words of the parser.
    std::str::from_utf8(json)
        .map_or_else(|_| serde_json::from_slice(json), |text| serde_json::from_str(&marked(text)))
}

/// A value as text.
pub(super) fn text_of(value: &Value) -> String {
    restored(value.to_string())
}

/// The text with its large integers marked.
fn marked(json: &str) -> Cow<'_, str> {
    let numbers = large_integers(json);
    if numbers.is_empty() {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + numbers.len() * (MARK.len() + 2));
    let mut at = 0;
    for (begin, end) in numbers {
        out.push_str(&json[at..begin]);
        out.push('"');
        out.push_str(MARK);
        out.push_str(&json[begin..end]);
        out.push('"');
        at = end;
    }
    out.push_str(&json[at..]);
    Cow::Owned(out)
}

/// The text with marked integers as numbers.
fn restored(json: String) -> String {
    let quoted = ["\"", MARK].concat();
    if !json.contains(&quoted) {
        return json;
    }
    let (mut out, mut rest) = (String::with_capacity(json.len()), json.as_str());
    while let Some((before, behind)) = rest.split_once(&quoted) {
        out.push_str(before);
        let end = behind.find('"').unwrap_or(behind.len());
        let number = &behind[..end];
        let is_number = behind.len() > end && is_integer(number);
        out.push_str(if is_number { number } else { &quoted });
        rest = &behind[if is_number { end + 1 } else { 0 }..];
    }
    out + rest
}

/// The same for bytes that `serde_json` has written.
pub(super) fn restored_bytes(json: Vec<u8>) -> Vec<u8> {
    if memchr::memmem::find(&json, MARK.as_bytes()).is_none() {
        return json;
    }
    String::from_utf8(json).map_or_else(|broken| broken.into_bytes(), |text| restored(text).into_bytes())
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Where integers stand, outside of texts, that fit neither `i64` nor `u64`.
fn large_integers(json: &str) -> Vec<(usize, usize)> {
    let (bytes, mut found) = (json.as_bytes(), Vec::new());
    let (mut at, mut in_text) = (0, false);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => in_text = !in_text,
            b'\\' if in_text => at += 1,
            b'-' | b'0'..=b'9' if !in_text => {
                let begin = at;
                let is_part = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
                while bytes.get(at).is_some_and(is_part) {
                    at += 1;
                }
                let number = &json[begin..at];
                let fits = || number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok();
                if number.len() >= MANY_DIGITS && is_integer(number) && !fits() {
                    found.push((begin, at));
                }
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn digits_and_order_survive_a_value() {
        let text = r#"{"z":12345678901234567890123,"a":[-98765432109876543210,1.5e300,18446744073709551615],"t":"\"12345678901234567890123"}"#;
        let value = value_of(text).unwrap();
        assert_eq!(restored(value.to_string()), text.replace("1.5e300", "1.5e+300"));
        assert_eq!(
            restored_bytes(serde_json::to_vec(&value).unwrap()),
            restored(value.to_string()).into_bytes()
        );
        assert!(matches!(
            marked(r#"{"a":1234567890123456789,"b":"12345678901234567890123"}"#),
            Cow::Borrowed(_)
        ));
        assert!(value_of("{").is_err());
    }

    #[test]
    fn only_a_marked_integer_becomes_a_number() {
        for text in ["x", "", "1.5", "-", "12 34", "1\\\""] {
            let quoted = format!("{{\"a\":\"{MARK}{text}\"}}");
            assert_eq!(restored(quoted.clone()), quoted);
        }
        let unfinished = format!("\"{MARK}12");
        assert_eq!(restored(unfinished.clone()), unfinished);
    }

    proptest! {
        #[test]
        fn any_integer_survives(number in "-?[1-9][0-9]{0,60}", name in "[a-z\"\\\\]{0,6}") {
            let name = serde_json::to_string(&name).unwrap();
            let text = format!("{{{name}:[{number},{{\"b\":{number}}}]}}");
            prop_assert_eq!(restored(value_of(&text).unwrap().to_string()), text);
        }
    }
}
