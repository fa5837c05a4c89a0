//! A second look at the secrets and personal data that the audit flagged.
//!
//! The audit matches patterns; this module judges the risk of a match by place (test data, examples) and
//! surroundings (a placeholder, a key without a body). Invariant: a second look lowers a severity by at most
//! the rule's amount and never removes a flag. No more of a secret is repeated than the audit's mask.

use std::fmt;

use crate::ingest::formats::AuditFlag;

/// The severity of a finding, highest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FindingSeverity {
    High,
    /// A person should look.
    Medium,
    Low,
}

impl FindingSeverity {
    /// The name the contract between the steps uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

impl fmt::Display for FindingSeverity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Folder and file name parts that mark test data and examples.
const FIXTURE_WORDS: &[&str] = &[
    "bench",
    "benches",
    "demo",
    "dummy",
    "example",
    "examples",
    "fake",
    "fixture",
    "fixtures",
    "mock",
    "mocks",
    "sample",
    "samples",
    "spec",
    "snapshots",
    "test",
    "testdata",
    "testing",
    "tests",
];
/// Words beside a match that mark a placeholder.
const PLACEHOLDER_WORDS: &[&str] = &[
    "changeme",
    "dummy",
    "example",
    "fake",
    "insert",
    "placeholder",
    "redacted",
    "replace",
    "sample",
    "xxxx",
    "your_",
    "your-",
    "<your",
];
/// Personal data that lets someone take money or an identity.
const GRAVE_PII: &[&str] = &["credit_card", "iban", "passport", "social_security", "ssn"];
/// The shortest line of base64 that can belong to a key: a PEM body has 64 characters a line, the last line
/// fewer.
const KEY_LINE: usize = 40;

/// The verdict of the second look: severity, and the reason for lowering it (empty if not lowered).
pub(super) type FlagJudgement = (FindingSeverity, &'static str);

/// Judges a flag by kind, path of the file and, if present, the document's text.
pub(super) fn judge(flag: &AuditFlag, path: &str, text: Option<&str>) -> FlagJudgement {
    if flag.class == "secret" {
        judge_secret(flag, path, text)
    } else if GRAVE_PII.contains(&flag.kind.as_str()) {
        if is_fixture(path) {
            (FindingSeverity::Low, "in test data or an example")
        } else {
            (FindingSeverity::Medium, "")
        }
    } else {
        (FindingSeverity::Low, "")
    }
}

fn judge_secret(flag: &AuditFlag, path: &str, text: Option<&str>) -> FlagJudgement {
    let near = text.map(|text| surroundings(flag, text)).unwrap_or_default();
    if flag.kind.contains("private_key") && text.is_some_and(|text| !has_key_body(text)) {
        (FindingSeverity::Low, "a header without a key behind it")
    } else if is_placeholder(&near) || is_placeholder(&flag.masked) {
        (FindingSeverity::Low, "the words beside it mark a placeholder")
    } else if is_fixture(path) {
        (FindingSeverity::Medium, "in test data or an example")
    } else {
        (FindingSeverity::High, "")
    }
}

fn is_fixture(path: &str) -> bool {
    path.to_ascii_lowercase()
        .split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| FIXTURE_WORDS.contains(&word))
}

fn is_placeholder(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    PLACEHOLDER_WORDS.iter().any(|word| text.contains(word))
}

/// The lines with the ends of the mask. The flag's own line number counts in the raw file, which cleaning may
/// have shortened, so the number is not used here.
fn surroundings(flag: &AuditFlag, text: &str) -> String {
    let shown = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '/' | '.');
    let mut ends = flag.masked.split(|c| !shown(c)).filter(|part| part.len() >= 3);
    let Some(head) = ends.next() else { return String::new() };
    let tail = ends.next_back().unwrap_or(head);
    text.lines().filter(|line| line.contains(head) && line.contains(tail)).collect::<Vec<_>>().join("\n")
}

/// Whether a PEM private key header in `text` is followed by lines of base64; in JSON the line ends are
/// written `\n`.
fn has_key_body(text: &str) -> bool {
    let text = text.replace("\\r", "").replace("\\n", "\n");
    key_lines(text.lines())
}

/// Reads each line once, however many headers stand among them.
fn key_lines<'a>(lines: impl Iterator<Item = &'a str>) -> bool {
    let mut behind_header = false;
    for line in lines {
        if line.contains("BEGIN") && line.contains("PRIVATE KEY") {
            behind_header = true;
        } else if line.contains("-----END") {
            behind_header = false;
        } else if behind_header && is_base64(line.trim()) {
            return true;
        }
    }
    false
}

