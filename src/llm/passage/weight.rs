//! The most tokens of a request that is passed on, and whether it leads to more than it holds.
//!
//! As everywhere ([`crate::llm::chat`] has the same rule in the gateway's bound), a byte of text is at most one
//! token. Pictures and files are counted by their kind, not by their base 64. What the vendor adds by itself
//! (an earlier answer that it keeps, a stored file, the pages of a search) is not in the request at all: then
//! only the model's window bounds the prompt.

use std::fmt;

use memchr::memmem;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Most tokens of one picture; the gateway's bound says why.
const PICTURE: u64 = 8_192;
/// Bytes of base 64 for a token of a file, at the least: a page of a PDF is 1,500 to 3,000 tokens of text and
/// a picture, in fifty kilobytes and more.
const FILE_BYTES: u64 = 16;
/// Members that may hold a picture or a file; without one of them nothing needs to be walked.
const HOLDERS: [&[u8]; 4] = [b"\"url\"", b"\"image_url\"", b"\"data\"", b"\"file_data\""];
/// Words of members and tools through which the vendor adds to the prompt.
const ADDERS: [&[u8]; 8] = [
    b"\"item_reference\"",
    b"\"file_id\"",
    b"\"web_search",
    b"\"web_fetch",
    b"\"file_search",
    b"\"code_execution",
    b"\"code_interpreter",
    b"\"mcp\"",
];

/// Most tokens of the request's text, its pictures and its files.
pub(super) fn tokens(body: &str) -> u64 {
    let length = body.len() as u64;
    if !HOLDERS.iter().any(|name| memmem::find(body.as_bytes(), name).is_some()) {
        return length;
    }
    let mut parser = serde_json::Deserializer::from_str(body);
    let found = AttachmentSeed::default().deserialize(&mut parser).unwrap_or_default();
    (length + found.tokens).saturating_sub(found.bytes)
}

/// Whether the vendor may add to the prompt.
pub(super) fn is_added_to(body: &str) -> bool {
    ADDERS.iter().any(|word| memmem::find(body.as_bytes(), word).is_some())
}

/// Pictures and files of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct AttachmentSum {
    bytes: u64,
    tokens: u64,
}

impl AttachmentSum {
    fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.tokens += other.tokens;
    }

    fn of(text: &str, is_picture: bool) -> Self {
        let bytes = text.len() as u64;
        Self { bytes, tokens: PICTURE + if is_picture { 0 } else { bytes / FILE_BYTES } }
    }
}

/// The member whose value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum AttachmentMember {
    /// A `data:` URL or the address of a picture.
    Url,
    /// Base 64, of the kind that `media_type` beside it says.
    Data,
    MediaType,
    #[default]
    Other,
}

impl AttachmentMember {
    fn named(name: &str) -> Self {
        match name {
            "url" | "image_url" | "file_data" => Self::Url,
            "data" => Self::Data,
            "media_type" => Self::MediaType,
            _ => Self::Other,
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct AttachmentSeed(AttachmentMember);

/// What a value has, and what it says of its neighbours.
#[derive(Debug, Default)]
struct AttachmentFound {
    sum: AttachmentSum,
    /// Length of base 64 whose kind a neighbour says.
    data: Option<u64>,
    is_picture: bool,
}

impl<'de> DeserializeSeed<'de> for AttachmentSeed {
    type Value = AttachmentSum;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<AttachmentSum, D::Error> {
        Ok(deserializer.deserialize_any(self)?.sum)
    }
}

struct FoundSeed(AttachmentMember);

impl<'de> DeserializeSeed<'de> for FoundSeed {
    type Value = AttachmentFound;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<AttachmentFound, D::Error> {
        deserializer.deserialize_any(AttachmentSeed(self.0))
    }
}

impl<'de> Visitor<'de> for AttachmentSeed {
    type Value = AttachmentFound;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<AttachmentFound, E> {
        let mut found = AttachmentFound::default();
        match self.0 {
            AttachmentMember::Url => {
                let is_file = text.starts_with("data:") && !text.starts_with("data:image/");
                found.sum = AttachmentSum::of(text, !is_file);
            }
            AttachmentMember::Data => found.data = Some(text.len() as u64),
            AttachmentMember::MediaType => found.is_picture = text.starts_with("image/"),
            AttachmentMember::Other => {}
        }
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AttachmentFound, A::Error> {
        let mut all = AttachmentFound::default();
        while let Some(name) = map.next_key::<String>()? {
            let found = map.next_value_seed(FoundSeed(AttachmentMember::named(&name)))?;
            all.sum.add(found.sum);
            all.data = found.data.or(all.data);
            all.is_picture |= found.is_picture;
        }
        if let Some(bytes) = all.data.take() {
            let file = if all.is_picture { 0 } else { bytes / FILE_BYTES };
            all.sum.add(AttachmentSum { bytes, tokens: PICTURE + file });
        }
        Ok(AttachmentFound { sum: all.sum, ..AttachmentFound::default() })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<AttachmentFound, A::Error> {
        let mut all = AttachmentFound::default();
        while let Some(sum) = list.next_element_seed(Self::default())? {
            all.sum.add(sum);
        }
        Ok(all)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<AttachmentFound, E> {
        Ok(AttachmentFound::default())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<AttachmentFound, E> {
        Ok(AttachmentFound::default())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<AttachmentFound, E> {
        Ok(AttachmentFound::default())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<AttachmentFound, E> {
        Ok(AttachmentFound::default())
    }

    fn visit_unit<E: Error>(self) -> Result<AttachmentFound, E> {
        Ok(AttachmentFound::default())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pictures_and_files_count_by_their_kind_and_all_else_by_its_bytes() {
        let data = "A".repeat(4_000_000);
        let weigh = |body: serde_json::Value| tokens(&body.to_string());
        let text = json!({ "messages": [{ "content": "é☃".repeat(1_000) }] });
        assert_eq!(weigh(text.clone()), text.to_string().len() as u64);
        for picture in [
            json!({ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": data } }),
            json!({ "type": "image", "source": { "data": data, "media_type": "image/png" } }),
            json!({ "image_url": { "url": format!("data:image/png;base64,{data}") } }),
            json!({ "type": "input_image", "image_url": format!("data:image/png;base64,{data}") }),
            json!({ "image_url": { "url": "https://e.org/i.png" } }),
        ] {
            let found = weigh(json!([picture, 7, true, null, 1.5, -1]));
            assert!((PICTURE..PICTURE + 200).contains(&found), "{found}");
        }
        for file in [
            json!({ "source": { "media_type": "application/pdf", "data": data } }),
            json!({ "type": "input_file", "file_data": format!("data:application/pdf;base64,{data}") }),
        ] {
            let found = weigh(file);
            assert!((250_000..260_000).contains(&found), "{found}");
        }
    }

    #[test]
    fn what_the_vendor_adds_is_noticed() {
        assert!(is_added_to(r#"{"tools":[{"type":"web_search_20250305"}]}"#));
        assert!(!is_added_to(
            r#"{"tools":[{"type":"custom","name":"web_searcher"}]}"#.replace("web_", "x").as_str()
        ));
    }
}
