//! Keeps the source tree as described in ARCHITECTURE.md.
//!
//! Each test checks one rule over all files and lists every place that breaks it, with the remedy. The rules
//! themselves are functions from text to findings, with tests of their own at the end: a rule that finds
//! nothing because it looks wrongly would be worse than none.

mod type_names;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A layer of `src/` and the layers it may name, as `crate::…` or by the name of their crate. Arrows point down
/// only; to add one, add it here and to the picture in ARCHITECTURE.md.
const LAYERS: &[(&str, &[&str])] = &[
    ("files", &[]),
    ("domain", &[]),
    ("config", &["domain"]),
    ("store", &["config", "domain", "files"]),
    ("llm", &["config", "domain"]),
    ("skills", &["config", "domain", "files"]),
    ("sandbox", &["domain"]),
    ("worktree", &[]),
    ("tools", &["domain"]),
    ("proof", &[]),
    ("review", &["proof"]),
    ("roster", &["config", "domain"]),
    ("supervision", &["config", "domain", "store"]),
    (
        "actors",
        &[
            "config",
            "domain",
            "files",
            "llm",
            "proof",
            "review",
            "roster",
            "sandbox",
            "skills",
            "store",
            "supervision",
            "tools",
            "worktree",
        ],
    ),
    ("http", &["actors", "config", "domain", "llm", "roster", "skills", "store", "supervision", "worktree"]),
    (
        "daemon",
        &["actors", "config", "domain", "files", "http", "llm", "roster", "skills", "store", "supervision"],
    ),
    (
        "cli",
        &[
            "actors",
            "config",
            "daemon",
            "domain",
            "http",
            "llm",
            "roster",
            "sandbox",
            "skills",
            "store",
            "supervision",
        ],
    ),
];

/// Longest file, its own tests at the end not counted: as much as one reader can keep in mind. Aim at 300.
const MAX_LINES: usize = 500;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files of the repository (git's ignore rules apply) whose names end so, relative to its root, sorted.
fn files(below: &str, endings: &[&str]) -> Vec<(PathBuf, String)> {
    let start = root().join(below);
    if !start.exists() {
        return Vec::new();
    }
    let walk = ignore::WalkBuilder::new(start).hidden(false).require_git(false).build();
    let is_wanted = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        endings.iter().any(|ending| name.ends_with(ending))
            && !path.components().any(|c| c.as_os_str() == ".git")
    };
    let mut found: Vec<(PathBuf, String)> = walk
        .map(|entry| entry.expect("the source tree can be read"))
        .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()) && is_wanted(entry.path()))
        .map(|entry| {
            let text = fs::read_to_string(entry.path()).expect("sources are UTF-8");
            (entry.path().strip_prefix(root()).expect("below the root").to_owned(), text)
        })
        .collect();
    found.sort();
    found
}