fn is_base64(line: &str) -> bool {
    line.len() >= KEY_LINE
        && line.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
}

/// The kind of a flag in words, and the remedy.
pub(super) fn advice(flag: &AuditFlag) -> (String, &'static str) {
    let name = match flag.kind.as_str() {
        "aws_access_key" => "AWS access key".to_owned(),
        "credit_card" => "credit card number".to_owned(),
        "email" => "e-mail address".to_owned(),
        "iban" => "bank account number (IBAN)".to_owned(),
        "phone" => "phone number".to_owned(),
        other => other.replace('_', " "),
    };
    let remedy = if flag.class == "secret" {
        "Revoke it where it is valid, then take it out of the file and its history."
    } else if GRAVE_PII.contains(&flag.kind.as_str()) {
        "Remove it, or note why it may be kept."
    } else {
        "Check that its owner agrees before passing the file on."
    };
    (name, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(class: &str, kind: &str, masked: &str) -> AuditFlag {
        AuditFlag { class: class.into(), kind: kind.into(), line: 3, column: 1, masked: masked.into() }
    }

    const KEY: &str = "-----BEGIN RSA PRIVATE KEY-----\n\
        MIIEowIBAAKCAQEAu5d0W3pXQm1v8YtL2hJ7fK9sR4cN6bV0xZ1aG3eT5yU8iO7p\n-----END RSA PRIVATE KEY-----\n";

    #[test]
    fn a_key_with_a_body_is_high_and_in_test_data_medium() {
        let key = flag("secret", "private_key", "-----BEGIN…KEY-----");
        assert_eq!(judge(&key, "deploy/id_rsa", Some(KEY)).0, FindingSeverity::High);
        assert_eq!(judge(&key, "deploy/id_rsa", None).0, FindingSeverity::High);
        assert_eq!(judge(&key, "tls/tests/fixtures/key.pem", Some(KEY)).0, FindingSeverity::Medium);
        assert_eq!(judge(&key, "src/test_key.pem", Some(KEY)).0, FindingSeverity::Medium);
        assert_eq!(judge(&key, "contest/latest.pem", Some(KEY)).0, FindingSeverity::High);
    }

    #[test]
    fn a_key_written_as_one_string_of_json_is_a_key() {
        let json = format!("{{\"private_key\": \"{}\"}}", KEY.replace('\n', "\\n"));
        let key = flag("secret", "private_key", "MII***7p");
        assert_eq!(judge(&key, "deploy/robot.json", Some(&json)).0, FindingSeverity::High);
    }

    #[test]
    fn a_file_of_headers_is_read_once() {
        let lines = std::cell::Cell::new(0);
        let header = "-----BEGIN RSA PRIVATE KEY-----";
        let counted = std::iter::repeat_n(header, 1_000).inspect(|_| lines.set(lines.get() + 1));
        assert!(!key_lines(counted));
        assert_eq!(lines.get(), 1_000);
        let body = KEY.lines().nth(1).unwrap();
        assert!(!key_lines([header, "-----END RSA PRIVATE KEY-----", body].into_iter()));
        assert!(key_lines([header, header, body].into_iter()));
    }

    #[test]
    fn a_key_header_in_prose_and_a_placeholder_are_low() {
        let key = flag("secret", "private_key", "-----BEGIN…KEY-----");
        let prose = "Paste it between -----BEGIN PRIVATE KEY----- and -----END PRIVATE KEY-----.";
        assert_eq!(judge(&key, "README.md", Some(prose)).0, FindingSeverity::Low);
        let aws = flag("secret", "aws_access_key", "AKIA************MPLE");
        let line = "\n\nset AWS_KEY=AKIAIOSFODNN7EXAMPLE\n";
        assert_eq!(judge(&aws, "README.md", Some(line)).0, FindingSeverity::Low);
        assert_eq!(judge(&aws, "README.md", Some("another line, your_key")).0, FindingSeverity::High);
    }

    #[test]
    fn personal_data_is_graded_by_what_it_opens() {
        assert_eq!(judge(&flag("pii", "iban", "DE**…12"), "letter.txt", None).0, FindingSeverity::Medium);
        assert_eq!(judge(&flag("pii", "iban", "DE**…12"), "tests/iban.txt", None).0, FindingSeverity::Low);
        assert_eq!(judge(&flag("pii", "email", "a…@b.c"), "letter.txt", None).0, FindingSeverity::Low);
    }
}
