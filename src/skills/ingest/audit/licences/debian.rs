//! Copyright files in Debian's machine-readable format (also REUSE's former `.reuse/dep5`).
//!
//! Their `License` fields say which licences apply; the texts below repeat them. A name that is of the file's
//! own making ("other", "BSD-like") is read from the text under it. Invariant: a field that only repeats a name is
//! kept once, so the work grows with the distinct fields, of which at most [`MAX_FIELDS`] are read.

use std::collections::HashSet;

use super::names;

/// Lines from the start within which the `Format` field must be.
const FORMAT_LINES: usize = 12;
/// Distinct licence fields read of one file: the kernel's has a few hundred.
const MAX_FIELDS: usize = 5_000;
/// Values of `Format` by which the format goes: the final one, and those of its drafts.
const FORMATS: &[&str] =
    &["copyright-format", "dep5", "dep-5", "dep.debian.net", "copyrightformat", "proposals/copyright"];

/// The value of one `License` field: the name, and the text under it if there is one.
pub(super) struct LicenceField {
    pub(super) name: String,
    pub(super) text: String,
    /// The line of the field, from 1.
    pub(super) line: u32,
}

/// The licence fields of a copyright file; `None` when it is in another format.
pub(super) fn fields(text: &str) -> Option<Vec<LicenceField>> {
    let format = text.lines().take(FORMAT_LINES).find_map(|line| field(line, "Format"))?.to_lowercase();
    if !FORMATS.iter().any(|known| format.contains(known)) {
        return None;
    }
    let mut fields: Vec<LicenceField> = Vec::new();
    let mut bare: HashSet<String> = HashSet::new();
    let mut open = false;
    for (number, line) in (1_u32..).zip(text.lines()) {
        if let Some(name) = field(line, "License") {
            if fields.last().is_some_and(|last| last.text.is_empty() && !bare.insert(last.name.clone())) {
                fields.pop();
            }
            if fields.len() == MAX_FIELDS {
                break;
            }
            fields.push(LicenceField { name: name.to_owned(), text: String::new(), line: number });
            open = true;
        } else if line.starts_with([' ', '\t']) {
            if let Some(last) = fields.last_mut().filter(|_| open) {
                last.text.push_str(line);
                last.text.push('\n');
            }
        } else {
            open = false;
        }
    }
    (!fields.is_empty()).then_some(fields)
}

fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (key, value) = line.split_once(':')?;
    key.eq_ignore_ascii_case(name).then_some(value.trim())
}

impl LicenceField {
    /// The licences that the name gives.
    pub(super) fn named(&self) -> Vec<String> {
        names::expressions(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_a_copyright_file_are_read_with_their_texts() {
        let text = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\n\
                    Copyright: 2024 Jane Roe\nLicense: GPL-2+ or Artistic\n\nFiles: doc/*\nLicense: house\n Do with it\n .\n \
                    as you like.\n\nLicense: GPL-2+\n Later versions too.\n";
        let fields = fields(text).unwrap();
        let named: Vec<_> = fields.iter().map(|field| (field.name.as_str(), field.named())).collect();
        assert_eq!(
            named,
            [
                ("GPL-2+ or Artistic", vec!["GPL-2.0-or-later OR Artistic-1.0-Perl".to_owned()]),
                ("house", vec![]),
                ("GPL-2+", vec!["GPL-2.0-or-later".to_owned()]),
            ]
        );
        assert_eq!(fields[1].text, " Do with it\n .\n as you like.\n");
        assert_eq!(fields.iter().map(|field| field.line).collect::<Vec<_>>(), [5, 8, 13]);
        assert!(super::fields("License: MIT\n").is_none());
    }

    #[test]
    fn a_field_repeated_without_end_is_read_once_and_the_distinct_ones_to_their_limit() {
        let head = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n";
        let same = format!("{head}{}", "License: GPL\n".repeat(100_000));
        assert!(fields(&same).unwrap().len() <= 2);
        let other: String = (0..2 * MAX_FIELDS).map(|n| format!("License: house-{n}\n")).collect();
        assert_eq!(fields(&format!("{head}{other}")).unwrap().len(), MAX_FIELDS);
    }
}
