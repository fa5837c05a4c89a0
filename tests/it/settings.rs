//! Every setting has a reader: a key of `config/pas.toml` that no code outside `src/config` reads would be
//! documented, checked and shown, without effect.
//!
//! The rule reads text, not types: a key counts as read where one file names both the section (as a field, or
//! as the section's type) and the field. A dead key can pass for a live one that shares both names; a live
//! key is never reported.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use regex::Regex;
use toml::Table;

/// A key: the fields of the sections, the type of the last one, and the key's own field.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Setting {
    key: String,
    section: String,
    section_type: String,
    field: String,
}

/// Fields of each struct by their name in the file: name in Rust, and type.
type Structs = BTreeMap<String, BTreeMap<String, (String, String)>>;

fn structs(source: &str) -> Structs {
    let whole = Regex::new(r"(?s)pub struct (\w+) \{(.*?)\n\}").unwrap();
    let field = Regex::new(r"((?:\s*#\[[^\]]*\]|\s*///[^\n]*\n)*)\s*pub (\w+): ([\w<>:]+),").unwrap();
    let rename = Regex::new(r#"rename = "(\w+)""#).unwrap();
    let fields = |body: &str| {
        let named = |found: regex::Captures<'_>| {
            let (attributes, name, kind) = (&found[1], &found[2], &found[3]);
            let in_file =
                rename.captures(attributes).map_or_else(|| name.to_owned(), |new| new[1].to_owned());
            (in_file, (name.to_owned(), kind.to_owned()))
        };
        field.captures_iter(body).map(named).collect()
    };
    whole.captures_iter(source).map(|found| (found[1].to_owned(), fields(&found[2]))).collect()
}

fn settings(defaults: &Table, structs: &Structs, kind: &str, path: &[&str]) -> Vec<Setting> {
    let mut found = Vec::new();
    for (name, value) in defaults {
        let (field, field_type) = structs
            .get(kind)
            .and_then(|fields| fields.get(name))
            .unwrap_or_else(|| panic!("{kind} has no field for `{name}`"));
        let here = [path, &[name]].concat();
        match value {
            toml::Value::Table(inner) => found.extend(settings(inner, structs, field_type, &here)),
            _ => found.push(Setting {
                key: here.join("."),
                section: (*path.last().expect("keys stand in sections")).to_owned(),
                section_type: kind.to_owned(),
                field: field.clone(),
            }),
        }
    }
    found
}

fn is_read(setting: &Setting, text: &str) -> bool {
    let Setting { section, section_type, field, .. } = setting;
    let has = |pattern: String| Regex::new(&pattern).unwrap().is_match(text);
    // A pattern that names the type takes the field out of it.
    has(format!(r"\b{section_type}\s*\{{[^}}]*\b{field}\b"))
        || has(format!(r"\.\s*{field}\b"))
            && (has(format!(r"\.\s*{section}\b")) || has(format!(r"config::(\{{[^}}]*\b)?{section_type}\b")))
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The sources outside `src/config`, without their comments.
fn readers() -> Vec<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = ignore::WalkBuilder::new(&source).build().map(|entry| entry.unwrap().into_path());
    let meant = files.filter(|path| {
        path.extension().is_some_and(|kind| kind == "rs") && !path.starts_with(source.join("config"))
    });
    let code = |text: String| {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.collect::<Vec<_>>().join("\n")
    };
    meant.map(|path| code(fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn every_setting_has_a_reader() {
    let structs = structs(&(read("src/config/lib.rs") + &read("src/config/sections.rs")));
    let defaults: Table = toml::from_str(&read("config/pas.toml")).unwrap();
    let all = settings(&defaults, &structs, "SwarmConfig", &[]);
    let texts = readers();
    let dead: Vec<&str> = all
        .iter()
        .filter(|setting| !texts.iter().any(|text| is_read(setting, text)))
        .map(|setting| &*setting.key)
        .collect();
    assert!(dead.is_empty(), "nothing reads {dead:?}: let the key do what it says, or take it out");
}

#[test]
fn the_rule_sees_a_reader_and_the_lack_of_one() {
    let source = "pub struct SwarmConfig {\n    /// A.\n    pub http: Http,\n}\n\
                  pub struct Http {\n    /// B.\n    #[serde(rename = \"wait_s\", deserialize_with = \"seconds\")]\n    \
                  pub wait: Duration,\n}\n";
    let defaults: Table = toml::from_str("[http]\nwait_s = 1\n").unwrap();
    let all = settings(&defaults, &structs(source), "SwarmConfig", &[]);
    assert_eq!((all.len(), &*all[0].key, &*all[0].field), (1, "http.wait_s", "wait"));
    for (text, expected) in [
        ("let x = config.http.wait;", true),
        ("let http = &config\n    .http;\nhttp.wait", true),
        ("use crate::config::{Daemon, Http};\nfn f(set: &Http) { set.wait }", true),
        ("let Http { port, wait } = config;", true),
        ("let Http { port, waiting } = config;", false),
        ("config.http.waiting", false),
        ("config.log.wait", false),
        ("config.http.port", false),
    ] {
        assert_eq!(is_read(&all[0], text), expected, "{text}");
    }
}
