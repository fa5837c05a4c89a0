//! The rule on names of types: unique in the crate, and of two words or more.

use std::collections::BTreeMap;

use super::{code, files, none};

/// Types named by one word. Each is the only one of its kind in the crate and the head word of a row in
/// docs/vocabulary.md or a word of the standard named here; any other type names its noun in two words.
const ONE_WORD_TYPES: &[&str] = &[
    // The parts of a supervision tree, as in Erlang/OTP.
    "Actor",
    "Address",
    "Incarnation",
    "Mailbox",
    "Supervisor",
    "Worker",
    // The things a person works with: a definition, a row or a file each.
    "Approval",
    "Artifact",
    "Hold",
    "Job",
    "Manifest",
    "Receipt",
    "Reservation",
    "Rights",
    "Roster",
    // An answer in OpenAI's form, and whose protocol carries it.
    "Completion",
    "Vendor",
    // One database, one clock.
    "Store",
    "Timestamp",
];

#[test]
fn type_names_are_unique_and_say_their_noun() {
    let mut defined: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, text) in files("src", &[".rs"]) {
        for (line, name) in type_definitions(&text) {
            defined.entry(name).or_default().push(format!("{}:{line}", path.display()));
        }
    }
    let mut findings = Vec::new();
    for (name, places) in &defined {
        if places.len() > 1 {
            findings.push(format!(
                "{}: `{name}` is defined more than once; rename all but one",
                places.join(", ")
            ));
        }
        if !says_its_noun(name) && !ONE_WORD_TYPES.contains(&name.as_str()) {
            findings.push(format!("{}: `{name}` is one word; add its noun (docs/vocabulary.md)", places[0]));
        }
    }
    let unused = ONE_WORD_TYPES.iter().filter(|name| !defined.contains_key(**name));
    findings.extend(
        unused.map(|name| format!("tests/it/tidy/type_names.rs: ONE_WORD_TYPES: no type is named `{name}`")),
    );
    none(&findings);
}

/// Types defined at module level, with their lines. Relies on rustfmt's indentation: an item inside `n` open
/// modules is indented by `n` levels; an associated type, a type in a function or in a macro is deeper.
fn type_definitions(text: &str) -> Vec<(usize, String)> {
    let code = code(text);
    let (mut modules, mut found) = (0_usize, Vec::new());
    for (line, number) in code.lines().zip(1..) {
        let item = line.trim_start();
        let indent = line.len() - item.len();
        if item == "}" && indent + INDENT == modules * INDENT {
            modules -= 1;
        } else if indent == modules * INDENT {
            let item = without_visibility(item);
            found.extend(defined_type(item).map(|name| (number, name)));
            modules += usize::from(item.starts_with("mod ") && item.ends_with('{'));
        }
    }
    found
}

/// Spaces a level, as written by rustfmt.
const INDENT: usize = 4;

/// `pub(crate) struct X` as `struct X`.
fn without_visibility(item: &str) -> &str {
    match item.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(") ").map_or("", |(_, item)| item),
        Some(rest) => rest.trim_start(),
        None => item,
    }
}

/// `X` of `struct X<T> {`, `unsafe trait X: Y {`, `type X = Y;`.
fn defined_type(item: &str) -> Option<String> {
    let (keyword, rest) = item.strip_prefix("unsafe ").unwrap_or(item).split_once(' ')?;
    let is_type = ["struct", "enum", "trait", "type"].contains(&keyword);
    is_type.then(|| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
}

/// Two words or more, counted by their capitals.
fn says_its_noun(name: &str) -> bool {
    name.chars().filter(char::is_ascii_uppercase).count() >= 2
}

#[test]
fn the_rule_on_type_names_sees_items_of_modules_only() {
    let text = "pub(in crate::a) struct AsA<T>(T);\nunsafe trait AsB: X {\n    type Skipped;\n}\n\
                // struct Skipped;\nmacro_rules! m {\n    () => { struct Skipped; };\n}\n\
                fn f() {\n    enum Skipped {}\n}\npublish!(x);\nmod tests {\n    type AsC = u8;\n\
                \n    fn g() {\n        struct Skipped;\n    }\n    mod m {\n        pub enum AsD {}\n    }\n\
                }\npub struct AsE;\n";
    let names: Vec<String> =
        type_definitions(text).into_iter().map(|(line, name)| format!("{line} {name}")).collect();
    assert_eq!(names, ["1 AsA", "2 AsB", "14 AsC", "20 AsD", "23 AsE"]);
    assert!(says_its_noun("JobRow") && !says_its_noun("Job"));
}
