//! The most tokens of a request that is passed on, and whether it leads to more than it holds.
//!
//! Text is estimated as everywhere ([`TokenEstimate`]); that a request's own words (`role`, `type`) count too is
//! far less than the margin. Pictures and files are counted by their kind, not by their base 64. Additions of the
//! vendor (an earlier answer that it keeps, a stored file, the pages of a search) are not in the request at all: then
//! only the model's window bounds the prompt.

use std::fmt;

use memchr::memmem;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::token_estimate::TokenEstimate;

/// Most tokens of one picture; the gateway's bound says why.
const PICTURE: u64 = 8_192;
/// Tokens for a byte of a file's base 64, at the most: a page of dense text takes two kilobytes in a PDF and some
/// 2,500 tokens, since the vendors read its text and look at it too.
const FILE_BYTE: u64 = 1;
/// Members that may hold a picture or a file; without one of them nothing needs to be walked.
const HOLDERS: [&[u8]; 6] =
    [b"\"source\"", b"\"image_url\"", b"\"data:", b"\"file_data\"", b"\"inlineData\"", b"\"inline_data\""];
/// Words of members and tools through which the vendor adds to the prompt.
const ADDERS: [&[u8]; 19] = [
    b"\"item_reference\"",
    b"\"file_id\"",
    b"\"file_url\"",
    b"\"web_search",
    b"\"web_fetch",
    b"\"file_search",
    b"\"code_execution",
    b"\"code_interpreter",
    b"\"mcp\"",
    b"\"googleSearch",
    b"\"google_search",
    b"\"urlContext\"",
    b"\"url_context\"",
    b"\"fileSearch\"",
    b"\"codeExecution\"",
    b"\"googleMaps\"",
    b"\"google_maps\"",
    b"\"fileUri\"",
    b"\"file_uri\"",
];

/// A request's text and attachments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestWeight {
    /// Most tokens of the text.
    pub text: u64,
    /// Bytes of the text.
    pub text_bytes: u64,
    /// Most tokens of the pictures.
    pub pictures: u64,
    /// Most tokens of the files, should they be as dense as can be; often more than the window takes.
    pub files: u64,
    /// Whether a file is only named by its address.
    pub has_linked_file: bool,
}

pub(super) fn of(body: &str) -> RequestWeight {
    let text = TokenEstimate::of(body);
    let whole = RequestWeight { text: text.bound(), text_bytes: text.bytes(), ..RequestWeight::default() };
    if !HOLDERS.iter().any(|name| memmem::find(body.as_bytes(), name).is_some()) {
        return whole;
    }
    let mut parser = serde_json::Deserializer::from_str(body);
    let found = AttachmentSeed::default().deserialize(&mut parser).unwrap_or_default();
    let text = text.without(found.content);
    RequestWeight {
        text: text.bound(),
        text_bytes: text.bytes(),
        pictures: found.pictures,
        files: found.files,
        has_linked_file: found.has_linked_file,
    }
}

/// Whether the vendor may add to the prompt.
pub(super) fn is_added_to(body: &str) -> bool {
    ADDERS.iter().any(|word| memmem::find(body.as_bytes(), word).is_some())
}

/// Pictures and files of a value.
#[derive(Debug, Clone, Copy, Default)]
struct AttachmentSum {
    /// As it stands in the text.
    content: TokenEstimate,
    pictures: u64,
    files: u64,
    has_linked_file: bool,
}

impl AttachmentSum {
    fn add(&mut self, other: Self) {
        self.content.merge(other.content);
        self.pictures += other.pictures;
        self.files += other.files;
        self.has_linked_file |= other.has_linked_file;
    }

    fn picture(content: TokenEstimate) -> Self {
        Self { content, pictures: PICTURE, ..Self::default() }
    }

    fn file(content: TokenEstimate) -> Self {
        Self { content, files: content.bytes().saturating_mul(FILE_BYTE), ..Self::default() }
    }
}

/// The member whose value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum AttachmentMember {
    /// A `data:` URL, the address of a picture, or an object with either.
    Picture,
    /// The same of a file.
    File,
    /// Where Anthropic's pictures and documents are, and Gemini's.
    Source,
    /// In a source: base 64, of the kind that `media_type` beside it says.
    Data,
    /// In a source.
    MediaType,
    /// `type`, by which a document is known.
    Kind,
    #[default]
    Other,
}

