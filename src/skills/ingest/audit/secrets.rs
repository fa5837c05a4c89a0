//! Secrets by their shape: the token formats of well-known services, private keys, and values
//! assigned to names such as `password`.
//!
//! The formats are those the services document for secret scanning, in a data file. Assigned values must look
//! random, or placeholders in documentation would drown the rest; hashes, identifiers and names of headers are
//! none, whatever they are assigned to.

use std::sync::LazyLock;

use regex::Regex;

use super::find::UnmaskedFind;

/// Bits per character from which an assigned value looks like a secret: English words are below 3, passwords
/// of ten mixed characters above.
const MIN_ENTROPY: f64 = 3.0;
/// Shortest assigned value that counts: the usual least length of a password.
const MIN_ASSIGNED: usize = 8;

/// The token formats of `secret_formats.txt`.
static FORMATS: LazyLock<Vec<(&'static str, Regex)>> = LazyLock::new(|| {
    format_rows().filter_map(|(kind, pattern)| Some((kind, Regex::new(&pattern).ok()?))).collect()
});

/// Kinds and regular expressions, with the edges of words written out.
fn format_rows() -> impl Iterator<Item = (&'static str, String)> {
    const EDGE: &str = r"(?-u:\b)";
    let lines = include_str!("secret_formats.txt").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' ')).map(|(kind, pattern)| {
        let pattern = pattern.trim();
        let (start, rest) = pattern.strip_prefix("B").map_or(("", pattern), |rest| (EDGE, rest));
        let (end, body) =
            rest.strip_suffix(")B").map_or((String::new(), rest), |body| (format!("){EDGE}"), body));
        (kind, format!("{start}{body}{end}"))
    })
}

