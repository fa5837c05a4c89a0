//! Splitting and grafting inline tests, case by case.

use super::*;

const OLD: &str = r##"pub fn open<'a>(text: &'a str) -> char { if text == "}" { '{' } else { '\'' } }
// a brace in a comment: {
/* and /* one */ more: { */
pub const RAW: &str = r#"{ "quoted" {"#;
#[cfg(test)]
fn helper() {}

#[cfg(test)]
#[allow(dead_code)]
mod tests {
    use super::*;
    #[test]
    fn opens() { assert_eq!(open("}"), '{'); }
}

pub fn after() {}
"##;

#[test]
fn the_module_is_taken_out_whole_and_nothing_else() {
    let split = split_inline_tests(OLD).unwrap();
    assert_eq!(split.tests.len(), 1);
    assert!(split.tests[0].starts_with("#[cfg(test)]\n#[allow(dead_code)]\nmod tests {"));
    assert!(split.tests[0].ends_with("'{'); }\n}"));
    assert!(split.code.contains("fn helper") && split.code.contains("pub fn after"));
    assert!(!split.code.contains("opens"));
}

#[test]
fn tests_of_one_version_stand_over_the_code_of_another() {
    let new = "pub fn open() -> u8 { 7 }\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn seven() {}\n}\n";
    let grafted = graft_inline_tests(OLD, new).unwrap();
    assert!(grafted.contains("pub fn open<'a>") && grafted.contains("fn seven"));
    assert!(!grafted.contains("fn opens"));
    let back = graft_inline_tests(new, OLD).unwrap();
    assert!(back.contains("{ 7 }") && back.contains("fn opens") && !back.contains("fn seven"));
}

#[test]
fn a_side_without_tests_takes_and_gives_none() {
    let bare = "pub fn open() {}\n";
    assert!(graft_inline_tests(bare, OLD).unwrap().contains("fn opens"));
    assert!(!graft_inline_tests(OLD, bare).unwrap().contains("fn opens"));
    assert_eq!(graft_inline_tests(bare, bare), None);
}

#[test]
fn a_module_in_a_file_of_its_own_moves_its_declaration() {
    let split = split_inline_tests("fn a() {}\n\n#[cfg(test)]\npub(crate) mod tests;\n").unwrap();
    assert_eq!(split.tests, ["#[cfg(test)]\npub(crate) mod tests;"]);
}

#[test]
fn a_further_condition_is_still_a_test_module() {
    let split =
        split_inline_tests("fn a() {}\n#[cfg(all(test, feature = \"x]\"))]\nmod tests { fn b() {} }\n")
            .unwrap();
    assert_eq!(split.code, "fn a() {}\n\n");
}

#[test]
fn a_file_that_cannot_be_followed_is_left_alone() {
    assert_eq!(split_inline_tests("fn a() { #[cfg(test)] mod tests {"), None);
    assert_eq!(split_inline_tests("}\n#[cfg(test)]\nmod tests {}\n"), None);
    assert_eq!(graft_inline_tests("#[cfg(test)]\nmod tests {", OLD), None);
}

#[test]
fn words_in_strings_and_nested_modules_are_no_tests() {
    assert_eq!(split_inline_tests("const A: &str = \"\n#[cfg(test)]\nmod tests {}\";\n"), None);
    assert_eq!(split_inline_tests("mod inner {\n#[cfg(test)]\nmod tests {}\n}\n"), None);
}

proptest::proptest! {
    #[test]
    fn any_text_is_cut_without_a_panic_or_a_loss(text in "(?s)(#\\[cfg\\(test\\)\\]|mod t|\\{|\\}|;|'|\"|r#|/\\*|\\*/|//|\n|é|a){0,60}") {
        if let Some(split) = split_inline_tests(&text) {
            let length = split.code.len() + split.tests.iter().map(String::len).sum::<usize>();
            proptest::prop_assert_eq!(length, text.len());
        }
    }
}
