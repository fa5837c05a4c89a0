//! Personal data by shape and check digits: e-mail addresses, telephone and card numbers, IBANs, social
//! security numbers of the USA.
//!
//! Numbers in software texts are mostly versions, hashes and test vectors, so every rule asks for more than
//! digits: separators, a country prefix, or a check that random digits fail. Telephone numbers are judged by
//! their shape alone: `phonenumber` would know the national plans, but not where in a text a number begins or
//! to which country it belongs, and brings fourteen crates, two regex engines among them.

use std::sync::LazyLock;

use regex::Regex;

use super::find::UnmaskedFind;

static EMAIL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?-u:\b)[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}[A-Za-z0-9])?\.){1,6}[A-Za-z]{2,18}(?-u:\b)").ok()
});
static PHONE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"\+[1-9][0-9]{0,2}(?:[ .-]?\(?[0-9]{1,4}\)?){2,6}(?-u:\b)|\([2-9][0-9]{2}\) ?[2-9][0-9]{2}-[0-9]{4}(?-u:\b)|(?-u:\b)[2-9][0-9]{2}-[2-9][0-9]{2}-[0-9]{4}(?-u:\b)").ok()
});
static CARD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?-u:\b)[2-6][0-9]{3}(?:[0-9]{9,15}|(?:[ -][0-9]{4}){3}|[ -][0-9]{6}[ -][0-9]{5})(?-u:\b)")
        .ok()
});
static IBAN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?-u:\b)[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?-u:\b)").ok()
});
static SSN: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?-u:\b)[0-9]{3}-[0-9]{2}-[0-9]{4}(?-u:\b)").ok());

/// Domains reserved for documentation (RFC 2606, RFC 6761), and hosts whose `user@host` is no person.
const NO_MAIL_DOMAINS: &[&str] = &[
    "example.com",
    "example.org",
    "example.net",
    "example.edu",
    "domain.com",
    "email.com",
    "yourdomain.com",
    "openssh.com",
    "libssh.org",
    "noreply.github.com",
];
/// Last labels that are reserved, or that are file extensions rather than domains.
const NO_MAIL_ENDINGS: &[&str] = &[
    "example",
    "test",
    "invalid",
    "localhost",
    "local",
    "internal",
    "png",
    "jpg",
    "jpeg",
    "gif",
    "svg",
    "webp",
    "rs",
    "py",
    "js",
    "ts",
    "json",
    "toml",
    "md",
    "html",
    "css",
    "so",
    "dll",
    "service",
    "git",
    "lock",
];
/// Users that denote a machine or a protocol.
const NO_MAIL_USERS: &[&str] = &["git", "noreply", "no-reply", "user", "username", "root"];

type PiiCheck = fn(&str) -> bool;

/// All personal data of a text, unsorted; finds may overlap.
pub(super) fn find(text: &str) -> Vec<UnmaskedFind> {
    let rules: [(&'static str, Option<&Regex>, PiiCheck); 5] = [
        ("iban", IBAN.as_ref(), is_iban),
        ("credit_card", CARD.as_ref(), is_card),
        ("us_ssn", SSN.as_ref(), is_ssn),
        ("email", EMAIL.as_ref(), is_mail),
        ("phone", PHONE.as_ref(), is_phone),
    ];
    let mut finds = Vec::new();
    for (kind, regex, check) in rules {
        for hit in regex.into_iter().flat_map(|regex| regex.find_iter(text)) {
            if stands_alone(text, hit.start(), hit.end(), kind) && check(hit.as_str()) {
                finds.push(UnmaskedFind { class: "pii", kind, start: hit.start(), end: hit.end() });
            }
        }
    }
    finds
}

/// No part of something longer: a decimal, a hash, a path, a version, an address with a password.
fn stands_alone(text: &str, start: usize, end: usize, kind: &str) -> bool {
    let before = text[..start].chars().next_back();
    let after = text[end..].chars();
    let next: Vec<char> = after.take(2).collect();
    let joins = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '/' | '+' | '=' | '#' | '\\');
    let before_ok = match kind {
        "email" => {
            before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '/' | ':' | '_' | '@'))
                || text[..start].ends_with("mailto:")
                || before == Some(':') && !text[..start].ends_with("//")
        }
        _ => before.is_none_or(|c| !joins(c) && !matches!(c, '.' | '$' | ',')),
    };
    let after_ok = match (kind, next.first()) {
        (_, None) => true,
        ("email", Some(c)) => {
            !matches!(c, ':' | '/' | '@' | '_') || next.get(1).is_none_or(|c| c.is_whitespace())
        }
        (_, Some('.' | ',')) => next.get(1).is_none_or(|c| !c.is_ascii_digit()),
        (_, Some(&c)) => !joins(c),
    };
    before_ok && after_ok
}

