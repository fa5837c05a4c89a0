//! Detects the encoding of a file, and decodes the text.
//!
//! Order of the evidence: a byte order mark; UTF-16 recognised by zero bytes; valid UTF-8; the encoding that
//! the file itself declares, if all bytes are sound in it (in a single-byte encoding any bytes are, so UTF-8 with
//! a few damaged places comes first); UTF-8 with a few damaged places; the statistics of
//! `chardetng` (which knows the encodings of the web). Failure policy:
//! bytes that an encoding cannot decode become U+FFFD and are counted.

use std::sync::LazyLock;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};
use regex::bytes::Regex;

/// Bytes searched for zero bytes, as Git does: binary formats show them early.
const HEAD_BYTES: usize = 8 * 1024;
/// Share of control characters above which a file without zero bytes is still no text.
const MAX_CONTROL_SHARE: f64 = 0.05;
/// Share of UTF-16 units with a zero half from which the other half may be read as text: the spaces
/// of any script with words make up more.
const MIN_ZERO_HALVES: f64 = 0.10;
/// Well-formed multi-byte sequences per broken byte from which a file counts as damaged UTF-8.
const GOOD_PER_BROKEN: usize = 4;

/// Bytes searched for a declaration, as the HTML standard has it.
const DECLARED_WITHIN: usize = 1024;

/// The declarations of XML and CSS, of HTML and MIME, of Emacs and Python, and of Vim.
static DECLARED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?i-u)^\s*<\?xml[^>]{0,100}\bencoding\s*=\s*["']([a-z0-9._:-]{2,40})|^@charset "([a-z0-9._:-]{2,40})"|<meta\b[^>]{0,200}\bcharset\s*=\s*["']?\s*([a-z0-9._:-]{2,40})|(?:^|\n)content-type:[^\n]{0,80}\bcharset="?([a-z0-9._:-]{2,40})|\A(?:[^\n]*\n)?[^\n]{0,80}\bcoding[:=][ \t]*([a-z0-9._-]{2,40})|\bvim?:[^\n]{0,80}\b(?:fenc|fileencoding)=([a-z0-9._-]{2,40})|(?:^|\n)"?content-type: text/[a-z]+; charset=([a-z0-9._-]{2,40})"#,
    )
    .ok()
});

/// First bytes of common formats that can pass for text.
const MAGIC: &[(&[u8], &str)] = &[
    (b"%PDF-", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x7fELF", "an executable"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"\x1f\x8b", "gzip data"),
    (b"BZh", "bzip2 data"),
    (b"\xfd7zXZ", "xz data"),
    (b"\x28\xb5\x2f\xfd", "zstd data"),
    (b"{\\rtf", "a rich text document"),
];

#[derive(Debug, PartialEq)]
pub(crate) enum FileContent {
    /// Text in a known encoding.
    Text(DecodedText),
    /// Not text, with the reason.
    Binary(&'static str),
}

#[derive(Debug, PartialEq)]
pub(crate) struct DecodedText {
    /// The text without the byte order mark.
    pub(crate) text: String,
    /// WHATWG name of the encoding.
    pub(crate) label: &'static str,
    /// Bytes that could not be decoded.
    pub(crate) errors: u64,
    /// Whether a byte order mark was cut.
    pub(crate) bom: bool,
}

/// Finds the encoding and decodes.
pub(crate) fn examine(bytes: &[u8]) -> FileContent {
    if let Some((_, what)) = MAGIC.iter().find(|(start, _)| bytes.starts_with(start)) {
        return FileContent::Binary(what);
    }
    let utf32 = bytes.starts_with(b"\xff\xfe\0\0") || bytes.starts_with(b"\0\0\xfe\xff");
    if utf32 && bytes.len().is_multiple_of(4) {
        return FileContent::Binary("UTF-32, which is not supported: convert the file to UTF-8");
    }
    let Some(encoding) = guess(bytes) else { return FileContent::Binary("holds zero bytes") };
    let decoded = decode_as(bytes, encoding);
    if control_share(&decoded.text) > MAX_CONTROL_SHARE {
        return FileContent::Binary("contains mostly control characters");
    }
    FileContent::Text(decoded)
}

/// Decodes with the encoding an audit row names; `None` when there is no such encoding.
pub(crate) fn decode(bytes: &[u8], label: &str) -> Option<DecodedText> {
    Encoding::for_label(label.as_bytes()).map(|encoding| decode_as(bytes, encoding))
}

fn guess(bytes: &[u8]) -> Option<&'static Encoding> {
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        return Some(encoding);
    }
    if bytes.iter().take(HEAD_BYTES).any(|&byte| byte == 0) {
        return utf16(bytes);
    }
    let escapes = bytes.windows(2).any(|pair| pair == b"\x1b$");
    if !escapes && std::str::from_utf8(bytes).is_ok() {
        return Some(UTF_8);
    }
    let declared = declared(bytes);
    let damaged = damaged_utf8(bytes);
    match declared {
        Some(declared) if !(damaged && declared.is_single_byte()) => return Some(declared),
        _ if damaged => return Some(UTF_8),
        _ => {}
    }
    let japanese = if escapes { Iso2022JpDetection::Allow } else { Iso2022JpDetection::Deny };
    let mut detector = EncodingDetector::new(japanese);
    detector.feed(bytes, true);
    Some(detector.guess(None, Utf8Detection::Allow))
}

