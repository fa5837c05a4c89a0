//! The members of a JSON object as they stand in its text, so that one can be replaced and all others stay
//! byte for byte.

use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Names, and where each value stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct MemberSpans(Vec<(String, Range<usize>)>);

impl MemberSpans {
    /// The members of `text`, which is one JSON object. A name that stands twice is refused: readers differ in
    /// which of the two counts, and PAS must read the one that the vendor reads.
    pub(super) fn of(text: &str) -> Result<Self, serde_json::Error> {
        let mut parser = serde_json::Deserializer::from_str(text);
        let spans = SpanSeed { text }.deserialize(&mut parser)?;
        parser.end()?;
        Ok(spans)
    }

    /// The names in their order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// A member's value as it stands.
    pub(super) fn get<'t>(&self, text: &'t str, name: &str) -> Option<&'t str> {
        let (_, span) = self.0.iter().find(|(known, _)| known == name)?;
        text.get(span.clone())
    }

    /// The text with one member under another name.
    pub(super) fn renamed(&self, text: &str, from: &str, to: &str) -> Option<String> {
        let at = self.0.iter().position(|(name, _)| name == from)?;
        let before = at.checked_sub(1).map_or(0, |last| self.0[last].1.end);
        let name = text.get(before..self.0[at].1.start)?;
        let (gap, rest) = name.split_once(&quoted(from))?;
        let (head, tail) = (text.get(..before)?, text.get(self.0[at].1.start..)?);
        Some([head, gap, &quoted(to), rest, tail].concat())
    }

    /// The text with these members in place of, or behind, those that are there.
    pub(super) fn with(&self, text: &str, changes: &[(&str, String)]) -> String {
        let mut edits: Vec<(Range<usize>, String)> = Vec::with_capacity(changes.len());
        let end = self.0.last().map_or_else(|| text.find('{').map_or(0, |at| at + 1), |(_, last)| last.end);
        let (mut behind, mut is_first) = (String::new(), self.0.is_empty());
        for (name, value) in changes {
            if let Some((_, span)) = self.0.iter().find(|(known, _)| known == name) {
                edits.push((span.clone(), value.clone()));
            } else {
                behind.push_str(if std::mem::take(&mut is_first) { "" } else { "," });
                behind.push_str(&quoted(name));
                behind.push(':');
                behind.push_str(value);
            }
        }
        edits.sort_by_key(|(span, _)| span.start);
        edits.push((end..end, behind));
        let added: usize = edits.iter().map(|(_, value)| value.len()).sum();
        let (mut out, mut at) = (String::with_capacity(text.len() + added), 0);
        for (span, value) in edits {
            out.push_str(text.get(at..span.start).unwrap_or_default());
            out.push_str(&value);
            at = span.end;
        }
        out.push_str(text.get(at..).unwrap_or_default());
        out
    }

    /// The object without these members; the others keep their order and their text.
    pub(super) fn without(&self, text: &str, names: &[&str]) -> String {
        let kept = self.0.iter().filter(|(name, _)| !names.contains(&name.as_str()));
        let kept = kept
            .map(|(name, span)| format!("{}:{}", quoted(name), text.get(span.clone()).unwrap_or_default()));
        format!("{{{}}}", kept.collect::<Vec<_>>().join(","))
    }
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

struct SpanSeed<'t> {
    text: &'t str,
}

impl<'de> DeserializeSeed<'de> for SpanSeed<'de> {
    type Value = MemberSpans;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<MemberSpans, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for SpanSeed<'de> {
    type Value = MemberSpans;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MemberSpans, A::Error> {
        let mut found = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value::<&'de RawValue>()?.get();
            let start = value.as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
            found.push((name, start..start + value.len()));
        }
        let mut names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(A::Error::custom(format_args!("the member `{}` stands there twice", twice[0])));
        }
        Ok(MemberSpans(found))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn one_member_is_replaced_and_all_else_stays() {
        let text = "{ \"b\" : [1, {\"b\": 2}],\n \"mod\\u0065l\": \"x\", \"n\": 12345678901234567890123 }";
        let spans = MemberSpans::of(text).unwrap();
        assert_eq!((spans.get(text, "model"), spans.get(text, "c")), (Some("\"x\""), None));
        let changed = spans.with(text, &[("c", "true".to_owned()), ("model", "\"y\"".to_owned())]);
        assert_eq!(changed, text.replace("\"x\"", "\"y\"").replace("123 }", "123,\"c\":true }"));
        assert_eq!(spans.renamed(text, "n", "m").unwrap(), text.replace("\"n\"", "\"m\""));
        assert_eq!(spans.renamed(text, "none", "m"), None);
        assert_eq!(spans.without(text, &["b", "n"]), r#"{"model":"x"}"#);
        assert_eq!(MemberSpans::of("{ }").unwrap().with("{ }", &[("a", "1".to_owned())]), r#"{"a":1 }"#);
    }

    #[test]
    fn what_is_no_object_or_says_a_thing_twice_is_refused() {
        for text in ["", "[]", "{", "{} x", r#"{"a":1,"\u0061":2}"#] {
            assert!(MemberSpans::of(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_splice_equals_a_change_of_the_value(
            object in prop::collection::btree_map("[a-e\"é]{0,2}", "[ -~é\\\\\n]{0,8}", 0..5),
            name in "[a-e]{0,2}", value in "[ -~é]{0,8}",
        ) {
            let text = serde_json::to_string_pretty(&object).unwrap();
            let spans = MemberSpans::of(&text).unwrap();
            let changed = spans.with(&text, &[(&name, quoted(&value))]);
            let mut wanted = json!(object);
            wanted[&name] = json!(value);
            prop_assert_eq!(serde_json::from_str::<Value>(&changed).unwrap(), wanted);
            let left = spans.without(&text, &[&name]);
            let mut wanted = json!(object);
            wanted.as_object_mut().unwrap().remove(&name);
            prop_assert_eq!(serde_json::from_str::<Value>(&left).unwrap(), wanted);
        }
    }
}