/// Sources of PAS; the projects in `tests/data` are work for agents, in other styles.
fn rust_files() -> Vec<(PathBuf, String)> {
    let all = ["src", "tests", "benches", "examples"].iter().flat_map(|folder| files(folder, &[".rs"]));
    all.filter(|(path, _)| !path.starts_with("tests/data")).collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[track_caller]
fn none(findings: &[String]) {
    assert!(findings.is_empty(), "{} to tidy up:\n  {}", findings.len(), findings.join("\n  "));
}

#[test]
fn imports_point_down() {
    let mut findings = Vec::new();
    for (path, text) in files("src", &[".rs"]) {
        let place = path.display();
        let Some(layer) = layer_of(&path) else { continue };
        let Some((_, below)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
            findings
                .push(format!("{place}: `{layer}` is no layer; give it a row in LAYERS in tests/it/tidy.rs"));
            continue;
        };
        let within = if is_crate(&layer) { Vec::new() } else { crate_names(&text) };
        for (line, name) in within.into_iter().chain(layer_crates(&text)) {
            if name != layer && LAYERS.iter().any(|(known, _)| *known == name) && !below.contains(&&*name) {
                findings.push(format!(
                    "{place}:{line}: `{layer}` must not know `{name}`; move what both need down, or hand it in"
                ));
            }
        }
    }
    none(&findings);
}

#[test]
fn crates_depend_downwards() {
    let mut findings = Vec::new();
    for (layer, below) in LAYERS.iter().filter(|(layer, _)| is_crate(layer)) {
        let place = format!("src/{layer}/Cargo.toml");
        let manifest: toml::Table = toml::from_str(&read(&place)).expect("a manifest is TOML");
        let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
        let names = dependencies.into_iter().flat_map(toml::Table::keys);
        for lower in names.filter_map(|name| name.strip_prefix("pas-")) {
            if !below.contains(&lower) {
                findings.push(format!("{place}: `{layer}` must not depend on `{lower}`"));
            }
        }
    }
    none(&findings);
}

#[test]
fn every_source_file_opens_by_saying_what_it_owns() {
    let silent = |text: &str| !text.starts_with("//! ");
    let findings: Vec<String> = rust_files()
        .iter()
        .filter(|(_, text)| silent(text))
        .map(|(path, _)| {
            format!(
                "{}: open with `//! ` and what it owns, its invariants, its failure policy",
                path.display()
            )
        })
        .collect();
    none(&findings);
}

#[test]
fn no_source_file_is_too_long() {
    let findings: Vec<String> = rust_files()
        .iter()
        .map(|(path, text)| (path, lines_before_tests(text)))
        .filter(|(_, lines)| *lines > MAX_LINES)
        .map(|(path, lines)| {
            format!("{}: {lines} lines, at most {MAX_LINES}; split it by subject", path.display())
        })
        .collect();
    none(&findings);
}

#[test]
fn nothing_is_left_for_later() {
    let mut findings = Vec::new();
    for (path, text) in rust_files() {
        for (line, mark) in unfinished(&text) {
            findings.push(format!("{}:{line}: `{mark}`; finish it or file an issue", path.display()));
        }
    }
    none(&findings);
}

#[test]
fn no_file_names_the_machine_it_was_written_on() {
    let mut findings = Vec::new();
    for (path, text) in files(
        "",
        &[".rs", ".toml", ".md", ".sh", ".erl", ".escript", ".ts", ".txt", ".xml", "Makefile", "run"],
    ) {
        for (line, found) in home_folders(&text) {
            findings.push(format!(
                "{}:{line}: `{found}…` is on one machine only; use a relative path",
                path.display()
            ));
        }
    }
    none(&findings);
}

#[test]
fn every_source_file_is_part_of_the_crate() {
    let mut findings = Vec::new();
    for (folder, roots) in [("src", &["src/main.rs", "lib.rs"][..]), ("tests/it", &["tests/it/main.rs"])] {
        let all = files(folder, &[".rs"]);
        let is_root = |path: &Path| {
            roots.iter().any(|root| path.ends_with(root))
                || path.components().any(|c| c.as_os_str() == "examples")
        };
        let mut reached = BTreeSet::new();
        for (path, _) in all.iter().filter(|(path, _)| is_root(path)) {
            reach(path, &mut reached);
        }
        let dead = all.iter().map(|(path, _)| path).filter(|path| !reached.contains(*path));
        findings.extend(
            dead.map(|path| format!("{}: no `mod` leads here; declare or delete it", path.display())),
        );
    }
    none(&findings);
}

#[test]
fn dependencies_are_sorted() {
    let mut manifests = files("src", &["Cargo.toml"]);
    manifests.push(("Cargo.toml".into(), read("Cargo.toml")));
    let mut findings = Vec::new();
    for (path, text) in manifests {
        findings.extend(unsorted_dependencies(&text).into_iter().map(|(line, name)| {
            format!("{}:{line}: `{name}` is out of order; dependencies are sorted by name", path.display())
        }));
    }
    none(&findings);
}

#[test]
fn a_newcomer_finds_the_two_commands_and_the_licence() {
    if root().join("README.md").exists() {
        let readme = read("README.md");
        for command in ["make run", "make test"] {
            assert!(readme.contains(command), "README.md: say what `{command}` does");
        }
    }
    assert!(read("LICENSE-MIT").contains("The PAS authors"));
    assert!(read("LICENSE-APACHE").contains("Apache License"));
    let makefile = read("Makefile");
    for target in ["run", "test", "bench", "otp-check", "deny", "help"] {
        assert!(makefile.contains(&format!("\n{target}:")), "Makefile: there is no target `{target}`");
    }
}

/// Whether a layer is a crate of its own, in which `crate::…` names its own modules.
fn is_crate(layer: &str) -> bool {
    root().join("src").join(layer).join("Cargo.toml").exists()
}

/// `src/store/codec.rs` and `src/store.rs` are in `store`; the roots of the program's crate are in none.
fn layer_of(path: &Path) -> Option<String> {
    let below_src = path.strip_prefix("src").ok()?;
    let first = below_src.components().next()?.as_os_str().to_str()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (!["lib", "main"].contains(&name)).then(|| name.to_owned())
}

fn lines_before_tests(text: &str) -> usize {
    text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default().lines().count()
}

/// Text with comments blanked out, so that lines keep their numbers. Strings stay.
fn code(text: &str) -> String {
    let without_comment = |line: &str| match line.trim_start() {
        rest if rest.starts_with("//") => String::new(),
        _ => line.split(" // ").next().unwrap_or_default().to_owned(),
    };
    text.lines().map(without_comment).collect::<Vec<_>>().join("\n")
}

/// Top-level modules named as `crate::a` or `crate::{a::…, b}`, with their lines.
fn crate_names(text: &str) -> Vec<(usize, String)> {
    let code = code(text);
    let mut names = Vec::new();
    for (at, prefix) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        let rest = &code[at + prefix.len()..];
        names.extend(first_segments(rest).into_iter().map(|name| (line, name)));
    }
    names
}

