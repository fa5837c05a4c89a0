//! Percent-encoded paths, as links of pages and books write them.

/// The path that an encoded one names; a `%` before anything but two digits stays.
pub(super) fn decoded(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        // The standard library reads a sign before the digits, too.
        let hex = hex.filter(|hex| bytes[at] == b'%' && !hex.starts_with('+'));
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn encoded_bytes_are_decoded_and_all_else_stays() {
        for (path, name) in [
            ("chapter%201.xhtml", "chapter 1.xhtml"),
            ("caf%C3%A9/%e4%b8%ad", "café/中"),
            ("100%", "100%"),
            ("a%+5b%zz%4", "a%+5b%zz%4"),
            ("%2541", "%41"),
        ] {
            assert_eq!(decoded(path), name, "{path}");
        }
    }
}