fn is_mail(address: &str) -> bool {
    let Some((user, domain)) = address.rsplit_once('@') else { return false };
    let (user, domain) = (user.to_ascii_lowercase(), domain.to_ascii_lowercase());
    let ending = domain.rsplit('.').next().unwrap_or_default();
    let reserved = NO_MAIL_DOMAINS
        .iter()
        .any(|known| domain.strip_suffix(known).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')));
    !reserved
        && !NO_MAIL_ENDINGS.contains(&ending)
        && !NO_MAIL_USERS.contains(&user.as_str())
        && !user.contains("..")
}

/// E.164 allows 15 digits at most; numbers of 555-01xx are kept for fiction.
fn is_phone(number: &str) -> bool {
    let digits = digits(number);
    let grouped = number.contains([' ', '-', '(']);
    let fiction = digits.len().checked_sub(7).is_some_and(|at| digits[at..].starts_with("55501"));
    let round = digits.chars().collect::<std::collections::BTreeSet<_>>().len() < 4;
    (10..=15).contains(&digits.len()) && !fiction && !round && (grouped || digits.len() >= 11)
}

/// Issuer prefix and length of the large brands, and the Luhn check of ISO/IEC 7812-1.
fn is_card(number: &str) -> bool {
    let digits = digits(number);
    let start = |n: usize| digits.get(..n).and_then(|start| start.parse::<u32>().ok()).unwrap_or(0);
    let brand = match digits.len() {
        15 => matches!(start(2), 34 | 37),
        14 => matches!(start(2), 36 | 38) || (300..=305).contains(&start(3)),
        13 => start(1) == 4,
        16 => {
            start(1) == 4
                || (51..=55).contains(&start(2))
                || (2221..=2720).contains(&start(4))
                || start(4) == 6011
                || start(2) == 65
                || (3528..=3589).contains(&start(4))
        }
        _ => false,
    };
    let varied = digits.chars().collect::<std::collections::BTreeSet<_>>().len() > 1;
    brand && varied && luhn(&digits)
}

/// The Luhn check over ASCII digits.
pub(super) fn luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let value = u32::from(digit.saturating_sub(b'0'));
            let value = if at % 2 == 1 { value * 2 } else { value };
            if value > 9 { value - 9 } else { value }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// The registry's form for the country, and the ISO 7064 check.
fn is_iban(number: &str) -> bool {
    let compact: String = number.chars().filter(|c| *c != ' ').collect();
    compact.parse::<iban::Iban>().is_ok()
}

/// The areas, groups and serials that the Social Security Administration never gave out.
fn is_ssn(number: &str) -> bool {
    let mut parts = number.split('-');
    let mut part = || parts.next().and_then(|part| part.parse::<u32>().ok()).unwrap_or(0);
    let (area, group, serial) = (part(), part(), part());
    area != 0 && area != 666 && area < 900 && group != 0 && serial != 0
}

fn digits(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds(text: &str) -> Vec<&'static str> {
        find(text).into_iter().map(|find| find.kind).collect()
    }

    #[test]
    fn personal_data_is_found() {
        for (text, kind) in [
            ("Jane Roe <jane.roe@corp-mail.de>", "email"),
            ("[mail](mailto:jane@corp-mail.de)", "email"),
            ("email:jane@corp-mail.de", "email"),
            ("call +49 30 901820-44 now", "phone"),
            ("call (415) 867-5309.", "phone"),
            ("card 4111 1111 1111 1111", "credit_card"),
            ("card: 378282246310005", "credit_card"),
            ("pay to DE89 3704 0044 0532 0130 00", "iban"),
            ("pay to GB82WEST12345698765432.", "iban"),
            ("pay to FR14 2004 1010 0505 0001 3M02 606 now", "iban"),
            ("pay to NO9386011117947", "iban"),
            ("SSN 123-45-6789", "us_ssn"),
        ] {
            assert_eq!(kinds(text), [kind], "{text}");
        }
    }

    #[test]
    fn what_looks_like_it_is_left_alone() {
        for text in [
            "write to you@example.com",
            "git clone git@github.com:a/b.git",
            "ssh://deploy@host.corp.com/x",
            "icon@2x.png and serde@1.0.2",
            "aes128-gcm@openssh.com",
            "4111 1111 1111 1112",
            "sha 4111111111111111abc",
            "0.4111111111111111",
            "DE89 3704 0044 0532 0130 01",
            "DE12 3704 0044 0532 0130",
            "GB98MIDL0700931234567",
            "ZZ89 3704 0044 0532 0130 00",
            "000-12-3456 and 666-12-3456 and 900-12-3456",
            "2021-03-04, 1.2.3, +1.5e10",
            "+1 202 555 0123",
            "+10000000000",
        ] {
            assert!(kinds(text).is_empty(), "{text}: {:?}", kinds(text));
        }
    }

    /// The number that an IBAN stands for (the first four characters moved to the end), modulo 97.
    fn mod_97(iban: &str) -> u32 {
        let (head, body) = iban.split_at(iban.len().min(4));
        body.chars().chain(head.chars()).filter_map(|c| c.to_digit(36)).fold(0, |rest, value| {
            if value > 9 { (rest * 100 + value) % 97 } else { (rest * 10 + value) % 97 }
        })
    }

    proptest! {
        #[test]
        fn luhn_accepts_one_check_digit_in_ten(body in "[0-9]{8,18}") {
            let good = (0..10).filter(|digit| luhn(&format!("{body}{digit}"))).count();
            prop_assert_eq!(good, 1);
        }

        #[test]
        fn luhn_sees_every_changed_digit(body in "[0-9]{8,18}", at in 0_usize..8, by in 1_u8..10) {
            let check = (0..10).find(|digit| luhn(&format!("{body}{digit}"))).unwrap();
            let mut digits = format!("{body}{check}").into_bytes();
            digits[at] = b'0' + (digits[at] - b'0' + by) % 10;
            prop_assert!(!luhn(std::str::from_utf8(&digits).unwrap()));
        }

        #[test]
        fn an_iban_made_by_the_rule_passes_and_a_changed_one_fails(account in "[0-9]{18}", at in 4_usize..22, by in 1_u8..10) {
            let check = 98 - mod_97(&format!("DE00{account}"));
            let iban = format!("DE{check:02}{account}");
            prop_assert!(is_iban(&iban));
            let mut bytes = iban.into_bytes();
            bytes[at] = b'0' + (bytes[at] - b'0' + by) % 10;
            prop_assert!(!is_iban(std::str::from_utf8(&bytes).unwrap()));
        }
    }
}
