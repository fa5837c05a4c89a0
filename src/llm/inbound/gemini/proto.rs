//! Values as the JSON of protocol buffers has them, which is how Google's services read a request.
//!
//! A number may be a text, a whole number may have a fraction of zero, a list of one element may lack its brackets,
//! and `null` is what is absent. Every member has two spellings, `maxOutputTokens` and `max_output_tokens`.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{
    BorrowedStrDeserializer, MapAccessDeserializer, SeqAccessDeserializer, StrDeserializer,
};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// From here on, floating-point numbers leave out whole ones.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A whole number, of a type that says how small and large it may be.
pub(crate) fn whole<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i128>,
{
    let Some(number) = deserializer.deserialize_any(WholeVisitor)? else { return Ok(None) };
    let least = if T::try_from(-1).is_ok() { "" } else { " of at least 0" };
    T::try_from(number)
        .map(Some)
        .map_err(|_| D::Error::custom(format_args!("a whole number{least} is required")))
}

/// A number.
pub(crate) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    deserializer.deserialize_any(NumberVisitor)
}

/// A list, which is empty where it is absent.
pub(crate) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_any(ListVisitor(PhantomData))
}

/// A member's name in the first of its spellings.
pub(crate) fn spelled(name: &str) -> String {
    let mut words = name.split('_');
    let mut all = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        all.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        all.push_str(letters.as_str());
    }
    all
}

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = Option<i128>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(number.into()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        let written = format!("{number:.0}");
        let is_whole = number.fract() == 0.0 && number.abs() < EXACT;
        let whole = written.parse().ok().filter(|_| is_whole);
        whole.map(Some).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Float(number), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        match (text.parse(), text.parse()) {
            (Ok(whole), _) => Ok(Some(whole)),
            (_, Ok(number)) => self.visit_f64(number),
            _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Option<f64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(number as f64))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(number as f64))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        number.map(Some).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Vec<T>, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Vec<T>, A::Error> {
        Ok(vec![T::deserialize(MapAccessDeserializer::new(object))?])
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<T>, E> {
        Ok(vec![T::deserialize(StrDeserializer::new(text))?])
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Vec<T>, E> {
        Ok(vec![T::deserialize(BorrowedStrDeserializer::new(text))?])
    }

    fn visit_unit<E: Error>(self) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct ProtoSample {
        #[serde(default, deserialize_with = "whole")]
        count: Option<u64>,
        #[serde(default, deserialize_with = "whole")]
        budget: Option<i64>,
        #[serde(default, deserialize_with = "number")]
        share: Option<f64>,
        #[serde(default, deserialize_with = "list")]
        words: Vec<String>,
    }

    fn read(text: &str) -> Result<ProtoSample, String> {
        serde_json::from_str(text).map_err(|error: serde_json::Error| error.to_string())
    }

    #[test]
    fn numbers_may_be_texts_and_lists_may_lack_their_brackets() {
        let wanted = |count, budget, share, words: &[&str]| ProtoSample {
            count,
            budget,
            share,
            words: words.iter().map(|word| (*word).to_owned()).collect(),
        };
        for text in ["100", "100.0", "1e2", "\"100\"", "\"100.0\"", "\"1e2\""] {
            let found = read(&format!(r#"{{"count":{text},"budget":{text},"share":{text}}}"#));
            assert_eq!(found, Ok(wanted(Some(100), Some(100), Some(100.0), &[])), "{text}");
        }
        assert_eq!(read("{}"), Ok(wanted(None, None, None, &[])));
        let nulls = r#"{"count":null,"budget":null,"share":null,"words":null}"#;
        assert_eq!(read(nulls), Ok(wanted(None, None, None, &[])));
        let found = read(r#"{"budget":-1,"share":"-0.5","words":"END"}"#);
        assert_eq!(found, Ok(wanted(None, Some(-1), Some(-0.5), &["END"])));
        assert_eq!(read(r#"{"words":["a","b"]}"#), Ok(wanted(None, None, None, &["a", "b"])));
    }

    #[test]
    fn what_is_none_is_refused_in_words() {
        for (text, why) in [
            (r#"{"count":-1}"#, "a whole number of at least 0 is required"),
            (r#"{"count":1.5}"#, "expected a whole number"),
            (r#"{"count":1e300}"#, "expected a whole number"),
            (r#"{"count":"many"}"#, "expected a whole number"),
            (r#"{"count":true}"#, "expected a whole number"),
            (r#"{"share":"NaN"}"#, "expected a number"),
            (r#"{"words":7}"#, "expected a list"),
        ] {
            let found = read(text).unwrap_err();
            assert!(found.contains(why), "{text}: {found}");
        }
    }

    #[test]
    fn both_spellings_of_a_name_are_one() {
        for name in ["maxOutputTokens", "max_output_tokens", "max_outputTokens"] {
            assert_eq!(spelled(name), "maxOutputTokens");
        }
        assert_eq!((spelled("contents").as_str(), spelled("").as_str()), ("contents", ""));
    }
}
