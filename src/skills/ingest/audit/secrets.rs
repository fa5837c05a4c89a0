//! Secrets by their shape: the token formats of well-known services, private keys, and values
//! assigned to names such as `password`.
//!
//! The formats are those the services document for secret scanning. Assigned values must look
//! random, or placeholders in documentation would drown the rest.

use std::sync::LazyLock;

use regex::Regex;

use super::find::UnmaskedFind;

/// Bits per character from which an assigned value looks like a secret: English words are below 3, passwords
/// of ten mixed characters above.
const MIN_ENTROPY: f64 = 3.0;
/// Shortest assigned value that counts: the usual least length of a password.
const MIN_ASSIGNED: usize = 8;

/// Token formats; the group `1`, where there is one, is the secret.
static FORMATS: LazyLock<Vec<(&'static str, Regex)>> = LazyLock::new(|| {
    [
        ("private_key", r"-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----\\?r?\\?n?[\s\S]{0,4}?([A-Za-z0-9+/=:\-]{16,})"),
        ("aws_access_key", r"(?-u:\b)((?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16})(?-u:\b)"),
        ("github_token", r"(?-u:\b)(gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255})"),
        ("gitlab_token", r"(?-u:\b)(glpat-[A-Za-z0-9_-]{20,})"),
        ("slack_token", r"(?-u:\b)(xox[abeoprs]-[A-Za-z0-9-]{10,250})"),
        ("slack_webhook", r"(https://hooks\.slack\.com/services/T[A-Za-z0-9]{6,}/B[A-Za-z0-9]{6,}/[A-Za-z0-9]{20,})"),
        ("google_api_key", r"(?-u:\b)(AIza[A-Za-z0-9_-]{35})(?-u:\b)"),
        ("anthropic_key", r"(?-u:\b)(sk-ant-[A-Za-z0-9_-]{20,})"),
        ("openai_key", r"(?-u:\b)(sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20,}|sk-[A-Za-z0-9]{32,})"),
        ("stripe_key", r"(?-u:\b)([sr]k_(?:live|test)_[A-Za-z0-9]{16,})"),
        ("npm_token", r"(?-u:\b)(npm_[A-Za-z0-9]{36})(?-u:\b)"),
        ("jwt", r"(?-u:\b)(eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{16,})"),
        ("url_password", r"(?-u:\b)[a-z][a-z0-9+.-]{1,15}://[A-Za-z0-9._%+-]{1,64}:([^\s:/@'\x22<>{}$]{6,100})@[A-Za-z0-9]"),
    ]
    .into_iter()
    .filter_map(|(kind, pattern)| Some((kind, Regex::new(pattern).ok()?)))
    .collect()
});

/// `password = "…"` in code and configuration, `PASSWORD=…` alone on a line.
static ASSIGNED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?ix)(?:password|passwd|pwd|secret|api[_-]?key|access[_-]?key|auth[_-]?token|access[_-]?token|client[_-]?secret
        |private[_-]?token)[a-z0-9_]{0,12}["']?\s{0,3}(?::=|=>|[:=])\s{0,3}(?:["'`]([^"'`\s]{8,200})["'`]|([^\s"'`,;]{8,200})\s*?$)"#,
    )
    .ok()
    .and_then(|regex| Regex::new(&format!("(?m){}", regex.as_str())).ok())
});

/// Parts (lower case) of values that are placeholders and no secrets.
const PLACEHOLDERS: &[&str] = &[
    "your",
    "example",
    "xxx",
    "changeme",
    "change_me",
    "placeholder",
    "redacted",
    "dummy",
    "insert",
    "replace",
    "***",
    "...",
    "…",
    "<",
    ">",
    "${",
    "{{",
    "$(",
    "%(",
    "env",
    "()",
    "::",
    "->",
    "secret_key",
    "api_key",
    "apikey",
    "password",
    "token",
    "todo",
    "1234567",
    "abcdef",
    "foobar",
    "hunter2",
];

