//! The section of each line of a manifest.
//!
//! Failure policy: JSON whose braces do not close gives `None`, and the caller takes the whole file.

/// The section of each line of TOML or of an INI file, without brackets: `[[test]]` is `test`.
pub(super) fn toml_sections(text: &str) -> Vec<String> {
    let mut section = String::new();
    text.lines()
        .map(|line| {
            let trimmed = line.trim();
            if let Some(header) = trimmed.strip_prefix('[')
                && let Some((name, rest)) = header.trim_start_matches('[').split_once(']')
                && rest.trim_start_matches(']').trim_start().chars().next().is_none_or(|next| next == '#')
                && !name.contains(['"', ',', '='])
            {
                section = name.trim().to_owned();
            }
            section.clone()
        })
        .collect()
}

/// For each line, the key of the outermost object that the line is under or opens.
pub(super) fn json_keys(text: &str) -> Option<Vec<String>> {
    let mut keys = Vec::new();
    let (mut depth, mut key) = (0_usize, String::new());
    let (mut in_string, mut escaped, mut string) = (false, false, String::new());
    for line in text.lines() {
        let before = key.clone();
        let inside = depth >= 2;
        for letter in line.chars() {
            match letter {
                _ if in_string && escaped => {
                    escaped = false;
                    string.push(letter);
                }
                '\\' if in_string => escaped = true,
                '"' if in_string => in_string = false,
                _ if in_string => string.push(letter),
                '"' => {
                    in_string = true;
                    string.clear();
                }
                ':' if depth == 1 => key = std::mem::take(&mut string),
                '{' | '[' => depth += 1,
                '}' | ']' => depth = depth.checked_sub(1)?,
                _ => {}
            }
        }
        keys.push(if inside { before } else { key.clone() });
    }
    (depth == 0 && !in_string).then_some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toml_and_ini() {
        let text = "a = 1\n[package]\nname = \"x\"\n[[test]] # one\nname = \"t\"\nmembers = [\n[\"a\"]]\n[tool:pytest]\nb\n";
        let sections = toml_sections(text);
        assert_eq!(
            sections,
            ["", "package", "package", "test", "test", "test", "test", "tool:pytest", "tool:pytest"]
        );
    }

    #[test]
    fn json() {
        let text = "{\n  \"name\": \"a:{\",\n  \"scripts\": {\n    \"test\": \"x\"\n  },\n  \"jest\": {\"a\": 1}\n}\n";
        assert_eq!(json_keys(text).unwrap(), ["", "name", "scripts", "scripts", "scripts", "jest", "jest"]);
        assert_eq!(json_keys("{"), None);
        assert_eq!(json_keys("}"), None);
    }
}