impl AttachmentMember {
    /// The member of this name in the value of another.
    fn named(name: &str, inside: Self) -> Self {
        match (name, inside) {
            ("image_url", _) | ("url", Self::Picture) => Self::Picture,
            ("file_data", _) => Self::File,
            ("source" | "inlineData" | "inline_data", _) => Self::Source,
            ("data", Self::Source) => Self::Data,
            ("media_type" | "mimeType" | "mime_type", Self::Source) => Self::MediaType,
            ("url", Self::Source) => Self::Picture,
            ("type", _) => Self::Kind,
            _ => Self::Other,
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct AttachmentSeed(AttachmentMember);

/// The content of a value, and the properties that it gives its neighbours.
#[derive(Debug, Default)]
struct AttachmentFound {
    sum: AttachmentSum,
    /// Data whose kind a neighbour says.
    data: Option<TokenEstimate>,
    media_type: Option<MediaKind>,
    is_document: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MediaKind {
    Picture,
    /// It is written out, so it counts as text.
    Text,
    Other,
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
            AttachmentMember::Picture if text.starts_with("data:") && !text.starts_with("data:image/") => {
                found.sum = AttachmentSum::file(TokenEstimate::of(text));
            }
            AttachmentMember::Picture => found.sum = AttachmentSum::picture(TokenEstimate::of(text)),
            AttachmentMember::File => found.sum = AttachmentSum::file(TokenEstimate::of(text)),
            AttachmentMember::Data => found.data = Some(TokenEstimate::of(text)),
            AttachmentMember::MediaType => {
                found.media_type = Some(match text.split('/').next() {
                    Some("image") => MediaKind::Picture,
                    Some("text") => MediaKind::Text,
                    _ => MediaKind::Other,
                });
            }
            AttachmentMember::Kind => found.is_document = text == "document",
            AttachmentMember::Source | AttachmentMember::Other => {}
        }
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AttachmentFound, A::Error> {
        let mut all = AttachmentFound::default();
        while let Some(name) = map.next_key::<String>()? {
            let found = map.next_value_seed(FoundSeed(AttachmentMember::named(&name, self.0)))?;
            all.sum.add(found.sum);
            all.data = found.data.or(all.data);
            all.media_type = found.media_type.or(all.media_type);
            all.is_document |= found.is_document;
        }
        match (all.data, all.media_type) {
            (None, _) | (_, Some(MediaKind::Text)) => {}
            (Some(data), Some(MediaKind::Picture)) => all.sum.add(AttachmentSum::picture(data)),
            (Some(data), _) => all.sum.add(AttachmentSum::file(data)),
        }
        all.sum.has_linked_file |= all.is_document && all.sum.pictures > 0;
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

    fn weigh(body: &serde_json::Value) -> RequestWeight {
        of(&body.to_string())
    }

    #[test]
    fn pictures_and_files_count_by_their_kind_and_all_else_as_text() {
        let data = "A".repeat(4_000_000);
        let text = json!({ "messages": [{ "content": "é☃".repeat(1_000), "url": "https://e.org/page" }] });
        let written = TokenEstimate::of(&text.to_string());
        let wanted =
            RequestWeight { text: written.bound(), text_bytes: written.bytes(), ..RequestWeight::default() };
        assert_eq!(weigh(&text), wanted);
        for picture in [
            json!({ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": data } }),
            json!({ "type": "image", "source": { "data": data, "media_type": "image/png" } }),
            json!({ "type": "image", "source": { "type": "url", "url": "https://e.org/i.png" } }),
            json!({ "image_url": { "url": format!("data:image/png;base64,{data}") } }),
            json!({ "type": "input_image", "image_url": format!("data:image/png;base64,{data}") }),
            json!({ "image_url": { "url": "https://e.org/i.png" } }),
            json!({ "inlineData": { "mimeType": "image/png", "data": data } }),
            json!({ "inline_data": { "data": data, "mime_type": "image/png" } }),
        ] {
            let found = weigh(&json!([picture, 7, true, null, 1.5, -1]));
            assert!(found.text < 200 && found.text_bytes < 200, "{found:?}");
            assert_eq!((found.pictures, found.files, found.has_linked_file), (PICTURE, 0, false));
        }
        for file in [
            json!({ "type": "document", "source": { "media_type": "application/pdf", "data": data } }),
            json!({ "type": "input_file", "file_data": format!("data:application/pdf;base64,{data}") }),
            json!({ "inlineData": { "mimeType": "application/pdf", "data": data } }),
        ] {
            let found = weigh(&file);
            assert!(found.text < 200 && found.pictures == 0 && !found.has_linked_file, "{found:?}");
            assert!((4_000_000..4_000_100).contains(&found.files), "{found:?}");
        }
    }

    #[test]
    fn a_document_of_plain_text_is_text_and_one_at_an_address_is_not_known() {
        let words = "some words ".repeat(1_000);
        let plain = json!({ "type": "document", "source": { "type": "text", "media_type": "text/plain", "data": words } });
        let found = weigh(&plain);
        assert!(found.text >= TokenEstimate::of(&words).bound() && found.files == 0, "{found:?}");
        let linked = json!({ "type": "document", "source": { "type": "url", "url": "https://e.org/a.pdf" } });
        assert!(weigh(&json!([linked])).has_linked_file);
    }

    #[test]
    fn what_the_vendor_adds_is_noticed() {
        assert!(is_added_to(r#"{"tools":[{"type":"web_search_20250305"}]}"#));
        assert!(is_added_to(r#"{"tools":[{"googleSearch":{}}]}"#));
        assert!(!is_added_to(
            r#"{"tools":[{"type":"custom","name":"web_searcher"}]}"#.replace("web_", "x").as_str()
        ));
    }
}