/// Layers named by their crates, `pas_store::…`, with their lines.
fn layer_crates(text: &str) -> Vec<(usize, String)> {
    let code = code(text);
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let starts = code.match_indices("pas_").filter(|(at, _)| !code[..*at].ends_with(is_word));
    let name = |(at, prefix): (usize, &str)| {
        let rest = &code[at + prefix.len()..];
        let end = rest.find(|c: char| !is_word(c))?;
        let line = code[..at].matches('\n').count() + 1;
        let is_named = rest[end..].starts_with([':', ';']) || rest[end..].starts_with(" as ");
        is_named.then(|| (line, rest[..end].to_owned()))
    };
    starts.filter_map(name).collect()
}

/// The first segment of a path, or of every path of a group in braces.
fn first_segments(path: &str) -> Vec<String> {
    let ident = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(group) = path.strip_prefix('{') else { return vec![ident(path)] };
    let (mut depth, mut start, mut names) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.push(ident(&group[start..at]));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// Marks of unfinished work; spelt in halves, as this file is checked too.
fn unfinished(text: &str) -> Vec<(usize, &'static str)> {
    const MARKS: &[&str] =
        &[concat!("todo", "!("), concat!("unimplemented", "!("), concat!("FIX", "ME"), concat!("XX", "X")];
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let stands_alone = |line: &str, mark: &str| {
        line.match_indices(mark).any(|(at, _)| {
            !line[..at].ends_with(is_word) && !line[at + mark.len()..].starts_with(is_word)
                || mark.ends_with('(')
        })
    };
    let marks_of =
        |line: &str| MARKS.iter().copied().filter(|mark| stands_alone(line, mark)).collect::<Vec<_>>();
    text.lines()
        .zip(1..)
        .flat_map(|(line, number)| marks_of(line).into_iter().map(move |m| (number, m)))
        .collect()
}

/// Home folders of people; spelt in halves, as this file is checked too.
fn home_folders(text: &str) -> Vec<(usize, &'static str)> {
    const HOMES: &[&str] = &[concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/ro", "ot/")];
    let at_start = |line: &str, home: &str| {
        line.match_indices(home)
            .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '}'))
    };
    let homes_of = |line: &str| HOMES.iter().copied().filter(|home| at_start(line, home)).collect::<Vec<_>>();
    text.lines()
        .zip(1..)
        .flat_map(|(line, number)| homes_of(line).into_iter().map(move |h| (number, h)))
        .collect()
}

/// Modules declared in a file of their own: `mod a;`, `pub(crate) mod b;`.
fn declared(text: &str) -> Vec<String> {
    let name_of = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = words.iter().position(|word| *word == "mod")?;
        let is_declaration =
            words[..at].iter().all(|word| word.starts_with("pub") || word.ends_with([']', ')']));
        words.get(at + 1)?.strip_suffix(';').filter(|_| is_declaration).map(str::to_owned)
    };
    code(text).lines().filter_map(name_of).collect()
}