/// `password = "…"` in code and configuration, `PASSWORD=…` alone on a line.
static ASSIGNED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?ix)(?:pass(?:word|phrase|wd)|pwd|secret|api[_-]?key|access[_-]?key|(?:auth|access|refresh|bot|api|deploy)[_-]?token|client[_-]?secret
        |private[_-]?(?:token|key)|encryption[_-]?key|signing[_-]?key)(?P<rest>[a-z0-9_-]{0,12})["']?\s{0,3}(?::=|=>|[:=])\s{0,3}(?:["'`](?P<quoted>[^"'`\s]{8,200})["'`]|(?P<bare>[^\s"'`,;]{8,200})\s*?$)"#,
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
                "url_password" | "netrc_password" | "pgpass_password" | "connection_password" => {
                    !is_placeholder(secret.as_str())
                }
                "http_authorization" => {
                    let value = secret.as_str();
                    value.contains(|c: char| c.is_ascii_digit() || c == '=')
                        && !is_placeholder(value)
                        && entropy(value) >= MIN_ENTROPY
                }
                "private_key" => true,
                "aws_access_key" | "aws_secret_key" => {
                    distinct(secret.as_str()) > 6 && !secret.as_str().to_ascii_lowercase().contains("example")
                }
                _ => distinct(secret.as_str()) > 6,
            };
            // A key block is reported at the header; the body is masked.
            if real {
                finds.push(UnmaskedFind { class: "secret", kind, start: secret.start(), end: secret.end() });
            }
        }
    }
    let assigned = ASSIGNED.iter().flat_map(|regex| regex.captures_iter(text));
    for hit in assigned {
        let Some(value) = hit.name("quoted").or_else(|| hit.name("bare")) else { continue };
        let about = hit.name("rest").map_or(String::new(), |rest| rest.as_str().to_ascii_lowercase());
        if !NO_VALUE.iter().any(|word| about.contains(word))
            && looks_random(value.as_str())
            && !is_identifier(value.as_str())
        {
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

/// The ends of names whose values only speak of a secret.
const NO_VALUE: &[&str] = &[
    "hash", "digest", "name", "file", "path", "url", "uri", "header", "field", "param", "policy", "length",
    "prefix", "label", "type", "regex", "pattern", "expir", "_id",
];

/// A UUID, or the hash that a password is stored as, is no secret by itself.
fn is_identifier(value: &str) -> bool {
    let hex = |part: &str, length: usize| part.len() == length && part.bytes().all(|b| b.is_ascii_hexdigit());
    let parts: Vec<&str> = value.split('-').collect();
    let uuid = parts.len() == 5 && parts.iter().zip([8, 4, 4, 4, 12]).all(|(part, length)| hex(part, length));
    uuid || ["sha256", "sha512", "sha1", "md5"]
        .iter()
        .any(|name| value.to_ascii_lowercase().starts_with(name))
}

fn is_placeholder(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    PLACEHOLDERS.iter().any(|part| lower.contains(part))
        || distinct(value) < 4
        || value.starts_with(['$', '%', '{', '['])
}

/// Letters with digits or, in mixed case, with signs; no placeholder, no path or call, and enough entropy.
fn looks_random(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let has = |class: fn(&char) -> bool| value.chars().any(|c| class(&c));
    value.len() >= MIN_ASSIGNED
        && (has(char::is_ascii_digit)
            || has(char::is_ascii_punctuation)
                && has(char::is_ascii_uppercase)
                && has(char::is_ascii_lowercase))
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
            ("url_password", ["redis://:", "kestrelwharf@cache.internal:6379/0"]),
            (
                "slack_token",
                ["xapp-", "1-A04BCD7EF2G-4412345678901-9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c"],
            ),
            ("google_oauth_secret", ["GOCSPX-", "k7Jq2mZ9xWv4Tn8Rb3Lc6Hd1Fg5Y"]),
            ("stripe_key", ["whsec_", "q8Zk3Lm7Xw2Vn9Tb4Rc6Jd1Hf5GyPs0A"]),
            ("docker_token", ["dckr_pat_", "q8Zk3Lm7Xw2Vn9Tb4Rc6Jd1Hf5G"]),
            ("huggingface_token", ["hf_", "qZkLmXwVnTbRcJdHfGyPsAeUiOqZkLmXwV"]),
            ("telegram_token", ["712345689:AA", "Gq8Zk3Lm7Xw2Vn9Tb4Rc6Jd1Hf5GyPs0A"]),
            ("sendgrid_key", ["SG.", "q8Zk3Lm7Xw2Vn9Tb4Rc6Jd.1Hf5GyPs0Aq8Zk3Lm7Xw2Vn9Tb4Rc6Jd1Hf5GyPs0A1"]),
            ("twilio_key", ["SK", "9f8e7d6c5b4a39281706f5e4d3c2b1a0"]),
            ("mailgun_key", ["key-", "9f8e7d6c5b4a39281706f5e4d3c2b1a0"]),
            ("databricks_token", ["dapi", "9f8e7d6c5b4a39281706f5e4d3c2b1a0"]),
            ("shopify_token", ["shpat_", "9f8e7d6c5b4a39281706f5e4d3c2b1a0"]),
            ("vault_token", ["hvs.", "CAESIq8Zk3Lm7Xw2Vn9Tb4Rc6Jd1Hf5G"]),
            ("grafana_token", ["glsa_", "q8Zk3Lm7Xw2Vn9Tb4Rc6Jd1Hf5GyPs0A_9f8e7d6c"]),
            (
                "azure_storage_key",
                [
                    "AccountKey=",
                    "q8Zk3Lm7Xw2Vn9Tb4Rc6Jd1Hf5GyPs0Aq8Zk3Lm7Xw2Vn9Tb4Rc6Jd1Hf5GyPs0Aq8Zk3Lm7Xw2Vn9Tb4Rc6J==",
                ],
            ),
            ("http_authorization", ["Authorization: Bearer ", "q8Zk3Lm7Xw2Vn9Tb4Rc6"]),
            ("connection_password", ["Server=db;User Id=app;Password=", "Kestrel-Wharf;"]),
            (
                "private_key",
                [
                    "-----BEGIN RSA PRIVATE ",
                    "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A1B\n\nMIIEpAIBAAKCAQEA7bq8Kj2",
                ],
            ),
            (
                "private_key",
                ["-----BEGIN PGP PRIVATE ", "KEY BLOCK-----\nVersion: GnuPG v2\n\nlQOYBFxq8Kj2MIIEpAIBAAK"],
            ),
            (
                "private_key",
                ["{\"private_key\": \"-----BEGIN PRIVATE ", "KEY-----\\nMIIEpAIBAAKCAQEA7bq8Kj2\\n"],
            ),
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
        assert_eq!(kinds("passphrase: \"Kestrel!Wharf?Lantern\""), ["assigned_secret"]);
        assert_eq!(kinds("machine db.corp.net login app password kestrelwharf\n"), ["netrc_password"]);
        assert_eq!(kinds("db.corp.net:5432:orders:app:kestrelwharf\n"), ["pgpass_password"]);
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
            "AKIAIOSFODNN7EXAMPLE",
            "password_hash: 5f4dcc3b5aa765d61d8327deb882cf99",
            "api_key_name: X-Api-Key-V2",
            "client_secret_id: 3f2504e0-4f89-41d3-9a0c-0305e82c3301",
            "secret: 3f2504e0-4f89-41d3-9a0c-0305e82c3301",
            "redis://:password@localhost",
            "Authorization: Bearer <token>",
            "Authorization: Basic authentication-is-required",
            "machine host login user password yourpassword",
            "commit 9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c",
        ] {
            assert!(kinds(harmless).is_empty(), "{harmless}: {:?}", kinds(harmless));
        }
    }

    #[test]
    fn every_format_of_the_file_is_a_regular_expression_with_one_group() {
        let rows: Vec<_> = format_rows().collect();
        assert_eq!(rows.len(), FORMATS.len());
        for (kind, format) in FORMATS.iter() {
            assert_eq!(format.captures_len(), 2, "{kind}");
        }
    }
}
