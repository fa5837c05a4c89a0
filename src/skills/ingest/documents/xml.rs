//! XML as a sequence of elements and text. Entities that a document defines itself are not expanded, so none can
//! grow without end. Names are read without their prefix, which every writer may choose.

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::broken;
use crate::ingest::source::FileTrouble;

pub(super) enum XmlPiece<'a> {
    /// An element begins; an empty one ends at once.
    Start(&'a XmlElement<'a>),
    End(&'a str),
    Text(&'a str),
}

pub(super) struct XmlElement<'a>(&'a BytesStart<'a>);

impl XmlElement<'_> {
    pub(super) fn name(&self) -> &str {
        self.0.local_name().into_inner()
    }

    pub(super) fn attribute(&self, name: &str) -> Option<String> {
        let mut attributes = self.0.attributes();
        let mut attributes = attributes.with_checks(false).flatten();
        let found = attributes.find(|attribute| attribute.key.local_name().into_inner() == name)?;
        found.normalized_value(XmlVersion::Implicit1_0).ok().map(std::borrow::Cow::into_owned)
    }
}

/// Gives every piece of `xml` to `take`, in order.
///
/// # Errors
/// The row of a document whose part `part` is no XML.
pub(super) fn walk(part: &str, xml: &str, mut take: impl FnMut(XmlPiece<'_>)) -> Result<(), FileTrouble> {
    let mut reader = Reader::from_str(xml.trim_start_matches('\u{feff}'));
    loop {
        let event =
            reader.read_event().map_err(|error| broken(&format!("its part {part} is no XML: {error}")))?;
        match event {
            Event::Start(start) => take(XmlPiece::Start(&XmlElement(&start))),
            Event::Empty(start) => {
                let element = XmlElement(&start);
                take(XmlPiece::Start(&element));
                take(XmlPiece::End(element.name()));
            }
            Event::End(end) => take(XmlPiece::End(end.local_name().into_inner())),
            Event::Text(text) => take(XmlPiece::Text(&text)),
            Event::CData(text) => take(XmlPiece::Text(&text)),
            Event::GeneralRef(name) => match name.resolve_char_ref() {
                Ok(Some(c)) => take(XmlPiece::Text(c.encode_utf8(&mut [0; 4]))),
                _ => take(XmlPiece::Text(resolve_predefined_entity(&name).unwrap_or_default())),
            },
            Event::Eof => return Ok(()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

/// The text of the first element called `name`.
pub(super) fn first_text(part: &str, xml: &str, name: &str) -> Result<String, FileTrouble> {
    let mut text = String::new();
    let (mut inside, mut done) = (false, false);
    walk(part, xml, |piece| match piece {
        XmlPiece::Start(element) => inside |= !done && element.name() == name,
        XmlPiece::End(end) if inside && end == name => (inside, done) = (false, true),
        XmlPiece::Text(piece) if inside => text.push_str(piece),
        XmlPiece::End(_) | XmlPiece::Text(_) => {}
    })?;
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}