/// All secrets of a text, unsorted; finds may overlap.
pub(super) fn find(text: &str) -> Vec<UnmaskedFind> {
    let mut finds = Vec::new();
    for (kind, format) in FORMATS.iter() {
        for hit in format.captures_iter(text) {
            let Some(secret) = hit.get(1) else { continue };
            let real = match *kind {
                "url_password" => looks_random(secret.as_str()),
                "private_key" => true,
                _ => distinct(secret.as_str()) > 6,
            };
            // A key block is reported at the header; the body is masked.
            if real {
                finds.push(UnmaskedFind { class: "secret", kind, start: secret.start(), end: secret.end() });
            }
        }
    }
    let assigned = ASSIGNED.iter().flat_map(|regex| regex.captures_iter(text));
    for value in assigned.filter_map(|hit| hit.get(1).or_else(|| hit.get(2))) {
        if looks_random(value.as_str()) {
            finds.push(UnmaskedFind {
                class: "secret",
                kind: "assigned_secret",
                start: value.start(),
                end: value.end(),
            });
        }
    }
    finds
}

/// Letters and digits, no placeholder, no path or call, and enough entropy.
fn looks_random(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let has = |class: fn(&char) -> bool| value.chars().any(|c| class(&c));
    value.len() >= MIN_ASSIGNED
        && has(char::is_ascii_digit)
        && has(char::is_ascii_alphabetic)
        && !PLACEHOLDERS.iter().any(|part| lower.contains(part))
        && !value.contains(['(', '[', '{', '\\'])
        && !lower.starts_with(['/', '.', '$', '&', '@', '#'])
        && !lower.starts_with("http")
        && entropy(value) >= MIN_ENTROPY
}

/// Shannon entropy in bits per character.
fn entropy(value: &str) -> f64 {
    let mut counts = std::collections::BTreeMap::new();
    for c in value.chars() {
        *counts.entry(c).or_insert(0.0_f64) += 1.0;
    }
    let all = value.chars().count() as f64;
    counts.values().map(|count| -(count / all) * (count / all).log2()).sum()
}

fn distinct(value: &str) -> usize {
    value.chars().collect::<std::collections::BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<&'static str> {
        find(text).into_iter().map(|find| find.kind).collect()
    }

    #[test]
    fn tokens_of_services_are_known_by_their_shape() {
        // Put together here, so that no scanner of this repository takes them for real.
        for (kind, parts) in [
            ("aws_access_key", ["AKIA", "IOSFODNN7RZQKLMP"]),
            ("github_token", ["ghp_", "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5"]),
            ("slack_token", ["xoxb-", "123456789012-abcdefGHIJKL"]),
            ("google_api_key", ["AIza", "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q"]),
            ("anthropic_key", ["sk-ant-", "api03-aB3dE5gH7jK9mN1pQ3sT5"]),
            ("openai_key", ["sk-proj-", "aB3dE5gH7jK9mN1pQ3sT5vW7"]),
            ("stripe_key", ["sk_live_", "aB3dE5gH7jK9mN1pQ3sT5vW7"]),
            ("private_key", ["-----BEGIN RSA PRIVATE ", "KEY-----\nMIIEpAIBAAKCAQEA7bq8Kj2"]),
            ("url_password", ["postgres://app:", "s7Kq9vX2mP@db.internal/x"]),
        ] {
            let text = format!("x = {} # y", parts.concat());
            assert!(kinds(&text).contains(&kind), "{kind}: {:?}", kinds(&text));
        }
        let jwt = ["eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxMjM0NTY3ODkwIn0", "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"]
            .join(".");
        assert_eq!(kinds(&jwt), ["jwt"]);
    }

    #[test]
    fn assigned_values_count_when_they_look_random() {
        assert_eq!(kinds("password = \"kT9#vQ2!mZ7p\""), ["assigned_secret"]);
        assert_eq!(kinds("DB_PASSWORD=kT9vQ2mZ7pLw\n"), ["assigned_secret"]);
        for harmless in [
            "password = \"password123\"",
            "api_key: \"YOUR_API_KEY_1\"",
            "password: ${DB_PASSWORD_2}",
            "api_key = os.getenv(\"KEY1\")",
            "secret: string",
            "let token = parse_token2(input)",
            "password = \"aaaaaaaa1\"",
            "-----BEGIN PRIVATE KEY-----\n...",
            "AKIAAAAAAAAAAAAAAAAA",
        ] {
            assert!(kinds(harmless).is_empty(), "{harmless}: {:?}", kinds(harmless));
        }
    }
}