/// The encoding that a file declares, unless its bytes contradict.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(DECLARED_WITHIN)];
    let captures = DECLARED.as_ref()?.captures(head)?;
    let label = captures.iter().skip(1).flatten().next()?;
    let encoding = Encoding::for_label(label.as_bytes())?;
    // A file that was read this far as ASCII is not UTF-16, whatever it says.
    let fits = encoding.is_ascii_compatible() || encoding == encoding_rs::ISO_2022_JP;
    (fits && decode_as(bytes, encoding).errors == 0).then_some(encoding)
}

/// UTF-16 without a mark: zero bytes in one half of the units only, and no error when decoded.
fn utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(HEAD_BYTES)];
    let units = head.chunks_exact(2);
    let count = units.len().max(1) as f64;
    let zero = |half: usize| units.clone().filter(|unit| unit[half] == 0).count() as f64 / count;
    let (first, second) = (zero(0), zero(1));
    let encoding = if second >= MIN_ZERO_HALVES && first < second / 10.0 {
        UTF_16LE
    } else if first >= MIN_ZERO_HALVES && second < first / 10.0 {
        UTF_16BE
    } else {
        return None;
    };
    let decoded = decode_as(bytes, encoding);
    (decoded.errors == 0 && control_share(&decoded.text) <= MAX_CONTROL_SHARE).then_some(encoding)
}

fn damaged_utf8(bytes: &[u8]) -> bool {
    let (mut good, mut broken) = (0, 0);
    for chunk in bytes.utf8_chunks() {
        good += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        broken += chunk.invalid().len();
    }
    good > 0 && good >= broken * GOOD_PER_BROKEN
}

fn decode_as(bytes: &[u8], encoding: &'static Encoding) -> DecodedText {
    let (body, bom) = match Encoding::for_bom(bytes) {
        Some((marked, length)) if marked == encoding => (&bytes[length..], true),
        _ => (bytes, false),
    };
    let label = encoding.name();
    if encoding == UTF_8
        && let Ok(text) = std::str::from_utf8(body)
    {
        return DecodedText { text: text.to_owned(), label, errors: 0, bom };
    }
    let (text, errors) = decode_counting(body, encoding);
    DecodedText { text, label, errors, bom }
}