fn reach(file: &Path, reached: &mut BTreeSet<PathBuf>) {
    let Ok(text) = fs::read_to_string(root().join(file)) else { return };
    if !reached.insert(file.to_owned()) {
        return;
    }
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let folder = file.parent().unwrap_or(Path::new(""));
    let folder = if ["lib", "main", "mod"].contains(&stem) { folder.to_owned() } else { folder.join(stem) };
    for name in declared(&text) {
        reach(&folder.join(format!("{name}.rs")), reached);
        reach(&folder.join(name).join("mod.rs"), reached);
    }
}

/// Names after which a smaller one comes, within a table of dependencies; `-` counts as `_`, as for cargo.
fn unsorted_dependencies(manifest: &str) -> Vec<(usize, String)> {
    let (mut in_table, mut last, mut found) = (false, String::new(), Vec::new());
    for (line, number) in manifest.lines().zip(1..) {
        if line.starts_with('[') {
            in_table = line.ends_with("dependencies]");
            last.clear();
        } else if let Some((name, _)) =
            line.split_once('=').filter(|_| in_table && !line.starts_with([' ', '#']))
        {
            let name = name.trim().replace('-', "_");
            if name < last {
                found.push((number, name.clone()));
            }
            last = name;
        }
    }
    found
}

#[test]
fn the_rule_on_layers_sees_every_way_to_name_one() {
    let text = "//! crate::doc\nuse crate::store::X;\nuse crate::{actors::{a, b}, http};\n\
                /// [`crate::cli`]\nfn f() { crate::skills::g(); } // crate::roster\nuse my_crate::cli;\n";
    let names: Vec<String> =
        crate_names(text).into_iter().map(|(line, name)| format!("{line} {name}")).collect();
    assert_eq!(names, ["2 store", "3 actors", "3 http", "5 skills"]);
    let text = "//! pas_doc::x\nuse pas_store::X;\nuse not_pas_http::y;\nfn f() { pas_llm::g(pas_other); }\n\
                use pas_skills as work;\n";
    let names: Vec<String> =
        layer_crates(text).into_iter().map(|(line, name)| format!("{line} {name}")).collect();
    assert_eq!(names, ["2 store", "4 llm", "5 skills"]);
    assert!(is_crate("domain") && !is_crate("actors"));
    assert_eq!(layer_of(Path::new("src/store/codec.rs")).as_deref(), Some("store"));
    assert_eq!(layer_of(Path::new("src/http.rs")).as_deref(), Some("http"));
    assert_eq!(layer_of(Path::new("src/main.rs")), None);
}

#[test]
fn layers_have_no_cycle() {
    for (at, (name, below)) in LAYERS.iter().enumerate() {
        for lower in *below {
            let place = LAYERS.iter().position(|(known, _)| known == lower);
            assert!(place.is_some_and(|place| place < at), "`{name}` may not point up to `{lower}`");
        }
    }
}

#[test]
fn the_other_rules_see_what_they_are_for() {
    let marks = format!("a {}: b\n{}x) fine\nXXXL\n", concat!("FIX", "ME"), concat!("todo", "!("));
    assert_eq!(unfinished(&marks), [(1, concat!("FIX", "ME")), (2, concat!("todo", "!("))]);
    let homes = format!("x\n\"{}me\" api/home/x {}\n", concat!("/ho", "me/"), "${HOME}/root/x");
    assert_eq!(home_folders(&homes), [(2, concat!("/ho", "me/"))]);
    assert_eq!(lines_before_tests("a\nb\n\n#[cfg(test)]\nmod tests {\nc\n}\n"), 2);
    assert_eq!(lines_before_tests("a\n#[cfg(test)]\nmod tests;\nb\n"), 4);
    let modules = "pub mod a;\n#[cfg(test)] mod b;\npub(crate) mod c;\nmod d {\n// mod e;\nlet mod_f;\n";
    assert_eq!(declared(modules), ["a", "b", "c"]);
    let manifest =
        "[package]\nz = 1\na = 1\n[dependencies]\na = 1\n# z\nc = 1\nb-x = 1\n[dev-dependencies]\na = 1\n";
    assert_eq!(unsorted_dependencies(manifest), [(8, "b_x".to_owned())]);
}
