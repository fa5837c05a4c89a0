//! Secrets by their shape: the token formats of well-known services, private keys, and values
//! assigned to names such as `password`.
//!
//! The formats are those the services document for secret scanning, in a data file. Assigned values must look
//! random, or placeholders in documentation would drown the rest; hashes, identifiers and names of headers are
//! none, whatever they are assigned to.

use std::cell::LazyCell;
use std::path::Path;
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

/// All secrets of a file's text, unsorted; finds may overlap.
pub(super) fn find(path: &Path, text: &str) -> Vec<UnmaskedFind> {
    let mut finds = Vec::new();
    // From where on lines of five fields are those of a password file.
    let pgpass = LazyCell::new(|| match path.file_name().and_then(|name| name.to_str()) {
        Some(".pgpass" | "pgpass" | "pgpass.conf") => Some(0),
        _ => PGPASS_SIGN.as_ref()?.find(text).map(|sign| sign.start()),
    });
    for (kind, format) in FORMATS.iter() {
        for hit in format.captures_iter(text) {
            let Some(secret) = hit.get(1) else { continue };
            let start = hit.get(0).map_or(0, |whole| whole.start());
            let before = &text[start..secret.start()];
            let real = is_real(kind, secret.as_str(), before, &text[secret.end()..])
                && (*kind != "pgpass_password"
                    || is_pgpass(before, || pgpass.is_some_and(|sign| sign <= start)));
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

/// Whether a find of a format is a secret: `before` is what the format matched before it, `behind` the text behind.
fn is_real(kind: &str, secret: &str, before: &str, behind: &str) -> bool {
    match kind {
        "url_password" | "netrc_password" | "pgpass_password" | "connection_password" => {
            !is_placeholder(secret)
                && !is_users_own_name(kind, secret, before)
                && !is_address(kind, before, secret, behind)
        }
        "http_authorization" => {
            secret.contains(|c: char| c.is_ascii_digit() || c == '=')
                && !is_placeholder(secret)
                && entropy(secret) >= MIN_ENTROPY
        }
        "private_key" => true,
        "aws_access_key" | "aws_secret_key" => {
            distinct(secret) > 6 && !secret.to_ascii_lowercase().contains("example")
        }
        "discord_token" => names_a_snowflake(secret),
        _ => distinct(secret) > 6,
    }
}

/// What stands above lines of PostgreSQL's password file in other files.
static PGPASS_SIGN: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)pgpass|host(?:name)?:port:data(?:base)?:user(?:name)?:pass").ok());

/// Whether `host:port:database:user:` begins a line of PostgreSQL's password file, and is no place in a file with what
/// stands there (`routes.yml:1042:5:path:`): the port is one, and PostgreSQL's own unless there is another sign.
fn is_pgpass(before: &str, has_sign: impl FnOnce() -> bool) -> bool {
    /// Of servers, and of PgBouncer.
    const OWN_PORTS: [&str; 4] = ["*", "5432", "5433", "6432"];
    let mut fields = before.trim_end_matches(':').rsplitn(4, ':');
    let (_user, database, port) = (fields.next(), fields.next(), fields.next());
    let (Some(database), Some(port)) = (database, port) else { return false };
    let is_port = port == "*" || port.parse::<u16>().is_ok_and(|port| port > 0);
    let is_column = database.bytes().all(|byte| byte.is_ascii_digit());
    is_port && (OWN_PORTS.contains(&port) && !is_column || has_sign())
}

/// A password that is the user's name ("postgres:postgres") is a default that everybody knows.
fn is_users_own_name(kind: &str, secret: &str, before: &str) -> bool {
    let user = match kind {
        "url_password" => before.rsplit("//").next().map(|user| user.trim_end_matches(':')),
        "pgpass_password" => before.rsplit(':').nth(1),
        "netrc_password" => before.split_whitespace().rev().nth(1),
        _ => USER_OF_CONNECTION
            .as_ref()
            .and_then(|user| user.captures(before)?.get(1))
            .map(|user| user.as_str()),
    };
    user.is_some_and(|user| !user.is_empty() && user.eq_ignore_ascii_case(secret))
}

static USER_OF_CONNECTION: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?i)(?:user id|uid|user(?:name)?)=([^;"'\n]+)"#).ok());

/// Whether the colons are those of an image with its digest (`docker://alpine:3.19.1@sha256:…`), or of an IPv6
/// address.
fn is_address(kind: &str, before: &str, secret: &str, behind: &str) -> bool {
    match kind {
        "url_password" => {
            ["@sha256:", "@sha384:", "@sha512:"].iter().any(|digest| behind.starts_with(digest))
        }
        "pgpass_password" => {
            let line = format!("{before}{secret}");
            let address = line.split(['/', '%']).next().unwrap_or_default();
            address.trim_matches(['[', ']']).parse::<std::net::Ipv6Addr>().is_ok()
        }
        _ => false,
    }
}

/// Discord's tokens begin with the number of their user in base64; other dotted base64 does not.
fn names_a_snowflake(token: &str) -> bool {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let head = token.split('.').next().unwrap_or_default();
    let (mut bits, mut held, mut read) = (0_u32, 0, 0);
    for byte in head.bytes() {
        let Some(value) = DIGITS.iter().position(|digit| *digit == byte) else { return false };
        bits = bits << 6 | u32::try_from(value).unwrap_or_default();
        held += 6;
        if held >= 8 {
            held -= 8;
            read += 1;
            if !u8::try_from(bits >> held & 0xff).is_ok_and(|digit| digit.is_ascii_digit()) {
                return false;
            }
        }
    }
    (17..=20).contains(&read)
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
mod tests;