fn decode_counting(mut bytes: &[u8], encoding: &'static Encoding) -> (String, u64) {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 2);
    let mut errors = 0;
    loop {
        let (result, read) = decoder.decode_to_string_without_replacement(bytes, &mut text, true);
        bytes = &bytes[read..];
        match result {
            DecoderResult::InputEmpty => return (text, errors),
            DecoderResult::OutputFull => text.reserve(bytes.len().max(16) * 2),
            DecoderResult::Malformed(length, _) => {
                errors += u64::from(length);
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
    }
}

fn control_share(text: &str) -> f64 {
    let (mut all, mut controls) = (0_u32, 0_u32);
    for c in text.chars().take(HEAD_BYTES) {
        all += 1;
        controls += u32::from(c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\x08' | '\x0c' | '\x1b'));
    }
    f64::from(controls) / f64::from(all.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> DecodedText {
        match examine(bytes) {
            FileContent::Text(decoded) => decoded,
            FileContent::Binary(what) => panic!("taken for binary: {what}"),
        }
    }

    fn utf16_bytes(text: &str, big: bool) -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() })
            .collect()
    }

    #[test]
    fn a_file_is_read_as_it_declares_unless_its_bytes_contradict() {
        for (label, start, words) in [
            ("ISO-8859-15", "<?xml version=\"1.0\" encoding=\"ISO-8859-15\"?><p>", "5 € für Œuvres"),
            (
                "windows-1251",
                "<html><meta http-equiv=Content-Type content='text/html; charset=windows-1251'>",
                "Привет",
            ),
            ("Shift_JIS", "<meta charset=\"shift_jis\">", "日本語"),
            ("macintosh", "# -*- coding: macintosh -*-\n", "Größe Ω"),
            ("ISO-8859-2", "// vim: set fileencoding=iso-8859-2 :\n", "Őszi tűz"),
            ("KOI8-R", "From: a\nContent-Type: text/plain; charset=koi8-r\n\n", "Да"),
        ] {
            let encoding = Encoding::for_label(label.as_bytes()).unwrap();
            let (bytes, _, lost) = encoding.encode(words);
            assert!(!lost, "{label}");
            let decoded = text(&[start.as_bytes(), &bytes].concat());
            assert_eq!((decoded.text, decoded.label), (format!("{start}{words}"), label));
        }
        let wrong = "<meta charset=\"iso-8859-1\">Grüße, in UTF-8";
        assert_eq!(text(wrong.as_bytes()).label, "UTF-8");
        let broken =
            [b"<meta charset=\"euc-jp\">Caf".as_slice(), b"\xe9 au lait, s'il vous pla\xeet"].concat();
        assert_eq!(text(&broken).label, "windows-1252");
    }

    #[test]
    fn utf16_is_seen_with_and_without_its_mark() {
        let words = "Käse und Brot für alle, the quick brown fox.";
        for big in [false, true] {
            let plain = utf16_bytes(words, big);
            let marked = utf16_bytes(&format!("\u{feff}{words}"), big);
            let label = if big { "UTF-16BE" } else { "UTF-16LE" };
            for bytes in [plain, marked] {
                let decoded = text(&bytes);
                assert_eq!((decoded.text.as_str(), decoded.label, decoded.errors), (words, label, 0));
            }
        }
        let russian = "Это обычный текст на русском языке, в котором есть пробелы и слова";
        assert_eq!(text(&utf16_bytes(russian, false)).text, russian);
    }

    #[test]
    fn legacy_encodings_are_told_by_their_letters() {
        let german = "Die Größe des Gebäudes überrascht: schöne Türen, weiße Wände, müde Füße.";
        let (bytes, _, _) = encoding_rs::WINDOWS_1252.encode(german);
        assert_eq!(text(&bytes).text, german);
        let russian = "Съешь же ещё этих мягких французских булок, да выпей чаю.";
        let (bytes, _, _) = encoding_rs::WINDOWS_1251.encode(russian);
        assert_eq!(text(&bytes).text, russian);
        let japanese = "これは日本語のテキストです。文字コードを調べます。";
        for encoding in [encoding_rs::SHIFT_JIS, encoding_rs::EUC_JP, encoding_rs::ISO_2022_JP] {
            let (bytes, _, _) = encoding.encode(japanese);
            assert_eq!(text(&bytes).text, japanese, "{}", encoding.name());
        }
    }

    #[test]
    fn a_damaged_utf8_file_stays_utf8_and_counts_the_damage() {
        let mut bytes = "Grüße aus Köln, schöne Straßen, Füße, Äpfel".as_bytes().to_vec();
        bytes.push(0xff);
        let decoded = text(&bytes);
        assert_eq!((decoded.label, decoded.errors), ("UTF-8", 1));
        assert!(decoded.text.starts_with("Grüße") && decoded.text.ends_with('\u{fffd}'));
    }

    #[test]
    fn a_declared_single_byte_encoding_gives_way_to_damaged_utf8() {
        for label in ["iso-8859-1", "windows-1251", "koi8-r"] {
            let mut bytes =
                format!("<meta charset=\"{label}\">Grüße aus Köln, schöne Straßen, Füße, Äpfel").into_bytes();
            bytes.push(0xff);
            let decoded = text(&bytes);
            assert_eq!((decoded.label, decoded.errors), ("UTF-8", 1), "{label}");
        }
    }

    #[test]
    fn binary_is_told_from_text() {
        assert_eq!(examine(b"%PDF-1.7 plain words"), FileContent::Binary("a PDF document"));
        assert!(matches!(examine(b"\0\x01\x02\x03\x04abc"), FileContent::Binary(_)));
        assert!(matches!(examine(&[1, 2, 3, 4, 5, 6, b'a']), FileContent::Binary(_)));
        assert_eq!(text(b"").text, "");
        assert!(text(b"\xef\xbb\xbfhello").bom);
    }
}
